import { invalidArgument } from '../core/errors.ts';
import type { WidefieldError } from '../core/errors.ts';
import type { DType } from './dtype.ts';
import { printable } from './text.ts';

/** What is known of a parameter: its official state-dict key and PyTorch's shape. */
export interface KeyedShape {
  readonly key: string;
  readonly shape: readonly number[];
}

/** What is known of a tensor without reading it. */
export interface TensorEntry {
  /** PyTorch's shape; [] for a single number. */
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Tensors by their official state-dict keys, read one at a time. */
export interface WeightSource {
  /** For error messages. */
  readonly name: string;
  /** In the file's order. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /**
   * The values as float32, in C order, in a new array. Reads only this tensor from the file. Throws
   * `invalid-argument` if there is no such key or the file is damaged, `io` if it cannot be read.
   */
  read(key: string): Promise<Float32Array>;
  /**
   * The numbers as they are stored, in the entry's format: little-endian, in C order, in a new array. For integers
   * that float32 would round. Sources need not offer it.
   */
  readBytes?(key: string): Promise<Uint8Array>;
  close(): Promise<void>;
  /** Lets `await using` close it. Widefield's own have it. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

/** Weights of a checkpoint file. */
export interface Checkpoint extends WeightSource {
  readBytes(key: string): Promise<Uint8Array>;
  readonly format: 'safetensors' | 'pytorch-zip' | 'pytorch-legacy';
  /** Which of `subtrees` these are. */
  readonly subtree: string;
  /** The state dicts in the file, e.g. `model` and `model_ema`; `''` is the file itself. */
  readonly subtrees: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** The error for a key that is not in a file. */
export function noSuchTensor(name: string, key: string): WidefieldError {
  return invalidArgument(`${name} has no tensor ${printable(key)}.`);
}
