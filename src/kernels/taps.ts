import type { Window } from './problem.ts';
import { outputMap } from './problem.ts';

/** Taps k with 0 ≤ start + k·dilation < size: from `first` to before `end`. */
export function tapRange(
  start: number,
  size: number,
  kernel: number,
  dilation: number,
): { readonly first: number; readonly end: number } {
  const first = Math.max(0, Math.ceil(-start / dilation));
  const end = Math.min(kernel, Math.floor((size - 1 - start) / dilation) + 1);
  return { first, end: Math.max(first, end) };
}

/** Σ over outputs of the taps that meet a pixel, along each axis of a window. */
export function meetingPairs(window: Window): { readonly vertical: number; readonly horizontal: number } {
  const { height, width, kernelHeight, kernelWidth, stride, dilation, padding } = window;
  const out = outputMap(window);
  const pairs = (size: number, outputs: number, kernel: number, before: number): number => {
    let total = 0;
    for (let o = 0; o < outputs; o++) {
      const { first, end } = tapRange(o * stride - before, size, kernel, dilation);
      total += end - first;
    }
    return total;
  };
  return {
    vertical: pairs(height, out.height, kernelHeight, padding.top),
    horizontal: pairs(width, out.width, kernelWidth, padding.left),
  };
}
