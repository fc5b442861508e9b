import { invalidArgument } from '../core/errors.ts';
import { GraphBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/graph.ts';
import { GROUP_WIDTH, convFirst, mbConv } from '../models/convfirst.ts';

/** The two blocks of ConvFirstNet. */
export type BlockKind = 'convfirst' | 'mbconv';

export const BLOCK_KINDS: readonly BlockKind[] = ['convfirst', 'mbconv'];

/** A block by itself, as the tables of Lavin 2024 name it: channels c, expansion α, map hw. */
export interface BlockCase {
  readonly kind: BlockKind;
  readonly channels: number;
  readonly expansion: number;
  /** Height and width of the input map. */
  readonly size: number;
  /** Default: 1. With 2 there is no shortcut. */
  readonly stride?: number;
  /** Default: `channels`. */
  readonly outputs?: number;
  readonly batch?: number;
}

/** The block as a network of its own: input [N, size, size, channels], output `y`. Throws `invalid-argument`. */
export function blockGraph(block: BlockCase): Graph {
  const { kind, channels, expansion, size, stride = 1, outputs = channels, batch = 1 } = block;
  if (channels % GROUP_WIDTH !== 0) {
    throw invalidArgument(
      `The channels of a block must be a multiple of ${GROUP_WIDTH}, the width of its groups, got ${channels}.`,
    );
  }
  const b = new GraphBuilder(blockName(block));
  const x = b.input([batch, size, size, channels]);
  b.output('y', (kind === 'convfirst' ? convFirst : mbConv)(b, x, 'block', { expansion, outputs, stride }));
  return b.build();
}

/** `16c3α128hw`, as the paper writes it. */
export function blockName({ channels, expansion, size }: BlockCase): string {
  return `${channels}c${expansion}α${size}hw`;
}
