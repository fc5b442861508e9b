import { describe, expect, test } from 'vitest';

import { memorySink } from '../../../src/checkpoints/byte-sink.ts';
import { blobSource } from '../../../src/checkpoints/byte-source.ts';
import { loadCheckpoint } from '../../../src/checkpoints/load.ts';
import { RandomStream } from '../../../src/core/random.ts';
import type { Parameter } from '../../../src/graph/graph.ts';
import { layOutParameters } from '../../../src/train/parameter-layout.ts';
import { SparsityController, exportMasks } from '../../../src/train/sparsity/index.ts';
import type { MaskedSession, SparsityOptions, SparsityRun } from '../../../src/train/sparsity/index.ts';
import type { State } from '../../../src/train/update-steps.ts';

const parameter = (key: string, ...shape: number[]): Parameter => ({ key, shape, buffer: false });

const NETWORK = [
  parameter('stem.weight', 8, 3, 4, 4),
  parameter('stem.bias', 8),
  parameter('stages.0.0.large_kernel.LoRA1.conv.weight', 8, 1, 51, 5),
  parameter('stages.0.0.large_kernel.LoRA2.conv.weight', 8, 1, 5, 51),
  parameter('stages.0.0.large_kernel.small_conv.conv.weight', 8, 1, 5, 5),
  parameter('stages.0.0.pwconv1.weight', 32, 8),
  parameter('head.weight', 10, 8),
];
const MASKED = NETWORK.filter(({ shape }) => shape.length > 1).map(({ key }) => key);

/** A session's memory, with random weights and gradients. */
function session(seed = 1): MaskedSession {
  const layout = layOutParameters(NETWORK, () => 'all');
  const random = new RandomStream(seed);
  const numbers = (): Float32Array => new Float32Array(layout.floats).map(() => random.normal());
  const states = new Map<State, Float32Array>([
    ['values', numbers()],
    ['gradients', numbers()],
    ['moment1', numbers()],
    ['moment2', numbers()],
    ['average', numbers()],
    ['mask', new Float32Array(layout.floats).fill(1)],
  ]);
  return { layout, state: (name) => states.get(name) };
}

/** One parameter's part of a state. */
function part(of: MaskedSession, state: State, key: string): Float32Array {
  const { offset = 0, length = 0 } = of.layout.parameters.get(key) ?? {};
  return (of.state(state) ?? new Float32Array()).subarray(offset, offset + length);
}

const ones = (mask: Float32Array): number => mask.reduce((a, b) => a + b, 0);
const RUN: SparsityRun = { seed: 7, steps: 1000, rule: 'adamw' };
const start = (options: SparsityOptions, of: MaskedSession, run = RUN): SparsityController => {
  const controller = new SparsityController(options, run);
  controller.initialise(of);
  return controller;
};
const snapshot = (of: MaskedSession): Float32Array[] =>
  (['values', 'mask', 'moment1', 'moment2', 'average'] as const).map((name) =>
    (of.state(name) ?? new Float32Array()).slice(),
  );

describe('first masks', () => {
  test.each(['snip', 'erk', 'uniform'] as const)(
    '%s keeps the share exactly, and nothing else is masked',
    (density) => {
      const of = session();
      const controller = start({ density, sparsity: 0.4 }, of);
      const { overall, layers } = controller.densities(of);
      const total = MASKED.reduce((sum, key) => sum + part(of, 'mask', key).length, 0);
      // Rounding of each layer's count, at most half a weight.
      expect(Math.abs(overall - 0.6) * total).toBeLessThanOrEqual(density === 'snip' ? 1 : MASKED.length / 2);
      expect([...layers.keys()]).toEqual(MASKED);
      expect(ones(part(of, 'mask', 'stem.bias'))).toBe(8);
      if (density === 'uniform') {
        for (const [key, share] of layers) {
          expect(Math.round(0.6 * part(of, 'mask', key).length)).toBe(ones(part(of, 'mask', key)));
          expect(share).toBeCloseTo(0.6, 2);
        }
      }
    },
  );

  test('snip keeps the weights that the loss feels most, over all layers', () => {
    const of = session();
    const scores = MASKED.map((key) =>
      part(of, 'values', key).map((value, i) => Math.abs(value * (part(of, 'gradients', key)[i] ?? 0))),
    );
    start({ density: 'snip', sparsity: 0.7 }, of);
    const kept: number[] = [];
    const gone: number[] = [];
    MASKED.forEach((key, layer) => {
      scores[layer]?.forEach((score, i) => (part(of, 'mask', key)[i] === 1 ? kept : gone).push(score));
    });
    expect(kept.length).toBe(Math.floor(0.3 * (kept.length + gone.length)));
    expect(Math.min(...kept)).toBeGreaterThanOrEqual(Math.max(...gone));
  });

  test('values and averages are multiplied by them', () => {
    const of = session();
    start({ density: 'erk' }, of);
    for (const key of MASKED) {
      part(of, 'mask', key).forEach((bit, i) => {
        expect(part(of, 'values', key)[i] !== 0).toBe(bit === 1);
        expect(part(of, 'average', key)[i] !== 0).toBe(bit === 1);
      });
    }
  });

  test('large kernels alone', () => {
    const of = session();
    const controller = start({ density: 'uniform', scope: 'large-kernels' }, of);
    expect([...controller.densities(of).layers.keys()]).toEqual(MASKED.slice(1, 3));
    expect(ones(part(of, 'mask', 'head.weight'))).toBe(80);
  });

  test('none where the scope has no weights', () => {
    const layout = layOutParameters(
      NETWORK.filter(({ key }) => !key.includes('large_kernel')),
      () => 'all',
    );
    const small: MaskedSession = { layout, state: () => new Float32Array(layout.floats) };
    expect(() => start({ scope: 'large-kernels' }, small)).toThrow(
      /no weights that the scope 'large-kernels'/,
    );
  });

  test('gradients that are not finite are named', () => {
    const of = session();
    part(of, 'gradients', 'head.weight')[3] = NaN;
    expect(() => start({}, of)).toThrow(/finite gradients.*head\.weight.*starting weights/);
  });
});

