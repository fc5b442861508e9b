import { throwIfAborted } from '../core/errors.ts';
import type { BenchCase } from './case.ts';
import { compare } from './compare.ts';
import type { Engine, Peer } from './engine.ts';
import { describeMachine } from './machine.ts';
import { PEER_NAMES, openPeer } from './peers/index.ts';
import type { PeerName } from './peers/index.ts';
import { row } from './report.ts';
import type { BenchReport, Row, Skipped } from './report.ts';
import { MAX_RELATIVE_ERROR, expectation, maxRelativeError } from './verify.ts';
import { openWidefield } from './widefield.ts';
import type { WidefieldDevice } from './widefield.ts';

export interface BenchOptions {
  readonly devices: readonly WidefieldDevice[];
  /** Default: all; those that are not installed are listed in `skipped`. */
  readonly peers?: readonly PeerName[];
  readonly threads: number;
  readonly seconds: number;
  readonly tune: boolean;
  readonly tuningFile?: string;
  readonly python?: string;
  readonly signal?: AbortSignal;
  /** Called when something is ignored that the user may want to know of. */
  readonly onWarning?: (message: string) => void;
  /** What is going on, and where it is known the part of all cases that is done, 0 to 1. */
  readonly onProgress?: (activity: string, done?: number) => void;
}

interface Opened {
  readonly name: string;
  readonly peer: Peer;
}

/** Times all engines on all cases, one case after the other, and checks every result. */
export async function runBench(
  cases: Iterable<BenchCase>,
  total: number,
  options: BenchOptions,
): Promise<BenchReport> {
  const { signal, onProgress } = options;
  const rows: Row[] = [];
  const skipped: Skipped[] = [];
  const opened: Opened[] = [];
  try {
    onProgress?.('opening engines', 0);
    await openAll(options, opened, skipped);
    let done = 0;
    for (const test of cases) {
      throwIfAborted(signal);
      const label = `${test.problem.op} ${test.shape} kernel ${test.kernel}`;
      rows.push(
        ...(await runCase(test, opened, skipped, options, (activity, part) =>
          onProgress?.(`${label}: ${activity}`, (done + part) / total),
        )),
      );
      done++;
    }
  } finally {
    await Promise.all(opened.map(({ peer }) => peer.dispose()));
  }
  return { machine: await machineFacts(options, opened), rows, skipped };
}

async function openAll(options: BenchOptions, opened: Opened[], skipped: Skipped[]): Promise<void> {
  const { devices, peers, threads, python, onProgress, signal } = options;
  for (const device of devices) {
    const peer = await openWidefield(device, {
      threads,
      tune: options.tune,
      onTune: ({ done, total }) => onProgress?.(`tuning ${device}, candidate ${done} of ${total}`),
      ...(options.onWarning && { onWarning: options.onWarning }),
      ...(options.tuningFile !== undefined && { tuningFile: options.tuningFile }),
      ...(signal && { signal }),
    });
    opened.push({ name: `widefield-${device}`, peer });
  }
  for (const name of peers ?? PEER_NAMES) {
    throwIfAborted(signal);
    const peer = await openPeer(name, { threads, ...(python !== undefined && { python }) });
    if ('absent' in peer) skipped.push({ engine: name, reason: peer.absent });
    else opened.push({ name, peer });
  }
}

async function runCase(
  test: BenchCase,
  opened: readonly Opened[],
  skipped: Skipped[],
  { seconds, signal }: BenchOptions,
  onProgress: (activity: string, part: number) => void,
): Promise<Row[]> {
  const engines: Engine[] = [];
  try {
    for (const { name, peer } of opened) {
      onProgress(`preparing ${name}`, 0);
      throwIfAborted(signal);
      try {
        engines.push(...(await peer.prepare(test, signal)));
      } catch (error) {
        throwIfAborted(signal);
        const reason = error instanceof Error ? error.message : String(error);
        skipped.push({ engine: name, shape: test.shape, kernel: test.kernel, reason });
      }
    }
    onProgress('warming up', 0);
    const timings = await compare(engines, {
      seconds,
      onProgress: (part) => {
        onProgress('timing', part);
      },
      ...(signal && { signal }),
    });
    const expected = expectation(test);
    const rows: Row[] = [];
    for (const timing of timings) {
      const error = maxRelativeError(await timing.engine.output(), expected);
      rows.push(row(test, timing, error, MAX_RELATIVE_ERROR));
    }
    return rows;
  } finally {
    await Promise.all(engines.map((engine) => engine.dispose()));
  }
}

async function machineFacts(
  { threads, devices }: BenchOptions,
  opened: readonly Opened[],
): Promise<BenchReport['machine']> {
  const isOurs = ({ name }: Opened): boolean => name.startsWith('widefield-');
  const describe = (some: readonly Opened[]): Record<string, string> =>
    Object.fromEntries(some.map(({ name, peer }) => [name, peer.version]));
  return {
    ...describeMachine(),
    threads,
    ...(devices.includes('native') && { compiler: await compilerVersion() }),
    devices: describe(opened.filter(isOurs)),
    versions: describe(opened.filter((one) => !isOurs(one))),
    date: new Date().toISOString(),
  };
}

async function compilerVersion(): Promise<string> {
  const { findCompiler } = await import('../devices/native/compiler.ts');
  return (await findCompiler()).version;
}
