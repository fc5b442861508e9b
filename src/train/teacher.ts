import { invalidArgument } from '../core/errors.ts';

/** A network that is already trained. */
export interface Teacher {
  /** Logits [N, classes] for images [N, H, W, 3] as the student sees them. */
  run(images: Float32Array): Promise<Float32Array>;
}

export interface DistillationOptions {
  /** Share of the teacher's distribution in the targets; default 0.5. */
  readonly share?: number;
  /** Divides the teacher's logits (Hinton et al. 2015); default 1. */
  readonly temperature?: number;
}

/** (1 − share) · targets + share · softmax(logits / temperature), each [N, classes]. */
export function softTargets(
  targets: Float32Array,
  classes: number,
  logits: Float32Array,
  { share = 0.5, temperature = 1 }: DistillationOptions,
): Float32Array {
  if (logits.length !== targets.length) {
    throw invalidArgument(
      `The teacher must give ${classes} logits an image, as many as there are classes; it gave ${(logits.length * classes) / targets.length}.`,
    );
  }
  const mixed = targets.slice();
  for (let start = 0; start < logits.length; start += classes) {
    const own = logits.subarray(start, start + classes);
    const largest = own.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = own.map((value) => Math.exp((value - largest) / temperature));
    const total = powers.reduce((a, b) => a + b, 0);
    powers.forEach((power, c) => {
      mixed[start + c] = (1 - share) * (mixed[start + c] ?? 0) + (share * power) / total;
    });
  }
  return mixed;
}
