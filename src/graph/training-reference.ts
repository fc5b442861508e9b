import { invalidArgument } from '../core/errors.ts';
import type { TrainingProblem } from '../kernels/training-problems.ts';
import type { Tensors } from './tensors.ts';

/** What a problem of training means, as {@link reference}. */
export function trainingReference(problem: TrainingProblem, inputs: Tensors, weights: Tensors): Float64Array {
  void inputs;
  void weights;
  throw invalidArgument(`The meaning of ${problem.op} is not written down.`);
}
