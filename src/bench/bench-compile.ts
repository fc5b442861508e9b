import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { throwIfAborted } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { createOp } from '../runtime/op.ts';
import type { OpSession } from '../runtime/op.ts';
import { chooseCandidate } from '../runtime/planner.ts';
import type { BenchCase } from './case.ts';
import type { BenchOptions } from './engines.ts';
import { describeMachine } from './machine.ts';
import { openIfHere } from './open-if-here.ts';
import type { BenchReport } from './report.ts';
import { watchResident } from './resident-memory.ts';
import { WIDEFIELD_DEVICES, withPitch } from './widefield.ts';
import type { WidefieldDevice } from './widefield.ts';

export interface CompileOptions extends Omit<
  BenchOptions,
  'peers' | 'seconds' | 'tune' | 'tuningFile' | 'python'
> {
  /** Runs over which the resident memory of the process is watched. */
  readonly runs: number;
}

/** What it takes until an operation's first result is there, and whether its runs keep memory. */
export interface CompileRow {
  readonly op: string;
  /** `N,H,W,C`. */
  readonly shape: string;
  readonly kernel: number | string;
  readonly engine: string;
  readonly device: string;
  readonly threads: number;
  readonly config: string;
  /** Milliseconds of choosing a kernel. */
  readonly planMs: number;
  /** Milliseconds from there to the first result, with nothing compiled before. */
  readonly firstMs: number;
  /** The same once more, with the compiled code on disk; null for WebAssembly, of which nothing is kept. */
  readonly cachedMs: number | null;
  readonly runs: number;
  /** How much more is resident in the last tenth of the runs than in the second. */
  readonly growthKiB: number;
}

export interface CompileReport {
  readonly machine: BenchReport['machine'];
  readonly rows: readonly CompileRow[];
}

/** Compiles each case on each device, natively with an empty cache of its own and again from that, and then runs it often. */
export async function runCompileBench(
  cases: Iterable<BenchCase>,
  total: number,
  options: CompileOptions,
): Promise<CompileReport> {
  const rows: CompileRow[] = [];
  const notes: Record<string, string> = {};
  const names = new Set(options.devices ?? WIDEFIELD_DEVICES);
  const all = total * names.size;
  for (const test of cases) {
    for (const name of names) {
      throwIfAborted(options.signal);
      const cacheDirectory = await mkdtemp(path.join(tmpdir(), 'widefield-bench-'));
      try {
        const device = await openIfHere(name, { ...options, cacheDirectory });
        if (device === undefined) {
          names.delete(name);
          continue;
        }
        notes[`widefield-${name}`] = device.note;
        try {
          const onRun = (run: number): void => {
            const activity = `kernel ${test.kernel} on ${name}: run ${run} of ${options.runs}`;
            options.onProgress?.(activity, (rows.length + run / options.runs) / all);
          };
          rows.push(await measure(device, name, test, options, onRun));
        } finally {
          await device.dispose();
        }
      } finally {
        await rm(cacheDirectory, { recursive: true });
      }
    }
  }
  const date = new Date().toISOString();
  return {
    machine: { ...describeMachine(), threads: options.threads, devices: notes, versions: {}, date },
    rows,
  };
}

async function measure(
  device: Device,
  name: WidefieldDevice,
  test: BenchCase,
  { runs, signal }: CompileOptions,
  onRun: (run: number) => void,
): Promise<CompileRow> {
  const stop = signal ? { signal } : {};
  const problem = withPitch(test.problem, device.caps);
  const begin = performance.now();
  const candidate = chooseCandidate(problem, device.caps);
  const planMs = performance.now() - begin;
  const timed = async (): Promise<{ op: OpSession; milliseconds: number }> => {
    const start = performance.now();
    const op = await createOp(device, problem, { weight: test.weight }, { candidate, ...stop });
    await op.run(stop);
    return { op, milliseconds: performance.now() - start };
  };
  const first = await timed();
  await first.op.dispose();
  const { op, milliseconds } = await timed();
  try {
    const resident = await watchResident(() => op.run(stop), { steps: runs, onStep: onRun, ...stop });
    return {
      op: problem.op,
      shape: test.shape,
      kernel: test.kernel,
      engine: `widefield-${name}`,
      device: name,
      threads: device.caps.threads,
      config: op.config,
      planMs,
      firstMs: first.milliseconds,
      cachedMs: name === 'native' ? milliseconds : null,
      runs,
      growthKiB: (resident.last - resident.first) / 1024,
    };
  } finally {
    await op.dispose();
  }
}
