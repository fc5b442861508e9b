import { syntheticInput } from '../checkpoints/synthetic.ts';
import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { readRegularFile } from '../core/regular-file.ts';
import type { Model } from '../runtime/model.ts';
import { decodeNpy } from './npy.ts';
import type { NpyArray } from './npy.ts';
import type { Resolution } from './options.ts';

/** Which axis of an array the channels are. */
export type Layout = 'nhwc' | 'nchw';

const CHANNELS = 3;

/** Images as networks want them, normalised: [N, H, W, 3]. */
export interface ImageTensor {
  readonly shape: readonly [batch: number, height: number, width: number, channels: number];
  readonly values: Float32Array;
}

/** What to run a network on: an array whose size is known before there is a network, or what needs one. */
export type RunInput =
  | { readonly kind: 'array'; readonly tensor: ImageTensor }
  | { readonly kind: 'synthetic' }
  | { readonly kind: 'photo'; readonly file: string };

/**
 * `synthetic`, a file whose name ends in `.npy`, or else a photo.
 * Throws `io` if an array cannot be read, `invalid-argument` if it does not hold images.
 */
export async function readInput(input: string, layout: Layout | undefined): Promise<RunInput> {
  if (input === 'synthetic') return { kind: 'synthetic' };
  if (!input.toLowerCase().endsWith('.npy')) return { kind: 'photo', file: input };
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(input);
  } catch (error) {
    throw new WidefieldError('io', `The input cannot be read from ${input}: ${explain(error)}.`, {
      cause: error,
    });
  }
  return { kind: 'array', tensor: asImages(decodeNpy(bytes, input), input, layout) };
}

/** The resolution to build the network for: the array's, unless another one was asked for, which is an error. */
export function inputResolution(input: RunInput, wanted: Resolution | undefined): Resolution | undefined {
  if (input.kind !== 'array') return wanted;
  const [, height, width] = input.tensor.shape;
  const [wantedHeight, wantedWidth] =
    typeof wanted === 'number' ? [wanted, wanted] : (wanted ?? [height, width]);
  if (wantedHeight !== height || wantedWidth !== width) {
    throw invalidArgument(
      `The input is ${height}×${width} pixels, not ${wantedHeight}×${wantedWidth}: leave --resolution out or change the input.`,
    );
  }
  return [height, width];
}

/** The values for a network's input, [N, H, W, 3]; a synthetic input fills one run, N = batch. */
export async function inputValues(input: RunInput, model: Model, signal: AbortSignal): Promise<Float32Array> {
  switch (input.kind) {
    case 'array':
      return input.tensor.values;
    case 'photo':
      return model.prepareImage(input.file, { signal });
    case 'synthetic': {
      const [batch, height, width] = model.inputShape;
      return syntheticInput([batch, CHANNELS, height, width]);
    }
  }
}

/** [H, W, 3], [N, H, W, 3], [3, H, W] or [N, 3, H, W] as [N, H, W, 3]: channels are the axis of size 3. */
export function asImages({ shape, values }: NpyArray, name: string, layout?: Layout): ImageTensor {
  const [batch, ...axes] = shape.length === 3 ? [1, ...shape] : shape;
  const [first = 0, second = 0, third = 0] = axes;
  const text = `[${shape.join(', ')}]`;
  if (batch === undefined || axes.length !== 3 || values.length === 0) {
    throw invalidArgument(`${name} has the shape ${text}: an input is [N, H, W, 3] or [N, 3, H, W].`);
  }
  const fits = { nhwc: third === CHANNELS, nchw: first === CHANNELS };
  if (layout === undefined && fits.nhwc && fits.nchw) {
    throw invalidArgument(
      `${name} has the shape ${text}: say which axis is channels with --layout nhwc or nchw.`,
    );
  }
  const actual = layout ?? (fits.nhwc ? 'nhwc' : 'nchw');
  if (!fits[actual]) {
    throw invalidArgument(
      `${name} has the shape ${text}: ${layout === undefined ? 'an input' : `with --layout ${layout} it`} needs 3 channels.`,
    );
  }
  return actual === 'nhwc'
    ? { shape: [batch, first, second, CHANNELS], values }
    : { shape: [batch, second, third, CHANNELS], values: channelsLast(values, batch, second * third) };
}

/** [N, C, pixels] → [N, pixels, C]. */
function channelsLast(values: Float32Array, batch: number, pixels: number): Float32Array {
  const out = new Float32Array(values.length);
  let from = 0;
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < CHANNELS; c++) {
      for (let p = 0; p < pixels; p++) out[(n * pixels + p) * CHANNELS + c] = values[from++] ?? 0;
    }
  }
  return out;
}
