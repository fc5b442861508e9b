import { invalidArgument } from '../core/errors.ts';

/** The most threads that each device takes. */
export const MAX_THREADS = { native: 1024, wasm: 64 } as const;

/** Throws `invalid-argument` for a number of threads that the device could not have on any machine. */
export function checkThreads(device: keyof typeof MAX_THREADS, threads: number): void {
  const most = MAX_THREADS[device];
  if (Number.isInteger(threads) && threads >= 1 && threads <= most) return;
  throw invalidArgument(`threads must be an integer from 1 to ${most}, got ${threads}.`);
}
