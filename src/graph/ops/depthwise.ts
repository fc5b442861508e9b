import { outputMap } from '../../kernels/problem.ts';
import type { DepthwiseProblem } from '../../kernels/problem.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { forEachTap } from './window.ts';

/** y[n, oy, ox, c] = Σ x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, c] · weight[c, 0, ky, kx]. */
export function depthwise(problem: DepthwiseProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { batch, channels, pitch, epilogue } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = tensorNamed(weights, 'weight');
  const taps = problem.kernelHeight * problem.kernelWidth;
  const out = outputMap(problem);
  const y = new Float64Array(batch * out.height * out.width * pitch);
  forEachTap(problem, (outputPixel, inputPixel, tap) => {
    for (let c = 0; c < channels; c++) {
      const product = at(x, inputPixel * pitch + c) * at(weight, c * taps + tap);
      y[outputPixel * pitch + c] = at(y, outputPixel * pitch + c) + product;
    }
  });
  applyEpilogue(epilogue, inputs, weights, y, channels, pitch);
  return y;
}
