import { invalidArgument } from '../../core/errors.ts';
import type { ConvOp, OpDefinition } from '../op.ts';
import { outputMap } from '../../kernels/problem.ts';
import type { ConvProblem } from '../../kernels/problem.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { onlyInput } from './shape-rules.ts';
import { forEachTap } from './window.ts';

/**
 * y[n, oy, ox, o] = Σ x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, g·I + i] · weight[o, i, ky, kx],
 * where I = inputs / groups and g = ⌊o / (outputs / groups)⌋ is the group of output channel o.
 */
export function conv(problem: ConvProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { batch, outputs, inputPitch, outputPitch, epilogue } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = tensorNamed(weights, 'weight');
  const taps = problem.kernelHeight * problem.kernelWidth;
  const groupInputs = problem.inputs / problem.groups;
  const groupOutputs = outputs / problem.groups;
  const out = outputMap(problem);
  const y = new Float64Array(batch * out.height * out.width * outputPitch);
  forEachTap(problem, (outputPixel, inputPixel, tap) => {
    for (let o = 0; o < outputs; o++) {
      const first = inputPixel * inputPitch + Math.floor(o / groupOutputs) * groupInputs;
      let sum = 0;
      for (let i = 0; i < groupInputs; i++) {
        sum += at(x, first + i) * at(weight, (o * groupInputs + i) * taps + tap);
      }
      y[outputPixel * outputPitch + o] = at(y, outputPixel * outputPitch + o) + sum;
    }
  });
  applyEpilogue(epilogue, inputs, weights, y, outputs, outputPitch);
  return y;
}

/** Lowers to a matrix product for 1×1 at stride 1, to a depthwise kernel for groups of one channel, else to `conv`. */
export const convDefinition: OpDefinition<ConvOp> = {
  shape(op, inputs) {
    const [batch, height, width, channels] = onlyInput('conv', inputs, op.epilogue.residual);
    if (channels % op.groups !== 0 || op.outputs % op.groups !== 0) {
      throw invalidArgument(
        `The groups of a conv must divide its channels: ${op.groups} does not divide ${channels} and ${op.outputs}.`,
      );
    }
    const out = outputMap({ ...op, batch, height, width });
    if (out.height < 1 || out.width < 1) {
      throw invalidArgument(
        `This ${op.kernelHeight}×${op.kernelWidth} conv has no output on a map of ${height}×${width} pixels: use a larger input.`,
      );
    }
    return [batch, out.height, out.width, op.outputs];
  },
  lower(op, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    const { outputs, groups, epilogue, padding, ...rest } = op;
    const { kernelHeight, kernelWidth, stride, dilation } = rest;
    const window = { batch, height, width, kernelHeight, kernelWidth, stride, dilation, padding };
    const names = epilogue.residual ? ['x', 'residual'] : ['x'];
    const noPadding = Object.values(padding).every((side) => side === 0);
    if (groups === 1 && kernelHeight === 1 && kernelWidth === 1 && stride === 1 && noPadding) {
      return {
        problem: {
          op: 'pointwise',
          rows: batch * height * width,
          inputs: channels,
          outputs,
          inputPitch: pitch(channels),
          outputPitch: pitch(outputs),
          epilogue,
        },
        inputs: names,
      };
    }
    if (groups === channels && groups === outputs) {
      return {
        problem: { op: 'depthwise', ...window, channels, pitch: pitch(channels), epilogue },
        inputs: names,
      };
    }
    return {
      problem: {
        op: 'conv',
        ...window,
        inputs: channels,
        outputs,
        groups,
        inputPitch: pitch(channels),
        outputPitch: pitch(outputs),
        epilogue,
      },
      inputs: names,
    };
  },
};
