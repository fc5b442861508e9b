import { expect, test } from 'vitest';
import { NO_EPILOGUE, samePadding } from '../../src/kernels/problem.ts';
import type { MBConvProblem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { allButNative, bestOfEach, describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

type Sizes = Pick<MBConvProblem, 'batch' | 'height' | 'width' | 'channels'>;

/** An EfficientNet block, with changes. */
function mbConv(sizes: Sizes, expansion: number, changes: Partial<MBConvProblem> = {}): KernelCase {
  const { batch, height, width, channels } = sizes;
  return {
    name: `${batch}×${height}×${width}×${channels} ${JSON.stringify(changes)}`,
    problem: (pitch): MBConvProblem => {
      const hidden = expansion * channels;
      const problem: MBConvProblem = {
        op: 'mbconv',
        batch,
        height,
        width,
        channels,
        hidden,
        groups: hidden,
        kernelHeight: 3,
        kernelWidth: 3,
        stride: 1,
        dilation: 1,
        padding: samePadding(3, 3),
        outputs: channels,
        inputPitch: pitch(channels),
        outputPitch: pitch(channels),
        ...(expansion > 1 && { expand: { bias: true, activation: 'silu' } }),
        spatial: { bias: true, activation: 'silu' },
        squeeze: { channels: Math.max(1, channels >> 2), activation: 'silu' },
        epilogue: { ...NO_EPILOGUE, bias: true },
        ...changes,
      };
      return { ...problem, outputPitch: pitch(problem.outputs) };
    },
  };
}

const small = { batch: 2, height: 6, width: 5, channels: 8 };
const residual = { epilogue: { ...NO_EPILOGUE, bias: true, residual: true } };
const whole = {
  bias: true,
  activation: 'none',
  scale: true,
  residual: true,
  finalActivation: 'relu',
} as const;
const five = { kernelHeight: 5, kernelWidth: 5, padding: samePadding(5, 5) };
const relu6 = { bias: true, activation: 'relu6' } as const;
const { squeeze: _, ...ungated } = mbConv(small, 6).problem((channels) => channels) as MBConvProblem;

/** MobileNetV2's blocks have no squeeze-and-excitation. */
function withoutGate(test: KernelCase): KernelCase {
  return {
    ...test,
    name: `${test.name} without gate`,
    problem: (pitch) => {
      const { squeeze: _, ...problem } = test.problem(pitch) as MBConvProblem;
      return problem;
    },
  };
}

describeKernels(
  'mbconv',
  [
    mbConv(small, 6),
    mbConv(small, 4, residual),
    mbConv({ batch: 1, height: 9, width: 19, channels: 16 }, 3, { ...five, ...residual }),
    mbConv({ ...small, channels: 6 }, 3, { stride: 2 }),
    mbConv({ batch: 3, height: 7, width: 7, channels: 8 }, 6, { ...five, stride: 2, outputs: 13 }),
    mbConv(small, 2, { padding: { top: 0, bottom: 1, left: 0, right: 1 }, stride: 2 }),
    mbConv(small, 2, { padding: { top: 0, bottom: 0, left: 0, right: 0 }, epilogue: NO_EPILOGUE }),
    mbConv(small, 1),
    withoutGate(mbConv(small, 1, { outputs: 5 })),
    withoutGate(mbConv(small, 6, { expand: relu6, spatial: relu6, ...residual })),
    withoutGate(mbConv({ batch: 1, height: 8, width: 33, channels: 24 }, 3, { epilogue: whole, stride: 2 })),
    mbConv({ batch: 1, height: 1, width: 1, channels: 8 }, 2),
    // Chunks of channels that do not divide evenly among tasks.
    mbConv({ batch: 1, height: 5, width: 4, channels: 24 }, 11),
    mbConv(small, 4, { groups: 4, squeeze: { channels: 2, activation: 'relu' }, ...residual }),
    mbConv({ ...small, channels: 24 }, 2, { groups: 6, expand: { bias: false, activation: 'sigmoid' } }),
    mbConv(small, 2, {
      kernelHeight: 3,
      kernelWidth: 1,
      padding: samePadding(3, 1),
      spatial: { bias: false, activation: 'gelu' },
    }),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels('mbconv: blocks of networks', [
  {
    ...mbConv({ batch: 2, height: 14, width: 14, channels: 80 }, 6, { ...five, outputs: 112 }),
    onDevices: bestOfEach,
  },
  {
    ...mbConv({ batch: 1, height: 8, width: 8, channels: 128 }, 4, { groups: 64, ...residual }),
    onDevices: bestOfEach,
  },
]);

test('cost counts all layers, the gate once an image', () => {
  const problem = mbConv(small, 6).problem((channels) => channels);
  expect(signature(problem).cost).toEqual({
    macs: 2 * (30 * 48 * (8 + 9 + 8) + 2 * 48 * 2),
    bytes: 4 * (2 * 60 * 8 + 2 * 8 * 48 + 9 * 48 + 2 * 2 * 48 + 2 + 3 * 48 + 8),
    depth: 8 + 9 + 48 + 48 + 2 + 30,
  });
});

test.each([
  [{ groups: 5 }, /groups of an mbconv must divide its hidden channels: 5 does not divide 48/],
  [
    { squeeze: { channels: 0, activation: 'relu' } },
    /squeezed channels of an mbconv must be a positive integer, got 0/,
  ],
] as const)('%o is refused', (changes, message) => {
  const problem = mbConv(small, 6, changes).problem((channels) => channels);
  expect(() => signature(problem)).toThrow(message);
});

test('hidden channels that nothing expands are refused', () => {
  const { expand: _, ...problem } = ungated;
  expect(() => signature(problem)).toThrow(/does not expand must be its 8 channels, got 48/);
});
