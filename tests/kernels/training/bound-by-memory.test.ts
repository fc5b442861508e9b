import type { Activation } from '../../../src/kernels/problem.ts';
import { samePadding } from '../../../src/kernels/problem.ts';
import type { TrainingProblem } from '../../../src/kernels/training/problems.ts';
import { describeKernels } from '../../support/kernel-harness.ts';
import type { KernelCase } from '../../support/kernel-harness.ts';

type Pitch = (channels: number) => number;

function shaped(name: string, problem: (pitch: Pitch) => TrainingProblem): KernelCase {
  return { name, problem };
}

/** Rows and channels: one chunk, several, the last one short, channels that fill no vector. */
const SHAPES = [
  [1, 3],
  [7, 20],
  [300, 64],
  [1000, 37],
] as const;

describeKernels(
  'pixel-sum',
  SHAPES.flatMap(([pixels, channels]) =>
    [false, true].flatMap((product) =>
      [1, 3].map((batch) =>
        shaped(`${batch}×${pixels}×${channels}${product ? ' of products' : ''}`, (pitch) => ({
          op: 'pixel-sum',
          ...{ batch, pixels, channels, product },
          pitch: pitch(channels),
        })),
      ),
    ),
  ),
);

describeKernels(
  'batch norm in training',
  SHAPES.flatMap(([rows, channels]) => {
    const facts = (pitch: Pitch) => ({ rows, channels, pitch: pitch(channels) });
    // Without epsilon, padding has neither variance nor anything in its place.
    const epsilon = channels % 4 === 0 ? 1e-5 : 0;
    return [
      shaped(`statistics ${rows}×${channels}`, (pitch) => ({ op: 'batch-statistics', ...facts(pitch) })),
      shaped(`normalize ${rows}×${channels}`, (pitch) => ({
        op: 'batch-normalize',
        ...facts(pitch),
        epsilon,
      })),
      shaped(`sums ${rows}×${channels}`, (pitch) => ({ op: 'batch-norm-sums', ...facts(pitch), epsilon })),
      shaped(`gradient ${rows}×${channels}`, (pitch) => ({
        op: 'batch-norm-gradient',
        ...facts(pitch),
        epsilon,
      })),
    ];
  }),
);

describeKernels('batch statistics of values far from zero', [
  {
    name: 'mean 100',
    problem: (pitch) => ({ op: 'batch-statistics', rows: 500, channels: 20, pitch: pitch(20) }),
    input: (value) => 100 + value,
  },
]);

describeKernels(
  'layer norm gradients',
  SHAPES.filter(([, channels]) => channels > 3).flatMap(([rows, channels]) => [
    ...[false, true].map((affine) =>
      shaped(`input ${rows}×${channels}${affine ? ' affine' : ''}`, (pitch) => ({
        op: 'layer-norm-gradient',
        ...{ rows, channels, affine, epsilon: 1e-6 },
        pitch: pitch(channels),
      })),
    ),
    shaped(`weights ${rows}×${channels}`, (pitch) => ({
      op: 'layer-norm-sums',
      ...{ rows, channels, epsilon: 1e-6 },
      pitch: pitch(channels),
    })),
  ]),
);

const ACTIVATIONS: readonly Activation[] = ['none', 'relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'];

describeKernels(
  'activation-gradient',
  ACTIVATIONS.flatMap((activation) =>
    // The tolerance grows with the largest input, so small ones by themselves.
    [1, 8].map((largest) => ({
      name: `${activation}, inputs up to ${largest}`,
      problem: (pitch) => ({
        op: 'activation-gradient',
        rows: 50,
        channels: 21,
        pitch: pitch(21),
        activation,
      }),
      input: (value) => largest * value,
    })),
  ),
);

