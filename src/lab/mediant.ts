import { invalidArgument } from '../core/errors.ts';
import { totalCost } from './costs.ts';
import type { KernelCost } from './costs.ts';

/** Maximum efficiency at one op:byte ratio, by two models. */
export interface EfficiencyAtRatio {
  readonly opByte: number;
  /** One roofline for the whole sequence, at the mediant of its intensities, Σn / Σb. Too high for mixed sequences. */
  readonly mediant: number;
  /** One roofline a kernel. Never above the mediant's. */
  readonly waterline: number;
}

/** Maximum efficiency of any device with this op:byte ratio r: Σn / max(Σn, r·Σb), and Σn / Σ max(n, r·b). */
export function efficiencyAt(kernels: readonly KernelCost[], opByte: number): EfficiencyAtRatio {
  const { ops, bytes } = totalCost(kernels);
  const time = kernels.reduce((sum, kernel) => sum + Math.max(kernel.ops, opByte * kernel.bytes), 0);
  return { opByte, mediant: ops / Math.max(ops, opByte * bytes), waterline: ops / time };
}

/** Of a curve. */
const MAX_POINTS = 10_000;

/**
 * The curve of Lavin 2024: maximum efficiency against op:byte ratios from 0 to `to`, 600, in steps of `step`, 10.
 * Throws `invalid-argument` if these make no curve, or one of more than 10,000 points.
 */
export function mediantCurve(
  kernels: readonly KernelCost[],
  { to = 600, step = 10 }: { readonly to?: number; readonly step?: number } = {},
): EfficiencyAtRatio[] {
  // 0.3 / 0.1 is slightly below 3.
  const points = Math.floor(to / step + 1e-9) + 1;
  if (!(step > 0 && to >= 0 && points <= MAX_POINTS)) {
    throw invalidArgument(
      `A curve to ${to} in steps of ${step} cannot be drawn: use a step above 0 that makes at most ${MAX_POINTS} points.`,
    );
  }
  return Array.from({ length: points }, (_, i) => efficiencyAt(kernels, i * step));
}
