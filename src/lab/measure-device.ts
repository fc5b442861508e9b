import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel } from '../codegen/ir.ts';
import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import { describeMachine } from '../bench/machine.ts';
import { measurePeak } from '../bench/peak.ts';
import type { Device } from '../devices/device.ts';
import type { DeviceMeasurement, DeviceRecord } from './devices.ts';

/** Name of the record of the machine at hand. */
export const THIS_DEVICE = 'this';

/** Floats of one array: 128 MiB, several times the last cache of most machines. */
const ARRAY_FLOATS = 2 ** 25;
/** Floats of one task, so that threads take many: 64 KiB. */
const TASK_FLOATS = 2 ** 14;
/** Independent loads in a turn of the loop, to keep many cache lines under way. */
const UNROLL = 8;
const FLOAT_BYTES = 4;
const MEASURE_MS = 1500;
const LEAST_RUNS = 5;

export interface MeasureOptions {
  readonly signal?: AbortSignal;
  /** Floats of each of the three arrays; default 2²⁵, a multiple of 2¹⁴. */
  readonly arrayFloats?: number;
}

/**
 * Measures a machine through a device's own kernels: multiply-add peak, and the bandwidth of memory for reading, copying
 * and the triad y = x + a·z. The best of many runs, since what is sought is a bound.
 */
export async function measureDevice(
  device: Device,
  options: MeasureOptions = {},
): Promise<DeviceMeasurement> {
  const { signal, arrayFloats = ARRAY_FLOATS } = options;
  const peak = 1e9 * (await measurePeak(device));
  throwIfAborted(signal);
  const tasks = Math.floor(arrayFloats / TASK_FLOATS);
  const array = (index: number) => ({ region: 'arena', offset: index * arrayFloats }) as const;
  const [lanes = 4] = device.caps.lanes;
  const kernels = [readKernel(lanes, tasks), copyKernel(lanes, tasks), triadKernel(lanes, tasks)];
  const executable = await device.compile({
    kernels,
    steps: [
      { kernel: 0, slots: [array(0), array(2)], label: 'read' },
      { kernel: 1, slots: [array(0), array(1)], label: 'copy' },
      { kernel: 2, slots: [array(0), array(2), array(1)], label: 'triad' },
    ],
    prepare: [],
    sizes: { weights: 0, arena: 3 * arrayFloats, staging: 0 },
  });
  try {
    // Memory is there once it has been written.
    executable.view('arena').fill(1);
    const best = new Map<string, number>();
    const end = performance.now() + MEASURE_MS;
    for (let run = 0; run < LEAST_RUNS || performance.now() < end; run++) {
      for (const { label, milliseconds } of await executable.profile(signal && { signal })) {
        best.set(label, Math.min(best.get(label) ?? Infinity, milliseconds));
      }
    }
    checkWork(executable.view('arena'), arrayFloats, lanes);
    const bandwidth = (label: string, arrays: number): number =>
      (1e3 * arrays * FLOAT_BYTES * tasks * TASK_FLOATS) / (best.get(label) ?? Infinity);
    return {
      threads: device.caps.threads,
      peak,
      readBandwidth: bandwidth('read', 1),
      copyBandwidth: bandwidth('copy', 2),
      triadBandwidth: bandwidth('triad', 3),
    };
  } finally {
    await executable.dispose();
  }
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
    sources: {
      peak: `measured: multiply-adds in registers, ${most.threads} threads, ${how}, ${os}`,
      bandwidth: `measured: the best of reading, copying and triad over arrays of ${(ARRAY_FLOATS * FLOAT_BYTES) / 2 ** 20} MiB`,
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

/** Sums an array; what each task found goes to an element of y, so that compilers must read all of it. */
function readKernel(lanes: number, tasks: number): Kernel {
  const b = new KernelBuilder({ name: 'read_memory', description: 'sums an array', lanes, tasks });
  const x = b.input('x');
  const y = b.output('y');
  const base = b.mul(b.task, TASK_FLOATS);
  const sums = Array.from({ length: UNROLL }, (_, i) => b.variable(b.loadVec(x, base, i * lanes), 'sum'));
  b.for(UNROLL * lanes, TASK_FLOATS, UNROLL * lanes, (i) => {
    sums.forEach((sum, j) => sum.set(b.add(sum.get(), b.loadVec(x, b.add(base, i), j * lanes))));
  });
  const total = sums.map((sum) => sum.get()).reduce((a, c) => b.add(a, c));
  b.store(y, b.mul(b.task, lanes), total);
  return b.build();
}

function copyKernel(lanes: number, tasks: number): Kernel {
  const b = new KernelBuilder({ name: 'copy_memory', description: 'y = x', lanes, tasks });
  const x = b.input('x');
  const y = b.output('y');
  const base = b.mul(b.task, TASK_FLOATS);
  b.for(0, TASK_FLOATS, UNROLL * lanes, (i) => {
    const at = b.add(base, i);
    const values = Array.from({ length: UNROLL }, (_, j) => b.loadVec(x, at, j * lanes));
    values.forEach((value, j) => b.store(y, at, value, j * lanes));
  });
  return b.build();
}

function triadKernel(lanes: number, tasks: number): Kernel {
  const b = new KernelBuilder({ name: 'triad_memory', description: 'y = x + a z', lanes, tasks });
  const x = b.input('x');
  const z = b.input('z');
  const y = b.output('y');
  const base = b.mul(b.task, TASK_FLOATS);
  const a = b.vec(0.5);
  b.for(0, TASK_FLOATS, UNROLL * lanes, (i) => {
    const at = b.add(base, i);
    const sums = Array.from({ length: UNROLL }, (_, j) =>
      b.fma(b.loadVec(z, at, j * lanes), a, b.loadVec(x, at, j * lanes)),
    );
    sums.forEach((sum, j) => b.store(y, at, sum, j * lanes));
  });
  return b.build();
}
