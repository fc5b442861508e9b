import type { ElementwiseStep } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import type { Node } from '../graph.ts';
import { isElementwise } from './patterns.ts';

/** An element-wise chain that begins with a sum: what is added, and what follows. */
export interface Sum<T> {
  readonly terms: readonly T[];
  readonly rest: readonly ElementwiseStep[];
  /** Further inputs of `rest`. */
  readonly operands: readonly T[];
}

/** The sum that a chain of steps over `inputs` begins with; one term if it begins with something else. */
export function leadingSum<T>(steps: readonly ElementwiseStep[], inputs: readonly T[]): Sum<T> {
  const end = steps.findIndex(({ kind }) => kind !== 'add');
  const additions = end < 0 ? steps.length : end;
  return {
    terms: inputs.slice(0, additions + 1),
    rest: steps.slice(additions),
    operands: inputs.slice(additions + 1),
  };
}

/** The chain of a sum; the term itself where there is nothing left to do. */
export function sumNode(name: string, { terms, rest, operands }: Sum<Node>): Node {
  const [only] = terms;
  const steps = [...terms.slice(1).map(() => ({ kind: 'add' as const })), ...rest];
  if (only !== undefined && steps.length === 0) return only;
  return makeNode(name, { type: 'elementwise', steps }, [...terms, ...operands]);
}

/** Whether a node does nothing but add. */
export function isSum(node: Node): boolean {
  return isElementwise(node) && node.op.steps.every(({ kind }) => kind === 'add');
}
