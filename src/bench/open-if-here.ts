import { WidefieldError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { openDevice } from '../runtime/open.ts';
import type { WidefieldDevice } from './widefield.ts';

export interface OpenIfHereOptions {
  /** What was asked for by name; undefined: all that work here. */
  readonly devices?: readonly WidefieldDevice[];
  readonly threads: number;
  readonly signal?: AbortSignal;
  /** Told which device is left out. */
  readonly onWarning?: (message: string) => void;
  /** Folder of compiled native kernels; default: the user's cache folder. */
  readonly cacheDirectory?: string;
}

/** The device, or undefined where it cannot work here and was not asked for by name. */
export async function openIfHere(
  name: WidefieldDevice,
  { devices, threads, cacheDirectory, signal, onWarning }: OpenIfHereOptions,
): Promise<Device | undefined> {
  try {
    return await openDevice(name, {
      threads,
      ...(cacheDirectory !== undefined && { cacheDirectory }),
      ...(signal && { signal }),
    });
  } catch (error) {
    const isAbsent = error instanceof WidefieldError && error.code === 'unsupported';
    if (devices !== undefined || !isAbsent) throw error;
    onWarning?.(`widefield-${name} is left out: ${error.message}`);
    return undefined;
  }
}
