import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { BatchNormProblem } from '../../kernels/problem.ts';
import { activate } from '../activations.ts';
import type { Parameter } from '../graph.ts';
import type { BatchNormOp, ConvOp, OpDefinition } from '../op.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y = activation((x − running_mean) / √(running_var + epsilon) · weight + bias). */
export function batchNorm(problem: BatchNormProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { rows, channels, pitch, epsilon, activation } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = tensorNamed(weights, 'weight');
  const bias = tensorNamed(weights, 'bias');
  const mean = tensorNamed(weights, 'running_mean');
  const variance = tensorNamed(weights, 'running_var');
  const y = new Float64Array(rows * pitch);
  for (let row = 0; row < rows * pitch; row += pitch) {
    for (let c = 0; c < channels; c++) {
      const normal = (at(x, row + c) - at(mean, c)) / Math.sqrt(at(variance, c) + epsilon);
      y[row + c] = activate(activation, normal * at(weight, c) + at(bias, c));
    }
  }
  return y;
}

export const batchNormDefinition: OpDefinition<BatchNormOp> = {
  shape: (_, inputs) => onlyInput('batch-norm', inputs),
  lower: ({ epsilon, activation }, { output, pitch }) => ({
    problem: {
      op: 'batch-norm',
      rows: rowsOf(output),
      channels: output[3],
      pitch: pitch(output[3]),
      epsilon,
      activation,
    },
    inputs: ['x'],
  }),
  /**
   * With frozen statistics: dx = dy · weight / √(running_var + epsilon), dweight = Σ dy · x̂, dbias = Σ dy. What follows
   * from the statistics alone are derived parameters, constants of the training.
   */
  gradient(node, dy, g) {
    const [x] = node.inputs;
    const { weight, running_mean: mean, running_var: variance } = node.parameters;
    if (x === undefined || weight === undefined || mean === undefined || variance === undefined) {
      throw invalidArgument(`${node.name} needs an input, a weight and running statistics.`);
    }
    const { epsilon, activation } = node.op;
    if (activation !== 'none') {
      throw invalidArgument(`${node.name} has no gradient with an activation: split it off first.`);
    }
    const constant = (what: string, value: (variance: number) => number): Parameter => ({
      key: `${what} of ${variance.key}`,
      shape: variance.shape,
      buffer: true,
      derivation: { from: [variance], compute: ([v = new Float32Array()]) => v.map(value) },
    });
    const statistics = { running_mean: mean, running_var: variance };
    const normalized = () =>
      g.make({ type: 'batch-norm', epsilon, activation }, [x], {
        ...statistics,
        weight: constant('ones', () => 1),
        bias: constant('zeros', () => 0),
      });
    const scale = constant('1/√(variance + ε)', (v) => 1 / Math.sqrt(v + epsilon));
    const sum = { type: 'pixel-sum', of: 'batch' } as const;
    return {
      inputs: [g.wantsInput(0) ? g.make(channelFactors(x.shape[3]), [dy], { weight, scale }) : undefined],
      parameters: {
        ...(g.wantsParameter('bias') && { bias: g.make({ ...sum, product: false }, [dy]) }),
        ...(g.wantsParameter('weight') && { weight: g.make({ ...sum, product: true }, [normalized(), dy]) }),
      },
    };
  },
};

/** y[c] = x[c] · weight[c] · scale[c], as a 1×1 depthwise convolution. */
function channelFactors(channels: number): ConvOp {
  return {
    type: 'conv',
    outputs: channels,
    groups: channels,
    kernelHeight: 1,
    kernelWidth: 1,
    stride: 1,
    dilation: 1,
    padding: { top: 0, bottom: 0, left: 0, right: 0 },
    epilogue: { ...NO_EPILOGUE, scale: true },
  };
}
