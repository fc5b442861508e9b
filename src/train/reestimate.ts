import type { WeightSource } from '../checkpoints/source.ts';
import type { Batch } from '../data/dataset.ts';
import type { Device } from '../devices/device.ts';
import { elements, parametersOf, selectOutputs } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { trainingForm } from '../graph/passes/training-form.ts';
import { createTrainingSession } from './training-session.ts';

/**
 * Takes the statistics of batch norms anew, as the weights now are: the mean over all batches of each batch's means and
 * unbiased variances (Izmailov et al. 2018, as torch.optim.swa_utils.update_bn). Averages of weights need it: averaging takes
 * the noise out of them, so that activations are smaller than the running statistics of the weights before say.
 *
 * @param graph a model's graph with the output `logits`, for batches of its size
 * @param batches [N, H, W, C] each, all of them full
 * @returns running statistics by key; none without batches
 */
export async function reestimateStatistics(
  device: Device,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  batches: AsyncIterable<Pick<Batch, 'images'>>,
): Promise<ReadonlyMap<string, Float32Array>> {
  const form = trainingForm(graph);
  const { statistics } = form;
  const running = new Map<string, Float32Array>();
  if (statistics.length === 0) return running;
  const norms = selectOutputs(
    form.graph,
    statistics.map(({ output }) => output),
  );
  const session = await createTrainingSession(device, norms, { optimizer: 'sgd', groupOf: () => '' });
  try {
    for (const { key } of parametersOf(norms)) {
      session.stateOf('values', key).set(await weights.read(key));
    }
    let count = 0;
    for await (const { images } of batches) {
      const outputs = await session.run(new Map([[graph.input.name, images]]));
      count++;
      for (const { output, rows, runningMean, runningVariance } of statistics) {
        const batch = outputs.get(output);
        if (!batch) continue;
        const channels = elements(runningMean.shape);
        const mean = running.get(runningMean.key) ?? new Float32Array(channels);
        const variance = running.get(runningVariance.key) ?? new Float32Array(channels);
        running.set(runningMean.key, mean).set(runningVariance.key, variance);
        follow(mean, batch.subarray(0, mean.length), count, 1);
        follow(variance, batch.subarray(mean.length), count, rows > 1 ? rows / (rows - 1) : 1);
      }
    }
  } finally {
    await session.dispose();
  }
  return running;
}

/** The mean of `count` vectors, of which `value` is the last: mean ← mean + (factor · value − mean) / count. */
function follow(mean: Float32Array, value: Float32Array, count: number, factor: number): void {
  for (let c = 0; c < mean.length; c++) {
    const before = count === 1 ? 0 : (mean[c] ?? 0);
    mean[c] = before + (factor * (value[c] ?? 0) - before) / count;
  }
}
