import { outputMap } from '../../kernels/problem.ts';
import type { DepthwiseProblem } from '../../kernels/problem.ts';
import type { DepthwiseWeightGradientProblem } from '../../kernels/training/problems.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import type { DepthwiseWeightGradientOp } from '../training-ops.ts';
import type { OpDefinition } from '../op.ts';
import { forEachTap, gradientInputs, windowOf } from './window.ts';

/**
 * y[n, oy, ox, c] = Σ x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, c] · weight[c, 0, ky, kx], or
 * · weight[c, 0, kernelHeight − 1 − ky, kernelWidth − 1 − kx] for an adjoint.
 */
export function depthwise(problem: DepthwiseProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { batch, channels, pitch, epilogue, adjoint } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = tensorNamed(weights, 'weight');
  const taps = problem.kernelHeight * problem.kernelWidth;
  const out = outputMap(problem);
  const y = new Float64Array(batch * out.height * out.width * pitch);
  forEachTap(problem, (outputPixel, inputPixel, tap) => {
    for (let c = 0; c < channels; c++) {
      const product = at(x, inputPixel * pitch + c) * at(weight, c * taps + (adjoint ? taps - 1 - tap : tap));
      y[outputPixel * pitch + c] = at(y, outputPixel * pitch + c) + product;
    }
  });
  applyEpilogue(epilogue, inputs, weights, y, channels, pitch);
  return y;
}

/** dweight[c, 0, ky, kx] = Σ dy[n, oy, ox, c] · x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, c]. */
export function depthwiseWeightGradient(
  problem: DepthwiseWeightGradientProblem,
  inputs: Tensors,
): Float64Array {
  const { channels, pitch, gradientPitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const taps = problem.kernelHeight * problem.kernelWidth;
  const dweight = new Float64Array(gradientPitch);
  forEachTap(problem, (outputPixel, inputPixel, tap) => {
    for (let c = 0; c < channels; c++) {
      const product = at(dy, outputPixel * pitch + c) * at(x, inputPixel * pitch + c);
      dweight[c * taps + tap] = at(dweight, c * taps + tap) + product;
    }
  });
  return dweight;
}

export const depthwiseWeightGradientDefinition: OpDefinition<DepthwiseWeightGradientOp> = {
  shape(op, inputs) {
    const [x] = gradientInputs(op, inputs);
    return [1, 1, 1, x[3] * op.kernelHeight * op.kernelWidth];
  },
  lower(op, { inputs, output, pitch }) {
    const [[batch, height, width, channels]] = gradientInputs(op, inputs);
    return {
      problem: {
        op: op.type,
        ...windowOf(op, batch, height, width),
        channels,
        pitch: pitch(channels),
        gradientPitch: pitch(output[3]),
      },
      inputs: ['x', 'dy'],
    };
  },
};
