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

/** A pixel of a row, counted from the first one that the first output meets, and the outputs that meet it. */
export interface Meeting {
  readonly position: number;
  readonly pairs: readonly { readonly output: number; readonly tap: number }[];
}

/** Which of a row's outputs meet which pixels, pixel by pixel: each is loaded once then, and visits its taps. */
export function meetings(
  outputs: number,
  kernel: number,
  stride: number,
  dilation: number,
  meets: (output: number, tap: number) => boolean = () => true,
): Meeting[] {
  const found = new Map<number, { readonly output: number; readonly tap: number }[]>();
  for (let output = 0; output < outputs; output++) {
    for (let tap = 0; tap < kernel; tap++) {
      if (!meets(output, tap)) continue;
      const position = output * stride + tap * dilation;
      found.set(position, [...(found.get(position) ?? []), { output, tap }]);
    }
  }
  return [...found].map(([position, pairs]) => ({ position, pairs })).sort((a, b) => a.position - b.position);
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
