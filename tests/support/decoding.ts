import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { expect } from 'vitest';

import { WidefieldError } from '../../src/core/errors.ts';
import { decodeImage } from '../../src/runtime/image/image.ts';
import type { ImageInput, RgbImage } from '../../src/runtime/image/image.ts';
import { draw } from './sample-images.ts';

/** Pixels, to be encoded. */
export const rgb = (image: RgbImage): Sharp =>
  sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } });

/** Six flat squares, all different, so that every orientation can be told from every other, even in a JPEG. */
export const squares = draw(48, 32, (x, y) => {
  const square = Math.floor(x / 16) + 3 * Math.floor(y / 16);
  return (
    [
      [200, 20, 20],
      [20, 200, 20],
      [20, 20, 200],
      [200, 200, 20],
      [20, 200, 200],
      [200, 20, 200],
    ][square] ?? []
  );
});

/** For formats that lose detail: the mean difference, which is above 40 between `squares` turned in two ways. */
export function expectAlike(actual: RgbImage, expected: RgbImage): void {
  expect([actual.width, actual.height]).toEqual([expected.width, expected.height]);
  const sum = expected.data.reduce((a, value, i) => a + Math.abs(value - (actual.data[i] ?? NaN)), 0);
  expect(sum / expected.data.length).toBeLessThan(8);
}

/** The error, in one sentence, of an image that is refused. */
export async function failure(
  input: ImageInput,
  options: Parameters<typeof decodeImage>[1] = {},
): Promise<WidefieldError> {
  const error: unknown = await decodeImage(input, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WidefieldError)) throw new Error(`no WidefieldError: ${String(error)}`);
  expect(error.message).toMatch(/^[^\n]+\.$/);
  return error;
}
