import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import { depthwiseSparse } from '../../src/kernels/depthwise-sparse.ts';
import type { Candidate } from '../../src/kernels/family.ts';
import { candidates } from '../../src/kernels/index.ts';
import { NO_EPILOGUE, samePadding } from '../../src/kernels/problem.ts';
import type { DepthwiseProblem, Epilogue } from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { transpose } from '../../src/kernels/transpose.ts';
import {
  FULL_EPILOGUE,
  UNUSUAL_PADDINGS,
  depthwiseSizes,
  describeShape,
} from '../support/depthwise-shape.ts';
import type { DepthwiseShape } from '../support/depthwise-shape.ts';
import { describeKernels, interpreterCaps } from '../support/kernel-harness.ts';
import type { KernelCase } from '../support/kernel-harness.ts';

interface Shape extends DepthwiseShape {
  readonly zeros?: number;
  readonly epilogue?: Partial<Epilogue>;
  readonly adjoint?: true;
}

function sparse(name: string, shape: Shape): KernelCase {
  const { zeros = 0.4 } = shape;
  return {
    name: `${describeShape(name, shape)}, ${zeros} zeros`,
    // Of uniform weights, so many lie below.
    weight: (value) => (Math.abs(value) < zeros ? 0 : value),
    // Compilers take long; the interpreter takes all.
    onDevices: (all, device) => all.filter(isSparse).slice(0, device === 'native' ? 2 : 6),
    problem: (pitch): DepthwiseProblem => ({
      op: 'depthwise',
      ...depthwiseSizes(shape, pitch),
      epilogue: { ...NO_EPILOGUE, ...shape.epilogue },
      density: 1 - zeros,
      ...(shape.adjoint && { adjoint: true }),
    }),
  };
}

const isSparse = ({ family }: Candidate): boolean => family === depthwiseSparse.name;

describeKernels('sparse depthwise', [
  sparse('SLaK, tall branch', { map: [24, 26], channels: 6, kernel: [35, 5] }),
  sparse('SLaK, wide branch', { map: [19, 18], channels: 17, kernel: [5, 31], zeros: 0.8 }),
  sparse('SLaK, small branch', { map: [14, 14], channels: 19, kernel: [5, 5], epilogue: FULL_EPILOGUE }),
  sparse('SLaK stage 4', { map: [7, 7], channels: 16, kernel: [13, 5], zeros: 0.9 }),
  sparse('nothing but zeros', {
    map: [9, 8],
    channels: 5,
    kernel: [7, 3],
    zeros: 1,
    epilogue: { bias: true },
  }),
  sparse('no zeros', { map: [9, 8], channels: 5, kernel: [3, 7], zeros: 0 }),
  sparse('batch', { map: [9, 7], channels: 20, kernel: [5, 5], batch: 3, epilogue: FULL_EPILOGUE }),
  sparse('one pixel', { map: [1, 1], channels: 5, kernel: [7, 7] }),
  sparse('one row', { map: [1, 19], channels: 4, kernel: [5, 5] }),
  sparse('an even kernel', { map: [9, 10], channels: 8, kernel: [4, 6] }),
  sparse('a map smaller than its kernel', { map: [5, 3], channels: 7, kernel: [13, 11] }),
  sparse('dilation', { map: [20, 18], channels: 4, kernel: [7, 5], dilation: 3 }),
  sparse('adjoint', { map: [11, 12], channels: 6, kernel: [5, 3], adjoint: true }),
  sparse('no padding', UNUSUAL_PADDINGS['no padding']),
  sparse('uneven padding', {
    ...UNUSUAL_PADDINGS['uneven padding'],
    epilogue: { bias: true, activation: 'sigmoid' },
  }),
  sparse('more padding than kernel', UNUSUAL_PADDINGS['more padding than kernel']),
  sparse('bands behind the map', {
    map: [4, 4],
    channels: 4,
    kernel: [3, 3],
    padding: { top: 0, bottom: 20, left: 0, right: 0 },
  }),
  sparse('bands', { map: [70, 20], channels: 4, kernel: [9, 3] }),
]);

describe('what is offered', () => {
  const problem: DepthwiseProblem = {
    op: 'depthwise',
    batch: 1,
    height: 56,
    width: 56,
    channels: 128,
    pitch: 128,
    kernelHeight: 51,
    kernelWidth: 5,
    stride: 1,
    dilation: 1,
    padding: samePadding(51, 5),
    epilogue: NO_EPILOGUE,
  };
  const caps = interpreterCaps([16, 8, 4]);
  const families = (of: DepthwiseProblem): string[] => candidates(of, caps).map(({ family }) => family);

  test('nothing, unless zeros are known; nothing with a stride', () => {
    expect(families(problem)).not.toContain(depthwiseSparse.name);
    expect(families({ ...problem, density: 0.5, stride: 2 })).not.toContain(depthwiseSparse.name);
    expect(families({ ...problem, density: 0.5 })).toContain(depthwiseSparse.name);
  });

  test('for maps whose channels do not fit the cache together too', () => {
    expect(families({ ...problem, height: 128, width: 256, density: 0.5 })).toContain(depthwiseSparse.name);
  });

  test('the planner expects transforms to be quicker with 40% zeros, sparse kernels with 95%', () => {
    expect(families({ ...problem, density: 0.6 })[0]).toBe('depthwise-fft');
    expect(families({ ...problem, density: 0.05 })[0]).toBe(depthwiseSparse.name);
  });

  test.each([-0.1, 1.1, NaN])('a density of %d is refused', (density) => {
    expect(() => signature({ ...problem, density })).toThrow(/density.*0 to 1/);
  });
});

test.each([1, 2, 4, 8, 16])('vectors of %d lanes are transposed', (lanes) => {
  const b = new KernelBuilder({ name: 'transposed', description: 'a transposition', lanes, tasks: 1 });
  const [x, y] = [b.input('x'), b.output('y')];
  const rows = Array.from({ length: lanes }, (_, i) => b.loadVec(x, i * lanes));
  transpose(b, rows).forEach((row, i) => b.store(y, i * lanes, row));
  const values = Float32Array.from({ length: lanes * lanes }, (_, i) => i);
  const result = new Float32Array(values.length);
  interpret(b.build(), { x: values, y: result });
  expect(result).toEqual(values.map((_, i) => (i % lanes) * lanes + Math.floor(i / lanes)));
});
