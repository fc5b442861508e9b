import { describe, expect, it } from 'vitest';
import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import { Random } from '../../src/core/random.ts';
import { applyEpilogue as meaning } from '../../src/graph/epilogue.ts';
import { applyEpilogue, epilogueLayout, loadEpilogue, packEpilogue } from '../../src/kernels/epilogue.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { Epilogue } from '../../src/kernels/problem.ts';

const ROWS = 3;
const CHANNELS = 13;
const PITCH = 16;
const LANES = 8;
const BASE = 5;

/** Runs the epilogue on an accumulator [ROWS, PITCH] whose padding is zero. */
function run(
  epilogue: Epilogue,
  accumulator: Float32Array,
  tensors: Record<string, Float32Array>,
): Float32Array {
  const layout = epilogueLayout(epilogue, PITCH, BASE);
  const packed = new Float32Array(BASE + layout.floats);
  for (const kernel of packEpilogue(epilogue, layout, CHANNELS)) interpret(kernel, { ...tensors, packed });
  expect([...packed.subarray(0, BASE)]).toEqual(new Array(BASE).fill(0));

  const b = new KernelBuilder({ name: 'test', description: 'test', lanes: LANES, tasks: PITCH / LANES });
  const x = b.input('x');
  const residual = epilogue.residual ? b.input('residual') : undefined;
  const packedBuffer = b.input('packed');
  const y = b.output('y');
  const channel = b.mul(b.task, LANES);
  const vectors = loadEpilogue(b, layout, packedBuffer, channel);
  b.for(0, ROWS, 1, (row) => {
    const index = b.add(b.mul(row, PITCH), channel);
    const added = residual && b.loadVec(residual, index);
    b.store(y, index, applyEpilogue(b, epilogue, vectors, b.loadVec(x, index), added));
  });
  const result = new Float32Array(ROWS * PITCH).fill(NaN);
  interpret(b.build(), { ...tensors, x: accumulator, packed, y: result });
  return result;
}

function padded(key: string): Float32Array {
  return new Random(key).array(ROWS * PITCH, 4).map((v, i) => (i % PITCH < CHANNELS ? v : 0));
}

const epilogues: Epilogue[] = [
  NO_EPILOGUE,
  { ...NO_EPILOGUE, bias: true },
  { ...NO_EPILOGUE, bias: true, activation: 'gelu' },
  { ...NO_EPILOGUE, bias: true, activation: 'sigmoid' },
  { ...NO_EPILOGUE, activation: 'sigmoid', scale: true, residual: true },
  { ...NO_EPILOGUE, residual: true, finalActivation: 'relu' },
  { ...NO_EPILOGUE, finalActivation: 'sigmoid' },
  { bias: true, activation: 'silu', scale: true, residual: true, finalActivation: 'sigmoid' },
];

describe('epilogue', () => {
  it.each(epilogues)('$bias $activation $scale $residual $finalActivation', (epilogue) => {
    const x = padded('x');
    const tensors = {
      bias: new Random('bias').array(CHANNELS),
      scale: new Random('scale').array(CHANNELS),
      residual: padded('residual'),
    };
    const actual = run(epilogue, x, tensors);
    const expected = Float64Array.from(x);
    meaning(epilogue, tensors, tensors, expected, CHANNELS, PITCH);
    actual.forEach((value, i) => {
      if (i % PITCH >= CHANNELS) expect(value).toBe(0);
      // Three roundings of values below 10, and an activation's error of 4e-7 · 5.
      else expect(Math.abs(value - (expected[i] ?? NaN))).toBeLessThan(4e-6);
    });
  });

  it('takes nothing when there is nothing to keep', () => {
    expect(epilogueLayout({ ...NO_EPILOGUE, residual: true, activation: 'gelu' }, 64, 100).floats).toBe(0);
    expect(packEpilogue(NO_EPILOGUE, epilogueLayout(NO_EPILOGUE, 64, 0), 64)).toEqual([]);
  });
});
