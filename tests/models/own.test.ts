import { expect, it } from 'vitest';

import { parametersOf } from '../../src/graph/graph.ts';
import { modelFromFile } from '../../src/runtime/model-file.ts';
import { buildOwnModel, ownModelSchema } from '../../src/models/own.ts';

const build = (config: unknown) => buildOwnModel(ownModelSchema.read(config, 'model'));

it.each([
  [{ family: 'slak', depths: [1, 2], channels: [8, 16], kernels: [7, 5], stem: 2 }, 4, 'stages.1.1.gamma'],
  [
    { family: 'convnext', depths: [1, 1], channels: [8, 16], kernel: 3, stem: 1 },
    2,
    'stages.1.0.dwconv.weight',
  ],
  [
    { family: 'replknet', depths: [1, 1, 1, 1], channels: [8, 8, 16, 16], kernels: [7, 7, 5, 5] },
    32,
    'stages.3.blocks.0.large_kernel.lkb_origin.conv.weight',
  ],
  [
    { family: 'convfirst', depths: [1, 1, 1, 1, 1], channels: [8, 8, 8, 16, 16, 16] },
    32,
    'stages.5.0.se.fc1.weight',
  ],
])('a network of the family %j', (config, stride, key) => {
  const variant = build(config);
  expect(variant.name).toBe(config.family);
  expect(variant.stride).toBe(stride);
  const graph = variant.build({ classes: 3, resolution: 32 });
  expect(graph.outputs.get('logits')?.shape).toEqual([1, 1, 1, 3]);
  expect(parametersOf(graph).map((parameter) => parameter.key)).toContain(key);
});

it.each([
  [
    { family: 'slak', depths: [1, 2], channels: [8], kernels: [7, 5] },
    /channels of slak must be 2 values, one for each stage, got 1/,
  ],
  [{ family: 'slak', depths: [1], channels: [8] }, /model\.kernels is missing/],
  [{ family: 'slak', depths: [1], channels: [8], kernels: [4] }, /odd/],
  [{ family: 'convnext', depths: [1], channels: [8], kernel: 4 }, /must be odd, got 4/],
  [
    { family: 'replknet', depths: [1], channels: [8], kernels: [7] },
    /model\.depths must be a list of 4 values/,
  ],
  [{ family: 'convfirst', depths: [1, 1, 1, 1, 1], channels: [8, 8, 8, 8, 8, 12] }, /multiples of 8, got 12/],
  [{ family: 'slak', depths: [1e9], channels: [8], kernels: [3] }, /model\.depths\[0\] must be/],
  [{ family: 'slak', depths: [1], channels: [8], kernels: [3], widthFactor: 0.001 }, /widthFactor.*stage 1/],
  [
    {
      family: 'replknet',
      depths: [1, 1, 1, 1],
      channels: [8, 8, 8, 8],
      kernels: [3, 3, 3, 3],
      ffnRatio: 1e6,
    },
    /model\.ffnRatio must be/,
  ],
  [{ family: 'vgg' }, /model\.family must be slak, convnext, replknet or convfirst/],
])('%j is refused', (config, message) => {
  expect(() => build(config)).toThrow(message);
});

it('a model.json has labels, resolution and the way of photos', () => {
  const photos = { resize: 72, interpolation: 'bilinear', mean: [0.1, 0.2, 0.3], std: [1, 1, 1] };
  const content = { model: 'convnext-tiny', classes: ['cat', 'dog'], resolution: 64, photos };
  const variant = modelFromFile(content);
  expect(variant.labels).toEqual(['cat', 'dog']);
  expect(variant.photos).toEqual({ ...photos, crop: 64 });
  const graph = variant.build();
  expect(graph.input.shape).toEqual([1, 64, 64, 3]);
  expect(graph.outputs.get('logits')?.shape).toEqual([1, 1, 1, 2]);
  expect(() => modelFromFile({ ...content, photos: { ...photos, resize: 63 } })).toThrow(
    'photos.resize is 63, but the network sees 64 pixels of each side',
  );
  expect(() => modelFromFile({ ...content, classes: ['cat'] })).toThrow(/classes must be a list/);
  expect(() => modelFromFile({ ...content, model: 'convnext-tin' })).toThrow(/did you mean convnext-tiny/);
});
