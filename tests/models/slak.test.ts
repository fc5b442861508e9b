import { describe, expect, it } from 'vitest';
import { elements, parametersOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { macsOf } from '../../src/graph/lower.ts';
import { reparameterize } from '../../src/graph/passes/reparameterize.ts';
import { slak } from '../../src/models/slak.ts';
import type { Decomposition, SlakConfig } from '../../src/models/slak.ts';
import { buildModel } from '../../src/models/zoo.ts';

/** Millions of parameters, and GMAC at 224², in as many digits as the paper gives. */
function size(config: SlakConfig, deploy = false): { millions: number; gmacs: number } {
  const graph = slak({ widthFactor: 1, ...config }).build({ deploy });
  const parameters = parametersOf(graph)
    .filter(({ buffer }) => !buffer)
    .reduce((sum, { shape }) => sum + elements(shape), 0);
  return { millions: Math.round(parameters / 1e6), gmacs: Number((macsOf(graph) / 1e9).toFixed(1)) };
}

describe('SLaK', () => {
  it.each([
    [[31, 29, 27, 13], 30, 5.0],
    [[51, 49, 47, 13], 31, 5.4],
    [[61, 59, 57, 13], 31, 5.6],
  ])('decomposed %j in ConvNeXt-T has the size of Table 2', (kernels, millions, gmacs) => {
    expect(size({ kernels })).toEqual({ millions, gmacs });
  });

  // Table 1 counts parameters of the merged form. Its 6.5 GMAC for 31 are not what its definition gives, 6.2.
  it.each([
    [[31, 29, 27, 13], 32, 6.2],
    [[51, 49, 47, 13], 38, 9.4],
    [[61, 59, 57, 13], 43, 11.6],
  ])('full %j in ConvNeXt-T has the size of Table 1', (kernels, millions, gmacs) => {
    expect(size({ kernels, decomposition: 'full' }, true).millions).toBe(millions);
    expect(size({ kernels, decomposition: 'full' }).gmacs).toBe(gmacs);
  });

  it('takes any M, N and width', () => {
    for (const kernel of [7, 31, 151]) {
      for (const smallKernel of [3, 5, 7]) {
        const graph = slak({ kernels: [kernel, kernel, kernel, 7], smallKernel, widthFactor: 2.5 }).build();
        const shapes = new Map(parametersOf(graph).map(({ key, shape }) => [key, shape]));
        const at = (part: string): unknown => shapes.get(`stages.1.2.large_kernel.${part}.conv.weight`);
        expect(at('LoRA1')).toEqual([480, 1, kernel, smallKernel]);
        expect(at('LoRA2')).toEqual([480, 1, smallKernel, kernel]);
        expect(at('small_conv')).toEqual(
          kernel > smallKernel ? [480, 1, smallKernel, smallKernel] : undefined,
        );
      }
    }
  });

  // Table 13: kernels of the first stage's depthwise convolutions, for C channels.
  it.each<[Decomposition, (readonly number[])[]]>([
    [
      'parallel',
      [
        [51, 5],
        [5, 51],
        [5, 5],
      ],
    ],
    [
      'sequential',
      [
        [51, 5],
        [5, 51],
        [5, 5],
      ],
    ],
    ['stacked', [...Array.from({ length: 10 }, () => [3, 3]), [5, 5]]],
    [
      'dilated',
      [
        [19, 19],
        [5, 5],
      ],
    ],
    [
      'full',
      [
        [51, 51],
        [5, 5],
      ],
    ],
  ])('makes a large kernel %s', (decomposition, kernels) => {
    const graph = slak({ decomposition }).build();
    const branches = parametersOf(graph).filter(({ key }) =>
      /^stages\.0\.0\.large_kernel.*conv\.weight$/.test(key),
    );
    expect(branches.map(({ shape }) => shape.slice(2))).toEqual(kernels);
    expect(graph.outputs.get('stage1')?.shape).toEqual([1, 56, 56, 124]);
  });

  it('merges its branches when it is deployed', () => {
    const parameters = parametersOf(buildModel('slak-tiny', { deploy: true }));
    expect(parameters.find(({ key }) => key === 'stages.0.0.large_kernel.lkb_reparam.weight')?.shape).toEqual(
      [124, 1, 51, 51],
    );
    // As the official classes have it, if their merge is made to support three branches.
    const count = parameters
      .filter(({ buffer }) => !buffer)
      .reduce((sum, { shape }) => sum + elements(shape), 0);
    expect(count).toBe(60_577_702);
  });

  const decompositions = ['parallel', 'sequential', 'stacked', 'dilated', 'full'] as const;
  it.each(decompositions)('%s: the deployed form is what reparameterize makes', (decomposition) => {
    for (const smallKernel of [1, 3, 5, 9]) {
      const sizes = { depths: [1, 1, 1], channels: [8, 8, 8], kernels: [7, 3, 1], widthFactor: 1 };
      const variant = slak({ ...sizes, smallKernel, decomposition });
      const shapes = (graph: Graph): unknown =>
        new Map(parametersOf(graph).map(({ key, shape }) => [key, shape]));
      expect(shapes(variant.build({ deploy: true }))).toEqual(shapes(reparameterize(variant.build())));
    }
  });

  it('refuses sizes that do not go together', () => {
    const sizes = { depths: [1, 1], channels: [8, 8], kernels: [7, 5] };
    expect(() => slak({ ...sizes, kernels: [7] })).toThrow('must be 2 values, one for each stage, got 1');
    expect(() => slak({ ...sizes, stem: 0 })).toThrow('The stem of slak must be positive integers, got 0.');
    expect(() => slak({ ...sizes, widthFactor: 0.01 })).toThrow('leaves stage 1 without channels');
  });

  it('refuses even kernels', () => {
    expect(() => slak({ smallKernel: 4 })).toThrow('The kernel sizes of slak must be odd, got 4.');
  });
});
