import type { TensorToWrite } from '../checkpoints/safetensors-writer.ts';
import { isFloating } from '../checkpoints/dtype.ts';
import type { DType } from '../checkpoints/dtype.ts';
import { valuesOf } from '../checkpoints/parameter-values.ts';
import type { TensorEntry, WeightSource } from '../checkpoints/source.ts';
import { invalidArgument } from '../core/errors.ts';
import { parametersOf, selectOutputs } from '../graph/graph.ts';
import type { Parameter } from '../graph/graph.ts';
import { reparameterize } from '../graph/passes/reparameterize.ts';
import type { KeySet, ModelVariant } from '../models/model.ts';
import { fitModel } from '../runtime/fit.ts';
import type { Fitted } from '../runtime/fit.ts';

/** What a conversion writes, in order, and where each tensor's values come from. */
export interface ConversionPlan {
  readonly tensors: readonly TensorToWrite[];
  readonly read: (key: string) => Promise<Float32Array | Uint8Array>;
  readonly merged: boolean;
}

export interface ConversionOptions {
  readonly deploy?: boolean;
  /** Names to write; default: those of the source. */
  readonly keys?: KeySet;
  readonly strict: boolean;
  readonly onWarning: (message: string) => void;
}

/** Every tensor as it is; integers keep their format and every bit. */
export function planCopy(source: WeightSource | undefined): ConversionPlan {
  const entries = [...(source?.entries ?? [])];
  return {
    tensors: entries.map(([key, { shape, dtype }]) => ({
      key,
      shape,
      ...(!isFloating(dtype) && { dtype }),
    })),
    read: (key) =>
      source === undefined
        ? Promise.reject(invalidArgument('There is nothing to copy.'))
        : readExactly(source, key),
    merged: false,
  };
}

/**
 * The state dict of a network: in the source's order, a merged tensor in the place of the first of those that it
 * is made of. Throws what `fitModel` throws, and `invalid-argument` for names that the network does not have.
 *
 * @param source undefined for synthetic weights
 */
export function planConversion(
  model: ModelVariant,
  source: WeightSource | undefined,
  options: ConversionOptions,
): ConversionPlan {
  const { deploy = false, strict, onWarning } = options;
  const fitted = fitModel(model, source, { strict });
  fitted.warnings.forEach(onWarning);
  const classifier = selectOutputs(fitted.graph, ['logits']);
  const parameters = parametersOf(deploy ? reparameterize(classifier) : classifier);
  const positions = new Map([...(source?.entries.keys() ?? [])].map((key, i) => [key, i]));
  const position = (parameter: Parameter): number =>
    Math.min(...storedKeys(parameter).map((key) => positions.get(key) ?? Infinity));
  // Counters of batches play no part in inference, and a checkpoint may lack them.
  const written = parameters.filter(
    (parameter) => !isCounter(parameter) || source === undefined || positions.has(parameter.key),
  );
  const ordered = written.toSorted((a, b) => compare(position(a), position(b)));
  const rename = renaming(fitted, options.keys);
  const byName = new Map(ordered.map((parameter) => [rename(parameter.key), parameter]));
  return {
    tensors: [...byName].map(([key, parameter]) => ({
      key,
      shape: parameter.shape,
      ...(isCounter(parameter) && { dtype: counterFormat(source?.entries.get(parameter.key)) }),
    })),
    read: (key) => {
      const parameter = byName.get(key);
      if (parameter === undefined) {
        return Promise.reject(invalidArgument(`There is no tensor ${key} to write.`));
      }
      return source !== undefined && isCounter(parameter)
        ? readExactly(source, parameter.key)
        : valuesOf(parameter, fitted.weights);
    },
    merged: deploy || fitted.merged,
  };
}

/** The parameter itself, or those that its values follow from. */
function storedKeys({ key, derivation }: Parameter): string[] {
  return derivation === undefined ? [key] : derivation.from.flatMap(storedKeys);
}

/** Networks with two sets of names have their parameters in the same order, whichever is built. */
function renaming({ variant, graph, keys }: Fitted, wanted: KeySet | undefined): (key: string) => string {
  if (wanted === undefined || wanted === keys) return (key) => key;
  const classes = graph.outputs.get('logits')?.shape[3] ?? 0;
  const renamed = parametersOf(variant.build({ classes, keys: wanted }));
  const names = new Map(parametersOf(graph).map(({ key }, i) => [key, renamed[i]?.key ?? key]));
  return (key) => names.get(key) ?? key;
}

/** Values, or bytes where values would round integers. */
function readExactly(source: WeightSource, key: string): Promise<Float32Array | Uint8Array> {
  const entry = source.entries.get(key);
  const isInteger = entry !== undefined && !isFloating(entry.dtype);
  return isInteger && source.readBytes !== undefined ? source.readBytes(key) : source.read(key);
}

function counterFormat(entry: TensorEntry | undefined): DType {
  return entry === undefined || isFloating(entry.dtype) ? 'int64' : entry.dtype;
}

function isCounter({ key }: Parameter): boolean {
  return key.endsWith('num_batches_tracked');
}

/** Infinite positions are equal to each other. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
