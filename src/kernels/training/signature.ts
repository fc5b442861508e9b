import { invalidArgument } from '../../core/errors.ts';
import { outputMap } from '../problem.ts';
import type { Window } from '../problem.ts';
import type { TensorSpec } from '../signature.ts';
import type { TrainingProblem } from './problems.ts';

/** Tensors of a problem, what it multiplies, and how many terms its longest sum has. */
export interface Parts {
  readonly inputs: readonly TensorSpec[];
  readonly output: TensorSpec;
  readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly macs: number;
  readonly depth: number;
}

type MakeTensor = (name: string, rows: number, channels: number, pitch: number) => TensorSpec;

/** The signature of a problem of training, of tensors that `tensor` makes and checks. */
export function trainingParts(problem: TrainingProblem, tensor: MakeTensor): Parts {
  const none = { weights: [], macs: 0 };
  switch (problem.op) {
    case 'pointwise-weight-gradient': {
      const { rows, inputs, outputs, inputPitch, outputPitch, gradientPitch } = problem;
      return {
        inputs: [tensor('x', rows, inputs, inputPitch), tensor('dy', rows, outputs, outputPitch)],
        output: tensor('y', 1, inputs * outputs, gradientPitch),
        weights: [],
        macs: rows * inputs * outputs,
        depth: rows,
      };
    }
    case 'depthwise-weight-gradient': {
      const { batch, height, width, channels, pitch, gradientPitch } = problem;
      const taps = problem.kernelHeight * problem.kernelWidth;
      const rows = outputRows(problem);
      return {
        inputs: [tensor('x', batch * height * width, channels, pitch), tensor('dy', rows, channels, pitch)],
        output: tensor('y', 1, channels * taps, gradientPitch),
        weights: [],
        macs: rows * channels * taps,
        depth: rows,
      };
    }
    case 'conv-weight-gradient': {
      const { batch, height, width, inputs, outputs, groups, inputPitch, outputPitch, gradientPitch } =
        problem;
      const rows = outputRows(problem);
      const count = outputs * (inputs / groups) * problem.kernelHeight * problem.kernelWidth;
      return {
        inputs: [
          tensor('x', batch * height * width, inputs, inputPitch),
          tensor('dy', rows, outputs, outputPitch),
        ],
        output: tensor('y', 1, count, gradientPitch),
        weights: [],
        macs: rows * count,
        depth: rows,
      };
    }
    case 'pixel-sum': {
      const { batch, pixels, channels, pitch, product } = problem;
      const x = tensor('x', batch * pixels, channels, pitch);
      return {
        ...none,
        inputs: product ? [x, { ...x, name: 'x1' }] : [x],
        output: tensor('y', batch, channels, pitch),
        depth: pixels,
      };
    }
    case 'pixel-broadcast': {
      const { batch, pixels, channels, pitch } = problem;
      const output = tensor('y', batch * pixels, channels, pitch);
      return { ...none, inputs: [tensor('x', batch, channels, pitch)], output, depth: 1 };
    }
    case 'batch-statistics': {
      const { rows, channels, pitch } = problem;
      const output = tensor('y', 2, channels, pitch);
      return { ...none, inputs: [tensor('x', rows, channels, pitch)], output, depth: rows };
    }
    case 'batch-normalize': {
      const { rows, channels, pitch } = problem;
      return {
        inputs: [tensor('x', rows, channels, pitch), tensor('statistics', 2, channels, pitch)],
        output: tensor('y', rows, channels, pitch),
        weights: [
          { name: 'weight', shape: [channels] },
          { name: 'bias', shape: [channels] },
        ],
        macs: 0,
        depth: 2,
      };
    }
    case 'batch-norm-sums': {
      const { rows, channels, pitch } = problem;
      const x = tensor('x', rows, channels, pitch);
      const inputs = [x, { ...x, name: 'dy' }, tensor('statistics', 2, channels, pitch)];
      return { ...none, inputs, output: tensor('y', 2, channels, pitch), depth: rows };
    }
    case 'batch-norm-gradient': {
      const { rows, channels, pitch } = problem;
      const x = tensor('x', rows, channels, pitch);
      const statistics = tensor('statistics', 2, channels, pitch);
      return {
        inputs: [x, { ...x, name: 'dy' }, statistics, { ...statistics, name: 'sums' }],
        output: { ...x, name: 'y' },
        weights: [{ name: 'weight', shape: [channels] }],
        macs: 0,
        depth: 4,
      };
    }
    case 'layer-norm-gradient': {
      const { rows, channels, pitch, affine } = problem;
      const x = tensor('x', rows, channels, pitch);
      return {
        inputs: [x, { ...x, name: 'dy' }],
        output: { ...x, name: 'y' },
        weights: affine ? [{ name: 'weight', shape: [channels] }] : [],
        macs: 0,
        depth: channels,
      };
    }
    case 'layer-norm-sums': {
      const { rows, channels, pitch } = problem;
      const x = tensor('x', rows, channels, pitch);
      const output = tensor('y', 2, channels, pitch);
      return { ...none, inputs: [x, { ...x, name: 'dy' }], output, depth: rows };
    }
    case 'activation-gradient':
    case 'softmax-gradient': {
      const { rows, channels, pitch } = problem;
      const x = tensor('x', rows, channels, pitch);
      const depth = problem.op === 'softmax-gradient' ? channels : 1;
      return { ...none, inputs: [x, { ...x, name: 'dy' }], output: { ...x, name: 'y' }, depth };
    }
    case 'sample-scale': {
      const { batch, pixels, channels, pitch, scalePitch } = problem;
      const x = tensor('x', batch * pixels, channels, pitch);
      const inputs = [x, tensor('scale', batch, 1, scalePitch)];
      return { ...none, inputs, output: { ...x, name: 'y' }, depth: 1 };
    }
    case 'zero-insert': {
      const { batch, height, width, channels, pitch, stride } = problem;
      const rows = batch * ((height - 1) * stride + 1) * ((width - 1) * stride + 1);
      const x = tensor('x', batch * height * width, channels, pitch);
      return { ...none, inputs: [x], output: tensor('y', rows, channels, pitch), depth: 0 };
    }
    case 'pixel-shuffle': {
      const { batch, height, width, factor, channels, inputPitch, outputPitch } = problem;
      const x = tensor('x', batch * height * width, channels * factor ** 2, inputPitch);
      const rows = batch * height * width * factor ** 2;
      return { ...none, inputs: [x], output: tensor('y', rows, channels, outputPitch), depth: 0 };
    }
    case 'channel-slice': {
      const { rows, inputs, inputPitch, range, outputPitch } = problem;
      const x = tensor('x', rows, inputs, inputPitch);
      return { ...none, inputs: [x], output: tensor('y', rows, range[1] - range[0], outputPitch), depth: 0 };
    }
    case 'pool-gradient': {
      const { batch, height, width, channels, pitch, kernelHeight, kernelWidth } = problem;
      const x = tensor('x', batch * height * width, channels, pitch);
      const dy = tensor('dy', outputRows(problem), channels, pitch);
      return { ...none, inputs: [x, dy], output: { ...x, name: 'y' }, depth: kernelHeight * kernelWidth };
    }
    case 'blur-pool-gradient': {
      const { batch, height, width, channels, pitch, stride } = problem;
      const rows = batch * Math.ceil(height / stride) * Math.ceil(width / stride);
      const output = tensor('y', batch * height * width, channels, pitch);
      return { ...none, inputs: [tensor('dy', rows, channels, pitch)], output, depth: 9 };
    }
    case 'resize-gradient': {
      const { batch, height, width, outHeight, outWidth, channels, pitch } = problem;
      const inputs = [tensor('dy', batch * outHeight * outWidth, channels, pitch)];
      const depth = 4 * Math.ceil(outHeight / height) * Math.ceil(outWidth / width);
      return { ...none, inputs, output: tensor('y', batch * height * width, channels, pitch), depth };
    }
    case 'cross-entropy': {
      const { rows, channels, pitch, lossPitch } = problem;
      const x = tensor('x', rows, channels, pitch);
      const inputs = [x, { ...x, name: 'target' }];
      return { ...none, inputs, output: tensor('y', rows, 1, lossPitch), depth: channels };
    }
    case 'cross-entropy-gradient': {
      const { rows, channels, pitch, lossPitch } = problem;
      const x = tensor('x', rows, channels, pitch);
      const inputs = [x, { ...x, name: 'target' }, tensor('dy', rows, 1, lossPitch)];
      return { ...none, inputs, output: { ...x, name: 'y' }, depth: channels };
    }
    default:
      throw invalidArgument(`There is no op ${String((problem as { op: unknown }).op)}.`);
  }
}

function outputRows(window: Window): number {
  const out = outputMap(window);
  return window.batch * out.height * out.width;
}
