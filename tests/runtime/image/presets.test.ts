import { expect, test } from 'vitest';

import type { KeySet } from '../../../src/models/model.ts';
import { transformFor } from '../../../src/runtime/image/presets.ts';

const HALVES = [0.5, 0.5, 0.5];

test.each<[name: string, resolution: number, keys: KeySet, expected: object]>([
  ['replknet-31b', 224, 'official', { resize: 256, interpolation: 'bicubic' }],
  ['replknet-31b', 384, 'official', { resize: 'warp', crop: 384, interpolation: 'bicubic' }],
  ['replknet-xl', 320, 'official', { resize: 365, mean: HALVES, std: HALVES }],
  ['slak-tiny', 224, 'official', { resize: 256 }],
  ['convnext-tiny', 288, 'official', { resize: 329 }],
  ['convnext-tiny', 288, 'timm', { resize: 288 }],
  ['convnext-tiny', 224, 'timm', { resize: 256 }],
  ['convnext-base', 384, 'timm', { resize: 'warp' }],
  ['convnext-femto', 224, 'timm', { resize: 256 }],
  ['convnext-femto', 288, 'timm', { resize: 303 }],
  ['convnext-nano', 224, 'timm', { resize: 235 }],
  ['convnext-nano', 288, 'official', { resize: 288 }],
  ['resnet-50', 224, 'official', { resize: 256, interpolation: 'bilinear' }],
  ['mobilenet-v2', 224, 'official', { resize: 256, interpolation: 'bilinear' }],
  ['efficientnet-b0', 224, 'official', { resize: 256, interpolation: 'bicubic' }],
  ['efficientnet-b1', 240, 'official', { resize: 256, interpolation: 'bicubic' }],
  ['efficientnet-b2', 288, 'official', { resize: 288 }],
  ['efficientnet-b3', 300, 'official', { resize: 320 }],
  ['efficientnet-b4', 380, 'official', { resize: 384 }],
  ['efficientnet-b5', 456, 'official', { resize: 456, interpolation: 'bicubic' }],
  ['efficientnet-v2-s', 384, 'official', { resize: 384, interpolation: 'bilinear' }],
  ['efficientnet-v2-s', 288, 'official', { resize: 288 }],
])('%s at %i (%s)', (name, resolution, keys, expected) => {
  expect(transformFor(name, resolution, keys)).toMatchObject({ crop: resolution, ...expected });
});

test('unknown models are refused with the known ones', () => {
  expect(() => transformFor('vgg-16', 224)).toThrow(/vgg-16.*replknet-31b/);
});
