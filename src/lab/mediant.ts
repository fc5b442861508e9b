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

/** The curve of Lavin 2024: maximum efficiency against op:byte ratios from 0 to 600. */
export function mediantCurve(
  kernels: readonly KernelCost[],
  { to = 600, step = 10 }: { readonly to?: number; readonly step?: number } = {},
): EfficiencyAtRatio[] {
  return Array.from({ length: Math.floor(to / step) + 1 }, (_, i) => efficiencyAt(kernels, i * step));
}
