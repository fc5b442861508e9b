import { invalidArgument } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import type { Parameter } from '../../graph/graph.ts';
import { printable, shapeText } from '../text.ts';
import { noSuchTensor } from '../source.ts';
import type { WeightSource } from '../source.ts';
import { Numbers } from './import-numbers.ts';
import type { Constant } from './import-values.ts';
import { UniqueNames } from './unique-names.ts';

/** What `exportOnnx` puts behind the names of tensors in another form. Without it, keys are those of a state dict again. */
const FORMS = ['.T', '.conv', '.map'];

/** Collects the parameters of an imported graph, under unique keys: those of the file's tensors. */
export class ImportedParameters {
  readonly #constants = new Map<string, Constant>();
  /** Keys by name without its form, and by numbers. */
  readonly #keys = new Map<string, Map<Numbers, string>>();
  readonly #names = new UniqueNames();
  readonly #filled = new Map<string, Constant>();

  /**
   * The parameter of a constant, whose numbers it has in order.
   *
   * @param shape PyTorch's; as many elements as the constant
   */
  add(constant: Constant, shape: readonly number[], buffer = false): Parameter {
    if (elements(shape) !== elements(constant.shape)) {
      throw invalidArgument(
        `${printable(constant.name)} of the ONNX file must have the values of ${shapeText(shape)}, but has the shape ${shapeText(constant.shape)}.`,
      );
    }
    const key = this.#keyOf(constant);
    this.#constants.set(key, { ...constant, shape });
    return { key, shape, buffer };
  }

  /** A vector of one number repeated, where an op of ours wants a parameter that the file does not have. */
  fill(value: number, length: number, buffer = false): Parameter {
    const name = `constant.${value}.${length}`;
    // Made when they are read: a file may claim any length.
    const all = (): ArrayLike<number> => new Float32Array(length).fill(value);
    const numbers = new Numbers({ isKnown: true, all, read: () => Promise.resolve(all()) });
    const constant: Constant = this.#filled.get(name) ?? {
      ...{ kind: 'constant', name, shape: [length], isFloat: true, numbers, filled: value },
    };
    this.#filled.set(name, constant);
    return this.add(constant, [length], buffer);
  }

  /** A parameter's constant. */
  constantOf({ key }: Parameter): Constant | undefined {
    return this.#constants.get(key);
  }

  /** Reads tensors when they are asked for. */
  source(name: string, close: () => Promise<void>): WeightSource & AsyncDisposable {
    const constants = this.#constants;
    return {
      name,
      entries: new Map([...constants].map(([key, { shape }]) => [key, { shape, dtype: 'float32' }])),
      read: async (key) => {
        const constant = constants.get(key);
        if (constant === undefined) throw noSuchTensor(name, key);
        return Float32Array.from(await constant.numbers.read());
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  #keyOf({ name, numbers }: Constant): string {
    const plain = withoutForm(name);
    const keys = this.#keys.get(plain) ?? new Map<Numbers, string>();
    this.#keys.set(plain, keys);
    const key = keys.get(numbers) ?? this.#names.take(plain);
    keys.set(numbers, key);
    return key;
  }
}

function withoutForm(name: string): string {
  let end = name.length;
  for (;;) {
    const form = FORMS.find((each) => name.endsWith(each, end));
    if (form === undefined) return name.slice(0, end);
    end -= form.length;
  }
}