describeKernels(
  'maps and copies',
  [3, 24, 37].flatMap((channels) => [
    shaped(`pixel-broadcast ${channels}`, (pitch) => ({
      op: 'pixel-broadcast',
      ...{ batch: 3, pixels: 29, channels, factor: 1 / 29 },
      pitch: pitch(channels),
    })),
    shaped(`sample-scale ${channels}`, (pitch) => ({
      op: 'sample-scale',
      ...{ batch: 3, pixels: 29, channels },
      pitch: pitch(channels),
      scalePitch: pitch(1),
    })),
    ...[2, 3].map((stride) =>
      shaped(`zero-insert ${channels} stride ${stride}`, (pitch) => ({
        op: 'zero-insert',
        ...{ batch: 2, height: 3, width: 4, channels, stride },
        pitch: pitch(channels),
      })),
    ),
    ...[2, 4].map((factor) =>
      shaped(`pixel-shuffle ${channels} by ${factor}`, (pitch) => ({
        op: 'pixel-shuffle',
        ...{ batch: 2, height: 3, width: 4, channels, factor },
        inputPitch: pitch(channels * factor ** 2),
        outputPitch: pitch(channels),
      })),
    ),
    shaped(`channel-slice of ${channels + 19}`, (pitch) => ({
      op: 'channel-slice',
      ...{ rows: 40, inputs: channels + 19, range: [5, 5 + channels] },
      inputPitch: pitch(channels + 19),
      outputPitch: pitch(channels),
    })),
  ]),
);

describeKernels(
  'pool-gradient',
  (['max', 'average'] as const).flatMap((kind) =>
    [
      { kernelHeight: 3, kernelWidth: 3, stride: 2, dilation: 1, padding: samePadding(3, 3) },
      { kernelHeight: 2, kernelWidth: 2, stride: 2, dilation: 1, padding: samePadding(1, 1) },
      { kernelHeight: 3, kernelWidth: 2, stride: 1, dilation: 2, padding: samePadding(3, 2, 2) },
    ].flatMap((window) =>
      [false, true].map((countPadding) =>
        shaped(
          `${kind} ${window.kernelHeight}×${window.kernelWidth} stride ${window.stride} padding ${countPadding}`,
          (pitch) => ({
            op: 'pool-gradient',
            ...{ kind, batch: 2, height: 9, width: 8, channels: 20, countPadding },
            ...window,
            pitch: pitch(20),
          }),
        ),
      ),
    ),
  ),
);

describeKernels('gradients of filters', [
  ...[1, 2].flatMap((stride) =>
    [
      [7, 6],
      [1, 5],
      [2, 2],
    ].map(([height = 1, width = 1]) =>
      shaped(`blur-pool ${height}×${width} stride ${stride}`, (pitch) => ({
        op: 'blur-pool-gradient',
        ...{ batch: 2, height, width, channels: 20, stride },
        pitch: pitch(20),
      })),
    ),
  ),
  ...[false, true].flatMap((alignCorners) =>
    [
      [5, 4, 10, 9],
      [7, 6, 3, 4],
      [1, 1, 4, 4],
    ].map(([height = 1, width = 1, outHeight = 1, outWidth = 1]) =>
      shaped(
        `resize ${height}×${width} to ${outHeight}×${outWidth}${alignCorners ? ' aligned' : ''}`,
        (pitch) => ({
          op: 'resize-gradient',
          ...{ batch: 2, height, width, outHeight, outWidth, channels: 20, alignCorners },
          pitch: pitch(20),
        }),
      ),
    ),
  ),
]);

describeKernels(
  'rows of classes',
  [2, 10, 37, 1000].flatMap((channels) =>
    (['softmax-gradient', 'cross-entropy', 'cross-entropy-gradient'] as const).map((op) => ({
      name: `${op} ${channels}`,
      problem: (pitch: Pitch): TrainingProblem => {
        const rows = { rows: 5, channels, pitch: pitch(channels) };
        return op === 'softmax-gradient' ? { op, ...rows } : { op, ...rows, lossPitch: pitch(1) };
      },
      ...(op !== 'softmax-gradient' && { input: (value: number) => 6 * value }),
    })),
  ),
);
