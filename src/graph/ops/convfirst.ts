import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE, productInputs, samePadding } from '../../kernels/problem.ts';
import type { ConvFirstProblem } from '../../kernels/problem.ts';
import type { ConvFirstOp, OpDefinition } from '../op.ts';
import { tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { blurPool } from './blur-pool.ts';
import { concat } from './concat.ts';
import { conv } from './conv.ts';
import { ffn } from './ffn.ts';
import { onlyInput } from './shape-rules.ts';

/**
 * A grouped convolution with zeros around the map; with a stride, x beside it, both blurred and subsampled; then an
 * `ffn` without a norm.
 */
export function convFirst(problem: ConvFirstProblem, tensors: Tensors, weights: Tensors): Float64Array {
  const { batch, height, width, channels, groups, kernelHeight, kernelWidth, stride, ...rest } = problem;
  const { spatialBias, inputPitch, ...block } = rest;
  const x = tensorNamed(tensors, 'x');
  const map = { batch, height, width, kernelHeight, kernelWidth, stride: 1, dilation: 1 };
  const spatial = conv(
    {
      op: 'conv',
      ...map,
      padding: samePadding(kernelHeight, kernelWidth),
      inputs: channels,
      outputs: channels,
      groups,
      inputPitch,
      outputPitch: inputPitch,
      epilogue: { ...NO_EPILOGUE, bias: spatialBias },
    },
    { x },
    {
      weight: tensorNamed(weights, 'spatial'),
      ...(spatialBias && { bias: tensorNamed(weights, 'spatial_bias') }),
    },
  );
  const rows = batch * Math.ceil(height / stride) * Math.ceil(width / stride);
  const inputs = productInputs(problem);
  const products = { ...block, op: 'ffn', rows, inputs } as const;
  if (stride === 1) return ffn({ ...products, inputPitch }, { ...tensors, x: spatial }, weights);
  const pitches = [inputPitch, inputPitch];
  const joined = concat(
    {
      op: 'concat',
      rows: batch * height * width,
      channels: [channels, channels],
      pitches,
      outputPitch: inputs,
    },
    { x: spatial, x1: x },
  );
  const blurred = blurPool(
    { op: 'blur-pool', batch, height, width, channels: inputs, pitch: inputs, stride },
    { x: joined },
  );
  return ffn({ ...products, inputPitch: inputs }, { ...tensors, x: blurred }, weights);
}

/** What `fuseConvFirst` makes of a ConvFirst block. */
export const convFirstDefinition: OpDefinition<ConvFirstOp> = {
  shape(op, inputs) {
    const [batch, height, width, channels] = onlyInput('convfirst', inputs, op.epilogue.residual);
    if (channels % op.groups !== 0) {
      throw invalidArgument(
        `The groups of a convfirst must divide its channels: ${op.groups} does not divide ${channels}.`,
      );
    }
    return [batch, Math.ceil(height / op.stride), Math.ceil(width / op.stride), op.outputs];
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
