import type { DeviceCaps } from '../core/caps.ts';
import type { Device } from '../devices/device.ts';
import { candidates } from '../kernels/index.ts';
import { channelPitch } from '../kernels/problem.ts';
import { createOp } from '../runtime/op.ts';
import type { OpOptions, OpSession } from '../runtime/op.ts';
import { openDevice } from '../runtime/open.ts';
import type { TuningRecord } from '../runtime/tuning-file.ts';
import type { BenchCase, BenchProblem } from './case.ts';
import { quickest, timer } from './engine.ts';
import type { Engine, Peer } from './engine.ts';
import { measurePeak } from './peak.ts';
import { readMeasurements, tuneProblem } from './tuning.ts';
import type { TuningOptions } from './tuning.ts';
import { prepareBlock } from './widefield-block.ts';
import { prepareModel } from './widefield-model.ts';
import { prepareLayer } from './widefield-train-layer.ts';
import { prepareTraining } from './widefield-train.ts';

export const WIDEFIELD_DEVICES = ['native', 'wasm'] as const;
export type WidefieldDevice = (typeof WIDEFIELD_DEVICES)[number];

export interface WidefieldOptions extends TuningOptions {
  readonly threads: number;
}

/** Widefield itself on one of its devices, as one engine among others. */
export async function openWidefield(
  name: WidefieldDevice,
  options: WidefieldOptions,
): Promise<Peer & { readonly note: string }> {
  const { threads, signal } = options;
  const device = await openDevice(name, { threads, ...(signal && { signal }) });
  try {
    const peakGflops = await measurePeak(device);
    return peerOf(device, name, peakGflops, await readMeasurements(options), options);
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

function peerOf(
  device: Device,
  name: WidefieldDevice,
  peakGflops: number,
  tuning: Map<string, TuningRecord>,
  options: WidefieldOptions,
): Peer & { readonly note: string } {
  return {
    version: device.note,
    note: device.note,
    prepare: async (test, stop) => {
      const settings = { ...options, ...(stop && { signal: stop }) };
      return test.problem.op === 'depthwise' && test.problem.density !== undefined
        ? prepareFamilies(device, name, peakGflops, test, settings)
        : [await prepare(device, name, peakGflops, test, tuning, settings)];
    },
    prepareModel: async (test, stop) => [
      await prepareModel({ device, name, peakGflops, tuning }, test, {
        ...options,
        ...(stop && { signal: stop }),
      }),
    ],
    prepareBlock: (test, stop) =>
      prepareBlock({ device, name, peakGflops, tuning }, test, { ...options, ...(stop && { signal: stop }) }),
    prepareTraining: (test, stop) =>
      prepareTraining({ device, name, peakGflops, tuning }, test, {
        ...options,
        ...(stop && { signal: stop }),
      }),
    prepareLayer: (test, stop) =>
      prepareLayer({ device, name, peakGflops, tuning }, test, { ...options, ...(stop && { signal: stop }) }),
    dispose: () => device.dispose(),
  };
}

async function prepare(
  device: Device,
  name: WidefieldDevice,
  peakGflops: number,
  test: BenchCase,
  tuning: Map<string, TuningRecord>,
  options: WidefieldOptions,
): Promise<Engine> {
  const problem = withPitch(test.problem, device.caps);
  if (options.tune) await tuneProblem(device, problem, tuning, options);
  return prepareOp(device, name, peakGflops, test, {
    tuning,
    ...(options.signal && { signal: options.signal }),
  });
}

/** Candidates of a family that are tried before one of them is timed. */
const TRIALS = 4;

/**
 * One engine for each algorithm, with the quickest of its likeliest configurations: what sparsity is worth depends on how
 * dense algorithms do.
 */
async function prepareFamilies(
  device: Device,
  name: WidefieldDevice,
  peakGflops: number,
  test: BenchCase,
  { signal }: WidefieldOptions,
): Promise<Engine[]> {
  const all = candidates(withPitch(test.problem, device.caps), device.caps);
  const engines: Engine[] = [];
  for (const family of [...new Set(all.map((candidate) => candidate.family))].sort()) {
    const own = all.filter((candidate) => candidate.family === family).slice(0, TRIALS);
    const makers = own.map(
      (candidate) => () =>
        prepareOp(device, name, peakGflops, test, { candidate, ...(signal && { signal }) }),
    );
    const engine = await quickest(makers, signal);
    engines.push({ ...engine, name: `${engine.name}-${family.replace('depthwise-', '')}` });
  }
  return engines;
}

async function prepareOp(
  device: Device,
  name: WidefieldDevice,
  peakGflops: number,
  test: BenchCase,
  options: OpOptions,
): Promise<Engine> {
  const problem = withPitch(test.problem, device.caps);
  const begin = performance.now();
  const op = await createOp(device, problem, { weight: test.weight }, options);
  const setupMs = performance.now() - begin;
  const [input] = op.signature.inputs;
  spread(test.input, op.input(), input?.channels ?? 0, input?.pitch ?? 0);
  op.output.fill(NaN);
  return { ...engine(op, name, device.caps.threads), setupMs, peakGflops };
}

function engine(op: OpSession, device: WidefieldDevice, threads: number): Engine {
  const { channels, pitch } = op.signature.output;
  return {
    name: `widefield-${device}`,
    device,
    threads,
    config: op.config,
    timingIncludes: 'one session.run on data that lies in the device’s memory',
    time: timer(() => op.run()),
    output: () => Promise.resolve(gather(op.output, channels, pitch)),
    dispose: () => op.dispose(),
  };
}

/** The problem with the pitch that a network would use on this device. */
export function withPitch(problem: BenchProblem, caps: DeviceCaps): BenchProblem {
  const lanes = caps.lanes[0] ?? 1;
  if (problem.op === 'depthwise') return { ...problem, pitch: channelPitch(problem.channels, lanes) };
  return {
    ...problem,
    inputPitch: channelPitch(problem.inputs, lanes),
    outputPitch: channelPitch(problem.outputs, lanes),
  };
}

/** [rows, channels] → [rows, pitch]. */
function spread(dense: Float32Array, pitched: Float32Array, channels: number, pitch: number): void {
  for (let from = 0, to = 0; from < dense.length; from += channels, to += pitch) {
    pitched.set(dense.subarray(from, from + channels), to);
  }
}

/** [rows, pitch] → [rows, channels]. */
function gather(pitched: Float32Array, channels: number, pitch: number): Float32Array {
  const dense = new Float32Array((pitched.length / pitch) * channels);
  for (let from = 0, to = 0; from < pitched.length; from += pitch, to += channels) {
    dense.set(pitched.subarray(from, from + channels), to);
  }
  return dense;
}
