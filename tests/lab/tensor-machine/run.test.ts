import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { countMachine } from '../../../src/lab/tensor-machine/count.ts';
import type { Step } from '../../../src/lab/tensor-machine/machine.ts';
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

  it('says so if a tile lacks its halo, or a tensor is used before it is defined', () => {
    const machine = describeMachine('convfirst-fused', {
      channels: 8,
      expansion: 1,
      size: 4,
      tiles: { rows: 2 },
    });
    const inputs = randomInputs(machine);
    const bare = { label: 'x', memory: 'local', axes: ['N', 'H', 'W', 'C'] } as const;
    const withoutHalo = { ...machine, tensors: { ...machine.tensors, x: bare } };
    expect(() => runMachine(withoutHalo, inputs)).toThrow(/larger halo/);
    const [kernel = { name: '', steps: [] }] = machine.kernels;
    const unloaded = { ...machine, kernels: [{ ...kernel, steps: kernel.steps.slice(1) }] };
    expect(() => runMachine(unloaded, inputs)).toThrow(/F\.global is used before it is defined/);
  });

  it('keeps what a processor has in local memory from the others, and barriers matter', () => {
    const machine = describeMachine('mbconv-fused', { channels: 8, size: 3, batch: 1, tiles: { hidden: 8 } });
    const inputs = randomInputs(machine);
    const unsynchronised = {
      ...machine,
      kernels: machine.kernels.map((kernel) => ({ ...kernel, steps: drop(kernel.steps) })),
    };
    const result = runMachine(machine, inputs).outputs['Y'];
    expect(runMachine(unsynchronised, inputs).outputs['Y']).not.toEqual(result);
  });

  it('refuses missing tensors, wrong sizes, and what would take too long', () => {
    const machine = describeMachine('ffn', { channels: 8, size: 2, batch: 1 });
    const inputs = randomInputs(machine);
    const { U: _, ...others } = inputs;
    expect(() => runMachine(machine, others)).toThrow(/tensor U is missing/);
    expect(() => runMachine(machine, { ...inputs, b: new Float32Array(7) })).toThrow(
      /b must have the 8 values of \[8\], got 7/,
    );
    expect(() => runMachine(describeMachine('ffn', { channels: 1024 }), {})).toThrow(/choose sizes/);
  });
});

/** Steps without barriers. */
function drop(steps: readonly Step[]): Step[] {
  return steps.flatMap((step): Step[] => {
    if (step.kind === 'barrier') return [];
    return [step.kind === 'loop' ? { ...step, body: drop(step.body) } : step];
  });
}
