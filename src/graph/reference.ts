import { invalidArgument } from '../core/errors.ts';
import type { Problem } from '../kernels/problem.ts';
import { signature } from '../kernels/signature.ts';
import { batchNorm } from './ops/batch-norm.ts';
import { blurPool } from './ops/blur-pool.ts';
import { channelScale } from './ops/channel-scale.ts';
import { concat } from './ops/concat.ts';
import { conv } from './ops/conv.ts';
import { convFirstChain } from './ops/convfirst-chain.ts';
import { convFirst } from './ops/convfirst.ts';
import { depthwise } from './ops/depthwise.ts';
import { elementwise } from './ops/elementwise.ts';
import { ffn } from './ops/ffn.ts';
import { globalPool } from './ops/global-pool.ts';
import { layerNorm } from './ops/layer-norm.ts';
import { mbConv } from './ops/mbconv.ts';
import { pointwise } from './ops/pointwise.ts';
import { pool } from './ops/pool.ts';
import { resize } from './ops/resize.ts';
import { softmax } from './ops/softmax.ts';
import { tensorNamed } from './tensors.ts';
import type { Tensors } from './tensors.ts';
import { trainingReference } from './training-reference.ts';

/**
 * What a problem means: the output in float64, slowly and by the definition, in the kernels' layout
 * (pitched NHWC; the padding between channels and pitch is 0). Input padding is not read.
 *
 * Throws `invalid-argument` if a tensor that the problem's signature names is missing or of another length.
 */
export function reference(problem: Problem, inputs: Tensors, weights: Tensors): Float64Array {
  const { inputs: inputSpecs, weights: weightSpecs } = signature(problem);
  for (const { name, rows, pitch } of inputSpecs) checkLength(inputs, name, rows * pitch);
  for (const { name, shape } of weightSpecs) {
    const length = shape.reduce((a, b) => a * b, 1);
    checkLength(weights, name, length);
  }
  return dispatch(problem, inputs, weights);
}

function dispatch(problem: Problem, inputs: Tensors, weights: Tensors): Float64Array {
  switch (problem.op) {
    case 'depthwise':
      return depthwise(problem, inputs, weights);
    case 'pointwise':
      return pointwise(problem, inputs, weights);
    case 'ffn':
      return ffn(problem, inputs, weights);
    case 'convfirst':
      return convFirst(problem, inputs, weights);
    case 'convfirst-chain':
      return convFirstChain(problem, inputs, weights);
    case 'mbconv':
      return mbConv(problem, inputs, weights);
    case 'conv':
      return conv(problem, inputs, weights);
    case 'layer-norm':
      return layerNorm(problem, inputs, weights);
    case 'batch-norm':
      return batchNorm(problem, inputs, weights);
    case 'pool':
      return pool(problem, inputs);
    case 'global-pool':
      return globalPool(problem, inputs);
    case 'softmax':
      return softmax(problem, inputs);
    case 'elementwise':
      return elementwise(problem, inputs);
    case 'channel-scale':
      return channelScale(problem, inputs);
    case 'blur-pool':
      return blurPool(problem, inputs);
    case 'resize':
      return resize(problem, inputs);
    case 'concat':
      return concat(problem, inputs);
    default:
      return trainingReference(problem, inputs, weights);
  }
}

function checkLength(tensors: Tensors, name: string, wanted: number): void {
  const { length } = tensorNamed(tensors, name);
  if (length !== wanted)
    throw invalidArgument(`The tensor ${name} must have ${wanted} floats, got ${length}.`);
}
