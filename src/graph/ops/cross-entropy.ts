import { invalidArgument } from '../../core/errors.ts';
import type { CrossEntropyGradientProblem, CrossEntropyProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition } from '../op.ts';
import type { CrossEntropyGradientOp, CrossEntropyOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { expectShape, inputCount, pairShape, rowsOf } from './shape-rules.ts';

/** y[row] = −Σ target[row, c] · log softmax(x[row])[c]. */
export function crossEntropy(problem: CrossEntropyProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch, lossPitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const target = tensorNamed(inputs, 'target');
  const y = new Float64Array(rows * lossPitch);
  for (let row = 0; row < rows; row++) {
    const logSum = logSumExp(x, row * pitch, channels);
    let sum = 0;
    for (let i = row * pitch; i < row * pitch + channels; i++) sum -= at(target, i) * (at(x, i) - logSum);
    y[row * lossPitch] = sum;
  }
  return y;
}

/** dx[row, c] = dy[row] · (softmax(x[row])[c] · Σ target[row] − target[row, c]). */
export function crossEntropyGradient(problem: CrossEntropyGradientProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitch, lossPitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const target = tensorNamed(inputs, 'target');
  const dy = tensorNamed(inputs, 'dy');
  const dx = new Float64Array(rows * pitch);
  for (let row = 0; row < rows; row++) {
    const logSum = logSumExp(x, row * pitch, channels);
    let total = 0;
    for (let i = row * pitch; i < row * pitch + channels; i++) total += at(target, i);
    for (let i = row * pitch; i < row * pitch + channels; i++) {
      dx[i] = at(dy, row * lossPitch) * (Math.exp(at(x, i) - logSum) * total - at(target, i));
    }
  }
  return dx;
}

/** log Σ e^x over the channels of a row, without overflow. */
function logSumExp(x: Tensors[string], first: number, channels: number): number {
  let largest = -Infinity;
  for (let c = 0; c < channels; c++) largest = Math.max(largest, at(x, first + c));
  let sum = 0;
  for (let c = 0; c < channels; c++) sum += Math.exp(at(x, first + c) - largest);
  return largest + Math.log(sum);
}

export const crossEntropyDefinition: OpDefinition<CrossEntropyOp> = {
  shape({ type }, inputs) {
    const [batch, height, width] = pairShape(type, inputs);
    return [batch, height, width, 1];
  },
  lower({ type }, { inputs: [x], output, pitch }) {
    const channels = (x ?? output)[3];
    return {
      problem: { op: type, rows: rowsOf(output), channels, pitch: pitch(channels), lossPitch: pitch(1) },
      inputs: ['x', 'target'],
    };
  },
  gradient(node, dy, g) {
    if (g.wantsInput(1)) {
      throw invalidArgument(`${node.name} has no gradient to its target, which is to be an input.`);
    }
    return { inputs: [g.make({ type: 'cross-entropy-gradient' }, [...node.inputs, dy])], parameters: {} };
  },
};

export const crossEntropyGradientDefinition: OpDefinition<CrossEntropyGradientOp> = {
  shape({ type }, inputs) {
    const [x, target, dy] = inputCount(type, inputs, 3);
    const shape = pairShape(
      type,
      [x, target].flatMap((input) => (input ? [input] : [])),
    );
    const [batch, height, width] = shape;
    expectShape(type, 'output gradient', dy, [batch, height, width, 1]);
    return shape;
  },
  lower({ type }, { output, pitch }) {
    return {
      problem: {
        op: type,
        rows: rowsOf(output),
        channels: output[3],
        pitch: pitch(output[3]),
        lossPitch: pitch(1),
      },
      inputs: ['x', 'target', 'dy'],
    };
  },
};
