import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { relativeError } from '../../src/bench/verify-model.ts';
import { Random } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { evaluate } from '../../src/graph/evaluate.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { elements, selectOutputs } from '../../src/graph/graph.ts';
import type { Node } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { trainingForm } from '../../src/graph/passes/training-form.ts';
import { squeezeExcite } from '../../src/models/layers.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { optimizeFor } from '../../src/runtime/plan.ts';
import { createSession } from '../../src/runtime/session.ts';
import type { Session } from '../../src/runtime/session.ts';
import { countingDevice } from '../support/counting-device.ts';
import type { CountingDevice } from '../support/counting-device.ts';
import { smallNetwork } from '../support/graph-cases.ts';
import { weightsFor } from '../support/graph-values.ts';
import { networkTolerance } from '../support/tolerance.ts';

const graph = smallNetwork();
const values = weightsFor(graph);
const weights = { read: (key: string) => Promise.resolve(values(key)) };
const images = ['first', 'second'].map((key) => new Random(key).array(elements(graph.input.shape)));
const [image = new Float32Array()] = images;

let device: CountingDevice;
beforeAll(async () => {
  device = countingDevice(await openDevice('wasm', { threads: 1 }));
});
afterAll(() => device.dispose());

/** Compares every output with the graph's meaning in float64. */
function expectOutputs(outputs: ReadonlyMap<string, Float32Array>, input: Float32Array): void {
  const expected = evaluate(graph, input, values);
  expect([...outputs.keys()]).toEqual([...expected.keys()]);
  for (const [name, wanted] of expected) {
    const got = outputs.get(name) ?? new Float32Array();
    expect(got).toHaveLength(wanted.length);
    expect(relativeError(got, Float32Array.from(wanted)), name).toBeLessThan(networkTolerance(graph));
  }
}

