import { invalidArgument } from '../../core/errors.ts';
import type { Node } from '../graph.ts';
import type { ConvOp, GradientContext, LinearOp, NodeOf } from '../op.ts';

/** What the gradients of convolutions and linear layers share. */

/** Refuses layers that do more than add a bias: `splitEpilogues` comes first. */
export function plainEpilogue({ name, op }: NodeOf<ConvOp | LinearOp>): void {
  const { activation, scale, residual, finalActivation } = op.epilogue;
  if (op.adjoint || activation !== 'none' || scale || residual || finalActivation !== 'none') {
    throw invalidArgument(
      `${name} has no gradient as a fused layer: differentiate the graph before passes fuse it.`,
    );
  }
}

/** dbias = Σ dy over all pixels of the batch. */
export function biasGradient(dy: Node, g: GradientContext): { readonly bias?: Node } {
  if (!g.wantsParameter('bias')) return {};
  return { bias: g.make({ type: 'pixel-sum', product: false, of: 'batch' }, [dy]) };
}
