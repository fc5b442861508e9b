import type { Parameter } from '../graph/graph.ts';
import type { WeightSource } from './source.ts';

/** A parameter's values: read, or computed from those that it is derived from. */
export async function valuesOf(
  parameter: Parameter,
  source: Pick<WeightSource, 'read'>,
): Promise<Float32Array> {
  const { derivation } = parameter;
  if (derivation === undefined) return source.read(parameter.key);
  const values: Float32Array[] = [];
  for (const from of derivation.from) values.push(await valuesOf(from, source));
  return derivation.compute(values);
}
