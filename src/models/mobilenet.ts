import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { convBatchNorm, roundChannels } from './layers.ts';
import { defineModel, outputFeatures } from './model.ts';
import type { ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'MobileNetV2: Inverted Residuals and Linear Bottlenecks',
  authors: 'Sandler, Howard, Zhu, Zhmoginov, Chen',
  venue: 'CVPR 2018',
  url: 'https://arxiv.org/abs/1801.04381',
};

// Table 2: expansion, channels, blocks, stride of the first block.
const settings = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

export interface MobileNetConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  /** Factor on all channels, rounded to multiples of 8; default 1. */
  readonly width?: number;
}

/** MobileNetV2 under torchvision's names. Its feature maps are the last blocks before each stride. */
export function mobilenetV2(config: MobileNetConfig = {}): ModelVariant {
  const { name = 'mobilenet-v2', title = 'MobileNetV2', resolution = 224, width = 1 } = config;
  const facts = { name, family: 'mobilenet', title, paper, resolution, minimumResolution: 1, stride: 32 };
  return defineModel({ ...facts, keySets: ['official'] }, (b, image, { classes }) => {
    const stem = { outputs: roundChannels(32 * width), kernel: 3, stride: 2, activation: 'relu6' } as const;
    let x = b.output('features.0', convBatchNorm(b, image, ['features.0.0', 'features.0.1'], stem));
    let stride = 2;
    let index = 1;
    const features = new Map<number, Node>();
    for (const [expansion, channels, depth, firstStride] of settings) {
      stride *= firstStride;
      for (let j = 0; j < depth; j++, index++) {
        const block = {
          expansion,
          outputs: roundChannels(channels * width),
          stride: j === 0 ? firstStride : 1,
        };
        x = b.output(`features.${index}`, invertedResidual(b, x, `features.${index}.conv`, block));
      }
      features.set(stride, x);
    }
    outputFeatures(
      b,
      [4, 8, 16, 32].flatMap((at) => features.get(at) ?? []),
    );

    const last = {
      outputs: roundChannels(1280 * Math.max(1, width)),
      kernel: 1,
      activation: 'relu6',
    } as const;
    const names = [`features.${index}.0`, `features.${index}.1`] as const;
    x = b.output(`features.${index}`, convBatchNorm(b, x, names, last));
    x = b.output('avgpool', b.globalPool(x));
    b.output('logits', b.linear(x, 'classifier.1', classes));
  });
}

interface InvertedResidual {
  readonly expansion: number;
  readonly outputs: number;
  readonly stride: number;
}

/** 1×1 to more channels (unless expansion is 1) → depthwise 3×3 → 1×1 without activation, beside the identity. */
function invertedResidual(b: GraphBuilder, x: Node, name: string, block: InvertedResidual): Node {
  const { expansion, outputs, stride } = block;
  const hidden = expansion * x.shape[3];
  const depthwise = { outputs: hidden, kernel: 3, stride, groups: 'depthwise', activation: 'relu6' } as const;
  let y = x;
  let layer = 0;
  if (expansion !== 1) {
    y = convBatchNorm(b, y, [`${name}.0.0`, `${name}.0.1`], {
      outputs: hidden,
      kernel: 1,
      activation: 'relu6',
    });
    layer = 1;
  }
  y = convBatchNorm(b, y, [`${name}.${layer}.0`, `${name}.${layer}.1`], depthwise);
  y = convBatchNorm(b, y, [`${name}.${layer + 1}`, `${name}.${layer + 2}`], { outputs, kernel: 1 });
  return stride === 1 && x.shape[3] === outputs ? b.add(x, y) : y;
}

export const mobilenetVariants: readonly ModelVariant[] = [mobilenetV2()];
