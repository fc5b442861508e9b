/**
 * Copies pixels between layouts: as many channels as both have; the rest of each target pixel becomes zero.
 *
 * @param fromPitch floats from pixel to pixel in `from`
 * @param toPitch floats from pixel to pixel in `to`
 */
export function copyPixels(from: Float32Array, fromPitch: number, to: Float32Array, toPitch: number): void {
  if (fromPitch === toPitch) {
    to.set(from);
    return;
  }
  const channels = Math.min(fromPitch, toPitch);
  const pixels = from.length / fromPitch;
  if (channels < toPitch) to.fill(0);
  if (channels >= 64) {
    for (let p = 0; p < pixels; p++) {
      to.set(from.subarray(p * fromPitch, p * fromPitch + channels), p * toPitch);
    }
    return;
  }
  // Copying few floats one by one is quicker than making views of them.
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < channels; c++) to[p * toPitch + c] = from[p * fromPitch + c] ?? 0;
  }
}
