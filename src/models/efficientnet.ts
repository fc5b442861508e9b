import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { convBatchNorm, roundChannels, squeezeExcite } from './layers.ts';
import type { ConvBatchNormOptions } from './layers.ts';
import { defineModel, outputFeatures } from './model.ts';
import type { ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks',
  authors: 'Tan, Le',
  venue: 'ICML 2019',
  url: 'https://arxiv.org/abs/1905.11946',
};

const paperV2: Paper = {
  title: 'EfficientNetV2: Smaller Models and Faster Training',
  authors: 'Tan, Le',
  venue: 'ICML 2021',
  url: 'https://arxiv.org/abs/2104.00298',
};

/** One row of the papers' tables: a stage of equal blocks, of which the first has the stride. */
export interface EfficientNetStage {
  readonly block: 'mbconv' | 'fused';
  readonly expansion: number;
  readonly kernel: number;
  readonly stride: number;
  readonly channels: number;
  readonly depth: number;
}

export interface EfficientNetConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  readonly paper?: Paper;
  readonly stages: readonly EfficientNetStage[];
  /** Channels of the stem. */
  readonly stem: number;
  /** Channels before pooling; default: four times those of the last stage. */
  readonly last?: number;
  /** Added to variances in batch norms; default 1e-5. */
  readonly epsilon?: number;
}

/** EfficientNet and EfficientNetV2 under torchvision's names. Its feature maps are the last blocks before each stride. */
export function efficientnet(config: EfficientNetConfig): ModelVariant {
  const { name = 'efficientnet', title = 'EfficientNet', resolution = 224, stages, epsilon = 1e-5 } = config;
  const facts = { name, family: 'efficientnet', title, paper: config.paper ?? paper, resolution, stride: 32 };
  return defineModel({ ...facts, minimumResolution: 1, keySets: ['official'] }, (b, image, { classes }) => {
    const convBn = (x: Node, path: string, options: ConvBatchNormOptions): Node =>
      convBatchNorm(b, x, [`${path}.0`, `${path}.1`], { ...options, epsilon });
    const silu = { activation: 'silu' } as const;
    let x = convBn(image, 'features.0', { outputs: config.stem, kernel: 3, stride: 2, ...silu });
    b.output('features.0', x);
    let mapStride = 2;
    const features = new Map<number, Node>();
    stages.forEach((stage, i) => {
      mapStride *= stage.stride;
      for (let j = 0; j < stage.depth; j++) {
        const block = { ...stage, stride: j === 0 ? stage.stride : 1 };
        const path = `features.${i + 1}.${j}.block`;
        const y =
          stage.block === 'fused' ? fusedMbConv(convBn, x, path, block) : mbConv(b, convBn, x, path, block);
        x = block.stride === 1 && x.shape[3] === block.channels ? b.add(y, x) : y;
      }
      features.set(mapStride, b.output(`features.${i + 1}`, x));
    });
    outputFeatures(
      b,
      [4, 8, 16, 32].flatMap((at) => features.get(at) ?? []),
    );

    const head = `features.${stages.length + 1}`;
    x = b.output(head, convBn(x, head, { outputs: config.last ?? 4 * x.shape[3], kernel: 1, ...silu }));
    x = b.output('avgpool', b.globalPool(x));
    b.output('logits', b.linear(x, 'classifier.1', classes));
  });
}

type ConvBn = (x: Node, path: string, options: ConvBatchNormOptions) => Node;

/** 1×1 to more channels (unless expansion is 1) → depthwise → squeeze-and-excitation → 1×1. */
function mbConv(b: GraphBuilder, convBn: ConvBn, x: Node, path: string, stage: EfficientNetStage): Node {
  const { expansion, kernel, stride, channels } = stage;
  const hidden = roundChannels(x.shape[3] * expansion);
  const silu = { outputs: hidden, activation: 'silu' } as const;
  const squeeze = Math.max(1, Math.floor(x.shape[3] / 4));
  let layer = 0;
  let y = x;
  if (expansion !== 1) y = convBn(y, `${path}.${layer++}`, { ...silu, kernel: 1 });
  y = convBn(y, `${path}.${layer++}`, { ...silu, kernel, stride, groups: 'depthwise' });
  y = squeezeExcite(b, y, `${path}.${layer++}`, { squeeze, activation: 'silu' });
  return convBn(y, `${path}.${layer}`, { outputs: channels, kernel: 1 });
}

