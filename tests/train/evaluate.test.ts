import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Dataset } from '../../src/data/dataset.ts';
import { oneGroup } from '../../src/data/dataset.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { Score, evaluate } from '../../src/train/evaluate.ts';

let device: Device;
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(() => device.dispose());

const CLASSES = 3;

/** A network whose logits are the means of red, green and blue. */
function colourNetwork(batch: number) {
  const b = new GraphBuilder('colours');
  b.output('logits', b.linear(b.globalPool(b.input([batch, 2, 2, 3])), 'head', CLASSES));
  const weights = {
    read: (key: string) =>
      Promise.resolve(
        key === 'head.weight' ? Float32Array.from([1, 0, 0, 0, 1, 0, 0, 0, 1]) : new Float32Array(CLASSES),
      ),
  };
  return { graph: b.build(), weights };
}

/** Images of one colour each, named by its channel; undefined ones are damaged. */
function coloursOf(
  samples: readonly (readonly [label: number, colour: number | undefined])[],
  classes = CLASSES,
): Dataset {
  return {
    name: 'colours',
    classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
    length: samples.length,
    groups: oneGroup(samples.length),
    labelOf: (index) => samples[index]?.[0] ?? 0,
    read: (index) => {
      const [label = 0, colour] = samples[index] ?? [];
      if (colour === undefined) return Promise.reject(new Error(`Sample ${index} is damaged.`));
      const data = Uint8Array.from({ length: 12 }, (_, i) => (i % 3 === colour ? 255 : 0));
      const image = { width: 2, height: 2, channels: 3 as const, data };
      return Promise.resolve({ name: String(index), label, image });
    },
    close: () => Promise.resolve(),
  };
}

const transform = { size: 2, crop: { kind: 'none' }, mean: [0, 0, 0], std: [1, 1, 1] } as const;

test('accuracy, loss and confusions of a network whose answers are known, whatever the batch', async () => {
  const dataset = coloursOf([
    [0, 0],
    [0, 1],
    [1, 1],
    [2, 2],
    [2, 0],
  ]);
  for (const batch of [1, 2, 5, 8]) {
    const { graph, weights } = colourNetwork(batch);
    const result = await evaluate(device, graph, weights, dataset, { transform });
    expect(result).toMatchObject({ images: 5, top1: 3 / 5, top5: 1 });
    expect([...result.confusion]).toEqual([1, 1, 0, 0, 1, 0, 1, 0, 1]);
    // Softmax of a 1 and two 0s.
    const total = Math.log(Math.E + 2);
    expect(result.loss).toBeCloseTo((3 * (total - 1) + 2 * total) / 5, 5);
  }
});

test('mirror images: the mean of both logits decides', async () => {
  const b = new GraphBuilder('halves');
  b.output('logits', b.conv(b.input([2, 3, 3, 3]), 'head', { outputs: CLASSES, kernel: 3, padding: 0 }));
  // [class, channel, row, column]: class 0 sees red on the left, class 1 green on the right.
  const weight = new Float32Array(CLASSES * 27);
  for (const y of [0, 1, 2]) {
    weight[3 * y] = 2;
    weight[27 + 9 + 3 * y + 2] = 3;
  }
  const weights = {
    read: (key: string) => Promise.resolve(key === 'head.weight' ? weight : new Float32Array(CLASSES)),
  };
  const data = new Uint8Array(27);
  data[9] = 255; // Red on the left, green too.
  data[10] = 255;
  const image = { width: 3, height: 3, channels: 3 as const, data };
  const dataset: Dataset = {
    ...coloursOf([[0, 0]]),
    read: () => Promise.resolve({ name: 'one', label: 0, image }),
  };
  const lossOf = (a: number, b: number): number => Math.log(Math.exp(a) + Math.exp(b) + 1) - a;
  const graph = b.build();
  const plain = await evaluate(device, graph, weights, dataset, { transform: { ...transform, size: 3 } });
  expect(plain.top1).toBe(1);
  expect(plain.loss).toBeCloseTo(lossOf(2, 0), 5);
  const options = { transform: { ...transform, size: 3 }, mirror: true };
  const mirrored = await evaluate(device, graph, weights, dataset, options);
  expect(mirrored.top1).toBe(0);
  expect(mirrored.loss).toBeCloseTo(lossOf(1, 1.5), 5);
});

test('damaged samples count for nothing, nor do those that stand in for them', async () => {
  const dataset = coloursOf([
    [0, 0],
    [1, undefined],
    [2, 2],
    [1, 0],
    [2, undefined],
  ]);
  const { graph, weights } = colourNetwork(2);
  const damaged: number[] = [];
  const result = await evaluate(device, graph, weights, dataset, {
    transform,
    onCorrupt: ({ index }) => damaged.push(index),
  });
  expect(damaged).toEqual([1, 4]);
  expect(result).toMatchObject({ images: 3, top1: 2 / 3 });
  expect([...result.confusion]).toEqual([1, 0, 0, 1, 0, 0, 0, 0, 1]);
});

test('images of another size than the network sees are refused', async () => {
  const { graph, weights } = colourNetwork(1);
  await expect(
    evaluate(device, graph, weights, coloursOf([[0, 0]]), { transform: { ...transform, size: 1 } }),
  ).rejects.toThrow('The transform makes images of 1 × 1 × 3, but colours sees 2 × 2 × 3');
});

test('more classes than outputs are refused', async () => {
  const { graph, weights } = colourNetwork(1);
  await expect(evaluate(device, graph, weights, coloursOf([[3, 0]], 4), { transform })).rejects.toThrow(
    'colours tells 3 classes apart, but colours has 4',
  );
});

test('of equal logits the first class wins, and five classes count', () => {
  const score = new Score(7);
  score.add(Float32Array.from([1, 1, 1, 1, 1, 1, 0]), Int32Array.of(0), 1);
  score.add(Float32Array.from([1, 1, 1, 1, 1, 1, 0]), Int32Array.of(4), 1);
  score.add(Float32Array.from([1, 1, 1, 1, 1, 1, 0]), Int32Array.of(5), 1);
  expect(score.result(1)).toMatchObject({ images: 3, top1: 1 / 3, top5: 2 / 3 });
});

test.each([NaN, Infinity])(
  'logits of which one is %s are refused, unless they are of a damaged image',
  (bad) => {
    const score = new Score(3);
    const logits = Float32Array.of(1, 0, 0, 0, bad, 0);
    expect(() => {
      score.add(logits, Int32Array.of(0, 1), 2);
    }).toThrow(/logits are NaN or infinite/);
    const other = new Score(3);
    other.add(logits, Int32Array.of(0, 1), 2, (row) => row === 0);
    expect(other.result(1)).toMatchObject({ images: 1, top1: 1 });
  },
);
