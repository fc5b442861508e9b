import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { Random, RandomStream } from '../../src/core/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { parametersOf, selectOutputs } from '../../src/graph/graph.ts';
import { slak } from '../../src/models/slak.ts';
import { targetsOf } from '../../src/train/mix.ts';
import { createTrainingNetwork } from '../../src/train/network.ts';
import { createOptimizer } from '../../src/train/optimizer.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

const fixture = JSON.parse(
  await readFile(new URL('../fixtures/training-parity.json', import.meta.url), 'utf8'),
) as { losses: number[]; running_var: number[] };

/**
 * What PyTorch's numbers are off by, relative to those of its same run in float64: the rounding errors of these steps in
 * float32. Ours are as large, give or take how sums are ordered.
 */
const PYTORCH_ERROR = { loss: 1.1e-7, runningVariance: 1.1e-6 };

const [BATCH, SIZE, CLASSES] = [8, 16, 5];

// The network of tests/fixtures/training-parity.py.
const model = slak({
  name: 'parity',
  resolution: SIZE,
  stem: 2,
  depths: [1, 2],
  channels: [12, 20],
  widthFactor: 1,
  kernels: [13, 7],
});

/** Images of a step, [N, H, W, 3]; PyTorch's are [N, 3, H, W]. */
function imagesOf(step: number): Float32Array {
  const random = new Random(`images.${step}`);
  const pixels = SIZE * SIZE;
  return Float32Array.from({ length: BATCH * pixels * 3 }, (_, i) => {
    const [image, pixel, channel] = [Math.floor(i / (3 * pixels)), Math.floor(i / 3) % pixels, i % 3];
    return random.signed((image * 3 + channel) * pixels + pixel);
  });
}

const devices: readonly [string, () => Promise<Device>][] = [
  ['native', () => openNativeDevice({ threads: 2 })],
  ['wasm', () => openWasmDevice({ threads: 2 })],
];

describe.each(devices)('20 training steps on %s', (_name, open) => {
  const opened: Device[] = [];
  afterAll(() => Promise.all(opened.map((device) => device.dispose())));

  it.for([false, true])('have the losses of PyTorch, recomputing: %s', async (recompute, context) => {
    const device = await openIfHere(open);
    if (device === undefined) return context.skip(NO_COMPILER);
    opened.push(device);
    const graph = selectOutputs(model.build({ batch: BATCH, classes: CLASSES }), ['logits']);
    const optimizer = createOptimizer({ weightDecay: 0.05 }, () => ({ layer: 0, layers: 1 }));
    const network = await createTrainingNetwork(device, graph, { optimizer, recompute });
    await network.load(syntheticWeights(parametersOf(graph)));
    const losses: number[] = [];
    for (const step of fixture.losses.keys()) {
      const labels = Int32Array.from({ length: BATCH }, (_unused, i) => (7 * step + 3 * i) % CLASSES);
      const targets = targetsOf(labels, CLASSES, 0.1, { kind: 'none' });
      losses.push((await network.step(imagesOf(step), targets, new RandomStream(0))).loss);
      const update = { step, rate: 2e-3, gradientScale: 1, averageDecay: 0 };
      await network.session.update((group) => optimizer.hyperparameters(group, update));
    }
    const errors = losses.map((loss, i) => Math.abs(loss / (fixture.losses[i] ?? NaN) - 1));
    expect(Math.max(...errors)).toBeLessThan(10 * PYTORCH_ERROR.loss);
    const running = network.buffers.get('stages.1.1.large_kernel.LoRA1.bn.running_var') ?? [];
    const deviations = fixture.running_var.map((value, i) => Math.abs((running[i] ?? NaN) / value - 1));
    expect(Math.max(...deviations)).toBeLessThan(10 * PYTORCH_ERROR.runningVariance);
    await network.dispose();
  });
});
