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

/** Pixels that are read soon: rows `firstRow` to `endRow` of an image's map, from `firstColumn` on. */
export interface PixelArea {
  readonly buffer: Buffer;
  readonly height: number;
  readonly width: number;
  readonly pitch: number;
  /** At most so many rows and columns. */
  readonly rows: number;
  readonly columns: number;
  readonly image: Value;
  readonly firstRow: Value;
  readonly endRow: Value;
  readonly firstColumn: Value;
  readonly channel: Value;
}

/**
 * Spreads hints for the pixels of an area over `steps` steps: a core waits for few cache lines at a time (24 or so), and
 * drops hints beyond those.
 */
export function hintPixels(b: KernelBuilder, area: PixelArea, steps: number): (step: Value) => void {
  const { buffer, height, width, pitch, rows, columns } = area;
  const pixelsOfStep = Math.min(width, Math.ceil((rows * columns) / steps));
  const stepsOfRow = Math.ceil(columns / pixelsOfStep);
  return (step) => {
    const row = b.add(area.firstRow, b.div(step, stepsOfRow));
    b.if(b.lt(row, area.endRow), () => {
      const first = b.add(area.firstColumn, b.mul(b.rem(step, stepsOfRow), pixelsOfStep));
      const inside = b.max(b.min(first, width - pixelsOfStep), 0);
      const line = b.add(b.mul(b.add(b.mul(area.image, height), row), width), inside);
      const from = b.add(b.mul(line, pitch), area.channel);
      for (let i = 0; i < pixelsOfStep; i++) b.prefetch(buffer, from, i * pitch);
    });
  };
}
