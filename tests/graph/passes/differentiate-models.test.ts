import { describe, expect, it } from 'vitest';
import { parametersOf } from '../../../src/graph/graph.ts';
import { trainingForm } from '../../../src/graph/passes/training-form.ts';
import { convfirst } from '../../../src/models/convfirst.ts';
import { convnext } from '../../../src/models/convnext.ts';
import { efficientnet } from '../../../src/models/efficientnet.ts';
import { mobilenetV2 } from '../../../src/models/mobilenet.ts';
import type { ModelVariant } from '../../../src/models/model.ts';
import { replknet } from '../../../src/models/replknet.ts';
import { resnet } from '../../../src/models/resnet.ts';
import { slak } from '../../../src/models/slak.ts';
import { expectGradients } from '../../support/finite-differences.ts';

const channels = [4, 4, 6, 6];
const depths = [1, 1, 2, 1];
const kernels = [7, 5, 5, 3];

const stage = { expansion: 2, kernel: 3, stride: 2, depth: 2 };
const networks: Readonly<Record<string, ModelVariant>> = {
  RepLKNet: replknet({ kernels, smallKernel: 3, channels, depths, ffnRatio: 2 }),
  SLaK: slak({ kernels, smallKernel: 3, channels, depths, widthFactor: 1 }),
  ConvNeXt: convnext({ channels, depths }),
  ConvFirst: convfirst({ channels: [8, 8, 8, 8, 8, 8], depths: [1, 2, 1, 2, 1], last: 8 }),
  ResNet: resnet({ depths: [2, 1, 1, 2], width: 4 }),
  MobileNetV2: mobilenetV2({ width: 0.1 }),
  EfficientNet: efficientnet({
    stem: 8,
    last: 8,
    stages: [
      { ...stage, block: 'fused', channels: 8, expansion: 1 },
      { ...stage, block: 'fused', channels: 8 },
      { ...stage, block: 'mbconv', channels: 8, kernel: 5 },
      { ...stage, block: 'mbconv', channels: 16 },
    ],
  }),
};

/**
 * Batch norms of few values and chains of many layers have large third derivatives: central differences are off by more
 * than for one operation.
 */
const TOLERANCE = 2e-5;

describe('gradients of networks in training form are those of central differences', () => {
  it.each(Object.entries(networks))('%s', (_, variant) => {
    const built = variant.build({ batch: 2, resolution: [33, 32], classes: 3 });
    const { graph, keeps } = trainingForm(built, { dropPath: 0.2, dropout: 0.1 });
    const check = { outputs: ['loss'], input: true, samples: 1, varied: 16, tolerance: TOLERANCE };
    const trained = expectGradients(graph, check);
    expect(keeps.length).toBeGreaterThan(1);
    const gradients = [...trained.outputs.keys()].filter((name) => name.startsWith('gradient.'));
    const trainable = parametersOf(built).filter(({ buffer }) => !buffer);
    expect(gradients.sort()).toEqual(
      ['gradient.input', ...trainable.map(({ key }) => `gradient.${key}`)].sort(),
    );
  });
});
