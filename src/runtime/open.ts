import { isNode } from '../core/environment.ts';
import { WidefieldError, invalidArgument } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { checkThreads } from '../devices/thread-count.ts';
import { openWasmDevice } from '../devices/wasm.ts';

export type DeviceName = 'auto' | 'native' | 'wasm';

export const DEVICE_NAMES: readonly DeviceName[] = ['auto', 'native', 'wasm'];

export interface OpenOptions {
  /** Threads that run kernels; default: all cores that this process may use, at most 8 of them for WebAssembly. */
  readonly threads?: number;
  /** Folder of compiled native kernels; default: the user's cache folder. */
  readonly cacheDirectory?: string;
  /** The C compiler of the native device; default: the first of cc, gcc and clang that works. */
  readonly compiler?: string;
  /**
   * Whether WebAssembly may use relaxed SIMD: quicker, but rounded as the processor likes. False: the same bits on every
   * machine. Default: true, where the engine has it.
   */
  readonly relaxed?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Opens a device. `auto` takes the native one where there is a working C compiler, else WebAssembly;
 * `device.note` says why. Browsers have WebAssembly only.
 *
 * Throws `unsupported` if the device cannot work here, `invalid-argument` for unknown names and impossible options.
 */
export async function openDevice(name: DeviceName = 'auto', options: OpenOptions = {}): Promise<Device> {
  switch (name) {
    case 'native':
      return openNative(options);
    case 'wasm':
      return openWasmDevice(options);
    case 'auto':
      return isNode() ? openBest(options) : openWasmDevice(options);
    default:
      throw unknownDevice(name);
  }
}

/** Throws what {@link openDevice} would, where that can be told without opening anything. */
export function checkDevice(name: DeviceName, { threads }: Pick<OpenOptions, 'threads'> = {}): void {
  if (!DEVICE_NAMES.includes(name)) throw unknownDevice(name);
  if (name === 'native') requireNode();
  if (threads === undefined) return;
  // Under Node `auto` may be either, and native code takes more.
  checkThreads(name === 'wasm' || !isNode() ? 'wasm' : 'native', threads);
}

function unknownDevice(name: unknown): WidefieldError {
  return invalidArgument(`There is no device ${String(name)}: use ${DEVICE_NAMES.join(', ')}.`);
}

async function openBest(options: OpenOptions): Promise<Device> {
  let reason: string;
  try {
    return await openNative(options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    // What no device could do is not to be tried on another.
    if (error instanceof WidefieldError && error.code === 'invalid-argument') throw error;
    reason = error instanceof Error ? error.message : String(error);
  }
  let device: Device;
  try {
    device = await openWasmDevice(options);
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof WidefieldError)) throw error;
    const both = `Neither native code (${withoutStop(reason)}) nor WebAssembly (${withoutStop(error.message)}) works here.`;
    throw new WidefieldError(error.code, both, { cause: error });
  }
  return withNote(device, `WebAssembly, because the native device is not available: ${reason}`);
}

function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, '');
}

async function openNative(options: OpenOptions): Promise<Device> {
  requireNode();
  // Imported only when asked for: browsers have no child processes and no FFI.
  const { openNativeDevice } = await import('../devices/native.ts');
  return openNativeDevice(options);
}

function requireNode(): void {
  if (isNode()) return;
  throw new WidefieldError('unsupported', 'Native code cannot run in a browser: open the device `wasm`.');
}

/** The same device with another note. */
function withNote(device: Device, note: string): Device {
  return {
    caps: device.caps,
    note,
    compile: (program, options) => device.compile(program, options),
    dispose: () => device.dispose(),
    [Symbol.asyncDispose]: () => device.dispose(),
  };
}
