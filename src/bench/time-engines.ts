import { throwIfAborted } from '../core/errors.ts';
import { compare } from './compare.ts';
import type { Timing } from './compare.ts';
import type { Engine, Peer } from './engine.ts';
import type { BenchOptions, Opened } from './engines.ts';

/** What is done with engines for one case. */
export interface TimingWork<E extends Engine, T> {
  /** Makes engines that compute the case. */
  readonly prepare: (peer: Peer) => Promise<readonly E[]>;
  /** Called for each peer that cannot, and for each engine that fails while it is timed. */
  readonly onSkip: (engine: string, reason: string) => void;
  /** Looks at times and outputs while the engines are still there. */
  readonly judge: (timings: readonly Timing<E>[]) => Promise<T>;
  readonly onProgress: (activity: string, part: number) => void;
}

/**
 * Prepares engines for one case, times them in turns, has them judged, and disposes of them. One that fails does not
 * hinder the others.
 */
export async function timeEngines<E extends Engine, T>(
  opened: readonly Opened[],
  { seconds, signal }: Pick<BenchOptions, 'seconds' | 'signal'>,
  { prepare, onSkip, judge, onProgress }: TimingWork<E, T>,
): Promise<T> {
  const engines: E[] = [];
  try {
    for (const { name, peer } of opened) {
      onProgress(`preparing ${name}`, 0);
      throwIfAborted(signal);
      try {
        engines.push(...(await prepare(peer)));
      } catch (error) {
        throwIfAborted(signal);
        onSkip(name, reasonOf(error));
      }
    }
    onProgress('warming up', 0);
    const timings = await compare(engines, {
      seconds,
      onProgress: (part) => {
        onProgress('timing', part);
      },
      onFailure: (engine, error) => {
        onSkip(engine.name, reasonOf(error));
      },
      ...(signal && { signal }),
    });
    return await judge(timings);
  } finally {
    // Engines that have failed may fail once more.
    await Promise.allSettled(engines.map((engine) => engine.dispose()));
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
}
