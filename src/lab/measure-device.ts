import type { Kernel } from '../codegen/ir.ts';
import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import { describeMachine } from '../bench/machine.ts';
import { measurePeak } from '../bench/peak.ts';
import type { Device, Executable, Slot } from '../devices/device.ts';
import type { DeviceMeasurement, DeviceRecord } from './devices.ts';
import {
  NEAR_FLOATS,
  NEAR_TURNS,
  TASK_FLOATS,
  copyKernel,
  nearKernel,
  readKernel,
  triadKernel,
} from './memory-kernels.ts';

/** Name of the record of the machine at hand. */
export const THIS_DEVICE = 'this';

/** Floats of one array: 128 MiB, several times the last cache of most machines. */
const ARRAY_FLOATS = 2 ** 25;
const FLOAT_BYTES = 4;
const MEASURE_MS = 1500;
const LEAST_RUNS = 5;
/** Sizes in floats, 1 to 64 MiB, of which some stay in caches: those are read faster than memory, by this factor. */
const CACHE_FLOATS = [18, 19, 20, 21, 22, 23, 24].map((log) => 2 ** log);
const FASTER = 1.25;
/** Smaller arrays are read again and again, so that starting a run does not count. */
const PASSES_FLOATS = 2 ** 25;
const NEAR_TASKS_PER_THREAD = 64;

export interface MeasureOptions {
  readonly signal?: AbortSignal;
  /** Floats of each of the three arrays; default 2²⁵, a multiple of 2¹⁴. */
  readonly arrayFloats?: number;
}

/**
 * Measures a machine through a device's own kernels: multiply-add peak, and the bandwidth of memory for reading, copying
 * and the triad y = x + a·z, and what caches do. The best of many runs, since what is sought is a bound.
 */
export async function measureDevice(
  device: Device,
  options: MeasureOptions = {},
): Promise<DeviceMeasurement> {
  const { signal, arrayFloats = ARRAY_FLOATS } = options;
  const peakBefore = await measurePeak(device);
  throwIfAborted(signal);
  const floats = TASK_FLOATS * Math.floor(arrayFloats / TASK_FLOATS);
  const nearTasks = NEAR_TASKS_PER_THREAD * device.caps.threads;
  const [lanes = 4] = device.caps.lanes;
  const sizes = CACHE_FLOATS.filter((size) => size < floats);
  const array = (index: number): Slot => ({ region: 'arena', offset: index * arrayFloats });
  // Whole groups of steps are timed from outside: within a run, a thread that wakes up late would see too short a step.
  const patterns: readonly Pattern[] = [
    { kernel: nearKernel(lanes, nearTasks), arrays: [0, 2], moved: NEAR_TURNS * NEAR_FLOATS * nearTasks },
    { kernel: readKernel(lanes, floats / TASK_FLOATS), arrays: [0, 2], moved: floats },
    { kernel: copyKernel(lanes, floats / TASK_FLOATS), arrays: [0, 1], moved: 2 * floats },
    { kernel: triadKernel(lanes, floats / TASK_FLOATS), arrays: [0, 2, 1], moved: 3 * floats },
    ...sizes.map((size) => ({
      kernel: readKernel(lanes, size / TASK_FLOATS),
      arrays: [0, 2],
      moved: size,
      passes: Math.ceil(PASSES_FLOATS / size),
    })),
  ];
  const executable = await device.compile({
    kernels: patterns.map(({ kernel }) => kernel),
    steps: [],
    prepare: patterns.map(({ kernel, arrays, passes = 1 }, index) =>
      Array.from({ length: passes }, () => ({ kernel: index, slots: arrays.map(array), label: kernel.name })),
    ),
    sizes: { weights: 0, arena: 3 * arrayFloats, staging: 0 },
  });
  try {
    // Memory is there once it has been written.
    executable.view('arena').fill(1);
    const best = await leastTimes(executable, patterns.length, signal);
    checkWork(executable.view('arena'), arrayFloats, lanes);
    const [near = 0, read = 0, copy = 0, triad = 0, ...cached] = patterns.map(
      ({ moved, passes = 1 }, i) => (1e3 * FLOAT_BYTES * moved * passes) / (best[i] ?? Infinity),
    );
    // Again, because a busy machine may have hidden it.
    const peak = 1e9 * Math.max(peakBefore, await measurePeak(device));
    const uncached = sizes.find((_, i) => (cached[i] ?? 0) < FASTER * read);
    return {
      threads: device.caps.threads,
      peak,
      readBandwidth: read,
      copyBandwidth: copy,
      triadBandwidth: triad,
      cacheBandwidth: Math.max(near, ...cached),
      cacheBytes: FLOAT_BYTES * (uncached ?? floats),
    };
  } finally {
    await executable.dispose();
  }
}

/** A kernel over arrays 0, 1 and 2, and the floats that one call moves. */
interface Pattern {
  readonly kernel: Kernel;
  readonly arrays: readonly number[];
  readonly moved: number;
  readonly passes?: number;
}

/** The least time of each group that any run found, in milliseconds. */
async function leastTimes(
  executable: Executable,
  groups: number,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const least = Array.from({ length: groups }, () => Infinity);
  const end = performance.now() + MEASURE_MS;
  for (let run = 0; run < LEAST_RUNS || performance.now() < end; run++) {
    for (const [group, best] of least.entries()) {
      throwIfAborted(signal);
      const begin = performance.now();
      await executable.prepare(group);
      least[group] = Math.min(best, performance.now() - begin);
    }
  }
  return least;
}

/**
 * The record of this machine, from measurements with several numbers of threads. Its figures are those of most threads;
 * its bandwidth is the best of the three patterns, because networks read more than they write.
 */
export function thisDevice(measurements: readonly DeviceMeasurement[], how: string): DeviceRecord {
  const { cpu, os } = describeMachine();
  const most = measurements.reduce((a, b) => (b.threads > a.threads ? b : a));
  return {
    name: THIS_DEVICE,
    title: cpu,
    type: 'cpu',
    peak: { f32: most.peak },
    bandwidth: Math.max(most.readBandwidth, most.copyBandwidth, most.triadBandwidth),
    units: most.threads,
    ...(most.cacheBytes !== undefined &&
      most.cacheBandwidth !== undefined && {
        caches: [{ name: 'caches', bytes: most.cacheBytes, bandwidth: most.cacheBandwidth }],
      }),
    sources: {
      peak: `measured: multiply-adds in registers, ${most.threads} threads, ${how}, ${os}`,
      bandwidth: `measured: the best of reading, copying and triad over arrays of ${(ARRAY_FLOATS * FLOAT_BYTES) / 2 ** 20} MiB`,
      caches: 'measured: the least array that is read no faster than memory; what the first level is read at',
    },
    measurements,
  };
}

/** Times of work that was not done mean nothing: of ones, y = 1 + ½·1 at the end, and each lane of a task's sum is its share. */
function checkWork(arena: Float32Array, arrayFloats: number, lanes: number): void {
  const last = Math.floor(arrayFloats / TASK_FLOATS) * TASK_FLOATS - 1;
  if (arena[arrayFloats + last] === 1.5 && arena[2 * arrayFloats] === TASK_FLOATS / lanes) return;
  throw new WidefieldError(
    'device-lost',
    'The kernels that measure memory gave wrong results: measure again.',
  );
}
