import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';

/** Clears row `row` of a plane of `columns` columns of `planeRows` complex vectors. */
export function clearRow(
  b: KernelBuilder,
  plane: Buffer,
  planeRows: number,
  columns: number,
  row: Value,
): void {
  b.for(0, columns, 1, (column) => {
    const at = b.mul(b.add(b.mul(column, planeRows), row), 2 * b.lanes);
    b.store(plane, at, b.vec(0));
    b.store(plane, at, b.vec(0), b.lanes);
  });
}

/** Copies the part of a row that a window sees, with zeros where the map ends. */
export function loadWindow(
  b: KernelBuilder,
  x: Buffer,
  from: Value,
  pitch: number,
  width: number,
  firstColumn: Value,
  length: number,
  pixels: Buffer,
): void {
  const low = b.min(b.max(b.sub(0, firstColumn), 0), length);
  const high = b.min(b.sub(width, firstColumn), length);
  b.for(0, low, 1, (i) => b.store(pixels, b.mul(i, b.lanes), b.vec(0)));
  b.for(low, high, 1, (i) => {
    const at = b.add(from, b.mul(b.add(firstColumn, i), pitch));
    b.store(pixels, b.mul(i, b.lanes), b.loadVec(x, at));
  });
  b.for(b.max(high, 0), length, 1, (i) => b.store(pixels, b.mul(i, b.lanes), b.vec(0)));
}
