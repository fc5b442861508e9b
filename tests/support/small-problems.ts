import { Random } from '../../src/core/random.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { PointwiseProblem, Problem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';

/** A matrix product that takes microseconds and has several candidates everywhere. */
export const product: PointwiseProblem = {
  op: 'pointwise',
  rows: 12,
  inputs: 16,
  outputs: 32,
  inputPitch: 16,
  outputPitch: 32,
  epilogue: { ...NO_EPILOGUE, bias: true },
};

/** Weights of a problem, the same every time. */
export function randomWeights(problem: Problem): Record<string, Float32Array> {
  return Object.fromEntries(
    signature(problem).weights.map(({ name, shape }) => [
      name,
      new Random(name).array(shape.reduce((a, b) => a * b, 1)),
    ]),
  );
}
