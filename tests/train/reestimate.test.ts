import { afterAll, beforeAll, expect, it } from 'vitest';

import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { Random } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { parametersOf } from '../../src/graph/graph.ts';
import { reestimateStatistics } from '../../src/train/reestimate.ts';

const [BATCH, SIZE, CHANNELS] = [3, 4, 4];

let device: Device;
beforeAll(async () => {
  device = await openWasmDevice({ threads: 1 });
});
afterAll(() => device.dispose());

it('takes means and unbiased variances over all batches, the second norm behind the first one', async () => {
  const b = new GraphBuilder('norms');
  const image = b.input([BATCH, SIZE, SIZE, CHANNELS]);
  const first = b.batchNorm(image, 'first', EPSILON);
  b.output('logits', b.linear(b.globalPool(b.batchNorm(first, 'second', EPSILON)), 'head', 2));
  const graph = b.build();
  const batches = Array.from({ length: 5 }, (_, i) =>
    new Random(`batch ${i}`).array(BATCH * SIZE * SIZE * CHANNELS, i + 1).map((value) => value + i),
  );
  const weights = syntheticWeights(parametersOf(graph));
  const images = async function* () {
    for (const values of batches) yield await Promise.resolve({ images: values });
  };
  const buffers = await reestimateStatistics(device, graph, weights, images());

  const [scale, shift] = [await weights.read('first.weight'), await weights.read('first.bias')];
  const sums = { mean1: 0, variance1: 0, mean2: 0, variance2: 0 };
  for (let c = 0; c < CHANNELS; c++) {
    for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] = 0;
    for (const values of batches) {
      const own = [...values].filter((_, i) => i % CHANNELS === c);
      const [mean, variance] = momentsOf(own);
      const normed = own.map(
        (x) => ((x - mean) / Math.sqrt(variance + EPSILON)) * (scale[c] ?? 0) + (shift[c] ?? 0),
      );
      const [mean2, variance2] = momentsOf(normed);
      const unbias = own.length / (own.length - 1);
      sums.mean1 += mean / batches.length;
      sums.variance1 += (variance * unbias) / batches.length;
      sums.mean2 += mean2 / batches.length;
      sums.variance2 += (variance2 * unbias) / batches.length;
    }
    expect(buffers.get('first.running_mean')?.[c]).toBeCloseTo(sums.mean1, 4);
    expect(buffers.get('first.running_var')?.[c]).toBeCloseTo(sums.variance1, 3);
    expect(buffers.get('second.running_mean')?.[c]).toBeCloseTo(sums.mean2, 4);
    expect(buffers.get('second.running_var')?.[c]).toBeCloseTo(sums.variance2, 3);
  }
});

const EPSILON = 1e-5;

/** Mean and biased variance. */
function momentsOf(values: readonly number[]): readonly [number, number] {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
}
