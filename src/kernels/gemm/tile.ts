import type { KernelBuilder, Variable } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { largestDivisor } from '../divide.ts';

/** The left-hand side: element (row, k) is at `base + rowOffset(row) + k`. */
export interface LeftOperand {
  readonly buffer: Buffer;
  readonly base: Value;
  readonly rowOffset: (row: number) => number;
}

/** One panel of the right-hand side: element (k, column) is at `base + k · vectors · lanes + column`. */
export interface RightOperand {
  readonly buffer: Buffer;
  readonly base: Value;
}

/** The `perStep` floats from `base + k · perStep` on, for each step k. */
export interface Ahead {
  readonly buffer: Buffer;
  readonly base: Value;
  readonly perStep: number;
}

const LINE_FLOATS = 16;
/** Steps that may be one turn of the loop. */
const SHORT = 8;

/** A register tile of `rows` × `vectors` accumulators. */
export type Tile = readonly (readonly Variable[])[];

/** Accumulators that start as `init(row, vector)`. */
export function newTile(
  b: KernelBuilder,
  rows: number,
  vectors: number,
  init: (row: number, vector: number) => Value,
): Tile {
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: vectors }, (_, v) => b.variable(init(r, v), 'acc')),
  );
}

/**
 * Emits tile += left[rows, depth] · right[depth, vectors · lanes]: for each k, a column of broadcasts times a
 * row of vectors, rows · vectors independent fused multiply-adds.
 *
 * @param maxUnroll the most steps of k in one turn of the loop.
 * @param ahead what is asked for on the way, because it is needed next.
 */
export function accumulate(
  b: KernelBuilder,
  tile: Tile,
  left: LeftOperand,
  right: RightOperand,
  depth: number,
  maxUnroll: number,
  ahead?: Ahead,
): void {
  const vectors = tile[0]?.length ?? 0;
  const step = (k: Value, i: number): void => {
    const from = b.add(right.base, b.mul(k, vectors * b.lanes));
    const row = Array.from({ length: vectors }, (_, v) =>
      b.loadVec(right.buffer, from, (i * vectors + v) * b.lanes),
    );
    // All rows share the step's index: V8 adds the constant offset of a broadcast outside of the loop, and with an offset
    // for each row and step it would keep more addresses than there are registers.
    const element = b.add(b.add(left.base, k), i);
    tile.forEach((accumulators, r) => {
      const a = b.loadBroadcast(left.buffer, element, left.rowOffset(r));
      accumulators.forEach((accumulator, v) => {
        const factor = row[v];
        if (factor !== undefined) accumulator.set(b.fma(a, factor, accumulator.get()));
      });
    });
  };
  // A loop of one turn is merged into what surrounds it, where the emitter ends no basic blocks: for short ones only.
  const unroll = largestDivisor(depth, depth > SHORT ? Math.min(maxUnroll, depth >> 1) : maxUnroll);
  b.for(0, depth, unroll, (k) => {
    if (ahead) {
      const from = b.add(ahead.base, b.mul(k, ahead.perStep));
      for (let at = 0; at < unroll * ahead.perStep; at += LINE_FLOATS) b.touch(ahead.buffer, from, at);
    }
    for (let i = 0; i < unroll; i++) step(k, i);
  });
}
