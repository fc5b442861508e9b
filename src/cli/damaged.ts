import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import type { CommandContext } from './context.ts';

/** As the loader of training data: beyond this, something else is wrong. */
const LIMIT = 10;

/**
 * A function that tries to make something of a sample: undefined of a damaged one, which is named on standard error and makes the command fail in the end; more than ten of them end it, as errors of the disk do.
 */
export function passOverDamaged(
  context: CommandContext,
): <T>(work: () => Promise<T>) => Promise<T | undefined> {
  let damaged = 0;
  return async (work) => {
    throwIfAborted(context.signal);
    try {
      return await work();
    } catch (error) {
      throwIfAborted(context.signal);
      if (error instanceof WidefieldError && error.code === 'io') throw error;
      if (++damaged > LIMIT) throw error;
      context.warn(error instanceof Error ? error.message : String(error));
      context.fail();
      return undefined;
    }
  };
}
