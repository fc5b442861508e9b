import { invalidArgument } from '../../core/errors.ts';
import type { PixelImage } from '../dataset.ts';

/** What every pixel value becomes, [channels, 256]: (value / 255 − mean) / std, each step rounded to float32. */
export function normalisation(mean: readonly number[], std: readonly number[]): Float32Array {
  const { fround } = Math;
  return Float32Array.from({ length: mean.length * 256 }, (_, i) => {
    const channel = i >> 8;
    const centred = fround(fround((i & 255) / 255) - fround(mean[channel] ?? 0));
    return centred / fround(std[channel] ?? 1);
  });
}

/** Writes the values of an image, [H, W, C], by a table of {@link normalisation}. */
export function normalise(image: PixelImage, table: Float32Array, out: Float32Array): void {
  const { channels, data } = image;
  if (out.length !== data.length || table.length !== channels * 256) {
    throw invalidArgument(
      `${data.length} pixel values of ${channels} channels do not go into ${out.length} values of ${table.length / 256}.`,
    );
  }
  if (channels === 1) {
    for (let i = 0; i < data.length; i++) out[i] = table[data[i] as number] as number;
    return;
  }
  for (let i = 0; i < data.length; i += 3) {
    out[i] = table[data[i] as number] as number;
    out[i + 1] = table[256 + (data[i + 1] as number)] as number;
    out[i + 2] = table[512 + (data[i + 2] as number)] as number;
  }
}
