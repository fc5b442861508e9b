import type { PointwiseWeightGradientProblem } from '../../../src/kernels/training/problems.ts';
import { bestOfEach, describeKernels } from '../../support/kernel-harness.ts';
import type { KernelCase } from '../../support/kernel-harness.ts';

function gradient(rows: number, inputs: number, outputs: number): KernelCase {
  return {
    name: `${rows} rows, ${inputs}→${outputs}`,
    problem: (pitch): PointwiseWeightGradientProblem => ({
      op: 'pointwise-weight-gradient',
      rows,
      inputs,
      outputs,
      inputPitch: pitch(inputs),
      outputPitch: pitch(outputs),
      gradientPitch: pitch(inputs * outputs),
    }),
  };
}

describeKernels('pointwise weight gradient', [
  gradient(1, 1, 1),
  gradient(1, 70, 9),
  gradient(50, 7, 5),
  gradient(49, 33, 61),
  gradient(300, 24, 100),
]);

describeKernels(
  'pointwise weight gradient: padded channels, blocks of them, and rows in parts',
  [gradient(98, 249, 499), gradient(1500, 40, 61)].map((test) => ({ ...test, onDevices: bestOfEach })),
);
