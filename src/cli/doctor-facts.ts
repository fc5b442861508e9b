import { access, constants } from 'node:fs/promises';
import path from 'node:path';

import { describeMachine } from '../bench/machine.ts';
import type { Machine } from '../bench/machine.ts';
import { PEER_NAMES, openPeer } from '../bench/peers/index.ts';
import type { PeerName } from '../bench/peers/index.ts';
import { throwIfAborted } from '../core/errors.ts';
import { LibraryCache } from '../devices/native/cache.ts';
import { findCompiler } from '../devices/native/compiler.ts';
import { wasmFeatures } from '../devices/wasm/features.ts';
import { openDevice } from '../runtime/open.ts';
import type { DeviceName } from '../runtime/open.ts';
import { defaultTuningFile, loadTuning } from '../runtime/tuning-store.ts';

export interface Unavailable {
  readonly available: false;
  readonly reason: string;
}

export interface NativeFacts {
  readonly available: true;
  readonly note: string;
  /** First line of the compiler's `--version`. */
  readonly compiler: string;
  readonly compilerPath: string;
  readonly flags: readonly string[];
  readonly lanes: number;
  readonly vectorRegisters: number;
  readonly fma: boolean;
  readonly threads: number;
  readonly cacheFolder: string;
  readonly cacheFiles: number;
  readonly cacheMiB: number;
}

/** How many measured problems the tuner's file has, or why it cannot be read. */
export type TuningFacts = { readonly file: string } & (
  { readonly records: number } | { readonly problem: string }
);

export interface DoctorFacts {
  readonly machine: Machine;
  readonly native: NativeFacts | Unavailable;
  readonly wasm: {
    readonly simd: boolean;
    readonly relaxedSimd: boolean;
    readonly threads: boolean;
  } & ({ readonly available: true; readonly note: string } | Unavailable);
  /** What `openDevice('auto')` takes. */
  readonly auto: { readonly device?: string; readonly reason: string };
  readonly tuning: TuningFacts;
  readonly peers: Readonly<Record<PeerName, { readonly version: string } | { readonly absent: string }>>;
}

export interface ExamineOptions {
  readonly signal?: AbortSignal;
  readonly python?: string;
}

/** Finds out by trying: devices are opened, peers loaded. */
export async function examine({ signal, python }: ExamineOptions): Promise<DoctorFacts> {
  const native = await examineNative(signal);
  throwIfAborted(signal);
  const wasm = await examineWasm(signal);
  const auto = await tryDevice('auto', signal);
  throwIfAborted(signal);
  return {
    machine: describeMachine(),
    native,
    wasm,
    auto: auto.available ? { device: auto.name, reason: whyAuto(auto) } : { reason: auto.reason },
    tuning: await examineTuning(),
    peers: await examinePeers(python),
  };
}

/** Removes compiled kernels; tells how much they took. */
export async function clearCache(): Promise<{ readonly files: number; readonly mib: number }> {
  const cache = await LibraryCache.open();
  const { files, bytes } = await cache.size();
  await cache.clear();
  return { files, mib: bytes / 2 ** 20 };
}

async function examineNative(signal: AbortSignal | undefined): Promise<NativeFacts | Unavailable> {
  const device = await tryDevice('native', signal);
  if (!device.available) return device;
  const cache = await LibraryCache.open();
  const { compiler } = await findCompiler(cache, undefined, [], signal);
  const { files, bytes } = await cache.size();
  return {
    available: true,
    note: device.note,
    compiler: compiler.version,
    compilerPath: await locate(compiler.command),
    flags: compiler.flags,
    lanes: compiler.lanes,
    vectorRegisters: compiler.vectorRegisters,
    fma: compiler.fma,
    threads: device.threads,
    cacheFolder: cache.folder,
    cacheFiles: files,
    cacheMiB: bytes / 2 ** 20,
  };
}

async function examineWasm(signal: AbortSignal | undefined): Promise<DoctorFacts['wasm']> {
  const { simd, relaxed, sharedMemory } = wasmFeatures();
  const features = { simd, relaxedSimd: relaxed, threads: sharedMemory };
  const device = await tryDevice('wasm', signal);
  if (!device.available) return { ...features, available: false, reason: device.reason };
  return { ...features, available: true, note: device.note };
}

/** The note of the wasm device says already why it is not the native one. */
function whyAuto({ name, note }: { readonly name: string; readonly note: string }): string {
  return name === 'native' ? `a C compiler works (${note})` : note;
}

/** @param file default: that of the user's cache folder */
export async function examineTuning(wanted?: string): Promise<TuningFacts> {
  let file = wanted ?? 'tuning.json';
  try {
    file = wanted ?? (await defaultTuningFile());
    return { file, records: (await loadTuning(file)).size };
  } catch (error) {
    return { file, problem: error instanceof Error ? error.message : String(error) };
  }
}

type Tried = Unavailable | { available: true; name: string; note: string; threads: number };

async function tryDevice(name: DeviceName, signal: AbortSignal | undefined): Promise<Tried> {
  try {
    const device = await openDevice(name, signal ? { signal } : {});
    const { caps, note } = device;
    await device.dispose();
    return { available: true, name: caps.name, note, threads: caps.threads };
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function examinePeers(python: string | undefined): Promise<DoctorFacts['peers']> {
  const entries = PEER_NAMES.map(async (name) => {
    const peer = await openPeer(name, { threads: 1, ...(python !== undefined && { python }) });
    if ('absent' in peer) return [name, { absent: peer.absent }] as const;
    await peer.dispose();
    return [name, { version: peer.version }] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as DoctorFacts['peers'];
}

/** The full path of a command, as the shell would find it; the command itself if it is not found. */
async function locate(command: string): Promise<string> {
  if (command.includes(path.sep)) return command;
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const candidate = path.join(folder, command);
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return command;
}
