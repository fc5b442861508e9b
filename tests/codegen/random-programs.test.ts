import fc from 'fast-check';
import { expect, test } from 'vitest';
import { interpret } from '../../src/codegen/interpret.ts';
import { randomBuffers, randomProgram } from '../support/random-program.ts';
import { runAsWasm } from '../support/run-kernel.ts';

const choices = fc.array(fc.nat(), { minLength: 30, maxLength: 600, size: 'max' });

test('random programs give the same bits interpreted and as WebAssembly', () => {
  fc.assert(
    fc.property(choices, (list) => {
      const program = randomProgram(list, 4);
      const expected = randomBuffers(program, 'buffers');
      const actual = randomBuffers(program, 'buffers');
      interpret(program.kernel, expected);
      runAsWasm(program.kernel, actual);
      // Object.is semantics: NaN equals NaN, and -0 differs from 0.
      for (const name of ['y', 'z']) expect(actual[name]).toEqual(expected[name]);
    }),
    { numRuns: 400 },
  );
});
