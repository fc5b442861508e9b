import { describe, expect, it } from 'vitest';
import { nodesOf, parametersOf } from '../../src/graph/graph.ts';
import { replknet } from '../../src/models/replknet.ts';

const config = { channels: [8, 16, 24, 32], depths: [1, 1, 1, 1] };

describe('RepLKNet', () => {
  it('has the kernel sizes and widths that it is given', () => {
    const graph = replknet({
      ...config,
      kernels: [11, 9, 7, 5],
      smallKernel: 3,
      depthwiseRatio: 1.5,
    }).build();
    const shapes = parametersOf(graph)
      .filter(({ key }) => /large_kernel\.\w+\.conv\.weight$/.test(key))
      .map(({ shape }) => [shape[0], shape[2], shape[3]]);
    const pairs = [11, 9, 7, 5].flatMap((kernel, i) => {
      const width = 1.5 * (config.channels[i] ?? 0);
      return [
        [width, kernel, kernel],
        [width, 3, 3],
      ];
    });
    expect(shapes).toEqual(pairs);
  });

  it('has one convolution in place of two, with a bias, when it is deployed', () => {
    const variant = replknet({ ...config, kernels: [11, 9, 7, 5], smallKernel: 3 });
    const depthwise = (deploy: boolean): number =>
      nodesOf(variant.build({ deploy })).filter(
        ({ op, name }) => op.type === 'conv' && name.includes('large_kernel'),
      ).length;
    expect([depthwise(false), depthwise(true)]).toEqual([8, 4]);
    const merged = parametersOf(variant.build({ deploy: true })).filter(({ key }) =>
      key.includes('large_kernel'),
    );
    expect(new Set(merged.map(({ key }) => key.split('large_kernel.')[1]))).toEqual(
      new Set(['lkb_reparam.weight', 'lkb_reparam.bias']),
    );
  });

  it('refuses lists that have not a value for each stage', () => {
    expect(() => replknet({ ...config, kernels: [7, 5, 3] })).toThrow(
      'The kernels of replknet must be 4 values, one for each stage, got 3.',
    );
  });

  it('refuses even kernels, and a small kernel that is larger than the large ones', () => {
    expect(() => replknet({ ...config, kernels: [8, 7, 5, 3] })).toThrow('must be odd, got 8');
    expect(() => replknet({ ...config, kernels: [3, 3, 3, 3], smallKernel: 5 })).toThrow('must not exceed');
  });
});
