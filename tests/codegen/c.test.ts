import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { interpret } from '../../src/codegen/interpret.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { asSteps } from '../support/random-steps.ts';
import { randomBuffers, randomProgram } from '../support/random-program.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

/** Programs of one native compilation each; the sample is the same every time. */
const PROGRAMS_PER_LANES = 14;

describe('random programs compiled as C', () => {
  // `toEqual` compares as Object.is does: NaN equals NaN, and -0 differs from 0.
  test.for([4, 8, 16])('give the same bits as interpreted, %i lanes', async (lanes, context) => {
    const cacheDirectory = await mkdtemp(path.join(tmpdir(), 'widefield-c-'));
    // Products are not fused, so that bits agree.
    // The instruction for pairs of bfloat16 takes subnormals for zeros; bf16.test.ts tests it.
    const compilerFlags = ['-ffp-contract=off', '-U__AVX512BF16__'];
    const device = await openIfHere(() => openNativeDevice({ threads: 2, cacheDirectory, compilerFlags }));
    if (device === undefined) return context.skip(NO_COMPILER);
    try {
      const choices = fc.array(fc.nat(), { minLength: 60, maxLength: 400, size: 'max' });
      const programs = fc
        .sample(choices, { numRuns: PROGRAMS_PER_LANES, seed: 7 * lanes })
        .map((list) => randomProgram(list, lanes));
      const { program, slots } = asSteps(programs);
      const executable = await device.compile(program);
      const arena = executable.view('arena');
      const expected = programs.map((one, i) => randomBuffers(one, `buffers ${i}`));
      expected.forEach((buffers, i) => {
        for (const [name, values] of Object.entries(buffers)) arena.set(values, slots[i]?.get(name)?.offset);
      });
      await executable.run();
      programs.forEach(({ kernel }, i) => {
        const buffers = expected[i] ?? {};
        interpret(kernel, buffers);
        for (const [name, values] of Object.entries(buffers)) {
          const start = slots[i]?.get(name)?.offset ?? NaN;
          expect(arena.slice(start, start + values.length), `program ${i}, ${name}`).toEqual(values);
        }
      });
    } finally {
      await device.dispose();
      await rm(cacheDirectory, { recursive: true });
    }
  });
});
