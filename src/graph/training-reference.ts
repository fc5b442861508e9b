import type { TrainingProblem } from '../kernels/training/problems.ts';
import { activationGradient } from './ops/activation-gradient.ts';
import { batchNormGradient, batchNormSums, batchNormalize, batchStatistics } from './ops/batch-statistics.ts';
import { blurPoolGradient } from './ops/blur-pool.ts';
import { convWeightGradient } from './ops/conv.ts';
import { crossEntropy, crossEntropyGradient } from './ops/cross-entropy.ts';
import { depthwiseWeightGradient } from './ops/depthwise.ts';
import { layerNormGradient, layerNormSums } from './ops/layer-norm.ts';
import { pixelBroadcast, pixelSum } from './ops/pixel-sum.ts';
import { pointwiseWeightGradient } from './ops/pointwise.ts';
import { poolGradient } from './ops/pool.ts';
import { resizeGradient } from './ops/resize.ts';
import { sampleScale } from './ops/sample-scale.ts';
import { channelSlice } from './ops/slices.ts';
import { softmaxGradient } from './ops/softmax.ts';
import { pixelShuffle } from './ops/pixel-shuffle.ts';
import { zeroInsert } from './ops/zero-insert.ts';
import type { Tensors } from './tensors.ts';

/** What a problem of training means, as `reference`. */
export function trainingReference(problem: TrainingProblem, inputs: Tensors, weights: Tensors): Float64Array {
  switch (problem.op) {
    case 'pointwise-weight-gradient':
      return pointwiseWeightGradient(problem, inputs);
    case 'depthwise-weight-gradient':
      return depthwiseWeightGradient(problem, inputs);
    case 'conv-weight-gradient':
      return convWeightGradient(problem, inputs);
    case 'pixel-sum':
      return pixelSum(problem, inputs);
    case 'pixel-broadcast':
      return pixelBroadcast(problem, inputs);
    case 'batch-statistics':
      return batchStatistics(problem, inputs);
    case 'batch-normalize':
      return batchNormalize(problem, inputs, weights);
    case 'batch-norm-sums':
      return batchNormSums(problem, inputs);
    case 'batch-norm-gradient':
      return batchNormGradient(problem, inputs, weights);
    case 'layer-norm-gradient':
      return layerNormGradient(problem, inputs, weights);
    case 'layer-norm-sums':
      return layerNormSums(problem, inputs);
    case 'activation-gradient':
      return activationGradient(problem, inputs);
    case 'sample-scale':
      return sampleScale(problem, inputs);
    case 'pixel-shuffle':
      return pixelShuffle(problem, inputs);
    case 'zero-insert':
      return zeroInsert(problem, inputs);
    case 'channel-slice':
      return channelSlice(problem, inputs);
    case 'pool-gradient':
      return poolGradient(problem, inputs);
    case 'blur-pool-gradient':
      return blurPoolGradient(problem, inputs);
    case 'resize-gradient':
      return resizeGradient(problem, inputs);
    case 'softmax-gradient':
      return softmaxGradient(problem, inputs);
    case 'cross-entropy':
      return crossEntropy(problem, inputs);
    case 'cross-entropy-gradient':
      return crossEntropyGradient(problem, inputs);
  }
}
