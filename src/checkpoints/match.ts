import type { KeyedShape, WeightSource } from './source.ts';
import { printable, shapeText } from './text.ts';

/** A tensor whose shape in the file is not the one that the model wants. */
export interface MismatchedShape {
  readonly key: string;
  readonly wanted: readonly number[];
  readonly found: readonly number[];
}

/** How a checkpoint and a model disagree; all empty if they do not. */
export interface WeightMatch {
  /** What the model wants and the file has not, in the model's order. */
  readonly missing: readonly KeyedShape[];
  /** What the file has and the model does not want, in the file's order. */
  readonly unexpected: readonly KeyedShape[];
  readonly mismatched: readonly MismatchedShape[];
}

/**
 * Compares a checkpoint with the parameters that a model reads from it. Counters of batches
 * (`num_batches_tracked`) play no part in inference, so they may be missing or superfluous.
 */
export function matchWeights(source: WeightSource, wanted: Iterable<KeyedShape>): WeightMatch {
  const shapes = new Map([...wanted].map(({ key, shape }) => [key, shape]));
  const missing: KeyedShape[] = [];
  const mismatched: MismatchedShape[] = [];
  for (const [key, shape] of shapes) {
    const found = source.entries.get(key)?.shape;
    if (isCounter(key)) continue;
    if (found === undefined) missing.push({ key, shape });
    else if (!sameShape(shape, found)) mismatched.push({ key, wanted: shape, found });
  }
  const unexpected = [...source.entries]
    .filter(([key]) => !shapes.has(key) && !isCounter(key))
    .map(([key, { shape }]) => ({ key, shape }));
  return { missing, unexpected, mismatched };
}

/** Whether checkpoint and model agree in all keys and shapes. */
export function matches({ missing, unexpected, mismatched }: WeightMatch): boolean {
  return missing.length + unexpected.length + mismatched.length === 0;
}

/**
 * One clause that says how they disagree, for error messages, e.g. `model.pth does not fit replknet-31b: it lacks
 * stem.0.conv.weight [128, 3, 3, 3] and 12 more`. Ends without a full stop, so that advice may follow.
 */
export function describeMatch(source: WeightSource, model: string, match: WeightMatch): string {
  const { missing, unexpected, mismatched } = match;
  const parts = [
    list('it lacks', missing, ({ key, shape }) => `${printable(key)} ${shapeText(shape)}`),
    list('it has the unexpected', unexpected, ({ key, shape }) => `${printable(key)} ${shapeText(shape)}`),
    list(
      'it has other shapes:',
      mismatched,
      ({ key, wanted, found }) => `${printable(key)} ${shapeText(found)} instead of ${shapeText(wanted)}`,
    ),
  ].filter((part) => part !== '');
  return `${source.name} does not fit ${model}: ${parts.join('; ')}`;
}

/** Tensors that an error message names of each kind. */
const NAMED = 2;

function list<T>(verb: string, items: readonly T[], show: (item: T) => string): string {
  if (items.length === 0) return '';
  const named = items.slice(0, NAMED).map(show).join(', ');
  const rest = items.length - NAMED;
  return rest > 0 ? `${verb} ${named} and ${rest} more` : `${verb} ${named}`;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

function isCounter(key: string): boolean {
  return key === 'num_batches_tracked' || key.endsWith('.num_batches_tracked');
}
