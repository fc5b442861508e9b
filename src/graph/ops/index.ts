import { invalidArgument } from '../../core/errors.ts';
import type { Op, OpDefinition } from '../op.ts';
import { batchNormDefinition } from './batch-norm.ts';
import { blurPoolDefinition } from './blur-pool.ts';
import { channelScaleDefinition } from './channel-scale.ts';
import { concatDefinition } from './concat.ts';
import { convDefinition } from './conv.ts';
import { convFirstDefinition } from './convfirst.ts';
import { elementwiseDefinition } from './elementwise.ts';
import { ffnDefinition } from './ffn.ts';
import { globalPoolDefinition } from './global-pool.ts';
import { layerNormDefinition } from './layer-norm.ts';
import { layerScaleDefinition } from './layer-scale.ts';
import { linearDefinition } from './pointwise.ts';
import { poolDefinition } from './pool.ts';
import { resizeDefinition } from './resize.ts';
import { softmaxDefinition } from './softmax.ts';

/** Every op that computes something, by type. */
type Computing = Exclude<Op, { type: 'input' }>;
type Definitions = { readonly [T in Computing['type']]: OpDefinition<Extract<Computing, { type: T }>> };

const definitions: Definitions = {
  conv: convDefinition,
  linear: linearDefinition,
  ffn: ffnDefinition,
  convfirst: convFirstDefinition,
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
};

/** The definition of an op. Throws `invalid-argument` for the input, which computes nothing. */
export function definitionOf(op: Op): OpDefinition<Op> {
  if (op.type === 'input') throw invalidArgument('The input of a graph is not computed.');
  // Sound, because the table's types tie each key to its op; TypeScript does not follow that through an index.
  return definitions[op.type];
}
