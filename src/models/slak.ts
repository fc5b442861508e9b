import { invalidArgument } from '../core/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { convnextBody } from './convnext.ts';
import { checkOddKernels, checkSizes, convBatchNorm } from './layers.ts';
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
 * `deploy` merges the branches of `parallel`, `full` and `dilated` into one convolution, `lkb_reparam`, as
 * `reparameterize` does.
 * Feature maps are those of ConvNeXt, for networks of four stages.
 *
 * Throws `invalid-argument` for sizes that do not go together.
 */
export function slak(config: SlakConfig = {}): ModelVariant {
  const { name = 'slak', title = 'SLaK', resolution = 224, depths = [3, 3, 9, 3] } = config;
  const { channels = [96, 192, 384, 768], widthFactor = 1.3, smallKernel = 5 } = config;
  const { decomposition = 'parallel', stem = 4 } = config;
  const kernels = config.kernels ?? (decomposition === 'dilated' ? [19, 17, 17, 5] : [51, 49, 47, 13]);
  checkSizes(name, depths.length, { depths, channels, kernels, stem });
  checkOddKernels(name, [...kernels, smallKernel]);
  const widths = channels.map((width) => Math.trunc(width * widthFactor));
  const empty = widths.findIndex((width) => !(width >= 1));
  if (empty >= 0) {
    throw invalidArgument(
      `The widthFactor of ${name}, ${widthFactor}, leaves stage ${empty + 1} without channels: raise it.`,
    );
  }
  const stride = stem * 2 ** (depths.length - 1);
  const facts = { name, family: 'slak', title, paper, resolution, minimumResolution: stride, stride };
  return defineModel({ ...facts, keySets: ['official'] }, (b, image, settings) => {
    convnextBody(b, image, {
      ...settings,
      depths,
      stem,
      channels: widths,
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
  const merged = deploy ? mergedWindow(options) : undefined;
  if (merged) return b.conv(x, `${name}.lkb_reparam`, { ...depthwise, ...merged, bias: true });
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
  return hasSmallBranch(options) ? b.add(large, branch(x, 'small_conv', smallKernel)) : large;
}

/** Whether there is an N×N branch: only beside a kernel that reaches further. */
function hasSmallBranch({ kernel, smallKernel, decomposition }: LargeKernel): boolean {
  return (decomposition === 'dilated' ? dilatedExtent(kernel) : kernel) > smallKernel;
}

/** The one kernel that the branches make; none where some come one after the other. */
function mergedWindow(options: LargeKernel): { kernel: number; dilation?: number } | undefined {
  const { kernel, smallKernel, decomposition } = options;
  switch (decomposition) {
    case 'parallel':
      return { kernel: Math.max(kernel, smallKernel) };
    case 'full':
      return { kernel };
    case 'dilated':
      // A branch of neighbouring taps fills the gaps between dilated ones; a single tap lies on one of them.
      return hasSmallBranch(options) && smallKernel > 1
        ? { kernel: dilatedExtent(kernel) }
        : { kernel, dilation: DILATION };
    case 'sequential':
    case 'stacked':
      return undefined;
  }
}

function dilatedExtent(kernel: number): number {
  return DILATION * (kernel - 1) + 1;
}

const deep = { depths: [3, 3, 27, 3] };

export const slakVariants: readonly ModelVariant[] = [
  slak({ name: 'slak-tiny', title: 'SLaK-T' }),
  slak({ name: 'slak-small', title: 'SLaK-S', ...deep }),
  slak({ name: 'slak-base', title: 'SLaK-B', ...deep, channels: [128, 256, 512, 1024] }),
];
