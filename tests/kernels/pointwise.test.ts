import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { Epilogue, PointwiseProblem } from '../../src/kernels/problem.ts';
import { allButNative, bestOfEach, describeKernels } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function pointwise(
  rows: number,
  inputs: number,
  outputs: number,
  epilogue: Partial<Epilogue> = {},
): KernelCase {
  return {
    name: `${rows}×${inputs}→${outputs} ${JSON.stringify(epilogue)}`,
    problem: (pitch): PointwiseProblem => ({
      op: 'pointwise',
      rows,
      inputs,
      outputs,
      inputPitch: pitch(inputs),
      outputPitch: pitch(outputs),
      epilogue: { ...NO_EPILOGUE, ...epilogue },
    }),
  };
}

const activations = ['relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'] as const;

describeKernels(
  'pointwise',
  [
    pointwise(1, 1, 1),
    pointwise(1, 7, 5),
    pointwise(49, 64, 96),
    pointwise(50, 33, 130),
    pointwise(7, 96, 249, { bias: true }),
    pointwise(100, 24, 40, { bias: true, scale: true, residual: true, finalActivation: 'relu' }),
    ...activations.map((activation) => pointwise(9, 16, 20, { bias: true, activation })),
    ...activations.map((finalActivation) => pointwise(3, 5, 17, { residual: true, finalActivation })),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels('pointwise: sums in several parts', [
  { ...pointwise(20, 4096, 70, { bias: true, activation: 'gelu' }), onDevices: bestOfEach },
]);
