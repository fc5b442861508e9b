import { intensityOf, totalCost } from './costs.ts';
import type { KernelCost } from './costs.ts';
import { defaultDtype, opByteRatio, peakOf } from './devices.ts';
import type { DeviceRecord, Dtype } from './devices.ts';

/** One rectangle of a waterline plot: as wide as the kernel's time, as high as its intensity. */
export interface WaterlineKernel extends KernelCost {
  /** Operations per byte. */
  readonly intensity: number;
  /** The least time that the device can take: n / min(R, B·n/b), or as {@link WaterlineOptions.memory} says. */
  readonly timeUs: number;
  /** Whether memory bounds it: without caches, that its intensity is below the device's op:byte ratio. */
  readonly underwater: boolean;
}

/** What layer-wise, or block-wise, execution can attain at best (Lavin 2024, waterline analysis). */
export interface Waterline {
  readonly kernels: readonly WaterlineKernel[];
  readonly memory: MemoryModel;
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

/** Where kernels may find what the ones before them left. */
export const MEMORY_MODELS = ['dram', 'caches'] as const;

export type MemoryModel = (typeof MEMORY_MODELS)[number];

export interface WaterlineOptions {
  /**
   * `dram`: every byte moves to or from DRAM, as in the paper, where maps of 128 images are larger than caches. `caches`:
   * those on record hold what they can, which is most at small batches; see {@link movingSeconds}.
   * Default: `caches` for a machine that was measured, else `dram`.
   */
  readonly memory?: MemoryModel;
}

export function defaultMemory(device: DeviceRecord): MemoryModel {
  return device.measurements === undefined ? 'dram' : 'caches';
}

/**
 * Seconds that a kernel's bytes take at least. With caches, of S bytes altogether so far, at most S bytes of a kernel's
 * inputs are there already, and at most S of its outputs stay there; the others, b − 2S or more, come from or go to what
 * lies behind: max over caches and DRAM of (b − 2S) / B.
 */
export function movingSeconds(bytes: number, device: DeviceRecord, memory: MemoryModel): number {
  const caches = memory === 'caches' ? (device.caches ?? []) : [];
  let held = 0;
  let seconds = 0;
  for (const level of caches) {
    if (level.bandwidth !== undefined) seconds = Math.max(seconds, (bytes - 2 * held) / level.bandwidth);
    held += level.bytes;
  }
  return Math.max(seconds, (bytes - 2 * held) / device.bandwidth);
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
  { memory = defaultMemory(device) }: WaterlineOptions = {},
): Waterline {
  const rate = peakOf(device, dtype);
  const bars = kernels.map((kernel) => {
    const [computing, moving] = [kernel.ops / rate, movingSeconds(kernel.bytes, device, memory)];
    return {
      ...kernel,
      intensity: intensityOf(kernel),
      timeUs: 1e6 * Math.max(computing, moving),
      underwater: computing < moving,
    };
  });
  const { ops, bytes } = totalCost(kernels);
  const totalUs = sumTimes(bars);
  return {
    kernels: bars,
    memory,
    opByte: opByteRatio(device, dtype),
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
