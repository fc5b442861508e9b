import { invalidArgument } from '../core/errors.ts';

/** Numbers of a tensor. References compute in float64 whatever they read. */
export type Floats = Float32Array | Float64Array;

/** Tensors by name: inputs in pitched NHWC, weights in PyTorch's order. */
export type Tensors = Readonly<Record<string, Floats>>;

/** The tensor called `name`. Throws `invalid-argument` if there is none. */
export function tensorNamed(tensors: Tensors, name: string): Floats {
  const tensor = tensors[name];
  if (tensor === undefined) throw invalidArgument(`The tensor ${name} is missing.`);
  return tensor;
}

/** `values[index]`; an index outside of the tensor is an error, never a silent zero. */
export function at(values: Floats, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`Index ${index} is outside of ${values.length} values.`);
  return value;
}
