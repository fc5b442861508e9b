import { invalidArgument } from '../core/errors.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { Node } from '../graph/graph.ts';
import { checkSizes, convBatchNorm, squeezeExcite } from './layers.ts';
import type { ConvBatchNormOptions } from './layers.ts';
import { defineModel, outputFeatures } from './model.ts';
import type { ModelVariant, Paper } from './model.ts';

const paper: Paper = {
  title: 'On the Efficiency of Convolutional Neural Networks',
  authors: 'Lavin',
  venue: 'arXiv 2024',
  url: 'https://arxiv.org/abs/2404.03617',
};

/** Channels of a group in all 3×3 convolutions but the stem's. */
export const GROUP_WIDTH = 8;

// Table 3, from stage 1 on: block, expansion, stride of the first block.
const stages = [
  ['convfirst', 3, 1],
  ['convfirst', 6, 2],
  ['convfirst', 6, 2],
  ['mbconv', 4, 2],
  ['mbconv', 4, 2],
] as const;

export interface ConvFirstConfig {
  readonly name?: string;
  readonly title?: string;
  readonly resolution?: number;
  /** Channels of stages 0 (the stem) to 5, multiples of 8. */
  readonly channels: readonly number[];
  /** Blocks in stages 1 to 5. */
  readonly depths: readonly number[];
  /** Channels before pooling; default 1280. */
  readonly last?: number;
}

/**
 * ConvFirstNet. There is no official checkpoint; parameters are named after the paper's words, with its numbers
 * of stages: `stages.4.0.expand.conv.weight`.
 *
 * Convolutions of MBConv blocks have biases besides their batch norms: with them, parameters are the published
 * 5.91, 10.17, 17.24 and 28.55 million. They vanish when norms are folded.
 *
 * Throws `invalid-argument` for sizes that do not go together.
 */
export function convfirst(config: ConvFirstConfig): ModelVariant {
  const { name = 'convfirst', title = 'ConvFirst', resolution = 256, channels, depths, last = 1280 } = config;
  checkSizes(name, stages.length, { depths, last });
  checkSizes(name, stages.length + 1, { channels });
  const bad = channels.find((width) => width % GROUP_WIDTH > 0);
  if (bad !== undefined) {
    throw invalidArgument(`The channels of ${name} must be multiples of ${GROUP_WIDTH}, got ${bad}.`);
  }
  const facts = { name, family: 'convfirst', title, paper, resolution, minimumResolution: 1, stride: 32 };
  return defineModel({ ...facts, keySets: ['official'] }, (b, image, { classes }) => {
    const stem = { outputs: channels[0] ?? 0, kernel: 3, stride: 2, activation: 'relu' } as const;
    let x = b.output('stem', convBn(b, image, 'stem', stem));
    const maps = stages.map(([type, expansion, firstStride], i) => {
      for (let j = 0; j < (depths[i] ?? 0); j++) {
        const block = { expansion, outputs: channels[i + 1] ?? 0, stride: j === 0 ? firstStride : 1 };
        x = (type === 'convfirst' ? convFirst : mbConv)(b, x, `stages.${i + 1}.${j}`, block);
      }
      return b.output(`stages.${i + 1}`, x);
    });
    outputFeatures(b, maps.slice(1)); // Stage 1 has the stem's stride, 2.

    x = b.output('head', convBn(b, x, 'head', { outputs: last, kernel: 1, activation: 'silu' }));
    x = b.output('avgpool', b.globalPool(x));
    b.output('logits', b.linear(x, 'classifier', classes));
  });
}

export interface Block {
  readonly expansion: number;
  readonly outputs: number;
  readonly stride: number;
}

/**
 * Grouped 3×3 → 1×1 → ReLU → 1×1, beside the identity (Fig. 6a). With a stride the grouped convolution keeps
 * the resolution, the block's input is put beside its output, and both are blurred and subsampled (Fig. 6c).
 */
export function convFirst(
  b: GraphBuilder,
  x: Node,
  name: string,
  { expansion, outputs, stride }: Block,
): Node {
  const channels = x.shape[3];
  const grouped = { outputs: channels, kernel: 3, groups: channels / GROUP_WIDTH };
  let y = convBn(b, x, `${name}.spatial`, grouped);
  if (stride > 1) y = b.blurPool(b.concat(y, x), stride);
  y = convBn(b, y, `${name}.expand`, { outputs: expansion * channels, kernel: 1, activation: 'relu' });
  y = convBn(b, y, `${name}.project`, { outputs, kernel: 1 });
  return stride === 1 && channels === outputs ? b.add(x, y) : y;
}

/** 1×1 → SiLU → grouped 3×3 → SiLU (→ blur and subsample) → squeeze-and-excitation → 1×1, beside the identity. */
export function mbConv(b: GraphBuilder, x: Node, name: string, { expansion, outputs, stride }: Block): Node {
  const channels = x.shape[3];
  const hidden = expansion * channels;
  const silu = { outputs: hidden, bias: true, activation: 'silu' } as const;
  let y = convBn(b, x, `${name}.expand`, { ...silu, kernel: 1 });
  y = convBn(b, y, `${name}.spatial`, { ...silu, kernel: 3, groups: hidden / GROUP_WIDTH });
  if (stride > 1) y = b.blurPool(y, stride);
  y = squeezeExcite(b, y, `${name}.se`, { squeeze: Math.floor(channels / 4), activation: 'relu' });
  y = convBn(b, y, `${name}.project`, { outputs, kernel: 1, bias: true });
  return stride === 1 && channels === outputs ? b.add(x, y) : y;
}

function convBn(b: GraphBuilder, x: Node, name: string, options: ConvBatchNormOptions): Node {
  return convBatchNorm(b, x, [`${name}.conv`, `${name}.bn`], options);
}

// prettier-ignore
export const convfirstVariants: readonly ModelVariant[] = [
  convfirst({ name: 'convfirst-pico', title: 'ConvFirst-Pico', channels: [16, 16, 32, 48, 128, 128], depths: [1, 2, 3, 11, 11] }),
  convfirst({ name: 'convfirst-nano', title: 'ConvFirst-Nano', channels: [24, 24, 48, 64, 160, 160], depths: [1, 3, 4, 14, 14] }),
  convfirst({ name: 'convfirst-tiny', title: 'ConvFirst-Tiny', channels: [24, 24, 48, 72, 192, 192], depths: [2, 5, 6, 18, 18] }),
  convfirst({ name: 'convfirst-small', title: 'ConvFirst-Small', channels: [32, 32, 64, 96, 256, 256], depths: [2, 5, 6, 18, 18] }),
];