/** A dense convolution in place of the first two: K×K to more channels → 1×1; one K×K if expansion is 1. */
function fusedMbConv(convBn: ConvBn, x: Node, path: string, stage: EfficientNetStage): Node {
  const { expansion, kernel, stride, channels } = stage;
  const silu = { kernel, stride, activation: 'silu' } as const;
  if (expansion === 1) return convBn(x, `${path}.0`, { outputs: channels, ...silu });
  const y = convBn(x, `${path}.0`, { outputs: roundChannels(x.shape[3] * expansion), ...silu });
  return convBn(y, `${path}.1`, { outputs: channels, kernel: 1 });
}

// prettier-ignore
const b0 = [ // Table 1: expansion, kernel, stride, channels, blocks.
  [1, 3, 1, 16, 1], [6, 3, 2, 24, 2], [6, 5, 2, 40, 2], [6, 3, 2, 80, 3],
  [6, 5, 1, 112, 3], [6, 5, 2, 192, 4], [6, 3, 1, 320, 1],
] as const;

// prettier-ignore
const v2s = [ // EfficientNetV2, Table 4.
  ['fused', 1, 3, 1, 24, 2], ['fused', 4, 3, 2, 48, 4], ['fused', 4, 3, 2, 64, 4],
  ['mbconv', 4, 3, 2, 128, 6], ['mbconv', 6, 3, 1, 160, 9], ['mbconv', 6, 3, 2, 256, 15],
] as const;

/** EfficientNet-B0's stages with channels scaled by `width` and blocks by `depth`, both rounded as published. */
export function scaledStages(width: number, depth: number): { stem: number; stages: EfficientNetStage[] } {
  const stages = b0.map(([expansion, kernel, stride, channels, blocks]) => ({
    block: 'mbconv' as const,
    expansion,
    kernel,
    stride,
    channels: roundChannels(channels * width),
    depth: Math.ceil(blocks * depth),
  }));
  return { stem: roundChannels(32 * width), stages };
}

const v2sStages: readonly EfficientNetStage[] = v2s.map(
  ([block, expansion, kernel, stride, channels, depth]) => ({
    block,
    expansion,
    kernel,
    stride,
    channels,
    depth,
  }),
);

// prettier-ignore
export const efficientnetVariants: readonly ModelVariant[] = [
  efficientnet({ name: 'efficientnet-b0', title: 'EfficientNet-B0', resolution: 224, ...scaledStages(1, 1) }),
  efficientnet({ name: 'efficientnet-b1', title: 'EfficientNet-B1', resolution: 240, ...scaledStages(1, 1.1) }),
  efficientnet({ name: 'efficientnet-b2', title: 'EfficientNet-B2', resolution: 288, ...scaledStages(1.1, 1.2) }),
  efficientnet({ name: 'efficientnet-b3', title: 'EfficientNet-B3', resolution: 300, ...scaledStages(1.2, 1.4) }),
  efficientnet({ name: 'efficientnet-b4', title: 'EfficientNet-B4', resolution: 380, ...scaledStages(1.4, 1.8) }),
  efficientnet({ name: 'efficientnet-b5', title: 'EfficientNet-B5', resolution: 456, ...scaledStages(1.6, 2.2), epsilon: 1e-3 }),
  efficientnet({ name: 'efficientnet-v2-s', title: 'EfficientNetV2-S', resolution: 384, paper: paperV2, stem: 24, stages: v2sStages, last: 1280, epsilon: 1e-3 }),
];
