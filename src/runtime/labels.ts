import { invalidArgument } from '../core/errors.ts';

/**
 * What to call each of a network's classes: ImageNet-1K's names for 1000 classes, else `class 17`. The names are
 * loaded when first asked for.
 *
 * Throws `invalid-argument` unless `classes` is a positive integer.
 */
export async function labelsFor(classes: number): Promise<readonly string[]> {
  if (!(Number.isInteger(classes) && classes > 0)) {
    throw invalidArgument(`The number of classes must be a positive integer, not ${classes}.`);
  }
  if (classes !== 1000) return Array.from({ length: classes }, (_, i) => `class ${i}`);
  const { imagenetNames } = await import('./imagenet-names.ts');
  return imagenetNames();
}
