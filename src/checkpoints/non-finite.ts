import { isFloating } from './dtype.ts';
import type { WeightSource } from './source.ts';
import { printable } from './text.ts';

interface NonFinite {
  /** How many values are NaN or infinite. */
  readonly count: number;
  /** Index of the first. */
  readonly first: number;
}

/** Finds values that are NaN or infinite; undefined if there are none. */
function findNonFinite(values: Float32Array): NonFinite | undefined {
  if (allFinite(values)) return undefined;
  let count = 0;
  let first = -1;
  values.forEach((value, i) => {
    if (Number.isFinite(value)) return;
    count++;
    if (first < 0) first = i;
  });
  return { count, first };
}

/** The same weights, which call `onWarning` with a sentence when a tensor is read that has NaN or infinite values. */
export function warnOfNonFinite<S extends WeightSource>(source: S, onWarning: (message: string) => void): S {
  return {
    ...source,
    async read(key) {
      const values = await source.read(key);
      const entry = source.entries.get(key);
      const found = entry !== undefined && isFloating(entry.dtype) ? findNonFinite(values) : undefined;
      if (found !== undefined) {
        onWarning(
          `${source.name}: ${found.count} of the ${values.length} values of ${printable(key)} are NaN or infinite, ` +
            `the first at index ${found.first}; results will be too.`,
        );
      }
      return values;
    },
  };
}

/** x · 0 is 0 unless x is NaN or infinite. Four sums at a time keep this as fast as memory. */
function allFinite(values: Float32Array): boolean {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 4 <= values.length; i += 4) {
    a += (values[i] ?? 0) * 0;
    b += (values[i + 1] ?? 0) * 0;
    c += (values[i + 2] ?? 0) * 0;
    d += (values[i + 3] ?? 0) * 0;
  }
  for (; i < values.length; i++) a += (values[i] ?? 0) * 0;
  return a + b + c + d === 0;
}
