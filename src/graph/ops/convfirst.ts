import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE, samePadding } from '../../kernels/problem.ts';
import type { ConvFirstProblem } from '../../kernels/problem.ts';
import type { ConvFirstOp, OpDefinition } from '../op.ts';
import { tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { conv } from './conv.ts';
import { ffn } from './ffn.ts';
import { onlyInput } from './shape-rules.ts';

/** A grouped convolution with zeros around the map, then an `ffn` without a norm. */
export function convFirst(problem: ConvFirstProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { batch, height, width, channels, groups, kernelHeight, kernelWidth, spatialBias, ...block } =
    problem;
  const map = { batch, height, width, kernelHeight, kernelWidth, stride: 1, dilation: 1 };
  const spatial = conv(
    {
      op: 'conv',
      ...map,
      padding: samePadding(kernelHeight, kernelWidth),
      inputs: channels,
      outputs: channels,
      groups,
      inputPitch: problem.inputPitch,
      outputPitch: problem.inputPitch,
      epilogue: { ...NO_EPILOGUE, bias: spatialBias },
    },
    { x: tensorNamed(inputs, 'x') },
    {
      weight: tensorNamed(weights, 'spatial'),
      ...(spatialBias && { bias: tensorNamed(weights, 'spatial_bias') }),
    },
  );
  const rows = batch * height * width;
  return ffn({ ...block, op: 'ffn', rows, inputs: channels }, { ...inputs, x: spatial }, weights);
}

/** What `fuseBlocks` makes of a ConvFirst block. */
export const convFirstDefinition: OpDefinition<ConvFirstOp> = {
  shape(op, inputs) {
    const [batch, height, width, channels] = onlyInput('convfirst', inputs, op.epilogue.residual);
    if (channels % op.groups !== 0) {
      throw invalidArgument(
        `The groups of a convfirst must divide its channels: ${op.groups} does not divide ${channels}.`,
      );
    }
    return [batch, height, width, op.outputs];
  },
  lower({ type, ...op }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: {
        op: type,
        batch,
        height,
        width,
        channels,
        inputPitch: pitch(channels),
        outputPitch: pitch(op.outputs),
        ...op,
      },
      inputs: op.epilogue.residual ? ['x', 'residual'] : ['x'],
    };
  },
};
