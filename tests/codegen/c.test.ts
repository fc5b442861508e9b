import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { KernelBuilder } from '../../src/codegen/builder.ts';
import { interpret } from '../../src/codegen/interpret.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';
import { asSteps } from '../support/random-steps.ts';
import { randomBuffers, randomProgram } from '../support/random-program.ts';
import type { RandomProgram } from '../support/random-program.ts';
import { NO_COMPILER, openIfHere } from '../support/devices.ts';

/** Programs of one native compilation each: few, because compiling takes long, but others each time. */
const PROGRAMS_PER_LANES = 14;

describe('random programs compiled as C', () => {
  test.for([4, 8, 16])('give the same bits as interpreted, %i lanes', async (lanes, context) => {
    const cacheDirectory = await mkdtemp(path.join(tmpdir(), 'widefield-c-'));
    // Products are not fused, so that bits agree.
    // The instruction for pairs of bfloat16 takes subnormals for zeros; bf16.test.ts tests it.
    const compilerFlags = ['-ffp-contract=off', '-U__AVX512BF16__'];
    const device = await openIfHere(() => openNativeDevice({ threads: 2, cacheDirectory, compilerFlags }));
    if (device === undefined) return context.skip(NO_COMPILER);
    try {
      const choices = fc.array(fc.nat(), { minLength: 60, maxLength: 400, size: 'max' });
      const lists = fc.array(choices, { minLength: PROGRAMS_PER_LANES, maxLength: PROGRAMS_PER_LANES });
      await fc.assert(
        fc.asyncProperty(lists, async (all) => {
          await check(
            device,
            all.map((list) => randomProgram(list, lanes)),
          );
        }),
        { numRuns: 1, endOnFailure: true }, // the seed is told, but making programs smaller would compile for minutes
      );
    } finally {
      await device.dispose();
      await rm(cacheDirectory, { recursive: true });
    }
  });
});

test('an integer made of a float is zero without a sign', async (context) => {
  const device = await openIfHere(() => openNativeDevice({ threads: 1 }));
  if (device === undefined) return context.skip(NO_COMPILER);
  const b = new KernelBuilder({ name: 'truncate', description: 'towards zero', lanes: 4, tasks: 1 });
  const y = b.inout('y');
  b.store(y, 0, b.toF32(b.toI32(b.loadScalar(y, 0))));
  const slots = [{ region: 'arena', offset: 0 }] as const;
  const program = { kernels: [b.build()], steps: [{ kernel: 0, slots, label: 'truncate' }], prepare: [] };
  try {
    const executable = await device.compile({ ...program, sizes: { weights: 0, arena: 16, staging: 0 } });
    const arena = executable.view('arena');
    for (const [value, expected] of [
      [-0.5, 0],
      [-1.5, -1],
      [-0, 0],
      [2.75, 2],
    ] as const) {
      arena[0] = value;
      await executable.run();
      expect(arena[0]).toBe(expected);
    }
  } finally {
    await device.dispose();
  }
});

/** Runs the programs as one, and compares all buffers with what the interpreter leaves in them. */
async function check(device: Device, programs: readonly RandomProgram[]): Promise<void> {
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
      // Compares as Object.is does: NaN equals NaN, and -0 differs from 0.
      expect(arena.slice(start, start + values.length), `program ${i}, ${name}`).toEqual(values);
    }
  });
}
