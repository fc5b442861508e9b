import type { ConcatProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** The channels of `x`, `x1`, `x2`, … one after the other in each row. */
export function concat(problem: ConcatProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitches, outputPitch } = problem;
  const y = new Float64Array(rows * outputPitch);
  let first = 0;
  channels.forEach((count, i) => {
    const x = tensorNamed(inputs, i === 0 ? 'x' : `x${i}`);
    const pitch = pitches[i] ?? count;
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < count; c++) y[row * outputPitch + first + c] = at(x, row * pitch + c);
    }
    first += count;
  });
  return y;
}
