import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';

import { rotation, shearX, shearY, transform, translate } from '../../../src/data/augment/affine.ts';
import type { Affine } from '../../../src/data/augment/affine.ts';
import {
  adjustBrightness,
  adjustColour,
  adjustContrast,
  adjustHue,
  adjustSharpness,
} from '../../../src/data/augment/enhance.ts';
import { toGrey } from '../../../src/data/augment/grey.ts';
import { autoContrast, equalize, invert, posterize, solarize } from '../../../src/data/augment/tables.ts';
import type { PixelImage } from '../../../src/data/dataset.ts';
import { pillowImage } from '../../support/images.ts';

const FIXTURE = path.join(import.meta.dirname, '../../fixtures/pillow/operations.json');
const expected = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Record<string, string>;

type Operation = (image: PixelImage, amount: number) => PixelImage;
const move =
  (affine: (amount: number, image: PixelImage) => Affine) =>
  (image: PixelImage, amount: number, filter: string): PixelImage =>
    transform(image, affine(amount, image), filter === 'bilinear' ? 'bilinear' : 'bicubic', [124, 116, 104]);

const OPERATIONS: Record<string, Operation | ReturnType<typeof move>> = {
  autocontrast: autoContrast,
  equalize,
  invert,
  posterize,
  solarize,
  Brightness: adjustBrightness,
  Contrast: adjustContrast,
  Color: adjustColour,
  Sharpness: adjustSharpness,
  hue: adjustHue,
  rotate: move((degrees, { width, height }) => rotation(degrees, width, height)),
  shearX: move(shearX),
  shearY: move(shearY),
  translateX: move((pixels) => translate(pixels, 0)),
  translateY: move((pixels) => translate(0, pixels)),
};

const sha = (image: PixelImage): string => createHash('sha256').update(image.data).digest('hex');

test('grey as in Pillow', () => {
  expect(sha(toGrey(pillowImage()))).toBe(expected['grey']);
});

test.each(Object.keys(expected).filter((name) => name !== 'grey'))('%s: the same bits as Pillow', (name) => {
  const [operation = '', ...rest] = name.split(' ');
  const mode = rest.at(-1);
  const image = mode === 'L' ? toGrey(pillowImage()) : pillowImage();
  const filter = rest.find((word) => word.startsWith('bi')) ?? '';
  expect(sha(OPERATIONS[operation]?.(image, Number(rest[0]), filter) ?? image)).toBe(expected[name]);
});
