import type { DeviceCaps } from '../../core/caps.ts';
import { activationGradient } from './activation-gradient.ts';
import { batchNormGradient, batchNormSums, batchNormalize } from './batch-norm.ts';
import { batchStatistics } from './batch-statistics.ts';
import { blurPoolGradient } from './blur-pool-gradient.ts';
import { channelSlice } from './channel-slice.ts';
import { convWeightGradient } from './conv-weight-gradient.ts';
import { crossEntropy, crossEntropyGradient } from './cross-entropy.ts';
import { depthwiseWeightGradientDirect } from './depthwise-weight-gradient-direct.ts';
import { depthwiseWeightGradientFft } from './depthwise-weight-gradient-fft.ts';
import { candidatesOf } from '../family.ts';
import type { Candidate } from '../family.ts';
import { layerNormGradient, layerNormSums } from './layer-norm-gradient.ts';
import { pixelBroadcast } from './pixel-broadcast.ts';
import { pixelShuffle } from './pixel-shuffle.ts';
import { pixelSum } from './pixel-sum.ts';
import { pointwiseWeightGradient } from './pointwise-weight-gradient.ts';
import { poolGradient } from './pool-gradient.ts';
import { resizeGradient } from './resize-gradient.ts';
import { sampleScale } from './sample-scale.ts';
import { softmaxGradient } from './softmax-gradient.ts';
import type { TrainingProblem } from './problems.ts';
import { zeroInsert } from './zero-insert.ts';

/** All ways to compute a problem of training; none if no kernel supports it. */
export function trainingCandidates(problem: TrainingProblem, caps: DeviceCaps): Candidate[] {
  switch (problem.op) {
    case 'pointwise-weight-gradient':
      return candidatesOf(pointwiseWeightGradient, problem, caps);
    case 'depthwise-weight-gradient':
      return [
        ...candidatesOf(depthwiseWeightGradientDirect, problem, caps),
        ...candidatesOf(depthwiseWeightGradientFft, problem, caps),
      ];
    case 'conv-weight-gradient':
      return candidatesOf(convWeightGradient, problem, caps);
    case 'pixel-sum':
      return candidatesOf(pixelSum, problem, caps);
    case 'pixel-broadcast':
      return candidatesOf(pixelBroadcast, problem, caps);
    case 'batch-statistics':
      return candidatesOf(batchStatistics, problem, caps);
    case 'batch-normalize':
      return candidatesOf(batchNormalize, problem, caps);
    case 'batch-norm-sums':
      return candidatesOf(batchNormSums, problem, caps);
    case 'batch-norm-gradient':
      return candidatesOf(batchNormGradient, problem, caps);
    case 'layer-norm-gradient':
      return candidatesOf(layerNormGradient, problem, caps);
    case 'layer-norm-sums':
      return candidatesOf(layerNormSums, problem, caps);
    case 'activation-gradient':
      return candidatesOf(activationGradient, problem, caps);
    case 'sample-scale':
      return candidatesOf(sampleScale, problem, caps);
    case 'zero-insert':
      return candidatesOf(zeroInsert, problem, caps);
    case 'pixel-shuffle':
      return candidatesOf(pixelShuffle, problem, caps);
    case 'channel-slice':
      return candidatesOf(channelSlice, problem, caps);
    case 'pool-gradient':
      return candidatesOf(poolGradient, problem, caps);
    case 'blur-pool-gradient':
      return candidatesOf(blurPoolGradient, problem, caps);
    case 'resize-gradient':
      return candidatesOf(resizeGradient, problem, caps);
    case 'softmax-gradient':
      return candidatesOf(softmaxGradient, problem, caps);
    case 'cross-entropy':
      return candidatesOf(crossEntropy, problem, caps);
    case 'cross-entropy-gradient':
      return candidatesOf(crossEntropyGradient, problem, caps);
  }
}
