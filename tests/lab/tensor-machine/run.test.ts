import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { countMachine } from '../../../src/lab/tensor-machine/count.ts';
import { MACHINE_NAMES, describeMachine } from '../../../src/lab/tensor-machine/machines.ts';
import type { MachineName } from '../../../src/lab/tensor-machine/machines.ts';
import { runMachine } from '../../../src/lab/tensor-machine/run.ts';
import type { BlockSizes } from '../../../src/lab/tensor-machine/sizes.ts';
import { randomInputs, referenceOutput } from './blocks.ts';

/** The machine computes the block, and every access it makes is in the formula. */
function check(name: MachineName, sizes: BlockSizes): void {
  const machine = describeMachine(name, sizes);
  const inputs = randomInputs(machine);
  const run = runMachine(machine, inputs);
  const count = countMachine(machine, 2);

  const expected = referenceOutput(machine, inputs);
  const actual = run.outputs['Y'] ?? new Float64Array();
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 1);
  const error = actual.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? NaN))), 0);
  expect(actual.length).toBe(expected.length);
  expect(error).toBeLessThan(1e-12 * largest); // NaN is not

  count.kernels.forEach(({ reads, writes, withHalo }, i) => {
    const { once, eachTime } = run.kernels[i] ?? {};
    expect(once).toEqual({ reads, writes });
    expect(eachTime).toEqual({
      operations: withHalo.operations,
      reads: withHalo.reads,
      writes: withHalo.writes,
    });
  });
}

const stride2Names = MACHINE_NAMES.filter((name) => name !== 'ffn' && name !== 'convfirst-split');

describe('runMachine', () => {
  const tiles = { images: 1, rows: 2, hidden: 16, channels: 8 };

  it.each(MACHINE_NAMES)('%s: result and accesses', (name) => {
    check(name, { channels: 16, expansion: 2, size: 6, batch: 2, tiles });
  });

  it.each(stride2Names)('%s with stride 2: result and accesses', (name) => {
    check(name, {
      channels: 8,
      expansion: 3,
      size: 8,
      batch: 2,
      outputs: 24,
      stride: 2,
      tiles: { rows: 2, hidden: 8 },
    });
  });

  it.each(stride2Names)('%s with other outputs and no shortcut', (name) => {
    check(name, { channels: 8, expansion: 1, size: 3, batch: 1, outputs: 5 });
  });

  it.each(MACHINE_NAMES)('%s: any sizes, any tiles', (name) => {
    const upTo = (max: number) => fc.integer({ min: 1, max });
    const sizes = fc
      .record({
        groups: upTo(3),
        expansion: upTo(3),
        height: upTo(7),
        width: upTo(5),
        batch: upTo(3),
        outputs: upTo(9),
      })
      .chain(({ groups, expansion, height, width, batch, outputs }) => {
        const channels = 8 * groups;
        const single = name === 'ffn' || name === 'convfirst-split';
        const hidden = name.startsWith('mbconv')
          ? upTo(groups * expansion).map((n) => 8 * n)
          : upTo(channels * expansion);
        return fc
          .record({
            stride: fc.constantFrom<1 | 2>(1, single ? 1 : 2),
            own: fc.boolean(),
            images: upTo(batch),
            rowShare: fc.double({ min: 0.01, max: 1, noNaN: true }),
            hidden,
            channelGroups: upTo(groups),
          })
          .map(({ stride, own, images, rowShare, hidden, channelGroups }): BlockSizes => {
            const rows = Math.ceil(rowShare * Math.ceil(height / stride));
            const facts = { channels, expansion, size: [height, width] as const, batch, stride };
            const tiles = { images, rows, hidden, channels: 8 * channelGroups };
            return { ...facts, tiles, ...(own && name !== 'convfirst-split' && { outputs }) };
          });
      });
    fc.assert(
      fc.property(sizes, (each) => {
        check(name, each);
      }),
      { numRuns: 25 },
    );
  });
});
