import type { Parameter } from '../graph/graph.ts';
import type { WeightSource } from './source.ts';

/**
 * Reads parameters of one layer: a parameter's values are read, or computed from those that it is derived from.
 * What several of them share (a weight that is also behind the bias) is read and computed once.
 */
export function layerValues(
  source: Pick<WeightSource, 'read'>,
): (parameter: Parameter) => Promise<Float32Array> {
  const known = new Map<Parameter, Promise<Float32Array>>();
  const compute = async ({ key, derivation }: Parameter): Promise<Float32Array> => {
    if (derivation === undefined) return source.read(key);
    const values: Float32Array[] = [];
    for (const from of derivation.from) values.push(await valuesOf(from));
    return derivation.compute(values);
  };
  const valuesOf = (parameter: Parameter): Promise<Float32Array> => {
    const values = known.get(parameter) ?? compute(parameter);
    known.set(parameter, values);
    return values;
  };
  return valuesOf;
}

/** The values of one parameter; see {@link layerValues}. */
export function valuesOf(parameter: Parameter, source: Pick<WeightSource, 'read'>): Promise<Float32Array> {
  return layerValues(source)(parameter);
}
