import { expect, test } from 'vitest';
import { candidates } from '../../src/kernels/index.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { ConvFirstChainProblem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { allButNative, bestOfEach, describeKernels, interpreterCaps } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

type Sizes = Pick<ConvFirstChainProblem, 'blocks' | 'batch' | 'height' | 'width' | 'channels'>;

function chain(sizes: Sizes, expansion: number, changes: Partial<ConvFirstChainProblem> = {}): KernelCase {
  const { blocks, batch, height, width, channels } = sizes;
  return {
    name: `${blocks} times ${batch}×${height}×${width}×${channels} ${JSON.stringify(changes)}`,
    problem: (pitch): ConvFirstChainProblem => ({
      op: 'convfirst-chain',
      ...sizes,
      groups: channels / 8,
      kernelHeight: 3,
      kernelWidth: 3,
      hidden: expansion * channels,
      pitch: pitch(channels),
      spatialBias: true,
      hiddenBias: true,
      activation: 'relu',
      epilogue: { ...NO_EPILOGUE, bias: true, residual: true },
      ...changes,
    }),
  };
}

const small = { blocks: 3, batch: 1, height: 9, width: 5, channels: 8 };

describeKernels(
  'convfirst chain',
  [
    chain(small, 3),
    chain({ blocks: 2, batch: 2, height: 4, width: 19, channels: 16 }, 3),
    chain({ blocks: 5, batch: 1, height: 2, width: 1, channels: 8 }, 2),
    chain({ blocks: 1, batch: 1, height: 6, width: 4, channels: 8 }, 2),
    chain(small, 3, { spatialBias: false, hiddenBias: false, epilogue: NO_EPILOGUE }),
    chain(small, 3, { activation: 'silu', epilogue: { ...NO_EPILOGUE, activation: 'relu', scale: true } }),
    chain(small, 70, { activation: 'gelu' }),
    chain(small, 2, { kernelHeight: 5, kernelWidth: 1 }),
    chain({ ...small, channels: 16 }, 2, { kernelHeight: 1, kernelWidth: 7, groups: 1 }),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels('convfirst chain: a pitch of more than the channels, as in ConvFirst-Tiny', [
  { ...chain({ blocks: 2, batch: 1, height: 8, width: 32, channels: 72 }, 6), onDevices: bestOfEach },
]);

const problem = chain(small, 3).problem((channels) => channels);

test('images are swept as a whole or in parts', () => {
  const parts = candidates(problem, interpreterCaps([8, 4])).map(({ config }) => config.parts);
  expect(new Set(parts).size).toBeGreaterThan(1);
});

test('cost counts all layers of all blocks, and one input and one output', () => {
  expect(signature(problem).cost).toEqual({
    macs: 3 * 45 * (8 * 72 + 2 * 8 * 24),
    bytes: 4 * (2 * 45 * 8 + 3 * (8 * 72 + 8 + 2 * 8 * 24 + 24 + 8)),
    depth: 3 * (72 + 8 + 24),
  });
});

test('a final activation is refused', () => {
  const epilogue = { ...NO_EPILOGUE, finalActivation: 'relu' } as const;
  const refused = chain(small, 3, { epilogue }).problem((channels) => channels);
  expect(() => signature(refused)).toThrow(/takes no final activation, got relu/);
});
