import { invalidArgument } from '../../core/errors.ts';

/** What a block computes on. */
export interface BlockSizes {
  /** Input channels, a multiple of the group width, 8, where the block has grouped convolutions. */
  readonly channels: number;
  /** Hidden channels over input channels. */
  readonly expansion?: number;
  /** Pixels of a square map, or its height and width. */
  readonly size?: number | readonly [height: number, width: number];
  /** Images; default 128. */
  readonly batch?: number;
  /** Output channels; default: as many as input channels. */
  readonly outputs?: number;
  /** 2 for the form that halves the map; default 1. */
  readonly stride?: 1 | 2;
  readonly tiles?: Partial<TileSizes>;
}

/** How far loops go at a time. Each has a default, and none may be larger than what it cuts. */
export interface TileSizes {
  /** Images; a micro-batch where a kernel keeps activations in global memory. */
  readonly images: number;
  /** Rows of the output. */
  readonly rows: number;
  /** Hidden channels. */
  readonly hidden: number;
  /** Channels owned by a processor. */
  readonly channels: number;
}

/** Sizes with nothing left open. */
export interface FixedSizes {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly expansion: number;
  readonly hidden: number;
  readonly outputs: number;
  readonly stride: 1 | 2;
  /** Whether the block adds its input to its output. */
  readonly residual: boolean;
  readonly tiles: TileSizes;
}

/** Of one extent: a count lists them all. */
const MAX_TILES = 2 ** 16;

/** Channels of a group in 3×3 convolutions. */
export const GROUP_WIDTH = 8;

export interface BlockDefaults {
  readonly expansion: number;
  readonly size: number;
  /** Tile defaults, before they are cut to the sizes. */
  readonly tiles: TileSizes;
  /** What tiles must be multiples of: groups are never split. */
  readonly multiples: Partial<Readonly<Record<'channels' | keyof TileSizes, number>>>;
}

/** Fills in defaults. Throws `invalid-argument` for sizes that are no positive whole numbers, do not fit the block, or make too many tiles. */
export function fixSizes(name: string, sizes: BlockSizes, defaults: BlockDefaults): FixedSizes {
  const { channels, expansion = defaults.expansion, size = defaults.size, batch = 128, stride = 1 } = sizes;
  const [height, width] = typeof size === 'number' ? [size, size] : size;
  const outputs = sizes.outputs ?? channels;
  const counts = { channels, expansion, height, width, batch, outputs };
  for (const [what, count] of Object.entries(counts)) checkCount(name, what, count);
  if (stride !== 1 && stride !== 2)
    throw invalidArgument(`The stride of ${name} must be 1 or 2, got ${String(stride)}.`);
  const multiple = defaults.multiples.channels ?? 1;
  if (channels % multiple !== 0) {
    throw invalidArgument(
      `The channels of ${name} must be a multiple of its group width, ${multiple}, got ${channels}.`,
    );
  }
  const hidden = expansion * channels;
  const extents = { images: batch, rows: Math.ceil(height / stride), hidden, channels };
  const tile = (what: keyof TileSizes): number => {
    const value = sizes.tiles?.[what] ?? Math.min(defaults.tiles[what], extents[what]);
    checkCount(name, `tile of ${what}`, value);
    const step = defaults.multiples[what] ?? 1;
    if (value > extents[what] || value % step !== 0) {
      const multipleOf = step === 1 ? '' : `a multiple of ${step} and `;
      throw invalidArgument(
        `The tile of ${what} of ${name} must be ${multipleOf}at most ${extents[what]}, got ${value}.`,
      );
    }
    if (Math.ceil(extents[what] / value) > MAX_TILES) {
      throw invalidArgument(
        `The ${extents[what]} ${what} of ${name} are more than ${MAX_TILES} tiles of ${value}: use larger tiles or a smaller block.`,
      );
    }
    return value;
  };
  const tiles = {
    images: tile('images'),
    rows: tile('rows'),
    hidden: tile('hidden'),
    channels: tile('channels'),
  };
  const residual = stride === 1 && outputs === channels;
  return { batch, height, width, channels, expansion, hidden, outputs, stride, residual, tiles };
}

function checkCount(name: string, what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw invalidArgument(`The ${what} of ${name} must be a whole number of at least 1, got ${value}.`);
  }
}
