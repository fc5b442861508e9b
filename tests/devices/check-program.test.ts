import { describe, expect, test } from 'vitest';

import type { Program, Step } from '../../src/devices/device.ts';
import { openDevice } from '../../src/runtime/open.ts';
import { hasNativeDevice } from '../support/devices.ts';
import { toyProgram } from '../support/toy-program.ts';

const toy = toyProgram(4, 1);

function withStep(change: Partial<Step>): Program {
  return { ...toy, steps: toy.steps.map((step) => ({ ...step, ...change })) };
}

function withSlot(slot: object): Program {
  return withStep({
    slots: (toy.steps[0]?.slots ?? []).map((one, i) => (i === 2 ? { ...one, ...slot } : one)),
  });
}

const faulty: readonly (readonly [string, Program, string])[] = [
  [
    'a kernel that there is not',
    withStep({ kernel: 7 }),
    "Step round 0 must name one of the program's kernels",
  ],
  ['too few slots', withStep({ slots: [] }), 'Step round 0 must name one of'],
  [
    'a place far outside',
    withSlot({ offset: 1e9 }),
    'Step round 0 binds next to arena + 1000000000: offsets must',
  ],
  ['a place before the region', withSlot({ offset: -16 }), 'binds next to arena + -16'],
  ['a place between', withSlot({ offset: 8 }), 'must be multiples of 16 within its 128 floats'],
  ['a region that there is not', withSlot({ region: 'attic' }), 'binds next to attic + 64'],
  [
    'half a float',
    { ...toy, sizes: { ...toy.sizes, weights: 0.5 } },
    'weights must have a whole number of floats',
  ],
  [
    'more tasks than can be counted',
    { ...toy, kernels: toy.kernels.map((kernel) => ({ ...kernel, tasks: 2 ** 31 - 1 })) },
    'The kernel mix must have from 1 to 1073741824 tasks, got 2147483647.',
  ],
  ['a faulty preparation', { ...toy, prepare: [withSlot({ offset: 1e9 }).steps] }, 'Step round 0 binds'],
];

const isHere = { native: await hasNativeDevice(), wasm: true };

describe.each(['native', 'wasm'] as const)('the %s device refuses', (name) => {
  test.skipIf(!isHere[name]).each(faulty)('%s', async (_, program, message) => {
    await using device = await openDevice(name, { threads: 1 });
    await expect(device.compile(program)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining(message) as string,
    });
  });
});
