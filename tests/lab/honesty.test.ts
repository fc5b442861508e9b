import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { parametersOf, selectOutputs } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { DeviceRecord } from '../../src/lab/devices.ts';
import { checkHonesty } from '../../src/lab/honesty.ts';
import { measureDevice, thisDevice } from '../../src/lab/measure-device.ts';
import { measureModel } from '../../src/lab/measure-model.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { optimizeFor, planGraph } from '../../src/runtime/plan.ts';
import type { Plan } from '../../src/runtime/plan.ts';
import { createSession } from '../../src/runtime/session.ts';

/** Products that fill registers, and a depthwise layer that needs bandwidth: some 60 MFLOP on maps that caches hold. */
function smallNetwork(): Graph {
  const b = new GraphBuilder('small');
  const x = b.input([1, 28, 28, 32]);
  const up = b.relu(b.conv(x, 'up', { outputs: 192, kernel: 1, bias: true }));
  const spatial = b.relu(b.conv(up, 'spatial', { outputs: 192, kernel: 3, groups: 'depthwise' }));
  b.output(
    'y',
    b.conv(b.conv(spatial, 'wide', { outputs: 192, kernel: 1 }), 'down', { outputs: 32, kernel: 1 }),
  );
  return b.build();
}

const pico = ['convfirst-pico at 64×64', () => buildModel('convfirst-pico', { resolution: 64 })] as const;

describe.each(['native', 'wasm'] as const)('%s', (name) => {
  let device: Device;
  let record: DeviceRecord;
  beforeAll(async () => {
    device =
      name === 'native' ? await openDevice('auto', { threads: 1 }) : await openWasmDevice({ threads: 1 });
    record = thisDevice([await measureDevice(device)], 'test');
  });
  afterAll(() => device.dispose());

  test.each([
    ['products and a depthwise layer', smallNetwork] as const,
    ...(name === 'native' ? [pico] : []),
  ])(
    '%s runs no faster than the bound',
    async (_, build) => {
      const graph = build();
      const outputs = graph.outputs.has('logits') ? ['logits'] : [...graph.outputs.keys()];
      const optimized = optimize(selectOutputs(graph, outputs), optimizeFor(device.caps));
      const session = await createSession(device, optimized, syntheticWeights(parametersOf(graph)));
      const found = await measureModel(device, session, record, { seconds: 0.3 });
      await session.dispose();
      expect(found.efficiency).toBeGreaterThan(0);
      expect(found.honest, JSON.stringify({ ...found, samplesMs: [] })).toBe(true);
      // The bound says something: these networks are mostly arithmetic, which no machine does faster than its peak.
      expect(found.bound).toBeLessThan(1.25);
      // A bound needs the best peak that was seen: the record's, or one between the runs if that found more.
      expect(found.device.peak.f32).toBeGreaterThanOrEqual(record.peak.f32 ?? Infinity);
    },
    60_000,
  );
});

const machine: DeviceRecord = {
  ...{ name: 'x', title: 'x', type: 'cpu', sources: {}, peak: { f32: 1e12 }, bandwidth: 1e9 },
  caches: [{ name: 'caches', bytes: 1e6, bandwidth: 1e11 }],
};

async function planOf(build: (b: GraphBuilder, x: ReturnType<GraphBuilder['input']>) => void): Promise<Plan> {
  const device = await openWasmDevice({ threads: 1 });
  try {
    const b = new GraphBuilder('layer');
    build(b, b.input([1, 64, 64, 64]));
    return planGraph(b.build(), device.caps);
  } finally {
    await device.dispose();
  }
}

test('the least time of a layer is that of its operations, or of the bytes that caches do not hold', async () => {
  const plan = await planOf((b, x) => {
    b.output('y', b.conv(x, 'layer', { outputs: 64, kernel: 1 }));
  });
  const ops = 2 * 64 ** 4;
  const bytes = 4 * (2 * 64 ** 3 + 64 ** 2);
  const found = checkHonesty(plan, machine, [9, 10, 11]);
  expect(found).toMatchObject({ ops, measuredMs: 10, efficiency: ops / 1e10, honest: true });
  expect(found.spread).toBeCloseTo(0.1, 12);
  // Of 2.1 MB, caches of 1 MB may have held 1 MB of the input and may keep 1 MB of the output.
  expect(found.leastMs).toBeCloseTo((1e3 * (bytes - 2e6)) / 1e9, 9);
  expect(checkHonesty(plan, { ...machine, peak: { f32: 1e9 } }, [1]).leastMs).toBeCloseTo(ops / 1e6, 9);
  const cacheless = checkHonesty(plan, { ...machine, caches: [] }, [1]);
  expect(cacheless.leastMs).toBeCloseTo(bytes / 1e6, 9);
});

test('who is faster than the bound is found out, unless measurements vary as much', async () => {
  const plan = await planOf((b, x) => {
    b.output('y', b.conv(x, 'layer', { outputs: 64, kernel: 1 }));
  });
  const { leastMs } = checkHonesty(plan, machine, [1]);
  const samples = (factor: number, spread: number): number[] =>
    [1 - spread, 1 - spread / 2, 1, 1 + spread / 2, 1 + spread].map((each) => each * factor * leastMs);
  expect(checkHonesty(plan, machine, samples(0.9, 0.01)).honest).toBe(false);
  expect(checkHonesty(plan, machine, samples(0.9, 0.3)).honest).toBe(true);
  expect(checkHonesty(plan, machine, samples(1.01, 0)).honest).toBe(true);
});

test('taps on padding, pixels that strides skip, and operations that transforms avoid do not count', async () => {
  const quick = { ...machine, bandwidth: 1e15, caches: [] };
  const padded = await planOf((b, x) => {
    b.output('y', b.conv(x, 'layer', { outputs: 64, kernel: 3, groups: 8 }));
  });
  const { ops, leastMs } = checkHonesty(padded, quick, [1]);
  // Of 3 taps, an output at either end of 64 has 2: 190 of 192.
  expect(leastMs).toBeCloseTo((1e3 * ops * (190 / 192) ** 2) / 1e12, 9);
  const strided = await planOf((b, x) => {
    b.output('y', b.conv(x, 'layer', { outputs: 64, kernel: 1, stride: 2, padding: 0 }));
  });
  const moved = 4 * (64 ** 3 / 4 + 64 ** 3 / 4 + 64 ** 2);
  expect(checkHonesty(strided, { ...machine, caches: [] }, [1]).leastMs).toBeCloseTo(moved / 1e6, 9);
  const transform = await planOf((b, x) => {
    b.output('y', b.conv(x, 'layer', { outputs: 64, kernel: 31, groups: 'depthwise' }));
  });
  expect(transform.nodes[0]?.candidate.family).toBe('depthwise-fft');
  expect(checkHonesty(transform, quick, [1]).leastMs).toBeLessThan(1e-5);
});

test('without measurements there is nothing to compare', async () => {
  const plan = await planOf((b, x) => {
    b.output('y', b.relu(x));
  });
  expect(() => checkHonesty(plan, machine, [])).toThrow(/at least one measured time/);
  expect(() => checkHonesty(plan, machine, [1, 0])).toThrow(/each above zero/);
  expect(() => checkHonesty(plan, { ...machine, peak: { f16: 1 } }, [1])).toThrow(/no peak rate for f32/);
});
