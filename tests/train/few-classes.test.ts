import { expect, test } from 'vitest';

import { openWasmDevice } from '../../src/devices/wasm.ts';
import { RandomStream } from '../../src/core/random.ts';
import { selectOutputs } from '../../src/graph/graph.ts';
import { convnext } from '../../src/models/convnext.ts';
import { createTrainingNetwork } from '../../src/train/network.ts';
import { createOptimizer } from '../../src/train/optimizer.ts';

const SIZE = 32;

test('a network of two classes learns to tell bright from dark images', async () => {
  const device = await openWasmDevice({ threads: 1 });
  const model = convnext({ name: 'tiny', depths: [1, 1, 1, 1], channels: [8, 8, 16, 16], resolution: SIZE });
  const graph = selectOutputs(model.build({ batch: 2, classes: 2 }), ['logits']);
  const optimizer = createOptimizer({ weightDecay: 0 }, () => ({ layer: 0, layers: 1 }));
  const network = await createTrainingNetwork(device, graph, { optimizer });
  try {
    await network.load({ seed: 1 });
    const pixels = SIZE * SIZE * 3;
    const images = new Float32Array(2 * pixels).fill(1, 0, pixels).fill(-1, pixels);
    const targets = Float32Array.of(1, 0, 0, 1);
    const losses: number[] = [];
    for (let step = 0; step < 15; step++) {
      const { loss, logits } = await network.step(images, targets, new RandomStream(1, step, 0));
      expect(logits).toHaveLength(4);
      losses.push(loss);
      await network.session.update((group) =>
        optimizer.hyperparameters(group, { step, rate: 0.01, gradientScale: 1, averageDecay: 0 }),
      );
    }
    expect(losses[0]).toBeGreaterThan(0.4);
    expect(losses.at(-1)).toBeLessThan(0.1);
  } finally {
    await network.dispose();
    await device.dispose();
  }
});
