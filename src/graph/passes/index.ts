import type { Graph } from '../graph.ts';
import { chainBlocks } from './chain-blocks.ts';
import { foldBatchNorm } from './fold-batch-norm.ts';
import { foldLayerNorm } from './fold-layer-norm.ts';
import { foldLayerScale } from './fold-layer-scale.ts';
import { fuseBlocks, fuseConvFirst } from './fuse-blocks.ts';
import type { FuseBlocksOptions } from './fuse-blocks.ts';
import { fuseElementwise } from './fuse-elementwise.ts';
import { fuseEpilogues } from './fuse-epilogues.ts';
import { fuseMBConv } from './fuse-mbconv.ts';
import { expectNoGradients } from './patterns.ts';
import { reparameterize } from './reparameterize.ts';
import type { ReparameterizeOptions } from './reparameterize.ts';

export interface OptimizeOptions extends ReparameterizeOptions, Partial<FuseBlocksOptions> {
  /** Whether to merge parallel depthwise convolutions. Default: true. */
  readonly deploy?: boolean;
}

/**
 * The same network for inference: same outputs up to rounding of weights, fewer nodes. Every pass is pure.
 *
 * Throws `invalid-argument` for graphs that `differentiate` has made.
 */
export function optimize(graph: Graph, { deploy = true, ...options }: OptimizeOptions = {}): Graph {
  expectNoGradients('optimize', graph);
  // First, while branches still look as models wrote them, convolution, norm, sum, and keys are official.
  const merged = deploy ? reparameterize(graph, options) : graph;
  // Before layer scale, which may follow a norm; a layer takes it only once nothing is in between.
  const withoutBatchNorm = foldBatchNorm(merged);
  // Before layer scale for the same reason as within foldBatchNorm: the new bias reads the weights of the checkpoint.
  const withoutLayerNorm = foldLayerNorm(withoutBatchNorm);
  const withoutScale = foldLayerScale(withoutLayerNorm);
  // After all folding, which only goes through layers whose epilogues are affine.
  const fused = fuseEpilogues(withoutScale);
  // Chains whose first steps became epilogues are shorter, or gone.
  const layerwise = fuseElementwise(fused);
  // Last, once residuals are where blocks can take them.
  const { worthFusing, pitch } = options;
  if (!worthFusing) return layerwise;
  const fusing = { worthFusing, ...(pitch && { pitch }) };
  // First, since a grouped convolution with the layer behind it could be part of other blocks too.
  const convFirst = chainBlocks(fuseConvFirst(layerwise, fusing), fusing);
  return fuseBlocks(fuseMBConv(convFirst, fusing), fusing);
}
