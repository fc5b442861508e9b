import { describe, expect, test } from 'vitest';
import { KernelBuilder } from '../../../src/codegen/builder.ts';
import type { Kernel, Statement } from '../../../src/codegen/ir.ts';
import { lifetimes } from '../../../src/codegen/wasm/lifetimes.ts';
import { blockEnds } from '../../../src/codegen/wasm/pressure.ts';
import { accumulate, newTile } from '../../../src/kernels/gemm/tile.ts';

/** Where the loop of a kernel is cut: the number of updates of accumulators before each cut. */
function cutsOf(kernel: Kernel, temporaries: number): number[] {
  const loop = kernel.body.find((statement) => statement.kind === 'for');
  const body: readonly Statement[] = loop?.kind === 'for' ? loop.body : [];
  const ends = blockEnds(
    body,
    lifetimes(kernel, () => 0),
    temporaries,
  );
  const positions: number[] = [];
  let updates = 0;
  for (const statement of body) {
    if (ends.has(statement)) positions.push(updates);
    if (statement.kind === 'set') updates++;
  }
  return positions;
}

/** Those of a product's inner loop. */
function cuts(rows: number, vectors: number, unroll: number, temporaries: number): number[] {
  const b = new KernelBuilder({ name: 'tile', description: 'a register tile', lanes: 4, tasks: 1 });
  const x = b.input('x');
  const packed = b.input('packed');
  const y = b.output('y');
  const tile = newTile(b, rows, vectors, () => b.vec(0));
  const left = { buffer: x, base: b.i32(0), rowOffset: (r: number) => 64 * r };
  accumulate(b, tile, left, { buffer: packed, base: b.i32(0) }, 64, unroll);
  tile.flat().forEach((sum, i) => {
    b.store(y, i * 4, sum.get());
  });
  return cutsOf(b.build(), temporaries);
}

describe('ends of basic blocks', () => {
  test('a step that fits the registers is not cut', () => {
    expect(cuts(4, 2, 1, 1)).toEqual([]);
    expect(cuts(2, 2, 2, 1)).toEqual([]);
  });

  test('several steps are cut where the loads of the next one do not fit', () => {
    expect(cuts(4, 2, 4, 1)).toEqual([8, 16, 24]);
  });

  test('large tiles are cut within a step: after every row that uses the last register', () => {
    expect(cuts(6, 2, 1, 0)).toEqual([2, 4, 6, 8, 10]);
    expect(cuts(5, 2, 1, 1)).toEqual([4, 8]);
    expect(cuts(5, 2, 1, 0)).toEqual([6]);
  });

  test('loads that are written in place count where they are', () => {
    const b = new KernelBuilder({ name: 'sums', description: 'ten sums', lanes: 4, tasks: 1 });
    const [x, y] = [b.input('x'), b.output('y')];
    const sums = Array.from({ length: 10 }, () => b.variable(b.vec(0)));
    b.for(0, 64, 1, (i) => {
      const weight = b.loadBroadcast(x, i);
      sums.forEach((sum, at) => {
        sum.set(b.fma(weight, b.loadVec(x, i, 64 * at), sum.get()));
      });
    });
    sums.forEach((sum, at) => {
      b.store(y, at * 4, sum.get());
    });
    expect(cutsOf(b.build(), 1)).toEqual([3, 6, 9]);
  });
});
