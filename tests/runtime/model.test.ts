import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { relativeError } from '../../src/bench/verify-model.ts';
import { memorySink } from '../../src/checkpoints/byte-sink.ts';
import { writeSafetensors } from '../../src/checkpoints/safetensors-writer.ts';
import type { WeightSource } from '../../src/checkpoints/source.ts';
import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { Random } from '../../src/core/random.ts';
import { evaluate } from '../../src/graph/evaluate.ts';
import { elements, parametersOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { convnext } from '../../src/models/convnext.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { createModel } from '../../src/runtime/model.ts';
import type { CreateModelOptions, Model, ModelProgress } from '../../src/runtime/model.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { countingDevice } from '../support/counting-device.ts';
import type { CountingDevice } from '../support/counting-device.ts';
import { rgb } from '../support/decoding.ts';
import { noise } from '../support/sample-images.ts';
import { networkTolerance } from '../support/tolerance.ts';

const NAME = 'mobilenet-v2';
const LABELS = ['ant', 'bee', 'cat', 'dog', 'eel'];
const SMALL = { resolution: 32, classes: LABELS.length } as const;
const IMAGE = 32 * 32 * 3;
const graph = buildModel(NAME, SMALL);
const inputs = new Random('three images').array(3 * IMAGE);

/** A checkpoint of this network, some of whose tensors may be read in another way. */
function checkpoint(
  read: (key: string) => Promise<Float32Array> | undefined = () => undefined,
): WeightSource {
  const source = syntheticWeights(parametersOf(graph));
  return { ...source, name: 'small.pth', read: (key) => read(key) ?? source.read(key) };
}

let device: CountingDevice;
beforeAll(async () => {
  device = countingDevice(await openDevice('wasm', { threads: 1 }));
});
afterAll(() => device.dispose());

const open = (options: Partial<CreateModelOptions> = {}): Promise<Model> =>
  createModel(NAME, { weights: checkpoint(), device, resolution: 32, ...options });

describe('a model', () => {
  let model: Model;
  const progress: ModelProgress[] = [];
  beforeAll(async () => {
    const onProgress = (step: ModelProgress): number => progress.push(step);
    model = await open({ batch: 2, features: true, labels: LABELS, onProgress });
  });
  afterAll(() => model.dispose());

  test('says what it is, and has said how far it was', () => {
    expect(model.variant.name).toBe(NAME);
    expect(model.inputShape).toEqual([2, 32, 32, 3]);
    expect(model.classes).toBe(5);
    expect(model.transform.crop).toBe(32);
    expect(model.bytes.weights).toBeGreaterThan(4 * 2_000_000);
    expect([...new Set(progress.map(({ phase }) => phase))]).toEqual(['compile', 'weights']);
    const { done, total } = progress.at(-1) ?? { done: 0, total: 1 };
    expect(done).toBe(total);
  });

  test('computes what the network means, for any number of images', async () => {
    const logits = await model.run(inputs);
    const source = checkpoint();
    const keys = [...source.entries.keys()];
    const values = new Map(
      await Promise.all(keys.map(async (key) => [key, await source.read(key)] as const)),
    );
    const expected = [0, 1, 2].flatMap((n) => {
      const image = inputs.subarray(n * IMAGE, (n + 1) * IMAGE);
      return [
        ...(evaluate(graph, image, (key) => values.get(key) ?? new Float32Array()).get('logits') ?? []),
      ];
    });
    expect(logits).toHaveLength(3 * 5);
    expect(relativeError(logits, Float32Array.from(expected))).toBeLessThan(networkTolerance(graph));
  });

  test('gives the maps of the stages', async () => {
    const maps = await model.features(inputs);
    expect(maps.map(({ shape }) => shape)).toEqual(
      [24, 32, 96, 320].map((channels, i) => {
        const size = 32 / 2 ** (i + 2);
        return [3, size, size, channels];
      }),
    );
    const last = await model.features(inputs.subarray(2 * IMAGE));
    maps.forEach(({ shape, values }, i) => {
      expect(values).toHaveLength(elements(shape));
      expect(values.subarray((values.length / 3) * 2)).toEqual(last[i]?.values);
    });
  });

  test('classifies photos in batches as one by one', async () => {
    const photos = ['one', 'two', 'three'].map((key) => noise(40, 50, key));
    const together = await model.classifyAll(photos, { top: 3 });
    expect(together.map((classes) => classes.length)).toEqual([3, 3, 3]);
    for (const [i, photo] of photos.entries())
      expect(await model.classify(photo, { top: 3 })).toEqual(together[i]);
    const all = await model.classify(noise(40, 50, 'one'));
    expect(all.map(({ label }) => label).toSorted()).toEqual(LABELS);
    expect(all.every(({ label, index }) => LABELS[index] === label)).toBe(true);
    expect(all.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
    expect(await model.classifyAll([])).toEqual([]);
  });

  test('has only some photos in memory at a time', async () => {
    let decoding = 0;
    let most = 0;
    class Watched extends Blob {
      override async arrayBuffer(): Promise<ArrayBuffer> {
        most = Math.max(most, ++decoding);
        await new Promise((resolve) => setTimeout(resolve, 5));
        decoding--;
        return super.arrayBuffer();
      }
    }
    await using large = await open({ batch: 9 });
    const png = Uint8Array.from(
      await rgb(noise(40, 50, 'one'))
        .png()
        .toBuffer(),
    );
    const photos = Array.from({ length: 9 }, () => new Watched([png]));
    const [first, ...others] = await large.classifyAll(photos);
    expect(others).toEqual(Array(8).fill(first));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  test('ranks the logits of an image that it was given prepared', async () => {
    const photo = noise(40, 50, 'one');
    const logits = await model.run(await model.prepareImage(photo));
    expect(await model.rank(logits, 2)).toEqual(await model.classify(photo, { top: 2 }));
  });

  test.each([0, 1, IMAGE + 1])('refuses %i values, which are not whole images', async (length) => {
    const message = `The input must hold whole images of 32×32×3 = 3072 values, got ${length}.`;
    await expect(model.run(new Float32Array(length))).rejects.toMatchObject({
      code: 'invalid-argument',
      message,
    });
    await expect(model.features(new Float32Array(length))).rejects.toThrow(message);
  });

  test.each<[string, unknown, string]>([
    ['pixels', new Uint8Array(IMAGE).fill(128), 'a Uint8Array: normalise pixels first, see prepareImage.'],
    ['an array', Array(IMAGE).fill(0.5), 'an Array: convert it with Float32Array.from.'],
    ['wide floats', new Float64Array(IMAGE), 'a Float64Array: convert it with Float32Array.from.'],
    ['null', null, 'null.'],
    ['nothing', undefined, 'nothing.'],
  ])('refuses %s, whose results would look right', async (_, input, got) => {
    const refused = {
      code: 'invalid-argument',
      message: `The input must be a Float32Array, got ${got}`,
    };
    await expect(model.run(input as Float32Array)).rejects.toMatchObject(refused);
    await expect(model.features(input as Float32Array)).rejects.toMatchObject(refused);
  });

  test('stops when it is told to, and runs on', async () => {
    const signal = AbortSignal.abort();
    const before = await model.run(inputs);
    const photo = noise(40, 50, 'one');
    for (const stop of [
      () => model.run(inputs, { signal }),
      () => model.features(inputs, { signal }),
      () => model.classify(photo, { signal }),
      () => model.profile({ signal }),
      () => model.rerun({ signal }),
    ]) {
      await expect(stop()).rejects.toMatchObject({ code: 'aborted' });
    }
    expect(await model.run(inputs)).toEqual(before);
  });
});

test('without `features: true` there are no features, and it says what to do', async () => {
  await using model = await open();
  await expect(model.features(inputs)).rejects.toThrow('create it with `features: true`');
  const names = new Set((await model.profile()).map(({ label }) => label));
  expect(names).toContain('classifier.1');
});

test('inputs that are not square take photos, too', async () => {
  await using model = await open({ resolution: [32, 64] });
  expect(model.transform).toMatchObject({ resize: 37, crop: [32, 64] });
  const photo = noise(40, 50, 'one');
  const values = await model.prepareImage(photo);
  expect(values).toHaveLength(2 * IMAGE);
  expect(await model.classify(photo, { top: 5 })).toEqual(await model.rank(await model.run(values), 5));
});

test('classes have numbers where there are no names', async () => {
  await using model = await open();
  const [best] = await model.classify(noise(40, 50, 'one'), { top: 1 });
  expect(best?.label).toBe(`class ${best?.index}`);
});

test('after its disposal it says so, and leaves the device to others', async () => {
  const model = await open({ features: true });
  const run = model.run(inputs.subarray(0, IMAGE));
  await Promise.all([model.dispose(), model.dispose()]);
  expect(await run).toHaveLength(5);
  for (const use of [
    () => model.run(inputs),
    () => model.features(inputs),
    () => model.classify(noise(40, 50, 'one')),
    () => model.profile(),
    () => model.rerun(),
  ]) {
    await expect(use()).rejects.toMatchObject({
      code: 'device-lost',
      message: expect.stringContaining('disposed') as string,
    });
  }
  expect(device.alive).toBe(0);
  await using another = await open();
  expect(await another.run(inputs.subarray(IMAGE))).toHaveLength(10);
});

test('missing tensors are zero if that is wanted, with a warning', async () => {
  const whole = checkpoint();
  const entries = new Map([...whole.entries].filter(([key]) => key !== 'classifier.1.weight'));
  const warnings: string[] = [];
  const weights = { ...whole, entries };
  await using model = await open({ weights, strict: false, onWarning: (text) => warnings.push(text) });
  expect(warnings).toEqual([
    expect.stringMatching(/^small\.pth .*lacks classifier\.1\.weight .* is zero\.$/),
  ]);
  expect(await model.run(inputs.subarray(0, IMAGE))).toEqual(await whole.read('classifier.1.bias'));
});

test('says how far a download is, before all else', async () => {
  const network = convnext({ name: 'short', depths: [1, 1], channels: [8, 8], resolution: 32 });
  const parameters = parametersOf(network.build(SMALL));
  const values = syntheticWeights(parameters);
  const sink = memorySink();
  await writeSafetensors(parameters, (key) => values.read(key), sink);
  const bytes = new Uint8Array(await sink.blob().arrayBuffer());
  const server = createServer((_, response) => {
    response.setHeader('content-length', bytes.length).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const steps: ModelProgress[] = [];
    const onProgress = (step: ModelProgress): number => steps.push(step);
    const weights = new URL(`http://127.0.0.1:${port}/short.safetensors`);
    await using model = await createModel(network, { weights, device, onProgress });
    expect(model.classes).toBe(5);
    expect([...new Set(steps.map(({ phase }) => phase))]).toEqual(['download', 'compile', 'weights']);
    const last = steps.findLast(({ phase }) => phase === 'download');
    expect(last).toEqual({ phase: 'download', done: bytes.length, total: bytes.length });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("a source of the caller's stays open", async () => {
  let closed = 0;
  const weights = { ...checkpoint(), close: () => Promise.resolve(void closed++) };
  await (await open({ weights })).dispose();
  expect(closed).toBe(0);
});

describe('what is refused leaves nothing behind', () => {
  test.each<[string, Partial<CreateModelOptions>, string, string]>([
    [
      'a precision that there is not',
      { precision: 'fp16' as 'bf16' },
      'invalid-argument',
      'float32 or bf16, got fp16',
    ],
    ['too few labels', { labels: ['ant'] }, 'invalid-argument', '5 classes, but there are 1 labels'],
    [
      'other classes than the checkpoint',
      { classes: 7 },
      'invalid-argument',
      'classifier.1.weight [5, 1280] instead of [7, 1280]',
    ],
    ['too small an input', { resolution: 0 }, 'invalid-argument', 'resolution must be a positive integer'],
    ['keys that it does not have', { keys: 'timm' }, 'invalid-argument', 'no timm keys'],
    ['a signal that has fired', { signal: AbortSignal.abort() }, 'aborted', 'cancelled'],
  ])('%s, before anything is compiled', async (_, options, code, message) => {
    const { compiled } = device;
    const refused = open(options);
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
    expect({ compiled: device.compiled, alive: device.alive }).toEqual({ compiled, alive: 0 });
  });

  test('a wrong name, with the right one', async () => {
    const refused = createModel('mobilnet-v2', { weights: 'synthetic', device });
    await expect(refused).rejects.toThrow('There is no model "mobilnet-v2": did you mean mobilenet-v2');
  });

  test.each<[string, string, Record<string, unknown>, string]>([
    ['an unknown network', 'resnet-51', {}, 'There is no model "resnet-51"'],
    ['an unknown device', NAME, { device: 'gpu' }, 'There is no device gpu: use auto, native, wasm.'],
    ['no device', NAME, { device: null }, 'The device must be auto, native, wasm, or what openDevice'],
    ['something else than a device', NAME, { device: { threads: 1 } }, 'what openDevice has opened'],
    ['no threads', NAME, { device: 'auto', threads: 0 }, 'threads must be an integer from 1 to'],
    ['too many threads', NAME, { device: 'wasm', threads: 65 }, 'from 1 to 64, got 65'],
    ['an empty batch', NAME, { batch: 0 }, 'The batch must be a positive integer, got 0.'],
    ['too small an input', NAME, { resolution: [32, 0] }, 'resolution must be a positive integer'],
    ['no classes', NAME, { classes: 0 }, 'classes must be a positive integer'],
    ['unknown keys', NAME, { keys: 'timm' }, 'no timm keys'],
    ['an unknown precision', NAME, { precision: 'fp16' }, 'float32 or bf16, got fp16'],
  ])('%s, before weights are fetched', async (_, name, options, message) => {
    let requests = 0;
    const server = createServer((__, response) => {
      requests++;
      response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const refused = createModel(name, { device, ...options, weights: `http://127.0.0.1:${port}/w.pth` });
      await expect(refused).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining(message) as string,
      });
      expect(requests).toBe(0);
    } finally {
      server.close();
    }
  });

  test('no weights', async () => {
    const refused = (createModel as (name: string) => Promise<Model>)(NAME);
    await expect(refused).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('createModel needs weights') as string,
    });
  });

  test('features of a network that has none', async () => {
    const { compiled } = device;
    const network = convnext({ name: 'short', depths: [1, 1], channels: [8, 8], resolution: 32 });
    await expect(createModel(network, { weights: 'synthetic', device, features: true })).rejects.toThrow(
      'short has no four stages, so it has no features: leave out features.',
    );
    expect(device.compiled).toBe(compiled);
  });

  test('a network without logits', async () => {
    const { compiled } = device;
    const network = convnext({ name: 'headless', depths: [1, 1], channels: [8, 8], resolution: 32 });
    const build = (): Graph => {
      const built = network.build();
      const [first] = built.outputs.values();
      return { ...built, outputs: new Map(first && [['map', first]]) };
    };
    await expect(createModel({ ...network, build }, { weights: 'synthetic', device })).rejects.toThrow(
      'headless has no output logits: use one of map.',
    );
    expect(device.compiled).toBe(compiled);
  });

  test('a checkpoint of another network, with its name', async () => {
    const refused = createModel('resnet-50', { weights: checkpoint(), device });
    await expect(refused).rejects.toThrow(/^small\.pth does not fit resnet-50: .*; it fits mobilenet-v2\.$/);
  });

  test('weights that cannot be read', async () => {
    const weights = checkpoint((key) =>
      key === 'classifier.1.bias' ? Promise.reject(new Error('the disk is gone')) : undefined,
    );
    await expect(open({ weights })).rejects.toThrow('the disk is gone');
    expect(device.alive).toBe(0);
  });

  test('a signal that fires while weights are read', async () => {
    const abort = new AbortController();
    const onProgress = ({ phase }: ModelProgress): void => {
      if (phase === 'weights') abort.abort();
    };
    await expect(open({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'aborted' });
    expect(device.alive).toBe(0);
  });
});
