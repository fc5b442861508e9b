import { WidefieldError } from '../../src/core/errors.ts';
import type { Device } from '../../src/devices/device.ts';
import { openNativeDevice } from '../../src/devices/native.ts';

/** A device, or undefined where it is not to be had: the native one needs a C compiler. */
export async function openIfHere<D extends Device>(open: () => Promise<D>): Promise<D | undefined> {
  return open().catch((error: unknown) => {
    if (error instanceof WidefieldError && error.code === 'unsupported') return undefined;
    throw error;
  });
}

/** Why tests of the native device are skipped. */
export const NO_COMPILER = 'this machine has no C compiler';

/** Whether this machine has the native device: for tests that are skipped as a whole. */
export async function hasNativeDevice(): Promise<boolean> {
  await using device = await openIfHere(() => openNativeDevice({ threads: 1 }));
  return device !== undefined;
}
