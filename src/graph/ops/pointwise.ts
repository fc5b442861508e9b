import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { PointwiseProblem } from '../../kernels/problem.ts';
import type { PointwiseWeightGradientProblem } from '../../kernels/training/problems.ts';
import type { LinearOp, OpDefinition } from '../op.ts';
import type { PointwiseWeightGradientOp } from '../training-ops.ts';
import { expectCounts, inputCount, onlyInput, rowsOf } from './shape-rules.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { biasGradient, plainEpilogue } from './layer-gradient.ts';

/** y[row, o] = Σ x[row, i] · weight[o, i], or · weight[i, o] for an adjoint. */
export function pointwise(problem: PointwiseProblem, inputTensors: Tensors, weights: Tensors): Float64Array {
  const { rows, inputs, outputs, inputPitch, outputPitch, epilogue, adjoint } = problem;
  const x = tensorNamed(inputTensors, 'x');
  const weight = tensorNamed(weights, 'weight');
  const y = new Float64Array(rows * outputPitch);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) {
        sum += at(x, row * inputPitch + i) * at(weight, adjoint ? i * outputs + o : o * inputs + i);
      }
      y[row * outputPitch + o] = sum;
    }
  }
  applyEpilogue(epilogue, inputTensors, weights, y, outputs, outputPitch);
  return y;
}

/** A linear layer is a matrix product over pixels. */
export const linearDefinition: OpDefinition<LinearOp> = {
  shape(op, inputs) {
    const [batch, height, width] = onlyInput('linear', inputs, op.epilogue.residual);
    expectCounts('linear', { outputs: op.outputs });
    return [batch, height, width, op.outputs];
  },
  lower({ outputs, epilogue, adjoint }, { inputs: [input], output, pitch }) {
    const channels = (input ?? output)[3];
    return {
      problem: {
        op: 'pointwise',
        rows: rowsOf(output),
        inputs: channels,
        outputs,
        inputPitch: pitch(channels),
        outputPitch: pitch(outputs),
        epilogue,
        ...(adjoint && { adjoint }),
      },
      inputs: epilogue.residual ? ['x', 'residual'] : ['x'],
    };
  },
  /** dx = dy · weight, dweight = dyᵀ · x, dbias = Σ dy. */
  gradient(node, dy, g) {
    const [x] = node.inputs;
    const { weight } = node.parameters;
    plainEpilogue(node);
    if (x === undefined || weight === undefined)
      throw invalidArgument(`${node.name} needs an input and a weight.`);
    const op: LinearOp = { type: 'linear', outputs: x.shape[3], epilogue: NO_EPILOGUE, adjoint: true };
    return {
      inputs: [g.wantsInput(0) ? g.make(op, [dy], { weight }) : undefined],
      parameters: {
        ...(g.wantsParameter('weight') && { weight: g.make({ type: 'pointwise-weight-gradient' }, [x, dy]) }),
        ...biasGradient(dy, g),
      },
    };
  },
};

/** dweight[o, i] = Σ over rows of dy[row, o] · x[row, i]. */
export function pointwiseWeightGradient(
  problem: PointwiseWeightGradientProblem,
  tensors: Tensors,
): Float64Array {
  const { rows, inputs, outputs, inputPitch, outputPitch, gradientPitch } = problem;
  const x = tensorNamed(tensors, 'x');
  const dy = tensorNamed(tensors, 'dy');
  const dweight = new Float64Array(gradientPitch);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) {
        const product = at(dy, row * outputPitch + o) * at(x, row * inputPitch + i);
        dweight[o * inputs + i] = at(dweight, o * inputs + i) + product;
      }
    }
  }
  return dweight;
}

export const pointwiseWeightGradientDefinition: OpDefinition<PointwiseWeightGradientOp> = {
  shape({ type }, inputs) {
    const [x, dy] = inputCount(type, inputs, 2);
    if (x === undefined || dy === undefined || rowsOf(x) !== rowsOf(dy)) {
      throw invalidArgument(
        `The inputs of a ${type} must have as many pixels, got [${x?.join(', ')}] and [${dy?.join(', ')}].`,
      );
    }
    return [1, 1, 1, dy[3] * x[3]];
  },
  lower({ type }, { inputs: [x, dy], output, pitch }) {
    const [rows, inputs, outputs] = [rowsOf(x ?? output), (x ?? output)[3], (dy ?? output)[3]];
    return {
      problem: {
        op: type,
        rows,
        inputs,
        outputs,
        inputPitch: pitch(inputs),
        outputPitch: pitch(outputs),
        gradientPitch: pitch(output[3]),
      },
      inputs: ['x', 'dy'],
    };
  },
};
