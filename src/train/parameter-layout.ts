import { alignedLength } from '../codegen/ir.ts';
import { elements } from '../graph/graph.ts';
import type { Parameter } from '../graph/graph.ts';

/** Where a parameter lies in the blob of all parameters, in floats. Gradients and moments lie alike in theirs. */
export interface PlacedParameter {
  readonly parameter: Parameter;
  readonly offset: number;
  readonly length: number;
}

/** A run of parameters that share their hyperparameters. */
export interface ParameterGroup {
  readonly name: string;
  readonly offset: number;
  /** A multiple of 16. */
  readonly floats: number;
}

/** All parameters of a network in one run of floats, group after group. */
export interface ParameterLayout {
  readonly parameters: ReadonlyMap<string, PlacedParameter>;
  readonly groups: readonly ParameterGroup[];
  readonly floats: number;
}

/**
 * Lays parameters out, group after group, each at a multiple of 16 floats, in the order in which they are given.
 *
 * @param groupOf the name of a parameter's group
 */
export function layOutParameters(
  parameters: readonly Parameter[],
  groupOf: (parameter: Parameter) => string,
): ParameterLayout {
  const members = new Map<string, Parameter[]>();
  for (const parameter of parameters) {
    const name = groupOf(parameter);
    const list = members.get(name);
    if (list === undefined) members.set(name, [parameter]);
    else list.push(parameter);
  }
  const placed = new Map<string, PlacedParameter>();
  const groups: ParameterGroup[] = [];
  let floats = 0;
  for (const [name, list] of members) {
    const start = floats;
    for (const parameter of list) {
      const length = elements(parameter.shape);
      placed.set(parameter.key, { parameter, offset: floats, length });
      floats += alignedLength(length);
    }
    groups.push({ name, offset: start, floats: floats - start });
  }
  return { parameters: placed, groups, floats };
}
