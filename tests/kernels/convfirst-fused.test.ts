import { expect, test } from 'vitest';
import { candidates } from '../../src/kernels/index.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { ConvFirstProblem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { allButNative, bestOfEach, describeKernels, interpreterCaps } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

type Sizes = Pick<ConvFirstProblem, 'batch' | 'height' | 'width' | 'channels'>;

function convFirst(sizes: Sizes, expansion: number, changes: Partial<ConvFirstProblem> = {}): KernelCase {
  const { batch, height, width, channels } = sizes;
  return {
    name: `${batch}×${height}×${width}×${channels} ${JSON.stringify(changes)}`,
    problem: (pitch): ConvFirstProblem => {
      const problem: ConvFirstProblem = {
        op: 'convfirst',
        batch,
        height,
        width,
        channels,
        groups: channels / 8,
        kernelHeight: 3,
        kernelWidth: 3,
        stride: 1,
        hidden: expansion * channels,
        outputs: channels,
        inputPitch: pitch(channels),
        outputPitch: pitch(channels),
        spatialBias: true,
        hiddenBias: true,
        activation: 'relu',
        epilogue: { ...NO_EPILOGUE, bias: true, residual: true },
        ...changes,
      };
      return { ...problem, outputPitch: pitch(problem.outputs) };
    },
  };
}

const small = { batch: 1, height: 6, width: 5, channels: 8 };
const whole = {
  bias: true,
  activation: 'none',
  scale: true,
  residual: true,
  finalActivation: 'relu',
} as const;

describeKernels(
  'convfirst',
  [
    convFirst(small, 3),
    convFirst({ batch: 2, height: 4, width: 19, channels: 16 }, 3),
    convFirst({ batch: 1, height: 1, width: 1, channels: 8 }, 2),
    convFirst({ batch: 1, height: 7, width: 33, channels: 24 }, 6, { epilogue: whole }),
    convFirst(small, 3, { spatialBias: false, hiddenBias: false, epilogue: NO_EPILOGUE }),
    convFirst(small, 3, { outputs: 13, activation: 'sigmoid', epilogue: { ...NO_EPILOGUE, bias: true } }),
    convFirst(small, 70, { activation: 'gelu' }),
    convFirst({ ...small, channels: 16 }, 2, { groups: 1 }),
    convFirst(small, 2, { kernelHeight: 5, kernelWidth: 1 }),
    convFirst(small, 2, { kernelHeight: 1, kernelWidth: 7 }),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels('convfirst: a pitch of more than the channels, as in ConvFirst-Tiny', [
  { ...convFirst({ batch: 1, height: 8, width: 32, channels: 72 }, 6), onDevices: bestOfEach },
]);

/** As in Fig. 6c: without a shortcut. */
function strided(
  sizes: Sizes,
  expansion: number,
  outputs: number,
  changes: Partial<ConvFirstProblem> = {},
): KernelCase {
  const epilogue = { ...NO_EPILOGUE, bias: true };
  return convFirst(sizes, expansion, { stride: 2, outputs, epilogue, ...changes });
}

describeKernels(
  'convfirst with a stride',
  [
    strided(small, 3, 16),
    strided({ batch: 2, height: 8, width: 38, channels: 16 }, 3, 24),
    strided({ batch: 1, height: 7, width: 35, channels: 24 }, 6, 48),
    strided({ batch: 1, height: 1, width: 1, channels: 8 }, 2, 8),
    strided({ batch: 1, height: 2, width: 3, channels: 8 }, 2, 13),
    strided(small, 2, 8, { epilogue: whole, spatialBias: false, hiddenBias: false }),
    strided({ ...small, channels: 16 }, 2, 16, { groups: 1 }),
    strided(small, 2, 16, { stride: 3, kernelHeight: 5, kernelWidth: 1 }),
    strided({ ...small, width: 12 }, 2, 16, { kernelHeight: 1, kernelWidth: 7 }),
    strided({ batch: 1, height: 4, width: 16, channels: 72 }, 2, 24),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

test('units that are as wide as vectors of two groups are used', () => {
  const problem = convFirst({ batch: 1, height: 32, width: 32, channels: 96 }, 6).problem(
    (channels) => channels,
  );
  const [wide, split] = [16, 8].map((fullRateLanes) => {
    const caps = { ...interpreterCaps([16, 8, 4]), fullRateLanes };
    const best = (lanes: number): number =>
      Math.min(
        ...candidates(problem, caps)
          .filter(({ config }) => config.lanes === lanes)
          .map(({ estimate }) => estimate),
      );
    return best(8) / best(16);
  });
  // Twice the arithmetic a cycle, or the same.
  expect(wide).toBeGreaterThan(1.7);
  expect(split).toBeLessThan(1.3);
});

test('cost counts all three layers', () => {
  const problem = convFirst(small, 3).problem((channels) => channels);
  expect(signature(problem).cost).toEqual({
    macs: 30 * (8 * 72 + 2 * 8 * 24),
    bytes: 4 * (3 * 30 * 8 + 8 * 72 + 8 + 2 * 8 * 24 + 24 + 8),
    depth: 72 + 8 + 24,
  });
});

test.each([
  [{ groups: 3 }, /groups of a convfirst must divide its channels: 3 does not divide 8/],
  [{ kernelWidth: 4 }, /kernel of a convfirst must be odd, got 3×4/],
])('%o is refused', (changes, message) => {
  const problem = convFirst(small, 3, changes).problem((channels) => channels);
  expect(() => signature(problem)).toThrow(message);
});
