import { throwIfAborted } from '../core/errors.ts';
import type { Peer } from './engine.ts';
import { describeMachine } from './machine.ts';
import { PEER_NAMES, openPeer } from './peers/index.ts';
import type { PeerName } from './peers/index.ts';
import type { BenchReport, Skipped } from './report.ts';
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

export interface Opened {
  readonly name: string;
  readonly peer: Peer;
}

/** Opens our devices and the peers that are here; notes the others in `skipped`. */
export async function openEngines(
  options: BenchOptions,
  opened: Opened[],
  skipped: Skipped[],
): Promise<void> {
  const { devices, peers, threads, python, onProgress, signal } = options;
  for (const device of devices) {
    const peer = await openWidefield(device, {
      threads,
      tune: options.tune,
      onActivity: (activity) => onProgress?.(activity),
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

export async function closeEngines(opened: readonly Opened[]): Promise<void> {
  await Promise.all(opened.map(({ peer }) => peer.dispose()));
}

/** The machine, and the versions of all engines. */
export async function machineFacts(
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
