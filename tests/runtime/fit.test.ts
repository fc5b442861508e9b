import { describe, expect, test } from 'vitest';

import type { WeightSource } from '../../src/checkpoints/source.ts';
import { syntheticWeights } from '../../src/checkpoints/synthetic.ts';
import { WidefieldError } from '../../src/core/errors.ts';
import { elements, parametersOf } from '../../src/graph/graph.ts';
import type { ModelOptions } from '../../src/models/model.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { fitModel } from '../../src/runtime/fit.ts';
import type { FitOptions } from '../../src/runtime/fit.ts';

/** A checkpoint with the keys and shapes of a network, but for those that `change` drops or adds. */
function checkpoint(
  model: string,
  options: ModelOptions = {},
  change: (shapes: Map<string, readonly number[]>) => void = () => undefined,
): WeightSource {
  const shapes = new Map(parametersOf(buildModel(model, options)).map(({ key, shape }) => [key, shape]));
  change(shapes);
  return { ...syntheticWeights([...shapes].map(([key, shape]) => ({ key, shape }))), name: 'x.pth' };
}

function refusal(model: string, source: WeightSource | undefined, options?: FitOptions): string {
  try {
    fitModel(model, source, options);
  } catch (error) {
    if (error instanceof WidefieldError && error.code === 'invalid-argument') return error.message;
    throw error;
  }
  throw new Error('It fits.');
}

const keysOf = (model: string, options?: ModelOptions): string[] =>
  parametersOf(buildModel(model, options)).map(({ key }) => key);

describe('the form of a checkpoint is found out', () => {
  test.each([false, true])('merged: %s', (merged) => {
    const fitted = fitModel('replknet-31b', checkpoint('replknet-31b', { deploy: merged }));
    expect(fitted).toMatchObject({ merged, keys: 'official', warnings: [] });
    expect(parametersOf(fitted.graph).map(({ key }) => key)).toEqual(
      keysOf('replknet-31b', { deploy: merged }),
    );
  });

  test.each(['official', 'timm'] as const)('names of %s', (keys) => {
    const fitted = fitModel('convnext-tiny', checkpoint('convnext-tiny', { keys }));
    expect(fitted).toMatchObject({ keys, merged: false, warnings: [] });
    expect(parametersOf(fitted.graph).map(({ key }) => key)).toEqual(keysOf('convnext-tiny', { keys }));
  });

  test.each([1, 21, 1000])('%i classes', (classes) => {
    const { graph } = fitModel('resnet-50', checkpoint('resnet-50', { classes }));
    expect(graph.outputs.get('logits')?.shape).toEqual([1, 1, 1, classes]);
  });

  test('counters of batches may be missing', () => {
    const source = checkpoint('resnet-50', {}, (shapes) => {
      for (const key of shapes.keys()) if (key.endsWith('num_batches_tracked')) shapes.delete(key);
    });
    expect(fitModel('resnet-50', source).warnings).toEqual([]);
  });
});

test('synthetic weights are those of the training form, of any size', async () => {
  const options = { batch: 3, resolution: [64, 96], classes: 7, keys: 'timm' } as const;
  const { variant, graph, weights, merged, keys } = fitModel('convnext-tiny', undefined, options);
  expect({ name: variant.name, merged, keys }).toEqual({
    name: 'convnext-tiny',
    merged: false,
    keys: 'timm',
  });
  expect(graph.input.shape).toEqual([3, 64, 96, 3]);
  expect(graph.outputs.get('logits')?.shape).toEqual([3, 1, 1, 7]);
  for (const { key, shape } of parametersOf(graph).slice(-2)) {
    expect(await weights.read(key)).toHaveLength(elements(shape));
  }
});

describe('what does not fit is refused, with what would', () => {
  test('a name', () => {
    expect(refusal('convnext-tinny', undefined)).toBe(
      'There is no model "convnext-tinny": did you mean convnext-tiny?',
    );
  });

  test.each([undefined, null, 7, { family: 'slak', depths: [1, 1] }])('%j, which is no network', (thing) => {
    expect(refusal(thing as unknown as string, undefined)).toMatch(/^A model is a name such as "slak-tiny"/);
  });

  test('a larger network of the family', () => {
    expect(refusal('resnet-50', checkpoint('resnet-101', { classes: 10 }))).toMatch(
      /^x\.pth does not fit resnet-50: it has the unexpected layer3\.6\.conv1\.weight .* and \d+ more; it fits resnet-101\.$/,
    );
  });

  test('other classes', () => {
    const source = checkpoint('resnet-50', { classes: 21 });
    expect(refusal('resnet-50', source, { classes: 10 })).toBe(
      'x.pth does not fit resnet-50: it has other shapes: fc.weight [21, 2048] instead of [10, 2048], fc.bias [21] instead of [10].',
    );
  });

  test('names of the other project', () => {
    const source = checkpoint('convnext-tiny', { keys: 'timm' });
    expect(refusal('convnext-tiny', source, { keys: 'official' })).toContain(
      'lacks downsample_layers.0.0.weight [96, 3, 4, 4]',
    );
    expect(refusal('resnet-50', checkpoint('resnet-50'), { keys: 'timm' })).toContain('no timm keys');
  });

  test('something else altogether, which no network fits', () => {
    const message = refusal('resnet-50', syntheticWeights([{ key: 'a.weight', shape: [2, 2] }]));
    expect(message).toMatch(
      /^synthetic weights does not fit resnet-50: it lacks conv1\.weight .*a\.weight \[2, 2\]\.$/,
    );
  });

  test('a resolution', () => {
    expect(refusal('slak-tiny', undefined, { resolution: 16 })).toContain('at least 32×32 pixels, got 16×16');
  });
});

describe('without strictness', () => {
  const without = checkpoint('resnet-50', { classes: 3 }, (shapes) => {
    shapes.delete('fc.weight');
    shapes.set('extra.weight', [4]);
  });

  test('what is missing is zero, what is too much is left, and both are said', async () => {
    const { weights, warnings } = fitModel('resnet-50', without, { strict: false });
    expect(warnings).toEqual([
      'x.pth does not fit resnet-50: it lacks fc.weight [3, 2048]; it has the unexpected extra.weight [4]; what is missing is zero.',
    ]);
    expect(await weights.read('fc.weight')).toEqual(new Float32Array(3 * 2048));
    expect(await weights.read('fc.bias')).toEqual(await without.read('fc.bias'));
  });

  test('other shapes are refused all the same', () => {
    expect(refusal('resnet-50', without)).toContain('it lacks fc.weight [3, 2048]');
    expect(refusal('resnet-50', without, { strict: false, classes: 5 })).toContain(
      'fc.bias [3] instead of [5]',
    );
  });
});
