import { afterAll, beforeAll, expect, test } from 'vitest';

import { openWasmDevice } from '../../src/devices/wasm.ts';
import type { Device } from '../../src/devices/device.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import type { Graph, Node } from '../../src/graph/graph.ts';
import { elements, parametersOf } from '../../src/graph/graph.ts';
import { fitModel } from '../../src/runtime/fit.ts';
import { contributionMap } from '../../src/train/erf.ts';
import type { ContributionOptions } from '../../src/train/erf.ts';

let device: Device;
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(() => device.dispose());

const CHANNELS = 16;

/** A stem that takes each image channel's share, then depthwise box filters. */
function boxes(size: number, layers: number, end: (b: GraphBuilder, x: Node) => Node = (_, x) => x): Graph {
  const b = new GraphBuilder('boxes');
  let x = b.conv(b.input([1, size, size, 3]), 'stem', { outputs: CHANNELS, kernel: 1 });
  for (let i = 0; i < layers; i++) {
    x = b.conv(x, `box${i}`, { outputs: CHANNELS, kernel: 3, groups: 'depthwise' });
  }
  b.output('stage4', end(b, x));
  return b.build();
}

/** All weights of a kind alike, or as `of` says. */
function weightsOf(graph: Graph, of: (key: string, index: number) => number) {
  const shapes = new Map(parametersOf(graph).map(({ key, shape }) => [key, shape]));
  return {
    read: (key: string) =>
      Promise.resolve(Float32Array.from({ length: elements(shapes.get(key) ?? []) }, (_, i) => of(key, i))),
  };
}

const noise = (size: number, seed = 1): Float32Array =>
  Float32Array.from({ length: size * size * 3 }, (_, i) => Math.sin(seed + i * 12.9898));

/** Coefficients of (1 + x + x²)ⁿ: ways to reach each distance by n steps of −1, 0 or 1. */
function trinomials(n: number): number[] {
  let row = [1];
  for (let i = 0; i < n; i++) {
    row = Array.from({ length: row.length + 2 }, (_, j) =>
      [0, 1, 2].reduce((sum, k) => sum + (row[j - k] ?? 0), 0),
    );
  }
  return row;
}

test('stacked box filters contribute by trinomial coefficients, whatever the image', async () => {
  const [size, layers] = [17, 3];
  const graph = boxes(size, layers);
  const weights = weightsOf(graph, (key) => (key.startsWith('stem') ? 0.5 : 1));
  const images = [noise(size), noise(size, 2)];
  const map = await contributionMap(device, graph, weights, images);
  expect(map).toMatchObject({ height: size, width: size, images: 2, nonFinite: 0 });
  const ways = trinomials(layers);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      // Two images, three channels of the image, 16 of the map, each by a half.
      const [dy, dx] = [y - 8 + layers, x - 8 + layers];
      const expected = 2 * 3 * CHANNELS * 0.5 * (ways[dy] ?? 0) * (ways[dx] ?? 0);
      expect(map.scores[y * size + x]).toBeCloseTo(expected, 3);
    }
  }
});

test('negative parts of the gradient of each channel are left out', async () => {
  const graph = boxes(9, 1);
  // The second channel of the image counts negatively: it adds nothing, and takes nothing away.
  const weights = weightsOf(graph, (key, i) => (key.startsWith('stem') ? (i % 3 === 1 ? -1 : 1) : 1));
  const { scores } = await contributionMap(device, graph, weights, [noise(9)]);
  expect(scores[4 * 9 + 4]).toBeCloseTo(2 * CHANNELS, 4);
  expect(scores[3 * 9 + 5]).toBeCloseTo(2 * CHANNELS, 4);
  expect(scores[2 * 9 + 4]).toBe(0);
});

test('batch norms have their running statistics', async () => {
  const graph = boxes(9, 0, (b, x) => b.batchNorm(x, 'norm', 0));
  const weights = weightsOf(graph, (key) =>
    key === 'norm.running_var' ? 0.25 : key === 'norm.weight' ? 3 : 1,
  );
  const { scores } = await contributionMap(device, graph, weights, [noise(9)]);
  // γ / √variance = 6.
  expect(scores[4 * 9 + 4]).toBeCloseTo(6 * 3 * CHANNELS, 3);
  expect(scores.reduce((a, b) => a + b)).toBeCloseTo(6 * 3 * CHANNELS, 3);
});

test('the published script leaves out negative outputs, and takes the mean', async () => {
  const graph = boxes(9, 0);
  // Of the map's 16 channels every other one is positive where the image is.
  const weights = weightsOf(graph, (_, i) => (Math.floor(i / 3) % 2 === 0 ? 1 : -0.25));
  const image = new Float32Array(9 * 9 * 3).fill(1);
  const centre = async (options: ContributionOptions): Promise<number> =>
    (await contributionMap(device, graph, weights, [image, image], options)).scores[4 * 9 + 4] ?? 0;
  expect(await centre({})).toBeCloseTo(2 * 3 * (8 - 2), 4);
  expect(await centre({ method: 'code' })).toBeCloseTo(3 * 8, 4);
});

test('recomputed activations give the same bits in less memory', async () => {
  const { graph, weights } = fitModel('convnext-femto', undefined, { resolution: 32 });
  const plain = await contributionMap(device, graph, weights, [noise(32)]);
  expect(plain.memory.recomputed).toBe(false);
  const limited = await contributionMap(device, graph, weights, [noise(32)], {
    memoryLimit: plain.memory.arenaBytes - 1,
  });
  expect(limited.memory.recomputed).toBe(true);
  expect(limited.memory.arenaBytes).toBeLessThan(plain.memory.arenaBytes);
  expect(limited.scores).toEqual(plain.scores);
});

test('images whose gradient is not finite are counted', async () => {
  const graph = boxes(9, 0, (b, x) => b.activation(x, 'gelu'));
  const weights = weightsOf(graph, () => 1);
  const broken = noise(9).fill(NaN);
  const map = await contributionMap(device, graph, weights, [broken, noise(9)]);
  expect(map).toMatchObject({ images: 1, nonFinite: 1 });
  await expect(contributionMap(device, graph, weights, [broken])).rejects.toThrow(
    'All gradients of boxes are NaN',
  );
});

test('what cannot work is refused', async () => {
  const graph = boxes(9, 1);
  const weights = weightsOf(graph, () => 1);
  const run = (options: ContributionOptions, images = [noise(9)]) =>
    contributionMap(device, graph, weights, images, options);
  await expect(run({ output: 'stage5' })).rejects.toThrow('no output stage5: use one of stage4');
  await expect(run({ memoryLimit: 1000 })).rejects.toThrow(/needs 0\.00 GiB of memory.*smaller resolution/);
  await expect(run({}, [])).rejects.toThrow('There are no images');
  await expect(run({}, [noise(8)])).rejects.toThrow('must have the 243 values');
  const abort = new AbortController();
  const onImage = (): void => {
    abort.abort();
  };
  await expect(run({ signal: abort.signal, onImage }, [noise(9), noise(9)])).rejects.toMatchObject({
    code: 'aborted',
  });
});
