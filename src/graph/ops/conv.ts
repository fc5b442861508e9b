import { outputMap } from '../../kernels/problem.ts';
import type { ConvProblem } from '../../kernels/problem.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
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
