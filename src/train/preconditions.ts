import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { explain } from '../core/explain.ts';
import { makeFolders } from '../core/make-folders.ts';
import { count } from '../core/schema.ts';
import type { TrainData, TrainOptions } from './options.ts';

/** Throws `invalid-argument` unless there are classes to tell apart, the same ones for training and validation. */
export function checkData({ training, validation }: TrainData): void {
  if (training.classes.length < 2) {
    throw invalidArgument(
      `${training.name} has ${training.classes.length} classes; training needs at least 2.`,
    );
  }
  if (validation && validation.classes.join('\n') !== training.classes.join('\n')) {
    throw invalidArgument(
      `${validation.name} has other classes than ${training.name}: both must have the same, in the same order.`,
    );
  }
}

/** Throws `invalid-argument` for intervals that are no positive integers. */
export function checkIntervals({ saveEvery = 1, evaluateEvery = 1 }: TrainOptions): void {
  count('').read(saveEvery, 'saveEvery');
  count('').read(evaluateEvery, 'evaluateEvery');
}

/** Makes a folder for checkpoints if it is missing. Throws `io` if it cannot be made. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeFolders(folder);
  } catch (error) {
    throw new WidefieldError(
      'io',
      `The folder ${folder} for checkpoints cannot be made: ${explain(error)}.`,
      {
        cause: error,
      },
    );
  }
}
