import { intensityOf, totalCost } from './costs.ts';
import type { KernelCost } from './costs.ts';
import { defaultDtype, opByteRatio, peakOf } from './devices.ts';
import type { DeviceRecord, Dtype } from './devices.ts';

/** One rectangle of a waterline plot: as wide as the kernel's time, as high as its intensity. */
export interface WaterlineKernel extends KernelCost {
  /** Operations per byte. */
  readonly intensity: number;
  /** The least time that the device can take: n / min(R, B·n/b). */
  readonly timeUs: number;
  /** Whether memory bounds it: its intensity is below the device's op:byte ratio. */
  readonly underwater: boolean;
}

/** What layer-wise, or block-wise, execution can attain at best (Lavin 2024, waterline analysis). */
export interface Waterline {
  readonly kernels: readonly WaterlineKernel[];
  /** R / B, the line: operations that the device does in the time of a byte. */
  readonly opByte: number;
  readonly ops: number;
  readonly bytes: number;
  readonly minLatencyMs: number;
  /** Σ n / (R · T): the share of the peak rate that no execution of these kernels can exceed. */
  readonly maxEfficiency: number;
  /** Share of the time in kernels that memory bounds. */
  readonly underwaterShare: number;
}

/** Seconds that kernels take at least: max(n / R, b / B), which is n / min(R, B·n/b), also without operations. */
export function attainableSeconds(
  { ops, bytes }: Pick<KernelCost, 'ops' | 'bytes'>,
  rate: number,
  bandwidth: number,
): number {
  return Math.max(ops / rate, bytes / bandwidth);
}

/**
 * The waterline of kernels on a device.
 *
 * @param dtype the data type whose peak rate counts; default f16, or what the record has
 */
export function waterline(
  kernels: readonly KernelCost[],
  device: DeviceRecord,
  dtype: Dtype = defaultDtype(device),
): Waterline {
  const rate = peakOf(device, dtype);
  const opByte = opByteRatio(device, dtype);
  const bars = kernels.map((kernel) => ({
    ...kernel,
    intensity: intensityOf(kernel),
    timeUs: 1e6 * attainableSeconds(kernel, rate, device.bandwidth),
    underwater: intensityOf(kernel) < opByte,
  }));
  const { ops, bytes } = totalCost(kernels);
  const totalUs = sumTimes(bars);
  return {
    kernels: bars,
    opByte,
    ops,
    bytes,
    minLatencyMs: totalUs / 1e3,
    maxEfficiency: (1e6 * ops) / (rate * totalUs),
    underwaterShare: sumTimes(bars.filter(({ underwater }) => underwater)) / totalUs,
  };
}

function sumTimes(kernels: readonly { readonly timeUs: number }[]): number {
  return kernels.reduce((sum, { timeUs }) => sum + timeUs, 0);
}
