import type { Kernel } from '../codegen/ir.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
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
  /** Floats of each of the three arrays, a multiple of 2¹⁴; default 2²⁵. */
  readonly arrayFloats?: number;
}

/**
 * Measures a machine through a device's own kernels: multiply-add peak, and the bandwidth of memory for reading, copying
 * and the triad y = x + a·z, and what caches do. The best of many runs, since what is sought is a bound.
 * Throws `invalid-argument` for arrays of other sizes, `out-of-memory` if the device cannot hold them, `device-lost` if it
 * computes wrongly, `aborted` if the signal fires.
 */
export async function measureDevice(
  device: Device,
  options: MeasureOptions = {},
): Promise<DeviceMeasurement> {
  const { signal, arrayFloats: floats = ARRAY_FLOATS } = options;
  if (!Number.isSafeInteger(floats) || floats < 1 || floats % TASK_FLOATS !== 0) {
    throw invalidArgument(`Arrays to measure must have a multiple of ${TASK_FLOATS} floats, got ${floats}.`);
  }
  const peakBefore = await measurePeak(device);
  throwIfAborted(signal);
  const nearTasks = NEAR_TASKS_PER_THREAD * device.caps.threads;
  const [lanes = 4] = device.caps.lanes;
  const sizes = CACHE_FLOATS.filter((size) => size < floats);
  // Short arrays may be more than one long one. Each task has a sum in every lane.
  const x = 0;
  const y = Math.max(floats, nearTasks * NEAR_FLOATS);
  const z = y + floats;
  const sums = z + floats;
  const end = sums + lanes * Math.max(nearTasks, floats / TASK_FLOATS);
  // Whole groups of steps are timed from outside: within a run, a thread that wakes up late would see too short a step.
  const patterns: readonly Pattern[] = [
    { kernel: nearKernel(lanes, nearTasks), arrays: [x, sums], moved: NEAR_TURNS * NEAR_FLOATS * nearTasks },
    { kernel: readKernel(lanes, floats / TASK_FLOATS), arrays: [x, sums], moved: floats },
    { kernel: copyKernel(lanes, floats / TASK_FLOATS), arrays: [x, y], moved: 2 * floats },
    { kernel: triadKernel(lanes, floats / TASK_FLOATS), arrays: [x, z, y], moved: 3 * floats },
    ...sizes.map((size) => ({
      kernel: readKernel(lanes, size / TASK_FLOATS),
      arrays: [x, sums],
      moved: size,
      passes: Math.ceil(PASSES_FLOATS / size),
    })),
  ];
  const executable = await device.compile({
    kernels: patterns.map(({ kernel }) => kernel),
    steps: [],
    prepare: patterns.map(({ kernel, arrays, passes = 1 }, index) =>
      Array.from({ length: passes }, () => ({
        kernel: index,
        slots: arrays.map(slotAt),
        label: kernel.name,
      })),
    ),
    sizes: { weights: 0, arena: end, staging: 0 },
  });
  try {
    // Memory is there once it has been written.
    executable.view('arena').fill(1);
    const best = await leastTimes(executable, patterns.length, signal);
    // Times of work that was not done mean nothing: of ones, 1 + ½·1, and each lane of a task's sum is its share.
    const arena = executable.view('arena');
    if (arena[z - 1] !== 1.5 || arena[sums] !== TASK_FLOATS / lanes) {
      throw new WidefieldError(
        'device-lost',
        'The kernels that measure memory gave wrong results: measure again.',
      );
    }
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

function slotAt(offset: number): Slot {
  return { region: 'arena', offset };
}

/** A kernel, where its arrays begin, and the floats that one call moves. */
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