describe('exchanges', () => {
  test.each(['random', 'gradient'] as const)('%s: the smallest go, as many come in from zero', (growth) => {
    const of = session();
    const controller = start({ density: 'uniform', growth, every: 10 }, of);
    const before = snapshot(of);
    expect(controller.afterStep(9, of)).toBeUndefined();
    expect(snapshot(of)).toEqual(before);
    const done = controller.afterStep(10, of);
    expect(done?.grown).toBe(done?.pruned);
    const old = (i: number, key: string): Float32Array => {
      const { offset = 0, length = 0 } = of.layout.parameters.get(key) ?? {};
      return (before[i] ?? new Float32Array()).subarray(offset, offset + length);
    };
    for (const key of MASKED) {
      const [was, mask, values] = [old(1, key), part(of, 'mask', key), part(of, 'values', key)];
      const count = Math.ceil((done?.rate ?? 0) * ones(was));
      expect(ones(mask)).toBe(ones(was));
      const pruned = [...was.keys()].filter((i) => was[i] === 1 && mask[i] === 0);
      const grown = [...was.keys()].filter((i) => was[i] === 0 && mask[i] === 1);
      const stayed = [...was.keys()].filter((i) => was[i] === 1 && mask[i] === 1);
      expect(pruned).toHaveLength(count);
      expect(grown).toHaveLength(count);
      const size = (i: number): number => Math.abs(old(0, key)[i] ?? 0);
      expect(Math.max(...pruned.map(size))).toBeLessThanOrEqual(Math.min(...stayed.map(size)));
      for (const i of [...pruned, ...grown]) expect(values[i]).toBe(0);
      for (const i of grown)
        expect([part(of, 'moment1', key)[i], part(of, 'moment2', key)[i]]).toEqual([0, 0]);
      for (const i of stayed) expect(part(of, 'moment1', key)[i]).toBe(old(2, key)[i]);
      if (growth === 'gradient') {
        const slope = (i: number): number => Math.abs(part(of, 'gradients', key)[i] ?? 0);
        const left = [...was.keys()].filter((i) => was[i] === 0 && mask[i] === 0);
        expect(Math.min(...grown.map(slope))).toBeGreaterThanOrEqual(Math.max(...left.map(slope)));
      }
    }
  });

  test('by gradient follow the sum of gradients where the session keeps one', () => {
    const of = session();
    const { layout } = of;
    const accumulated = (of.state('gradients') ?? new Float32Array()).toReversed();
    const summed: MaskedSession = {
      layout,
      state: (name) => (name === 'accumulated' ? accumulated : of.state(name)),
    };
    const controller = start({ density: 'uniform', growth: 'gradient', every: 1 }, summed);
    const before = part(of, 'mask', 'head.weight').slice();
    controller.afterStep(1, summed);
    const after = part(of, 'mask', 'head.weight');
    const slope = (i: number): number => Math.abs(part(summed, 'accumulated', 'head.weight')[i] ?? 0);
    const inactive = [...before.keys()].filter((i) => before[i] === 0);
    const grown = inactive.filter((i) => after[i] === 1);
    const left = inactive.filter((i) => after[i] === 0);
    expect(Math.min(...grown.map(slope))).toBeGreaterThanOrEqual(Math.max(...left.map(slope)));
  });

  test('second moments of rmsprop start at one', () => {
    const of = session();
    const controller = start({ density: 'uniform', every: 1 }, of, { ...RUN, rule: 'rmsprop' });
    const before = part(of, 'mask', 'head.weight').slice();
    controller.afterStep(1, of);
    const grown = [...before.keys()].filter(
      (i) => before[i] === 0 && part(of, 'mask', 'head.weight')[i] === 1,
    );
    expect(grown.length).toBeGreaterThan(0);
    for (const i of grown) expect(part(of, 'moment2', 'head.weight')[i]).toBe(1);
  });

  test('none with static masks, none after the last step, none in dense layers', () => {
    const of = session();
    const fixed = start({ density: 'uniform', static: true, every: 1 }, of);
    const before = snapshot(of);
    for (let step = 1; step <= 5; step++) expect(fixed.afterStep(step, of)).toBeUndefined();
    const last = new SparsityController({ every: 1 }, RUN);
    expect(last.afterStep(1000, of)).toBeUndefined();
    expect(snapshot(of)).toEqual(before);
    const dense = session();
    const controller = start({ density: 'uniform', sparsity: 0, every: 1 }, dense);
    expect(controller.afterStep(1, dense)).toMatchObject({ pruned: 0, grown: 0 });
  });

  test('the official way keeps the number of weights on average only, and momentum is masked', () => {
    const of = session();
    const controller = start({ density: 'uniform', official: true, every: 5 }, of, { ...RUN, rule: 'sgd' });
    const { overall } = controller.densities(of);
    expect(overall).toBeGreaterThan(0.55);
    expect(overall).toBeLessThan(0.65);
    controller.afterStep(1, of);
    for (const key of MASKED) {
      part(of, 'moment1', key).forEach((moment, i) => {
        expect(moment === 0).toBe(part(of, 'mask', key)[i] === 0);
      });
    }
    const done = controller.afterStep(5, of);
    expect(done?.pruned).toBeGreaterThan(0);
    expect(Math.abs((done?.grown ?? 0) - (done?.pruned ?? 0))).toBeLessThan(200);
  });

  test('the official way leaves layers dense that are drawn with 99%', () => {
    const of = session();
    const controller = start({ density: 'erk', official: true, sparsity: 0.1, every: 1 }, of);
    const { dense } = controller.toJSON();
    expect(dense).toContain('head.weight');
    controller.afterStep(1, of);
    expect(ones(part(of, 'mask', 'head.weight'))).toBe(80);
  });
});

