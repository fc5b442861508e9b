import type { Parameter } from '../../graph/graph.ts';
import type { ParameterLayout, PlacedParameter } from '../parameter-layout.ts';

/**
 * What is made sparse: `all` weights of convolutions and linear layers, or only those of the `large-kernels` — SLaK's
 * decomposed branches (the official `--only-L`) and RepLKNet's large kernel.
 */
export type SparsityScope = 'all' | 'large-kernels';

const LARGE_KERNEL = /(^|\.)(large_kernel\.LoRA\d|lkb_origin)\./;

/** Whether a parameter is masked: convolutions have rank 4, linear layers 2. */
export function isMasked({ key, shape, buffer }: Parameter, scope: SparsityScope): boolean {
  if (buffer || (shape.length !== 2 && shape.length !== 4)) return false;
  return scope === 'all' || LARGE_KERNEL.test(key);
}

/** The masked parameters of a training session, in the order of its layout. */
export function maskedParameters(layout: ParameterLayout, scope: SparsityScope): PlacedParameter[] {
  return [...layout.parameters.values()].filter(({ parameter }) => isMasked(parameter, scope));
}
