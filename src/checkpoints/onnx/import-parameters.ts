import { invalidArgument } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import type { Parameter } from '../../graph/graph.ts';
import { printable, shapeText } from '../text.ts';
import { noSuchTensor } from '../source.ts';
import type { WeightSource } from '../source.ts';
import type { Constant } from './import-values.ts';

/**
 * What stands behind the names of tensors in another form: as `exportOnnx` writes them, and as `transposed` calls them here.
 * Without it, keys are those of a state dict again.
 */
const FORMS = /(\.(T|conv|map))+$/;

/** Collects the parameters of an imported graph, under unique keys: those of the file's tensors. */
export class ImportedParameters {
  readonly #constants = new Map<string, Constant>();

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
    // Made when they are read: a file may claim any length.
    const numbers = (): ArrayLike<number> => new Float32Array(length).fill(value);
    const constant: Constant = {
      ...{
        kind: 'constant',
        name: `constant.${value}.${length}`,
        shape: [length],
        isFloat: true,
        isKnown: true,
      },
      numbers,
      read: () => Promise.resolve(numbers()),
    };
    return this.add(constant, [length], buffer);
  }

  /** A parameter's constant. */
  constantOf({ key }: Parameter): Constant | undefined {
    return this.#constants.get(key);
  }

  /** Reads tensors when they are asked for. */
  source(name: string, close: () => Promise<void>): WeightSource {
    const constants = this.#constants;
    return {
      name,
      entries: new Map([...constants].map(([key, { shape }]) => [key, { shape, dtype: 'float32' }])),
      read: async (key) => {
        const constant = constants.get(key);
        if (constant === undefined) throw noSuchTensor(name, key);
        return Float32Array.from(await constant.read());
      },
      close,
    };
  }

  #keyOf(constant: Constant): string {
    const plain = constant.name.replace(FORMS, '');
    const isFree = (key: string): boolean => {
      const other = this.#constants.get(key);
      return other === undefined || other.name === constant.name;
    };
    let key = plain;
    for (let i = 2; !isFree(key); i++) key = `${plain}_${i}`;
    return key;
  }
}
