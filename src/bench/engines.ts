import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import type { Peer } from './engine.ts';
import { describeMachine } from './machine.ts';
import { openPeer } from './peers/index.ts';
import type { PeerName } from './peers/index.ts';
import type { BenchReport, Skipped } from './report.ts';
import { WIDEFIELD_DEVICES, openWidefield } from './widefield.ts';
import type { WidefieldDevice } from './widefield.ts';

export interface BenchOptions {
  /** Default: all; those that cannot work on this machine are listed in `skipped`. */
  readonly devices?: readonly WidefieldDevice[];
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

/** Which peers can do a benchmark's work, and why others cannot. */
export interface Ability {
  readonly peers: readonly PeerName[];
  readonly lack: string;
}

/** What came of work with engines. */
export interface EngineWork<T> {
  readonly machine: BenchReport['machine'];
  /** Peers that cannot do the work, or are not here. */
  readonly skipped: readonly Skipped[];
  readonly result: T;
}

/** Our devices and the peers that are here, for the time of `use`. */
export async function withEngines<T>(
  options: BenchOptions,
  ability: Ability,
  use: (opened: readonly Opened[]) => Promise<T>,
): Promise<EngineWork<T>> {
  const { peers = ability.peers, onProgress } = options;
  const able = peers.filter((name) => ability.peers.includes(name));
  const skipped: Skipped[] = peers
    .filter((name) => !able.includes(name))
    .map((engine) => ({ engine, reason: ability.lack }));
  const opened: Opened[] = [];
  try {
    onProgress?.('opening engines', 0);
    await openEngines({ ...options, peers: able }, opened, skipped);
    const result = await use(opened);
    return { machine: await machineFacts(options, opened), skipped, result };
  } finally {
    await Promise.allSettled(opened.map(({ peer }) => peer.dispose()));
  }
}

/** Does the work of each item, one after the other, telling how much of all is done. */
export async function eachInTurn<Item, T>(
  items: Iterable<Item>,
  total: number,
  { signal, onProgress }: Pick<BenchOptions, 'signal' | 'onProgress'>,
  work: (item: Item, report: (activity: string, part: number) => void) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  for (const item of items) {
    throwIfAborted(signal);
    const done = results.length;
    const report = (activity: string, part: number): void => onProgress?.(activity, (done + part) / total);
    results.push(await work(item, report));
  }
  return results;
}

/** Opens our devices and the peers that are here; notes the others in `skipped`. */
async function openEngines(
  options: BenchOptions & { readonly peers: readonly PeerName[] },
  opened: Opened[],
  skipped: Skipped[],
): Promise<void> {
  const { devices = WIDEFIELD_DEVICES, peers, threads, python, onProgress, signal } = options;
  for (const device of devices) {
    const name = `widefield-${device}`;
    try {
      const peer = await openWidefield(device, {
        threads,
        tune: options.tune,
        onActivity: (activity) => onProgress?.(activity),
        ...(options.onWarning && { onWarning: options.onWarning }),
        ...(options.tuningFile !== undefined && { tuningFile: options.tuningFile }),
        ...(signal && { signal }),
      });
      opened.push({ name, peer });
    } catch (error) {
      const isAbsent = error instanceof WidefieldError && error.code === 'unsupported';
      if (options.devices !== undefined || !isAbsent) throw error;
      skipped.push({ engine: name, reason: error.message });
    }
  }
  for (const name of peers) {
    throwIfAborted(signal);
    const peer = await openPeer(name, { threads, ...(python !== undefined && { python }) });
    if ('absent' in peer) skipped.push({ engine: name, reason: peer.absent });
    else opened.push({ name, peer });
  }
}

/** The machine, and the versions of all engines. */
async function machineFacts(
  { threads }: BenchOptions,
  opened: readonly Opened[],
): Promise<BenchReport['machine']> {
  const isOurs = ({ name }: Opened): boolean => name.startsWith('widefield-');
  const describe = (some: readonly Opened[]): Record<string, string> =>
    Object.fromEntries(some.map(({ name, peer }) => [name, peer.version]));
  return {
    ...describeMachine(),
    threads,
    ...(opened.some(({ name }) => name === 'widefield-native') && { compiler: await compilerVersion() }),
    devices: describe(opened.filter(isOurs)),
    versions: describe(opened.filter((one) => !isOurs(one))),
    date: new Date().toISOString(),
  };
}

async function compilerVersion(): Promise<string> {
  const { findCompiler } = await import('../devices/native/compiler.ts');
  const { LibraryCache } = await import('../devices/native/cache.ts');
  const { compiler } = await findCompiler(await LibraryCache.open());
  return compiler.version;
}
