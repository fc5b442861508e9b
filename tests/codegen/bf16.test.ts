import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import type { Kernel } from '../../src/codegen/ir.ts';
import { Random } from '../../src/core/random.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { asSteps } from '../support/random-steps.ts';
import { runAsWasm } from '../support/run-kernel.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

const COUNT = 256;

type Floats = Readonly<Record<string, Float32Array>>;

/** pairs = (low, high); y = x + Σ over the pairs of each group of lanes, broadcast, of their dot product with pairs. */
function dotKernel(lanes: number): Kernel {
  const b = new KernelBuilder({
    name: `dot_${lanes}`,
    description: 'unit test',
    lanes,
    tasks: COUNT / lanes,
  });
  const [low, high, x] = [b.input('low'), b.input('high'), b.input('x')];
  const [pairs, y] = [b.inout('pairs'), b.output('y')];
  const moved = b.scratch('moved', lanes);
  const at = b.mul(b.task, lanes);
  b.store(pairs, at, b.packBf16(b.loadVec(low, at), b.loadVec(high, at)));
  b.store(moved, 0, b.loadVec(pairs, at));
  const sum = b.variable(b.loadVec(x, at));
  b.for(0, lanes, 1, (i) => {
    sum.set(b.dotBf16(b.loadBroadcast(moved, i), b.loadVec(pairs, at), sum.get()));
  });
  b.store(y, at, sum.get());
  return b.build();
}

/** Normal numbers, zeros and infinities: some pairs of them have the bits of a signalling NaN, or of a subnormal. */
function dotBuffers(): Floats {
  const special = [0, -0, Infinity, -Infinity, NaN, 1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38];
  const operand = (key: string, share: number): Float32Array => {
    const random = new Random(key);
    return random
      .array(COUNT)
      .map((value, i) => special[random.bits(i + COUNT) % share] ?? value * 2 ** ((i % 41) - 20));
  };
  return {
    // The first half is finite, so that not every sum is infinite or NaN.
    low: operand('low', 40).map((value, i) => (i < COUNT / 2 && !Number.isFinite(value) ? 0.7 : value)),
    high: operand('high', 40).map((value, i) => (i < COUNT / 2 && !(Math.abs(value) < 1e30) ? -0.3 : value)),
    x: new Random('x').array(COUNT),
    pairs: new Float32Array(COUNT),
    y: new Float32Array(COUNT),
  };
}

/** The bits of a pair, as f32 and as vec, by interpreter and WebAssembly. As an f32, high may not be infinite. */
function pack(low: number, high: number): string {
  const b = new KernelBuilder({ name: 'pack', description: 'unit test', lanes: 4, tasks: 1 });
  const [x, y] = [b.input('x'), b.output('y')];
  b.store(y, 0, b.packBf16(b.loadScalar(x, 0), b.loadScalar(x, 1)));
  b.store(y, 4, b.packBf16(b.loadBroadcast(x, 0), b.loadBroadcast(x, 1)));
  const kernel = b.build();
  const results = [interpret, runAsWasm].map((run) => {
    const buffers = { x: Float32Array.of(low, high), y: new Float32Array(8) };
    run(kernel, buffers);
    return [0, 4, 7].map((i) => new Uint32Array(buffers.y.buffer)[i]?.toString(16).padStart(8, '0'));
  });
  expect(new Set(results.flat()).size, String(results)).toBe(1);
  return String(results[0]?.[0]);
}

