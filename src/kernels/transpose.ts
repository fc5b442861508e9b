import type { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';

/**
 * Transposes as many vectors as they have lanes: lane j of row i becomes lane i of row j.
 *
 * Each round zips row i with row i + lanes/2, the perfect shuffle: an element at (row, lane), read as one number in bits,
 * moves to the number rotated by a bit. After log2(lanes) rounds row and lane have changed places.
 */
export function transpose(b: KernelBuilder, rows: readonly Value[]): Value[] {
  const half = rows.length / 2;
  let current = [...rows];
  for (let round = 1; round < rows.length; round *= 2) {
    current = current.slice(0, half).flatMap((row, i) => {
      const other = current[i + half] ?? row;
      return [b.zipLow(row, other), b.zipHigh(row, other)];
    });
  }
  return current;
}
