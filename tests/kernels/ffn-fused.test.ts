import { expect, test } from 'vitest';
import type { DeviceCaps } from '../../src/core/caps.ts';
import { candidates } from '../../src/kernels/index.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { FfnProblem } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { allButNative, bestOfEach, describeKernels, interpreterCaps } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

function ffn(
  rows: number,
  inputs: number,
  hidden: number,
  outputs: number,
  changes: Partial<FfnProblem> = {},
): KernelCase {
  return {
    name: `${rows}×${inputs}→${hidden}→${outputs} ${JSON.stringify(changes)}`,
    problem: (pitch): FfnProblem => ({
      op: 'ffn',
      rows,
      inputs,
      hidden,
      outputs,
      inputPitch: pitch(inputs),
      outputPitch: pitch(outputs),
      hiddenBias: true,
      activation: 'relu',
      epilogue: NO_EPILOGUE,
      ...changes,
    }),
  };
}

const norm = { epsilon: 1e-6 };
const bias = { ...NO_EPILOGUE, bias: true };
const whole = { ...bias, scale: true, residual: true, finalActivation: 'relu' } as const;
const activations = ['none', 'relu', 'relu6', 'gelu', 'silu', 'sigmoid', 'tanh'] as const;

describeKernels(
  'ffn',
  [
    ffn(1, 1, 1, 1),
    ffn(1, 7, 5, 3, { norm }),
    ffn(9, 20, 33, 20, { norm, epilogue: { ...bias, residual: true } }),
    ffn(57, 16, 96, 16, { epilogue: whole }),
    ffn(50, 24, 150, 40, { hiddenBias: false, epilogue: bias }),
    // Hidden channels in several chunks, the last one smaller, with a narrow panel.
    ffn(31, 12, 520, 24, { norm, activation: 'gelu', epilogue: whole }),
    ffn(4, 12, 31 * 16, 40, { epilogue: bias }),
    ...activations.map((activation) => ffn(9, 16, 21, 17, { activation, epilogue: bias })),
    ...activations.map((finalActivation) => ffn(3, 5, 17, 9, { epilogue: { ...whole, finalActivation } })),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels('ffn: layers of SLaK and RepLKNet', [
  {
    ...ffn(60, 249, 996, 249, { norm, activation: 'gelu', epilogue: { ...bias, residual: true } }),
    onDevices: bestOfEach,
  },
  { ...ffn(35, 512, 2048, 512, { activation: 'gelu', epilogue: bias }), onDevices: bestOfEach },
]);

test('cost counts both products and no hidden channels', () => {
  const problem = ffn(3, 5, 7, 2).problem((channels) => channels);
  expect(signature(problem).cost).toEqual({
    macs: 3 * 7 * (5 + 2),
    bytes: 4 * (3 * 5 + 3 * 2 + 7 * 5 + 7 + 2 * 7),
    depth: 5 + 7,
  });
});

test('scratch memory fits the second-level cache of small machines', () => {
  const caps: DeviceCaps = { ...interpreterCaps([16, 8, 4]), l2Bytes: 256 * 1024 };
  const problem = ffn(3136, 96, 384, 96, { norm }).problem((channels) => channels);
  for (const candidate of candidates(problem, caps)) {
    for (const kernel of candidate.emit().main) {
      const floats = kernel.scratch.reduce((sum, { length }) => sum + length, 0);
      expect(4 * floats).toBeLessThan(caps.l2Bytes);
    }
  }
});
