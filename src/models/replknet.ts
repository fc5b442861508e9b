import { invalidArgument } from '../core/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { checkOddKernels, checkSizes, convBatchNorm } from './layers.ts';
import type { ConvBatchNormOptions } from './layers.ts';
import { FEATURES, defineModel, outputFeatures } from './model.ts';
import type { ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'Scaling Up Your Kernels to 31x31: Revisiting Large Kernel Design in CNNs',
  authors: 'Ding, Zhang, Zhou, Han, Ding, Sun',
  venue: 'CVPR 2022',
  url: 'https://arxiv.org/abs/2203.06717',
};

export interface RepLKNetConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  /** Kernel size of each stage, odd. */
  readonly kernels: readonly number[];
  /** Kernel size of the branch beside the large one, merged into it for deployment; absent in RepLKNet-3 and XL. */
  readonly smallKernel?: number;
  /** Channels of each stage. */
  readonly channels: readonly number[];
  /** Pairs of blocks in each stage; default [2, 2, 18, 2]. */
  readonly depths?: readonly number[];
  /** Channels of the depthwise convolutions over those of the stage; default 1. */
  readonly depthwiseRatio?: number;
  /** Hidden channels of the ConvFFN over those of the stage; default 4. */
  readonly ffnRatio?: number;
}

/**
 * RepLKNet: a stem, four stages of RepLK blocks and ConvFFN blocks, transitions that halve the map between them.
 * The names of parameters are those of https://github.com/DingXiaoH/RepLKNet-pytorch.
 *
 * Throws `invalid-argument` for sizes that do not go together.
 */
export function replknet(config: RepLKNetConfig): ModelVariant {
  const { name = 'replknet', title = 'RepLKNet', resolution = 224, kernels, channels, smallKernel } = config;
  const { depths = [2, 2, 18, 2], depthwiseRatio = 1, ffnRatio = 4 } = config;
  checkSizes(name, FEATURES.length, { depths, channels, kernels });
  checkOddKernels(name, smallKernel === undefined ? kernels : [...kernels, smallKernel]);
  if (smallKernel !== undefined && kernels.some((kernel) => kernel < smallKernel)) {
    throw invalidArgument(`The small kernel of ${name}, ${smallKernel}, must not exceed its large kernels.`);
  }
  const facts = { name, family: 'replknet', title, paper, resolution, minimumResolution: 1, stride: 32 };
  return defineModel({ ...facts, keySets: ['official'] }, (b, image, { classes, deploy }) => {
    const [stemChannels = 0] = channels;
    const stem = { outputs: stemChannels, kernel: 3, activation: 'relu' } as const;
    let x = b.output('stem.0', convBn(b, image, 'stem.0', { ...stem, stride: 2 }));
    x = convBn(b, x, 'stem.1', { ...stem, groups: 'depthwise' });
    x = convBn(b, x, 'stem.2', { ...stem, kernel: 1 });
    x = b.output('stem.3', convBn(b, x, 'stem.3', { ...stem, stride: 2, groups: 'depthwise' }));

    const stages = depths.map((depth, i) => {
      for (let j = 0; j < depth; j++) {
        const block = { kernel: kernels[i] ?? 3, smallKernel, ratio: depthwiseRatio, deploy };
        x = repLkBlock(b, x, `stages.${i}.blocks.${2 * j}`, block);
        x = convFfn(b, x, `stages.${i}.blocks.${2 * j + 1}`, ffnRatio);
      }
      const stage = b.output(`stages.${i}`, x);
      const outputs = channels[i + 1];
      if (outputs !== undefined) {
        x = convBn(b, x, `transitions.${i}.0`, { outputs, kernel: 1, activation: 'relu' });
        const halve = { outputs, kernel: 3, stride: 2, groups: 'depthwise', activation: 'relu' } as const;
        x = b.output(`transitions.${i}`, convBn(b, x, `transitions.${i}.1`, halve));
      }
      return stage;
    });
    outputFeatures(b, stages);

    x = b.output('norm', b.batchNorm(x, 'norm'));
    x = b.output('avgpool', b.globalPool(x));
    b.output('logits', b.linear(x, 'head', classes));
  });
}