describe('a pair of bfloat16', () => {
  test('has the first operand in its low half', () => {
    expect(pack(1, -2)).toBe('c0003f80');
  });

  test('is rounded to nearest, halfway cases to even', () => {
    expect(pack(1 + 2 ** -8, 1 + 3 * 2 ** -8)).toBe('3f823f80');
    expect(pack(1 + 2 ** -8 + 2 ** -23, 1 + 2 ** -8 - 2 ** -23)).toBe('3f803f81');
    expect(pack(3.4e38, 1)).toBe('3f807f80');
    expect(pack(-3.4e38, 1)).toBe('3f80ff80');
    expect(pack(1e-40, -0)).toBe('80000001');
  });

  test('keeps infinities and NaN', () => {
    expect(pack(Infinity, -0)).toBe('80007f80');
    expect(pack(NaN, NaN)).toBe('7fc07fc0');
    // All bits of the fraction are ones: adding to it would carry into the sign.
    expect(pack(new Float32Array(Uint32Array.of(0x7fffffff).buffer)[0] ?? 0, 1)).toBe('3f807fc0');
  });
});

describe('the dot product of pairs', () => {
  const expected = dotBuffers();
  interpret(dotKernel(4), expected);

  test('adds the product of the high halves, then that of the low ones, each rounded', () => {
    const b = new KernelBuilder({ name: 'order', description: 'unit test', lanes: 4, tasks: 1 });
    const [x, y] = [b.input('x'), b.output('y')];
    const operand = (i: number): ReturnType<typeof b.vec> => b.loadBroadcast(x, i);
    b.store(
      y,
      0,
      b.dotBf16(b.packBf16(operand(0), operand(1)), b.packBf16(operand(2), operand(2)), operand(3)),
    );
    const kernel = b.build();
    for (const run of [interpret, runAsWasm]) {
      const buffers = { x: Float32Array.of(1, 2 ** 24, 1, -(2 ** 24)), y: new Float32Array(4) };
      run(kernel, buffers);
      expect([...buffers.y]).toEqual([1, 1, 1, 1]);
      // The high half's 1 is lost in 2^24 + 1, which is no float32.
      buffers.x.set([-(2 ** 24), 1, 1, 2 ** 24]);
      run(kernel, buffers);
      expect([...buffers.y]).toEqual([0, 0, 0, 0]);
    }
  });

  test('has infinities where it should, so that moving pairs did not change their bits', () => {
    expect(expected.y?.some((value) => Math.abs(value) === Infinity)).toBe(true);
    expect(expected.y?.filter((value) => Number.isFinite(value)).length).toBeGreaterThan(COUNT / 4);
  });

  test('is the same as WebAssembly', () => {
    const buffers = dotBuffers();
    runAsWasm(dotKernel(4), buffers);
    expect(buffers.y).toEqual(expected.y);
  });

  // Numbers here are normal, so that instructions which take subnormals for zeros give the same bits.
  test.for<[string, string[]]>([
    ['as the machine has it', []],
    ['without instructions for it', ['-U__AVX512BF16__']],
  ])('is the same as C, %s', async ([, compilerFlags], context) => {
    const cacheDirectory = await mkdtemp(path.join(tmpdir(), 'widefield-bf16-'));
    const device = await openIfHere(() => openNativeDevice({ threads: 1, cacheDirectory, compilerFlags }));
    if (device === undefined) return context.skip(NO_COMPILER);
    try {
      if (compilerFlags.length > 0) expect(device.caps.bf16).toBe(false);
      const lanes = [4, 8, 16];
      const lengths = Object.fromEntries(Object.keys(expected).map((name) => [name, COUNT]));
      const { program, slots } = asSteps(lanes.map((l) => ({ kernel: dotKernel(l), lengths })));
      const executable = await device.compile(program);
      const arena = executable.view('arena');
      for (const [i] of lanes.entries()) {
        for (const [name, values] of Object.entries(dotBuffers()))
          arena.set(values, slots[i]?.get(name)?.offset);
      }
      await executable.run();
      for (const [i, l] of lanes.entries()) {
        const interpreted = dotBuffers();
        interpret(dotKernel(l), interpreted);
        const start = slots[i]?.get('y')?.offset ?? NaN;
        expect(arena.slice(start, start + COUNT), `${l} lanes`).toEqual(interpreted.y);
      }
    } finally {
      await device.dispose();
      await rm(cacheDirectory, { recursive: true });
    }
  });
});