describe('a session', () => {
  let session: Session;
  beforeAll(async () => {
    session = await createSession(device, graph, weights);
  });
  afterAll(() => session.dispose());

  test('tells its shapes and what it holds', () => {
    expect(session.inputShape).toEqual([1, 16, 20, 3]);
    expect(Object.fromEntries(session.outputShapes)).toEqual({
      'stages.0': [1, 4, 5, 8],
      pooled: [1, 1, 1, 8],
      logits: [1, 1, 1, 10],
    });
    // The kernels of the stem and the block alone, and the input alone.
    expect(session.bytes.weights).toBeGreaterThanOrEqual(4 * (8 * 4 * 4 * 3 + 8 * 7 * 7 + 2 * 8 * 32));
    expect(session.bytes.arena).toBeGreaterThanOrEqual(4 * image.length);
  });

  test('counts unpacked weights where they are larger than activations', async () => {
    const b = new GraphBuilder('wide');
    b.output('y', b.linear(b.input([1, 1, 1, 64]), 'wide', 256));
    const values = weightsFor(b.build());
    const weights = { read: (key: string) => Promise.resolve(values(key)) };
    await using wide = await createSession(device, b.build(), weights);
    expect(wide.bytes.arena).toBeGreaterThanOrEqual(4 * 64 * 256);
  });

  test('runs that are asked for at once do not mix, and their outputs stay', async () => {
    const results = await Promise.all(images.map((each) => session.run(each)));
    await session.run(new Float32Array(image.length));
    results.forEach((outputs, i) => expectOutputs(outputs, images[i] ?? image));
  });

  test('tells the time of every kernel', async () => {
    const times = await session.profile(image);
    expect(times.length).toBeGreaterThanOrEqual(session.plan.nodes.length);
    expect(times.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
    expect(new Set(times.map(({ label }) => label))).toContain('head');
  });

  test('refuses inputs of another length', async () => {
    const wrong = session.run(new Float32Array(17));
    await expect(wrong).rejects.toThrow('must have the 960 values of [1, 16, 20, 3]');
    await expect(wrong).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  test.each<[string, unknown, string]>([
    ['pixels', new Uint8Array(960), 'got a Uint8Array: normalise pixels first, see applyTransform'],
    ['an array', Array(960).fill(0), 'got an Array'],
    ['nothing', undefined, 'got none'],
  ])('refuses %s', async (_, input, message) => {
    for (const refused of [session.run(input as Float32Array), session.profile(input as Float32Array)]) {
      await expect(refused).rejects.toThrow(message);
      await expect(refused).rejects.toMatchObject({ code: 'invalid-argument' });
    }
  });

  test('stops when it is told to, and runs on', async () => {
    const signal = AbortSignal.abort();
    await expect(session.run(image, { signal })).rejects.toMatchObject({ code: 'aborted' });
    await expect(session.rerun({ signal })).rejects.toMatchObject({ code: 'aborted' });
    expectOutputs(await session.run(image), image);
  });
});

test('a run that waits is cancelled at once, and those around it are not', async () => {
  let begun = 0;
  let goOn = (): void => undefined;
  const gate = new Promise<void>((resolve) => (goOn = resolve));
  const slow: Device = {
    ...{ caps: device.caps, note: device.note },
    compile: async (program, options) => {
      const executable = await device.compile(program, options);
      return {
        view: (region) => executable.view(region),
        prepare: (group) => executable.prepare(group),
        run: async (runOptions) => {
          begun++;
          await gate;
          await executable.run(runOptions);
        },
        profile: (runOptions) => executable.profile(runOptions),
        dispose: () => executable.dispose(),
        [Symbol.asyncDispose]: () => executable.dispose(),
      };
    },
    dispose: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await using session = await createSession(slow, graph, weights);
  const controller = new AbortController();
  const { signal } = controller;
  const first = session.run(image);
  const stopped = [
    session.run(image, { signal }),
    session.rerun({ signal }),
    session.profile(image, { signal }),
  ];
  const last = session.run(images[1] ?? image);
  controller.abort();
  for (const each of stopped) await expect(each).rejects.toMatchObject({ code: 'aborted' });
  expect(begun).toBe(1);
  goOn();
  expectOutputs(await first, image);
  expectOutputs(await last, images[1] ?? image);
  expect(begun).toBe(2);
});

test('reports the weights layer by layer', async () => {
  const steps: (readonly [number, number])[] = [];
  await using _ = await createSession(device, graph, weights, {
    onWeights: (done, total) => steps.push([done, total]),
  });
  expect(steps.length).toBeGreaterThan(1);
  expect(steps).toEqual(steps.map((__, i) => [i + 1, steps.length]));
});

test('after its disposal it says so; what was asked for before is still done', async () => {
  const session = await createSession(device, graph, weights);
  const runs = images.map((each) => session.run(each));
  const disposals = [session.dispose(), session.dispose()];
  (await Promise.all(runs)).forEach((outputs, i) => expectOutputs(outputs, images[i] ?? image));
  await Promise.all(disposals);
  for (const use of [() => session.run(image), () => session.rerun(), () => session.profile(image)]) {
    await expect(use()).rejects.toMatchObject({
      code: 'device-lost',
      message: 'This network has been disposed of: create it again.',
    });
  }
});

test('graphs with further inputs are refused', async () => {
  const training = trainingForm(selectOutputs(graph, ['logits'])).graph;
  await expect(createSession(device, training, weights)).rejects.toThrow(
    'has further inputs (target): use createTrainingSession.',
  );
});

describe('layers of one channel', () => {
  test.each<[string, (b: GraphBuilder, x: Node) => Node, number]>([
    ['linear', (b, x) => b.linear(x, 'head', 1), 3],
    ['conv', (b, x) => b.conv(x, 'conv', { outputs: 1, kernel: 3, stride: 2 }), 3],
    [
      'depthwise, on grey images',
      (b, x) => b.conv(x, 'conv', { outputs: 1, kernel: 3, groups: 'depthwise' }),
      1,
    ],
    ['depthwise, on photos', (b, x) => b.conv(x, 'conv', { outputs: 3, kernel: 3, groups: 'depthwise' }), 3],
    ['a scale of photos', (b, x) => b.layerScale(x, 'gamma'), 3],
    [
      'squeeze and excitation through one channel',
      (b, x) =>
        squeezeExcite(b, b.conv(x, 'conv', { outputs: 8, kernel: 1 }), 'se', {
          squeeze: 1,
          activation: 'relu',
        }),
      3,
    ],
    [
      'parallel depthwise convolutions of photos',
      (b, x) =>
        b.add(
          ...[5, 3].map((kernel) => b.conv(x, `conv${kernel}`, { outputs: 3, kernel, groups: 'depthwise' })),
        ),
      3,
    ],
  ])('%s', async (_, layer, channels) => {
    const b = new GraphBuilder('narrow');
    const x = b.input([2, 9, 8, channels]);
    b.output('y', layer(b, x));
    const network = b.build();
    const own = weightsFor(network);
    const input = new Random('narrow').array(elements(x.shape));
    const optimized = optimize(network, optimizeFor(device.caps));
    await using session = await createSession(device, optimized, {
      read: (key) => Promise.resolve(own(key)),
    });
    const y = (await session.run(input)).get('y') ?? new Float32Array();
    const expected = evaluate(network, input, own).get('y') ?? new Float64Array();
    expect(y).toHaveLength(expected.length);
    expect(relativeError(y, Float32Array.from(expected))).toBeLessThan(networkTolerance(network));
  });
});

describe('nothing stays on the device', () => {
  test.each([
    ['weights that cannot be read', (): Promise<Float32Array> => Promise.reject(new Error('gone')), 'gone'],
    [
      'weights of another length',
      () => Promise.resolve(new Float32Array(3)),
      'head.weight must have the 80 values',
    ],
  ])('%s', async (_, read, message) => {
    const before = device.compiled;
    const broken = { read: (key: string) => (key === 'head.weight' ? read() : weights.read(key)) };
    await expect(createSession(device, graph, broken)).rejects.toThrow(message);
    expect({ compiled: device.compiled - before, alive: device.alive }).toEqual({ compiled: 1, alive: 0 });
  });

  test('a signal that fires among the weights', async () => {
    const abort = new AbortController();
    let layers = 0;
    const created = createSession(device, graph, weights, {
      signal: abort.signal,
      onWeights: () => {
        layers++;
        abort.abort();
      },
    });
    await expect(created).rejects.toMatchObject({ code: 'aborted' });
    expect({ layers, alive: device.alive }).toEqual({ layers: 1, alive: 0 });
  });

  test('a signal that has fired', async () => {
    const before = device.compiled;
    const created = createSession(device, graph, weights, { signal: AbortSignal.abort() });
    await expect(created).rejects.toMatchObject({ code: 'aborted' });
    expect({ compiled: device.compiled, alive: device.alive }).toEqual({ compiled: before, alive: 0 });
  });
});
