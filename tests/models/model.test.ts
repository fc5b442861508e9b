import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.ts';
import { elements, selectOutputs, parametersOf } from '../../src/graph/graph.ts';
import { convfirst } from '../../src/models/convfirst.ts';
import { convnext } from '../../src/models/convnext.ts';
import { efficientnet, scaledStages } from '../../src/models/efficientnet.ts';
import { mobilenetV2 } from '../../src/models/mobilenet.ts';
import { FEATURES } from '../../src/models/model.ts';
import type { ModelVariant } from '../../src/models/model.ts';
import { replknet } from '../../src/models/replknet.ts';
import { resnet } from '../../src/models/resnet.ts';
import { slak } from '../../src/models/slak.ts';
import type { Decomposition } from '../../src/models/slak.ts';
import { buildModel, variants } from '../../src/models/zoo.ts';
import { evaluateModel } from '../support/evaluate-model.ts';

const depths = [1, 1, 2, 1];
const channels = [4, 6, 8, 10];
const decompositions: readonly Decomposition[] = ['parallel', 'sequential', 'stacked', 'dilated', 'full'];

/** A small network of every family, with all of its kinds of blocks. */
const small: readonly ModelVariant[] = [
  replknet({ name: 'replknet', kernels: [9, 7, 5, 5], smallKernel: 5, depths, channels }),
  replknet({
    name: 'replknet with wide depthwise',
    kernels: [7, 5, 3, 3],
    depths,
    channels,
    depthwiseRatio: 1.5,
  }),
  ...decompositions.map((decomposition) =>
    slak({ name: `slak ${decomposition}`, kernels: [9, 7, 7, 5], depths, channels, decomposition }),
  ),
  convnext({ depths, channels }),
  convnext({ name: 'convnext with convolutions', depths, channels, convMlp: true, keySets: ['timm'] }),
  convfirst({ channels: [8, 8, 8, 16, 8, 16], depths: [2, 2, 1, 2, 2], last: 12 }),
  resnet({ depths, width: 4 }),
  mobilenetV2({ width: 0.1 }),
  efficientnet({ ...scaledStages(0.1, 0.6), last: 12 }),
  efficientnet({
    name: 'efficientnet with fused blocks',
    stem: 8,
    last: 12,
    epsilon: 1e-3,
    stages: [
      { block: 'fused', expansion: 1, kernel: 3, stride: 1, channels: 8, depth: 2 },
      { block: 'fused', expansion: 4, kernel: 3, stride: 2, channels: 16, depth: 2 },
      { block: 'fused', expansion: 4, kernel: 3, stride: 2, channels: 16, depth: 1 },
      { block: 'mbconv', expansion: 4, kernel: 5, stride: 2, channels: 24, depth: 2 },
      { block: 'mbconv', expansion: 4, kernel: 3, stride: 2, channels: 32, depth: 1 },
    ],
  }),
];

describe('every family', () => {
  it.each(small)('$name: images of a batch do not mix, whatever the shape', (variant) => {
    const options = { resolution: [37, 52], classes: 5 } as const;
    const batch = variant.build({ ...options, batch: 2 });
    const single = variant.build(options);
    const image = elements(single.input.shape);
    const images = new Random('images').array(2 * image);
    const together = evaluateModel(batch, images);
    const first = evaluateModel(single, images.subarray(0, image));
    const second = evaluateModel(single, images.subarray(image));
    for (const [name, values] of together) {
      expect(values.every(Number.isFinite), name).toBe(true);
      expect([...values], name).toEqual([...(first.get(name) ?? []), ...(second.get(name) ?? [])]);
    }
    expect(together.get('logits')).toHaveLength(10);
    expect(first.get('logits')).not.toEqual(second.get('logits'));
  });

  it.each(small)('$name: feature maps at strides 4 to 32, without the classifier', (variant) => {
    const graph = selectOutputs(variant.build({ resolution: [64, 96] }), FEATURES);
    const maps = [...graph.outputs.values()].map(({ shape: [, height, width] }) => [height, width]);
    expect([...graph.outputs.keys()]).toEqual(FEATURES);
    expect(maps).toEqual([4, 8, 16, 32].map((stride) => [64 / stride, 96 / stride]));
    expect(parametersOf(graph).some(({ shape }) => shape[0] === 1000)).toBe(false);
  });
});

describe('options', () => {
  it('gives every network its feature maps', () => {
    const widths = (name: string): unknown[] => {
      const { outputs } = buildModel(name, { resolution: 64 });
      return FEATURES.map((feature) => outputs.get(feature)?.shape[3]);
    };
    expect(widths('replknet-31b')).toEqual([128, 256, 512, 1024]);
    expect(widths('slak-tiny')).toEqual([124, 249, 499, 998]);
    expect(widths('convnext-femto')).toEqual([48, 96, 192, 384]);
    expect(widths('convfirst-pico')).toEqual([32, 48, 128, 128]);
    expect(widths('resnet-50')).toEqual([256, 512, 1024, 2048]);
    expect(widths('mobilenet-v2')).toEqual([24, 32, 96, 320]);
    expect(widths('efficientnet-b0')).toEqual([24, 40, 112, 320]);
    expect(widths('efficientnet-v2-s')).toEqual([48, 64, 160, 256]);
  });

  it('rounds maps of sizes that strides do not divide as PyTorch does', () => {
    const rows = (name: string, resolution: number): unknown[] => {
      const { outputs } = buildModel(name, { resolution });
      return FEATURES.map((feature) => outputs.get(feature)?.shape[1]);
    };
    expect(rows('efficientnet-b5', 456)).toEqual([114, 57, 29, 15]);
    expect(rows('convnext-tiny', 231)).toEqual([57, 28, 14, 7]);
    expect(rows('resnet-50', 225)).toEqual([57, 29, 15, 8]);
  });

  it('builds every network at its smallest input', () => {
    for (const { name, minimumResolution } of variants) {
      const { outputs } = buildModel(name, { resolution: minimumResolution, classes: 7, batch: 3 });
      expect(outputs.get('logits')?.shape).toEqual([3, 1, 1, 7]);
      expect(outputs.get('stage4')?.shape.slice(0, 3)).toEqual([3, 1, 1]);
    }
  });

  it('refuses what does not fit, in one sentence', () => {
    expect(() => buildModel('slak-tiny', { resolution: [64, 31] })).toThrow(
      'slak-tiny needs an input of at least 32×32 pixels, got 64×31.',
    );
    expect(() => buildModel('resnet-50', { resolution: 0 })).toThrow(
      'The resolution must be a positive integer',
    );
    expect(() => buildModel('resnet-50', { resolution: 22.4 })).toThrow(
      'The resolution must be a positive integer',
    );
    expect(() => buildModel('resnet-50', { classes: -1 })).toThrow('The classes must be a positive integer');
    expect(() => buildModel('resnet-50', { batch: NaN })).toThrow('The batch must be a positive integer');
    expect(() => buildModel('resnet-50', { keys: 'timm' })).toThrow(
      'resnet-50 has no timm keys: use "official".',
    );
    expect(() => buildModel('convnext-pico', { keys: 'official' })).toThrow(
      'has no official keys: use "timm".',
    );
  });
});
