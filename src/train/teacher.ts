import { invalidArgument } from '../core/errors.ts';

/** A network that is already trained. */
export interface Teacher {
  /** Logits [N, classes] for images [N, H, W, 3] as the student sees them. */
  run(images: Float32Array): Promise<Float32Array>;
}

/**
 * Several teachers as one: it gives the mean of their logits, which stands for the geometric mean of their
 * distributions (Hinton et al. 2015, section 2). They run one after the other.
 */
export function ensemble(teachers: readonly Teacher[]): Teacher {
  return {
    async run(images) {
      const [first = new Float32Array(), ...others] = await inTurn(teachers, images);
      const odd = others.find(({ length }) => length !== first.length);
      if (odd) {
        throw invalidArgument(
          `Teachers must give equally many logits; one gave ${first.length}, another ${odd.length}.`,
        );
      }
      return first.map((logit, i) => {
        const sum = others.reduce((total, logits) => total + (logits[i] ?? 0), logit);
        return sum / teachers.length;
      });
    },
  };
}

async function inTurn(teachers: readonly Teacher[], images: Float32Array): Promise<Float32Array[]> {
  const answers: Float32Array[] = [];
  for (const teacher of teachers) answers.push(await teacher.run(images));
  return answers;
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
