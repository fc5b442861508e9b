/** [N, H·W, C] → [N, C, H·W]. */
export function nhwcToNchw(x: Float32Array, batch: number, pixels: number, channels: number): Float32Array {
  const y = new Float32Array(x.length);
  transposeBatches(x, y, batch, pixels, channels);
  return y;
}

/** [N, C, H·W] → [N, H·W, C]. */
export function nchwToNhwc(x: Float32Array, batch: number, pixels: number, channels: number): Float32Array {
  const y = new Float32Array(x.length);
  transposeBatches(x, y, batch, channels, pixels);
  return y;
}

/** [rows, columns] → [columns, rows]. */
export function transpose(x: Float32Array, rows: number, columns: number): Float32Array {
  return nhwcToNchw(x, 1, rows, columns);
}

/** [batch, rows, columns] → [batch, columns, rows]. */
function transposeBatches(
  x: Float32Array,
  y: Float32Array,
  batch: number,
  rows: number,
  columns: number,
): void {
  const size = rows * columns;
  for (let n = 0; n < batch; n++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        y[n * size + c * rows + r] = x[n * size + r * columns + c] ?? NaN;
      }
    }
  }
}
