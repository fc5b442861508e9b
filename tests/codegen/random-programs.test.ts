import { setFlagsFromString } from 'node:v8';

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
import { wasmFeatures } from '../../src/devices/wasm/features.ts';
import { randomBuffers, randomProgram } from '../support/random-program.ts';
import { asSteps } from '../support/random-steps.ts';
import { runAsWasm } from '../support/run-kernel.ts';

const choices = fc.array(fc.nat(), { minLength: 30, maxLength: 600, size: 'max' });

let device: Device;

beforeAll(async () => {
  device = await openWasmDevice({ threads: 3, relaxed: false });
});

afterAll(async () => {
  await device.dispose();
});

// `toEqual` compares as Object.is does: NaN equals NaN, and -0 differs from 0.

test('random programs give the same bits interpreted and as WebAssembly', () => {
  fc.assert(
    fc.property(choices, (list) => {
      const program = randomProgram(list, 4);
      const expected = randomBuffers(program, 'buffers');
      const actual = randomBuffers(program, 'buffers');
      interpret(program.kernel, expected);
      runAsWasm(program.kernel, actual);
      expect(actual).toEqual(expected);
    }),
    { numRuns: 400 },
  );
});

test('several random programs in one module, on several threads, give the same bits too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(choices, { minLength: 1, maxLength: 6 }), async (lists) => {
      const programs = lists.map((list) => randomProgram(list, 4));
      const { program, slots } = asSteps(programs);
      const executable = await device.compile(program);
      const arena = executable.view('arena');
      const expected = programs.map((one) => randomBuffers(one, 'buffers'));
      expected.forEach((buffers, i) => {
        for (const [name, values] of Object.entries(buffers)) arena.set(values, slots[i]?.get(name)?.offset);
      });
      await executable.run();
      programs.forEach(({ kernel }, i) => {
        const buffers = expected[i] ?? {};
        interpret(kernel, buffers);
        for (const [name, values] of Object.entries(buffers)) {
          const start = slots[i]?.get(name)?.offset ?? NaN;
          expect(arena.slice(start, start + values.length)).toEqual(values);
        }
      });
      await executable.dispose();
    }),
    { numRuns: 40 },
  );
});

test('random programs give the same bits with relaxed SIMD, rounded as this processor does', (context) => {
  // Of this file's process: the engine of Node 20 has relaxed SIMD, but hides it.
  if (!wasmFeatures().relaxed) setFlagsFromString('--experimental-wasm-relaxed-simd');
  if (!wasmFeatures().relaxed) return context.skip('this engine has no relaxed SIMD');
  const fma = relaxedRounding();
  fc.assert(
    fc.property(choices, (list) => {
      const program = randomProgram(list, 4, false);
      const expected = randomBuffers(program, 'buffers');
      const actual = randomBuffers(program, 'buffers');
      interpret(program.kernel, expected, { fma });
      runAsWasm(program.kernel, actual, { relaxed: true });
      expect(actual).toEqual(expected);
    }),
    { numRuns: 200 },
  );
});

/** Whether this processor rounds a relaxed multiply-add once: (1 + ε)² − (1 + 2 ε) is ε², or 0 if ε² is rounded away. */
function relaxedRounding(): 'fused' | 'separate' {
  const epsilon = 2 ** -12;
  const b = new KernelBuilder({ name: 'rounding', description: 'one fma', lanes: 4, tasks: 1 });
  const y = b.inout('y');
  const x = b.loadVec(y, 0);
  b.store(y, 0, b.fma(x, x, b.vec(-1 - 2 * epsilon)));
  const buffers = { y: new Float32Array(4).fill(1 + epsilon) };
  runAsWasm(b.build(), buffers, { relaxed: true });
  return buffers.y[0] === 0 ? 'separate' : 'fused';
}
