import type { DeviceCaps } from '../core/caps.ts';
import { batchNorm } from './batch-norm.ts';
import { blurPool } from './blur-pool.ts';
import { channelScale } from './channel-scale.ts';
import { concat } from './concat.ts';
import { convDense, convPointwise } from './conv-dense.ts';
import { convFirstDepthFirst } from './convfirst-depth-first.ts';
import { convFirstFused } from './convfirst-fused.ts';
import { convGrouped } from './conv-grouped.ts';
import { depthwiseDirect } from './depthwise-direct.ts';
import { depthwiseFft } from './depthwise-fft.ts';
import { depthwiseSparse } from './depthwise-sparse.ts';
import { elementwise } from './elementwise.ts';
import { candidatesOf } from './family.ts';
import type { Candidate } from './family.ts';
import { ffnFused } from './ffn-fused.ts';
import { globalPool } from './global-pool.ts';
import { layerNorm } from './layer-norm.ts';
import { mbConvFused } from './mbconv-fused.ts';
import { pointwiseBf16 } from './pointwise-bf16.ts';
import { pointwise } from './pointwise.ts';
import { pool } from './pool.ts';
import type { Problem } from './problem.ts';
import { resize } from './resize.ts';
import { checkIndexRange } from './signature.ts';
import { softmax } from './softmax.ts';
import { trainingCandidates } from './training/index.ts';

/**
 * All ways to compute a problem on a device with these capabilities, the one with the smallest estimate
 * first; none if no kernel supports it.
 * Throws `invalid-argument` for problems that make no sense, and for tensors that kernels could not index.
 */
export function candidates(problem: Problem, caps: DeviceCaps): Candidate[] {
  checkIndexRange(problem);
  return allCandidates(problem, caps).sort((a, b) => a.estimate - b.estimate);
}

function allCandidates(problem: Problem, caps: DeviceCaps): Candidate[] {
  switch (problem.op) {
    case 'depthwise':
      return [
        ...candidatesOf(depthwiseDirect, problem, caps),
        ...candidatesOf(depthwiseFft, problem, caps),
        ...candidatesOf(depthwiseSparse, problem, caps),
      ];
    case 'pointwise': {
      // It offers nothing unless the problem permits bfloat16 and the device has instructions for it.
      const rounded = candidatesOf(pointwiseBf16, problem, caps);
      return rounded.length > 0 ? rounded : candidatesOf(pointwise, problem, caps);
    }
    case 'ffn':
      return candidatesOf(ffnFused, problem, caps);
    case 'convfirst':
      return candidatesOf(convFirstFused, problem, caps);
    case 'convfirst-chain':
      return candidatesOf(convFirstDepthFirst, problem, caps);
    case 'mbconv':
      return candidatesOf(mbConvFused, problem, caps);
    case 'conv':
      return [
        ...candidatesOf(convDense, problem, caps),
        ...candidatesOf(convPointwise, problem, caps),
        ...candidatesOf(convGrouped, problem, caps),
      ];
    case 'layer-norm':
      return candidatesOf(layerNorm, problem, caps);
    case 'batch-norm':
      return candidatesOf(batchNorm, problem, caps);
    case 'pool':
      return candidatesOf(pool, problem, caps);
    case 'global-pool':
      return candidatesOf(globalPool, problem, caps);
    case 'softmax':
      return candidatesOf(softmax, problem, caps);
    case 'elementwise':
      return candidatesOf(elementwise, problem, caps);
    case 'channel-scale':
      return candidatesOf(channelScale, problem, caps);
    case 'blur-pool':
      return candidatesOf(blurPool, problem, caps);
    case 'resize':
      return candidatesOf(resize, problem, caps);
    case 'concat':
      return candidatesOf(concat, problem, caps);
    default:
      return trainingCandidates(problem, caps);
  }
}
