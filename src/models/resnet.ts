import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { convBatchNorm } from './layers.ts';
import { defineModel, outputFeatures } from './model.ts';
import type { ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'Deep Residual Learning for Image Recognition',
  authors: 'He, Zhang, Ren, Sun',
  venue: 'CVPR 2016',
  url: 'https://arxiv.org/abs/1512.03385',
};

export interface ResNetConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  /** Bottleneck blocks in each layer. */
  readonly depths: readonly number[];
  /** Channels of the stem, and of the first layer's 3×3 convolutions; default 64. */
  readonly width?: number;
}

/** ResNet with bottlenecks, version 1.5: the 3×3 convolution has the stride. Names are torchvision's. */
export function resnet(config: ResNetConfig): ModelVariant {
  const { name = 'resnet', title = 'ResNet', resolution = 224, depths, width = 64 } = config;
  const facts = { name, family: 'resnet', title, paper, resolution, minimumResolution: 1, stride: 32 };
  return defineModel({ ...facts, keySets: ['official'] }, (b, image, { classes }) => {
    const stem = { outputs: width, kernel: 7, stride: 2, activation: 'relu' } as const;
    let x = b.output('relu', convBatchNorm(b, image, ['conv1', 'bn1'], stem));
    x = b.output('maxpool', b.maxPool(x, { kernel: 3, stride: 2, padding: 1 }));
    const layers = depths.map((depth, i) => {
      for (let j = 0; j < depth; j++) {
        const stride = i > 0 && j === 0 ? 2 : 1;
        x = bottleneck(b, x, `layer${i + 1}.${j}`, { width: width * 2 ** i, stride });
      }
      return b.output(`layer${i + 1}`, x);
    });
    outputFeatures(b, layers);
    x = b.output('avgpool', b.globalPool(x));
    b.output('logits', b.linear(x, 'fc', classes));
  });
}

/** 1×1 → 3×3 → 1×1 to four times the width, beside the identity or a 1×1. */
function bottleneck(
  b: GraphBuilder,
  x: Node,
  name: string,
  { width, stride }: { readonly width: number; readonly stride: number },
): Node {
  const outputs = 4 * width;
  const relu = { outputs: width, activation: 'relu' } as const;
  let y = convBatchNorm(b, x, [`${name}.conv1`, `${name}.bn1`], { ...relu, kernel: 1 });
  y = convBatchNorm(b, y, [`${name}.conv2`, `${name}.bn2`], { ...relu, kernel: 3, stride });
  y = convBatchNorm(b, y, [`${name}.conv3`, `${name}.bn3`], { outputs, kernel: 1 });
  const shortcut =
    stride === 1 && x.shape[3] === outputs
      ? x
      : convBatchNorm(b, x, [`${name}.downsample.0`, `${name}.downsample.1`], { outputs, kernel: 1, stride });
  return b.relu(b.add(y, shortcut));
}

export const resnetVariants: readonly ModelVariant[] = [
  resnet({ name: 'resnet-50', title: 'ResNet-50', depths: [3, 4, 6, 3] }),
  resnet({ name: 'resnet-101', title: 'ResNet-101', depths: [3, 4, 23, 3] }),
];
