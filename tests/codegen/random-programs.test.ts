import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { interpret } from '../../src/codegen/interpret.ts';
import type { Device } from '../../src/devices/device.ts';
import { openWasmDevice } from '../../src/devices/wasm.ts';
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