describe('resuming', () => {
  test.each([{}, { official: true, density: 'erk' as const }, { growth: 'gradient' as const }])(
    'goes on bit for bit: %j',
    (options) => {
      const straight = session();
      const controller = start({ every: 2, ...options }, straight);
      const resumed = session();
      controller.afterStep(2, straight);
      const record = JSON.stringify(controller);
      const masks = controller.save(straight);
      const restored = SparsityController.restore(JSON.parse(record) as ReturnType<typeof controller.toJSON>);
      for (const name of ['values', 'moment1', 'moment2', 'average'] as const) {
        resumed.state(name)?.set(straight.state(name) ?? []);
      }
      restored.load(masks, resumed);
      expect(snapshot(resumed)).toEqual(snapshot(straight));
      expect(restored.afterStep(4, resumed)).toEqual(controller.afterStep(4, straight));
      expect(snapshot(resumed)).toEqual(snapshot(straight));
    },
  );

  test('masks of another network are refused', () => {
    const of = session();
    const controller = start({}, of);
    const masks = controller.save(of);
    masks.set('head.weight', new Uint8Array(3));
    expect(() => controller.load(masks, of)).toThrow(/mask of head\.weight has 3 bytes/);
    masks.delete('head.weight');
    expect(() => controller.load(masks, of)).toThrow(/no mask for head\.weight/);
  });

  test('other seeds, other masks', () => {
    const [a, b] = [session(), session()];
    start({ density: 'uniform' }, a);
    start({ density: 'uniform' }, b, { ...RUN, seed: 8 });
    expect(a.state('mask')).not.toEqual(b.state('mask'));
  });
});

test.each([
  [{ sparsity: 1 }, /sparsity/],
  [{ sparsity: NaN }, /sparsity/],
  [{ prune: 1.5 }, /pruned/],
  [{ every: 0 }, /positive integer/],
  [{ official: true, growth: 'gradient' as const }, /at random/],
])('%j is refused', (options, message) => {
  expect(() => new SparsityController(options, RUN)).toThrow(message);
});

test('masks are written as booleans under the keys of their weights', async () => {
  const of = session();
  start({ density: 'uniform' }, of);
  const sink = memorySink();
  await exportMasks(of, sink);
  const checkpoint = await loadCheckpoint([blobSource(sink.blob())]);
  expect([...checkpoint.entries.keys()].sort()).toEqual([...MASKED].sort());
  for (const key of MASKED) {
    expect(await checkpoint.read(key)).toEqual(part(of, 'mask', key));
    expect(checkpoint.entries.get(key)).toMatchObject({ dtype: 'bool' });
  }
});
