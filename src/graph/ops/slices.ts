import { invalidArgument } from '../../core/errors.ts';
import type { ChannelSliceProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition } from '../op.ts';
import type { ChannelSliceOp, RowSliceOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';

/** y[row, c] = x[row, range[0] + c]. */
export function channelSlice(problem: ChannelSliceProblem, inputs: Tensors): Float64Array {
  const { rows, inputPitch, range, outputPitch } = problem;
  const [from, to] = range;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(rows * outputPitch);
  for (let row = 0; row < rows; row++) {
    for (let c = from; c < to; c++) y[row * outputPitch + c - from] = at(x, row * inputPitch + c);
  }
  return y;
}

export const channelSliceDefinition: OpDefinition<ChannelSliceOp> = {
  shape({ type, range: [from, to] }, inputs) {
    const [batch, height, width, channels] = onlyInput(type, inputs);
    if (from < 0 || to <= from || to > channels) {
      throw invalidArgument(`A ${type} of ${channels} channels cannot take those from ${from} to ${to}.`);
    }
    return [batch, height, width, to - from];
  },
  lower({ type, range }, { inputs: [input], output, pitch }) {
    const channels = (input ?? output)[3];
    return {
      problem: {
        op: type,
        rows: rowsOf(output),
        inputs: channels,
        inputPitch: pitch(channels),
        range,
        outputPitch: pitch(output[3]),
      },
      inputs: ['x'],
    };
  },
};

/** Rows that lie one behind the other are one long row, of which a slice of channels is wanted. */
export const rowSliceDefinition: OpDefinition<RowSliceOp> = {
  shape({ type, row }, inputs) {
    const [batch, height, rows, channels] = onlyInput(type, inputs);
    if (batch !== 1 || height !== 1 || row < 0 || row >= rows) {
      throw invalidArgument(`A ${type} cannot take row ${row} of [${inputs[0]?.join(', ')}].`);
    }
    return [1, 1, 1, channels];
  },
  lower({ row }, { inputs: [input], output, pitch }) {
    const stride = pitch(output[3]);
    const floats = (input ?? output)[2] * stride;
    return {
      problem: {
        op: 'channel-slice',
        rows: 1,
        inputs: floats,
        inputPitch: floats,
        range: [row * stride, row * stride + output[3]],
        outputPitch: stride,
      },
      inputs: ['x'],
    };
  },
};