interface RepLkBlock {
  readonly kernel: number;
  readonly smallKernel: number | undefined;
  readonly ratio: number;
  readonly deploy: boolean;
}

/** BN → 1×1 → large depthwise convolution → 1×1, beside the identity. */
function repLkBlock(b: GraphBuilder, x: Node, name: string, block: RepLkBlock): Node {
  const outputs = x.shape[3];
  const width = Math.trunc(outputs * block.ratio);
  let y = b.batchNorm(x, `${name}.prelkb_bn`);
  y = convBn(b, y, `${name}.pw1`, { outputs: width, kernel: 1, activation: 'relu' });
  y = b.relu(largeKernel(b, y, `${name}.large_kernel`, block));
  y = convBn(b, y, `${name}.pw2`, { outputs, kernel: 1 });
  return b.add(x, y);
}

/** The K×K convolution and the small one, each with its BN; one K×K convolution once they are merged. */
function largeKernel(
  b: GraphBuilder,
  x: Node,
  name: string,
  { kernel, smallKernel, deploy }: RepLkBlock,
): Node {
  const depthwise = { outputs: x.shape[3], groups: 'depthwise' } as const;
  if (deploy) return b.conv(x, `${name}.lkb_reparam`, { ...depthwise, kernel, bias: true });
  const large = convBn(b, x, `${name}.lkb_origin`, { ...depthwise, kernel });
  if (smallKernel === undefined) return large;
  return b.add(large, convBn(b, x, `${name}.small_conv`, { ...depthwise, kernel: smallKernel }));
}

/** BN → 1×1 → GELU → 1×1, beside the identity. */
function convFfn(b: GraphBuilder, x: Node, name: string, ratio: number): Node {
  const outputs = x.shape[3];
  let y = b.batchNorm(x, `${name}.preffn_bn`);
  y = convBn(b, y, `${name}.pw1`, { outputs: Math.trunc(outputs * ratio), kernel: 1, activation: 'gelu' });
  y = convBn(b, y, `${name}.pw2`, { outputs, kernel: 1 });
  return b.add(x, y);
}

function convBn(b: GraphBuilder, x: Node, name: string, options: ConvBatchNormOptions): Node {
  return convBatchNorm(b, x, [`${name}.conv`, `${name}.bn`], options);
}

const base = { smallKernel: 5, channels: [128, 256, 512, 1024] };
const large = { smallKernel: 5, channels: [192, 384, 768, 1536] };
const extraLarge = { channels: [256, 512, 1024, 2048], depthwiseRatio: 1.5 };

// prettier-ignore
export const replknetVariants: readonly ModelVariant[] = [
  replknet({ name: 'replknet-3b', title: 'RepLKNet-3B', kernels: [3, 3, 3, 3], channels: base.channels }),
  replknet({ name: 'replknet-7b', title: 'RepLKNet-7B', kernels: [7, 7, 7, 7], ...base }),
  replknet({ name: 'replknet-13b', title: 'RepLKNet-13B', kernels: [13, 13, 13, 13], ...base }),
  replknet({ name: 'replknet-25b', title: 'RepLKNet-25B', kernels: [25, 25, 25, 13], ...base }),
  replknet({ name: 'replknet-31b', title: 'RepLKNet-31B', kernels: [31, 29, 27, 13], ...base }),
  replknet({ name: 'replknet-31l', title: 'RepLKNet-31L', kernels: [31, 29, 27, 13], ...large }),
  replknet({ name: 'replknet-xl', title: 'RepLKNet-XL', kernels: [27, 27, 27, 13], ...extraLarge }),
];
