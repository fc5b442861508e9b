import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { convnextBody } from './convnext.ts';
import { checkOddKernels, convBatchNorm } from './layers.ts';
import { defineModel } from './model.ts';
import type { ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'More ConvNets in the 2020s: Scaling up Kernels Beyond 51x51 using Sparsity',
  authors: 'Liu, Chen, Chen, Chen, Xiao, Wu, Kärkkäinen, Pechenizkiy, Mocanu, Wang',
  venue: 'ICLR 2023',
  url: 'https://arxiv.org/abs/2207.03620',
};

/**
 * How a large kernel is made of smaller ones (Table 13), each with a batch norm, all beside a small N×N:
 * - `parallel`, SLaK's own: the sum of M×N and N×M;
 * - `sequential`: M×N, then N×M;
 * - `stacked`: ten 3×3, one after the other;
 * - `dilated`: M×M with dilation 3;
 * - `full`: M×M itself.
 */
export type Decomposition = 'parallel' | 'sequential' | 'stacked' | 'dilated' | 'full';

const STACKED = 10;
const DILATION = 3;

export interface SlakConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  /** Blocks in each stage; default [3, 3, 9, 3]. */
  readonly depths?: readonly number[];
  /** Channels of each stage before widening; default [96, 192, 384, 768]. */
  readonly channels?: readonly number[];
  /** Factor on the channels, truncated to integers; default 1.3. */
  readonly widthFactor?: number;
  /** M of each stage, odd; default [51, 49, 47, 13], and [19, 17, 17, 5] for `dilated`. */
  readonly kernels?: readonly number[];
  /** N, odd; default 5. Stages whose M is no larger have no N×N branch. */
  readonly smallKernel?: number;
  /** Default `parallel`. */
  readonly decomposition?: Decomposition;
  /** Pixels of the input, each way, that the first convolution makes one; default 4. Small images want less. */
  readonly stem?: number;
}

/**
 * SLaK: ConvNeXt's body with decomposed large kernels, under the names of https://github.com/VITA-Group/SLaK.
 * `deploy` merges the branches of `parallel` and `full` into one M×M convolution, `lkb_reparam`.
 * Feature maps are those of ConvNeXt, for networks of four stages.
 */
export function slak(config: SlakConfig = {}): ModelVariant {
  const { name = 'slak', title = 'SLaK', resolution = 224, depths = [3, 3, 9, 3] } = config;
  const { channels = [96, 192, 384, 768], widthFactor = 1.3, smallKernel = 5 } = config;
  const { decomposition = 'parallel', stem = 4 } = config;
  const kernels = config.kernels ?? (decomposition === 'dilated' ? [19, 17, 17, 5] : [51, 49, 47, 13]);
  checkOddKernels(name, [...kernels, smallKernel]);
  const stride = stem * 2 ** (depths.length - 1);
  const facts = { name, family: 'slak', title, paper, resolution, minimumResolution: stride, stride };
  return defineModel({ ...facts, keySets: ['official'] }, (b, image, settings) => {
    convnextBody(b, image, {
      ...settings,
      depths,
      stem,
      channels: channels.map((width) => Math.trunc(width * widthFactor)),
      spatial(x, block, stage) {
        const kernel = kernels[stage] ?? smallKernel;
        const { deploy } = settings;
        return largeKernel(b, x, `${block}.large_kernel`, { kernel, smallKernel, decomposition, deploy });
      },
    });
  });
}

interface LargeKernel {
  readonly kernel: number;
  readonly smallKernel: number;
  readonly decomposition: Decomposition;
  readonly deploy: boolean;
}

function largeKernel(b: GraphBuilder, x: Node, name: string, options: LargeKernel): Node {
  const { kernel, smallKernel, decomposition, deploy } = options;
  const depthwise = { outputs: x.shape[3], groups: 'depthwise' } as const;
  if (deploy && (decomposition === 'parallel' || decomposition === 'full')) {
    return b.conv(x, `${name}.lkb_reparam`, { ...depthwise, kernel, bias: true });
  }
  const branch = (from: Node, part: string, size: number | readonly [number, number], dilation = 1): Node =>
    convBatchNorm(b, from, [`${name}.${part}.conv`, `${name}.${part}.bn`], {
      ...depthwise,
      kernel: size,
      dilation,
    });
  const parts = (): Node => {
    const tall = [kernel, smallKernel] as const;
    const wide = [smallKernel, kernel] as const;
    switch (decomposition) {
      case 'parallel':
        return b.add(branch(x, 'LoRA1', tall), branch(x, 'LoRA2', wide));
      case 'sequential':
        return branch(branch(x, 'LoRA1', tall), 'LoRA2', wide);
      case 'stacked':
        return Array.from({ length: STACKED }).reduce<Node>((y, _, i) => branch(y, `stack.${i}`, 3), x);
      case 'dilated':
        return branch(x, 'lkb_origin', kernel, DILATION);
      case 'full':
        return branch(x, 'lkb_origin', kernel);
    }
  };
  const large = parts();
  const extent = decomposition === 'dilated' ? DILATION * (kernel - 1) + 1 : kernel;
  return extent > smallKernel ? b.add(large, branch(x, 'small_conv', smallKernel)) : large;
}

const deep = { depths: [3, 3, 27, 3] };

export const slakVariants: readonly ModelVariant[] = [
  slak({ name: 'slak-tiny', title: 'SLaK-T' }),
  slak({ name: 'slak-small', title: 'SLaK-S', ...deep }),
  slak({ name: 'slak-base', title: 'SLaK-B', ...deep, channels: [128, 256, 512, 1024] }),
];
