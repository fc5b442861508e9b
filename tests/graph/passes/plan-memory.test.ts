import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUFFER_ALIGNMENT, planMemory } from '../../../src/graph/passes/plan-memory.ts';
import type { Buffer } from '../../../src/graph/passes/plan-memory.ts';

const aligned = (size: number): number => Math.ceil(size / BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT;

/** The most that exists in one step. */
function peak(buffers: readonly Buffer[]): number {
  const live = (step: number): number =>
    buffers
      .filter(({ first, last }) => first <= step && step <= last)
      .reduce((sum, b) => sum + aligned(b.size), 0);
  return Math.max(0, ...buffers.map(({ first }) => live(first)));
}

function expectValid(buffers: readonly Buffer[]): number {
  const { offsets, total } = planMemory(buffers);
  expect(offsets.length).toBe(buffers.length);
  buffers.forEach((a, i) => {
    const start = offsets[i] ?? NaN;
    expect(start % BUFFER_ALIGNMENT).toBe(0);
    expect(start).toBeGreaterThanOrEqual(0);
    expect(start + a.size).toBeLessThanOrEqual(total);
    buffers.slice(0, i).forEach((b, j) => {
      const other = offsets[j] ?? NaN;
      const together = a.first <= b.last && b.first <= a.last && a.size > 0 && b.size > 0;
      const overlap = start < other + b.size && other < start + a.size;
      expect(together && overlap, `buffers ${j} and ${i} overlap`).toBe(false);
    });
  });
  expect(total).toBeLessThanOrEqual(buffers.reduce((sum, { size }) => sum + aligned(size), 0));
  expect(total).toBeGreaterThanOrEqual(peak(buffers));
  return total;
}

describe('planMemory', () => {
  it('keeps apart what exists at the same time, for any lifetimes', () => {
    const buffer = fc
      .record({ size: fc.nat(200), first: fc.nat(20), length: fc.nat(8) })
      .map(({ size, first, length }) => ({ size, first, last: first + length }));
    fc.assert(fc.property(fc.array(buffer, { maxLength: 30 }), (buffers) => void expectValid(buffers)), { numRuns: 300 }); // prettier-ignore
  });

  it('needs two buffers for a chain, and a third for a residual', () => {
    const chain = Array.from({ length: 10 }, (_, i) => ({ size: 64, first: i, last: i + 1 }));
    expect(expectValid(chain)).toBe(128);
    expect(expectValid([...chain, { size: 64, first: 2, last: 5 }])).toBe(192);
  });

  it('meets the lower bound for a network whose maps shrink while channels grow', () => {
    // Residual blocks of inputs, four times wider hidden maps and outputs, at half the size every other block.
    const buffers: Buffer[] = [];
    for (let block = 0, step = 0; block < 8; block++, step += 2) {
      const size = 4096 >> Math.floor(block / 2);
      buffers.push(
        { size, first: step, last: step + 2 },
        { size: 4 * size, first: step + 1, last: step + 2 },
      );
    }
    expect(expectValid(buffers)).toBe(peak(buffers));
  });

  it('rounds sizes up and takes the tightest gap', () => {
    expect(planMemory([{ size: 1, first: 0, last: 0 }, { size: 17, first: 0, last: 0 }])).toEqual({ offsets: [32, 0], total: 48 }); // prettier-ignore
    // In step 1 there are gaps of 96, 64 and 64 between the buffers that last.
    const { offsets } = planMemory([
      { size: 160, first: 0, last: 1 },
      { size: 96, first: 0, last: 0 },
      { size: 80, first: 0, last: 1 },
      { size: 64, first: 0, last: 0 },
      { size: 64, first: 0, last: 1 },
      { size: 64, first: 0, last: 0 },
      { size: 64, first: 0, last: 1 },
      { size: 64, first: 1, last: 1 },
    ]);
    expect(offsets).toEqual([0, 160, 256, 336, 400, 464, 528, 336]);
  });

  it('plans nothing', () => {
    expect(planMemory([])).toEqual({ offsets: [], total: 0 });
  });
});
