import { elements } from '../../graph/graph.ts';

/** Where numbers come from. */
export interface NumberSource {
  /** Whether `all` can be asked: for small tensors in the file itself. */
  readonly isKnown: boolean;
  /** All numbers at once. Throws `unsupported` unless `isKnown`. */
  all(): ArrayLike<number>;
  read(): Promise<ArrayLike<number>>;
}

/** Numbers as a tensor of a shape, with its dimensions in another order. */
interface Transposition {
  readonly from: Numbers;
  readonly shape: readonly number[];
  readonly permutation: readonly number[];
}

/**
 * The numbers of a constant in their order. One order of one source is one object, however it came about, so that it tells
 * constants apart, whose names need not be unique.
 */
export class Numbers implements NumberSource {
  readonly #source: NumberSource;
  readonly #last: Transposition | undefined;
  readonly #permuted = new Map<string, Numbers>();

  /** @param last what the numbers have been through last, if they are not as the source has them */
  constructor(source: NumberSource, last?: Transposition) {
    this.#source = source;
    this.#last = last;
  }

  get isKnown(): boolean {
    return this.#source.isKnown;
  }

  all(): ArrayLike<number> {
    return this.#ordered(this.#source.all());
  }

  async read(): Promise<ArrayLike<number>> {
    return this.#ordered(await this.#source.read());
  }

  /** The numbers of a tensor of this shape, with its dimensions in another order. */
  permuted(shape: readonly number[], permutation: readonly number[]): Numbers {
    const last = this.#last;
    // Without a reshape between them, two transpositions are one.
    if (last !== undefined && sizesBehind(last).join() === shape.join()) {
      const both = permutation.map((from) => last.permutation[from] ?? 0);
      return last.from.permuted(last.shape, both);
    }
    if (permutation.every((from, to) => from === to)) return this;
    const key = `${shape.join()} ${permutation.join()}`;
    const known = this.#permuted.get(key);
    const result = known ?? new Numbers(this.#source, { from: this, shape, permutation });
    this.#permuted.set(key, result);
    return result;
  }

  /** In a loop, because a file may have any number of transpositions and reshapes. */
  #ordered(numbers: ArrayLike<number>): ArrayLike<number> {
    const steps: Transposition[] = [];
    for (let step = this.#last; step !== undefined; step = step.from.#last) steps.push(step);
    return steps.reduceRight(transpose, numbers);
  }
}

/** The shape that a transposition gives. */
function sizesBehind({ shape, permutation }: Omit<Transposition, 'from'>): number[] {
  return permutation.map((from) => shape[from] ?? 1);
}

function transpose(numbers: ArrayLike<number>, transposition: Transposition): ArrayLike<number> {
  const { shape, permutation } = transposition;
  const strides = shape.map((_, axis) => elements(shape.slice(axis + 1)));
  const sizes = sizesBehind(transposition);
  const steps = permutation.map((from) => strides[from] ?? 0);
  const out = new Float64Array(numbers.length);
  const index = sizes.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to++) {
    out[to] = numbers[from] ?? NaN;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const count = (index[axis] ?? 0) + 1;
      from += steps[axis] ?? 0;
      if (count < (sizes[axis] ?? 1)) {
        index[axis] = count;
        break;
      }
      from -= count * (steps[axis] ?? 0);
      index[axis] = 0;
    }
  }
  return out;
}
