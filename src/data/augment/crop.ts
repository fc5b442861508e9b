import { invalidArgument } from '../../core/errors.ts';
import type { RandomStream } from '../../core/random.ts';
import type { Rectangle } from '../../runtime/image/resize.ts';
import type { PixelImage } from '../dataset.ts';

/** What surrounds an image: pixels of one value, or its own, mirrored at its border (which is not repeated). */
export type PaddingFill = number | 'reflect';

/** A part of the image, which may reach out of it on all sides; there it is filled. */
export function cropPadded(image: PixelImage, part: Rectangle, fill: PaddingFill): PixelImage {
  const { channels, data } = image;
  const { width, height } = part;
  const out = new Uint8Array(width * height * channels);
  if (typeof fill === 'number' && fill !== 0) out.fill(fill);
  for (let y = 0; y < height; y++) {
    const fromY = sourceOf(part.top + y, image.height, fill);
    if (fromY < 0) continue;
    const row = fromY * image.width;
    const first = Math.max(0, -part.left);
    const end = Math.min(width, image.width - part.left);
    if (end > first) {
      const from = (row + part.left + first) * channels;
      out.set(data.subarray(from, from + (end - first) * channels), (y * width + first) * channels);
    }
    if (fill !== 'reflect') continue;
    for (let x = 0; x < width; x = x + 1 === first ? Math.max(first, end) : x + 1) {
      const from = (row + sourceOf(part.left + x, image.width, fill)) * channels;
      for (let c = 0; c < channels; c++) out[(y * width + x) * channels + c] = data[from + c] as number;
    }
  }
  return { width, height, channels, data: out };
}

/** Where along an axis a position takes its pixel; −1 if it is filled. */
function sourceOf(position: number, extent: number, fill: PaddingFill): number {
  if (position >= 0 && position < extent) return position;
  if (fill !== 'reflect') return -1;
  const period = Math.max(1, 2 * (extent - 1));
  const wrapped = ((position % period) + period) % period;
  return wrapped < extent ? wrapped : period - wrapped;
}

/** The image with `padding` pixels around it, and of that a part of width × height somewhere (CIFAR's usual way). */
export function padAndCrop(
  image: PixelImage,
  width: number,
  height: number,
  padding: number,
  fill: PaddingFill,
  random: RandomStream,
): PixelImage {
  const room = [image.width + 2 * padding - width, image.height + 2 * padding - height] as const;
  if (room[0] < 0 || room[1] < 0) {
    throw invalidArgument(
      `An image of ${image.width} × ${image.height} pixels, padded by ${padding}, is smaller than the crop of ${width} × ${height}: resize it.`,
    );
  }
  const top = random.below(room[1] + 1) - padding;
  const left = random.below(room[0] + 1) - padding;
  return cropPadded(image, { left, top, width, height }, fill);
}
