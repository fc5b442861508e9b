import { invalidArgument } from '../../core/errors.ts';
import type { Op, OpDefinition } from '../op.ts';
import { activationGradientDefinition } from './activation-gradient.ts';
import { batchNormDefinition } from './batch-norm.ts';
import {
  batchNormGradientDefinition,
  batchNormSumsDefinition,
  batchNormalizeDefinition,
  batchStatisticsDefinition,
} from './batch-statistics.ts';
import { blurPoolDefinition, blurPoolGradientDefinition } from './blur-pool.ts';
import { channelScaleDefinition } from './channel-scale.ts';
import { concatDefinition } from './concat.ts';
import { convDefinition, convWeightGradientDefinition } from './conv.ts';
import { convFirstChainDefinition } from './convfirst-chain.ts';
import { convFirstDefinition } from './convfirst.ts';
import { crossEntropyDefinition, crossEntropyGradientDefinition } from './cross-entropy.ts';
import { depthwiseWeightGradientDefinition } from './depthwise.ts';
import { elementwiseDefinition } from './elementwise.ts';
import { ffnDefinition } from './ffn.ts';
import { globalPoolDefinition } from './global-pool.ts';
import { layerNormDefinition, layerNormGradientDefinition, layerNormSumsDefinition } from './layer-norm.ts';
import { layerScaleDefinition } from './layer-scale.ts';
import { pixelBroadcastDefinition, pixelSumDefinition } from './pixel-sum.ts';
import { linearDefinition, pointwiseWeightGradientDefinition } from './pointwise.ts';
import { mbConvDefinition } from './mbconv.ts';
import { poolDefinition, poolGradientDefinition } from './pool.ts';
import { resizeDefinition, resizeGradientDefinition } from './resize.ts';
import { sampleScaleDefinition } from './sample-scale.ts';
import { channelSliceDefinition, rowSliceDefinition } from './slices.ts';
import { softmaxDefinition, softmaxGradientDefinition } from './softmax.ts';
import { pixelShuffleDefinition } from './pixel-shuffle.ts';
import { zeroInsertDefinition } from './zero-insert.ts';

/** Every op that computes something, by type. */
type Computing = Exclude<Op, { type: 'input' }>;
type Definitions = { readonly [T in Computing['type']]: OpDefinition<Extract<Computing, { type: T }>> };

const definitions: Definitions = {
  conv: convDefinition,
  linear: linearDefinition,
  ffn: ffnDefinition,
  convfirst: convFirstDefinition,
  'convfirst-chain': convFirstChainDefinition,
  mbconv: mbConvDefinition,
  'batch-norm': batchNormDefinition,
  'layer-norm': layerNormDefinition,
  elementwise: elementwiseDefinition,
  'layer-scale': layerScaleDefinition,
  'channel-scale': channelScaleDefinition,
  pool: poolDefinition,
  'global-pool': globalPoolDefinition,
  softmax: softmaxDefinition,
  'blur-pool': blurPoolDefinition,
  resize: resizeDefinition,
  concat: concatDefinition,
  'pointwise-weight-gradient': pointwiseWeightGradientDefinition,
  'depthwise-weight-gradient': depthwiseWeightGradientDefinition,
  'conv-weight-gradient': convWeightGradientDefinition,
  'pixel-sum': pixelSumDefinition,
  'pixel-broadcast': pixelBroadcastDefinition,
  'batch-statistics': batchStatisticsDefinition,
  'batch-normalize': batchNormalizeDefinition,
  'batch-norm-sums': batchNormSumsDefinition,
  'batch-norm-gradient': batchNormGradientDefinition,
  'layer-norm-gradient': layerNormGradientDefinition,
  'layer-norm-sums': layerNormSumsDefinition,
  'activation-gradient': activationGradientDefinition,
  'sample-scale': sampleScaleDefinition,
  'zero-insert': zeroInsertDefinition,
  'pixel-shuffle': pixelShuffleDefinition,
  'channel-slice': channelSliceDefinition,
  'row-slice': rowSliceDefinition,
  'pool-gradient': poolGradientDefinition,
  'blur-pool-gradient': blurPoolGradientDefinition,
  'resize-gradient': resizeGradientDefinition,
  'softmax-gradient': softmaxGradientDefinition,
  'cross-entropy': crossEntropyDefinition,
  'cross-entropy-gradient': crossEntropyGradientDefinition,
};

/** The definition of an op. Throws `invalid-argument` for the input, which computes nothing. */
export function definitionOf(op: Op): OpDefinition<Op> {
  if (op.type === 'input') throw invalidArgument('The input of a graph is not computed.');
  // Sound, because the table's types tie each key to its op; TypeScript does not follow that through an index.
  return definitions[op.type];
}
