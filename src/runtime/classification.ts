import { invalidArgument } from '../core/errors.ts';

/** One guess of a classifier. */
export interface Classification {
  readonly label: string;
  /** Index of the class, from 0. */
  readonly index: number;
  /** Softmax of all logits, between 0 and 1. */
  readonly probability: number;
  readonly logit: number;
}

/**
 * The `top` likeliest classes, best first; of equal ones the lower index first.
 *
 * @param logits [classes]
 * @param labels [classes]
 * @param top at least 1; all classes, if there are fewer
 * Throws `invalid-argument` if sizes disagree or a logit is NaN or infinite.
 */
export function classify(logits: Float32Array, labels: readonly string[], top: number): Classification[] {
  if (!(Number.isInteger(top) && top >= 1)) {
    throw invalidArgument(`The number of classes to return must be a positive integer, not ${top}.`);
  }
  if (logits.length === 0 || logits.length !== labels.length) {
    throw invalidArgument(
      `There are ${logits.length} logits but ${labels.length} labels: give one label a class.`,
    );
  }
  const bad = logits.findIndex((logit) => !Number.isFinite(logit));
  if (bad >= 0) {
    throw invalidArgument(
      `The logit of ${labels[bad]} is ${logits[bad]}: check the weights and the input for NaN and infinity.`,
    );
  }
  // exp(x − max) cannot overflow, and float64 sums a thousand terms exactly enough.
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return labels
    .map((label, index) => {
      const logit = logits[index] ?? 0;
      return { label, index, probability: Math.exp(logit - largest) / total, logit };
    })
    .sort((a, b) => b.logit - a.logit || a.index - b.index)
    .slice(0, top);
}
