import { describe, expect, it } from 'vitest';

import { interpret } from '../../src/codegen/interpret.ts';
import { Random } from '../../src/core/random.ts';
import { reference } from '../../src/graph/reference.ts';
import { candidates } from '../../src/kernels/index.ts';
import { pointwiseBf16 } from '../../src/kernels/pointwise-bf16.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { Epilogue, PointwiseProblem } from '../../src/kernels/problem.ts';
import { encode, signature } from '../../src/kernels/signature.ts';
import { allButNative, bestOfEach, describeKernels, interpreterCaps } from '../support/kernel-harness.ts';
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
      precision: 'bf16',
    }),
  };
}

describeKernels(
  'pointwise, bfloat16 permitted',
  [
    pointwise(1, 1, 1),
    pointwise(1, 7, 5),
    pointwise(29, 64, 48),
    pointwise(26, 33, 130),
    // Half of the pitch is no multiple of the lanes.
    pointwise(5, 75, 64),
    pointwise(3, 96, 249, { bias: true }),
    pointwise(20, 24, 40, { bias: true, scale: true, residual: true, finalActivation: 'relu' }),
    pointwise(9, 16, 20, { bias: true, activation: 'gelu' }),
    pointwise(3, 5, 17, { residual: true, finalActivation: 'sigmoid' }),
  ].map((test) => ({ ...test, onDevices: allButNative })),
);

describeKernels('pointwise, bfloat16 permitted: many inputs', [
  { ...pointwise(20, 4096, 70, { bias: true, activation: 'gelu' }), onDevices: bestOfEach },
]);

const problem: PointwiseProblem = {
  op: 'pointwise',
  rows: 30,
  inputs: 200,
  outputs: 96,
  inputPitch: 208,
  outputPitch: 96,
  epilogue: NO_EPILOGUE,
};
const permitted: PointwiseProblem = { ...problem, precision: 'bf16' };
const caps = interpreterCaps([16, 8, 4]);
const families = (all: readonly { readonly family: string }[]): string[] => [
  ...new Set(all.map(({ family }) => family)),
];

describe('the permission', () => {
  it('is used where there are instructions, and only if it was given', () => {
    expect(families(candidates(permitted, caps))).toEqual(['pointwise-bf16']);
    expect(families(candidates(problem, caps))).toEqual(['pointwise']);
    expect(families(candidates(permitted, { ...caps, bf16: false }))).toEqual(['pointwise']);
    expect(pointwiseBf16.configs(problem, caps)).toEqual([]);
  });

  it('has measurements of its own, and leaves the keys of other problems as they were', () => {
    expect(encode(permitted)).toBe(`${encode(problem)} precision=bf16`);
    expect(encode(problem)).not.toContain('precision');
  });

  it('is for bf16 alone', () => {
    const other = { ...problem, precision: 'f16' } as unknown as PointwiseProblem;
    expect(() => signature(other)).toThrow("The precision of a pointwise must be 'bf16' or absent, got f16.");
  });
});

describe('pointwise-bf16', () => {
  const [config] = pointwiseBf16.configs(permitted, caps);
  if (config === undefined) throw new Error('no configuration');
  const { main, prepare, packedFloats } = pointwiseBf16.emit(permitted, config);

  it('is exact where x and weights are bfloat16 and sums are float32', () => {
    // Integers from -8 to 8 are bfloat16, and sums of 200 of their products are float32.
    const integers = (key: string, length: number): Float32Array =>
      new Random(key).array(length).map((value) => Math.round(8 * value));
    const x = integers('x', 30 * 208).map((value, i) => (i % 208 < 200 ? value : 0));
    const weight = integers('weight', 96 * 200);
    const packed = new Float32Array(packedFloats);
    for (const kernel of prepare) interpret(kernel, { weight, packed });
    const y = new Float32Array(30 * 96).fill(NaN);
    for (const kernel of main) interpret(kernel, { x, packed, y });
    expect(y).toEqual(Float32Array.from(reference(permitted, { x }, { weight })));
  });

  it('packs weights into half the memory', () => {
    // 208 inputs are 104 pairs, which take 112 rows of whole vectors.
    expect(packedFloats).toBe(112 * 96);
  });
});
