/** What {@link Sums} has summed. */
export interface SumsRecord {
  readonly loss: number;
  readonly correct: number;
  readonly images: number;
}

/** Sums over images. */
export class Sums {
  #loss: number;
  #correct: number;
  #images: number;

  constructor({ loss, correct, images }: SumsRecord = { loss: 0, correct: 0, images: 0 }) {
    this.#loss = loss;
    this.#correct = correct;
    this.#images = images;
  }

  toJSON(): SumsRecord {
    return { loss: this.#loss, correct: this.#correct, images: this.#images };
  }

  add(loss: number, right: number, images: number): void {
    this.#loss += loss * images;
    this.#correct += right;
    this.#images += images;
  }

  /** Adds what another one has, and empties it. */
  take(other: Sums): void {
    this.#loss += other.#loss;
    this.#correct += other.#correct;
    this.#images += other.#images;
    other.#loss = other.#correct = other.#images = 0;
  }

  means(): { readonly loss: number; readonly accuracy: number; readonly images: number } {
    const images = Math.max(this.#images, 1);
    return { loss: this.#loss / images, accuracy: this.#correct / images, images: this.#images };
  }
}

/** Rows whose largest logit is where their target is largest. */
export function correct(logits: Float32Array, targets: Float32Array, classes: number): number {
  let count = 0;
  for (let start = 0; start < logits.length; start += classes) {
    const best = largest(logits.subarray(start, start + classes));
    if (best === largest(targets.subarray(start, start + classes))) count++;
  }
  return count;
}

function largest(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? -Infinity) ? i : best), 0);
}
