import { nodesOf } from '../../src/graph/graph.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { costOf } from '../../src/graph/lower.ts';
import { reference } from '../../src/graph/reference.ts';
import type { Tensors } from '../../src/graph/tensors.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type {
  ElementwiseStep,
  Epilogue,
  FfnProblem,
  LayerNormProblem,
  MBConvProblem,
  Problem,
} from '../../src/kernels/problem.ts';
import { signature } from '../../src/kernels/signature.ts';
import { isTraining, trainingTolerance } from './training-tolerance.ts';

/** Half the distance from 1 to the next float32. */
const UNIT = 2 ** -24;

/**
 * Higham & Mary (2019): a sum of n products has an error of at most λ · √n · u · Σ|x||w|, except with
 * probability 2·e^(−λ²/2): 3·10⁻⁸ for λ = 6.
 */
const LAMBDA = 6;

/** Half the distance from 1 to the next bfloat16, which has 8 significant bits. */
const BF16_UNIT = 2 ** -8;

/** Roundings around a sum: bias, scale, residual, activation. */
const AROUND = 8;

/** The error that math.ts allows an activation at x, as a multiple of max(1, |x|). */
const ACTIVATION_ERROR = 4e-7;

/** Activations stretch an error in their argument by at most this much (GELU; attained near x = √2). */
const STEEPEST = 1.13;

/**
 * The largest error that a kernel may make anywhere in a problem's output.
 *
 * It is λ · √(depth + 8) · u times the largest Σ|x||w| of the output, which is the problem's own reference on absolute
 * values without activations; two activations may stretch it, and add their own error. It is one number for all
 * outputs because transforms spread the error of large sums over small ones. Copies and maxima are exact.
 */
export function tolerance(problem: Problem, inputs: Tensors, weights: Tensors): number {
  const { depth } = signature(problem).cost;
  const rounding = LAMBDA * Math.sqrt(depth + AROUND) * UNIT;
  if (isTraining(problem)) return trainingTolerance(problem, inputs, weights, rounding);
  switch (problem.op) {
    case 'concat':
      return 0;
    case 'softmax': {
      // The exponent's rounding is relative to the exponent itself, and no result is above 1.
      return rounding + 2 * UNIT * 2 * largest(inputs.x);
    }
    case 'layer-norm':
      return rounding * layerNormMagnitude(problem, inputs, weights);
    case 'convfirst':
    case 'convfirst-chain':
    case 'ffn': {
      // Behind a layer norm, the problem is that of the normalised rows, each of them off by the norm's own error.
      const normed = problem.op === 'ffn' && problem.norm !== undefined;
      const { norm: _, ...plain } = { norm: undefined, ...problem };
      const x = normed ? normalizedMagnitude(problem, inputs) : inputs.x;
      const size = magnitude(plain, { ...inputs, ...(x && { x }) }, weights);
      const hidden = problem.activation === 'none' ? 0 : ACTIVATION_ERROR * Math.max(1, size);
      return STEEPEST ** 3 * (rounding * size + 2 * hidden + 2 * ACTIVATION_ERROR * Math.max(1, size));
    }
    case 'mbconv': {
      const size = magnitude(problem, inputs, weights);
      const gate = problem.squeeze ? gateError(problem, rounding, inputs, weights) : 0;
      return STEEPEST ** 3 * ((rounding + gate) * size + 3 * ACTIVATION_ERROR * Math.max(1, size));
    }
    case 'pool':
      if (problem.kind === 'max') return 0;
      return rounding * magnitude(problem, inputs, weights);
    default: {
      const size = magnitude(problem, inputs, weights);
      const error = rounding * size + operandRounding(problem, inputs, weights);
      return activations(problem) === 0
        ? error
        : STEEPEST ** 2 * (error + 2 * ACTIVATION_ERROR * Math.max(1, size));
    }
  }
}

/**
 * What outputs of a network in float32 may be off by, relative to the largest value of each. With terms of random signs,
 * partial sums are about as large as results, so each of n additions adds an independent error of at most u of the largest
 * result: together λ · √n · u at most, with the probability above. So do the layers, whose squares add: n counts all of them.
 */
export function networkTolerance(graph: Graph): number {
  const roundings = nodesOf(graph).reduce((sum, node) => sum + costOf(node).depth + AROUND, 0);
  return LAMBDA * Math.sqrt(roundings) * UNIT;
}

/**
 * What rounding x and weight to bfloat16 may change, where the problem permits that. With u = 2⁻⁸, a product is off by at
 * most c = (2u + u²)|x||w|, independently of the others and as often up as down. Hoeffding: their sum is off by at
 * most λ · √Σc² ≤ (2u + u²) · λ · √(max|x| · max|w| · Σ|x||w|), except with the probability above; and never by more
 * than (2u + u²) · Σ|x||w|.
 */
function operandRounding(problem: Problem, inputs: Tensors, weights: Tensors): number {
  if (problem.op !== 'pointwise' || problem.precision !== 'bf16') return 0;
  const sum = magnitude({ ...problem, epilogue: NO_EPILOGUE }, inputs, weights);
  const likely = LAMBDA * Math.sqrt(largest(inputs.x) * largest(weights.weight) * sum);
  const scale = problem.epilogue.scale ? largest(weights.scale) : 1;
  return (2 * BF16_UNIT + BF16_UNIT ** 2) * Math.min(likely, sum) * scale;
}

function activations(problem: Problem): number {
  if (problem.op === 'elementwise') return problem.steps.filter((step) => step.kind === 'activation').length;
  if (problem.op === 'batch-norm') return problem.activation === 'none' ? 0 : 1;
  if (!('epilogue' in problem)) return 0;
  const { activation, finalActivation } = problem.epilogue;
  return [activation, finalActivation].filter((a) => a !== 'none').length;
}

/** The largest output of the problem without activations, on absolute values. */
function magnitude(problem: Problem, inputs: Tensors, weights: Tensors): number {
  const positive = absolute(weights);
  const { running_mean: mean, running_var: variance } = weights;
  const abs = mean && variance ? { ...positive, running_mean: mean.map((m) => -Math.abs(m)) } : positive;
  return largest(reference(linear(problem), absolute(inputs), abs));
}

function linear(problem: Problem): Problem {
  if (problem.op === 'batch-norm') return { ...problem, activation: 'none' };
  if (problem.op === 'elementwise') return { ...problem, steps: problem.steps.flatMap(linearStep) };
  if (!('epilogue' in problem)) return problem;
  const epilogue: Epilogue = { ...problem.epilogue, activation: 'none', finalActivation: 'none' };
  if (problem.op === 'mbconv') return linearBlock(problem, epilogue);
  return problem.op === 'ffn' || problem.op === 'convfirst' || problem.op === 'convfirst-chain'
    ? { ...problem, activation: 'none', epilogue }
    : { ...problem, epilogue };
}

/** An MBConv block without activations, nor its gate, which is at most 1. */
function linearBlock({ squeeze: _, ...problem }: MBConvProblem, epilogue: Epilogue): MBConvProblem {
  const spatial = { ...problem.spatial, activation: 'none' } as const;
  return {
    ...problem,
    ...(problem.expand && { expand: { ...problem.expand, activation: 'none' } }),
    spatial,
    epilogue,
  };
}

/** What a block's gate may be off by: the logistic function passes on a quarter of its argument's error. */
function gateError(problem: MBConvProblem, rounding: number, inputs: Tensors, weights: Tensors): number {
  const { hidden } = problem;
  const identity = new Float32Array(hidden * hidden).map((_, i) => (i % (hidden + 1) === 0 ? 1 : 0));
  const map = { ...problem, outputs: hidden, outputPitch: hidden, epilogue: NO_EPILOGUE };
  const means = magnitude(map, inputs, { ...weights, project: identity });
  const squeezed = rowSums(weights.squeeze, hidden, means) + largest(weights.squeeze_bias);
  const excited =
    rowSums(weights.excite, problem.squeeze?.channels ?? 1, squeezed) + largest(weights.excite_bias);
  return (rounding * excited + ACTIVATION_ERROR * Math.max(1, excited)) / 4 + ACTIVATION_ERROR;
}

/** The largest of a matrix's sums of absolute values along rows of so many columns, times `factor`. */
function rowSums(matrix: Tensors[string] | undefined, columns: number, factor: number): number {
  let most = 0;
  for (let row = 0; row * columns < (matrix?.length ?? 0); row++) {
    const values = matrix?.subarray(row * columns, (row + 1) * columns) ?? [];
    most = Math.max(
      most,
      [...values].reduce((sum, value) => sum + Math.abs(value), 0),
    );
  }
  return most * factor;
}

function linearStep(step: ElementwiseStep): ElementwiseStep[] {
  if (step.kind === 'activation') return [];
  if (step.kind === 'sub') return [{ kind: 'add' }];
  return step.kind === 'affine'
    ? [{ kind: 'affine', scale: Math.abs(step.scale), shift: Math.abs(step.shift) }]
    : [step];
}

/** The values that a block's layer norm gives, each with what it may be off by, as a multiple of the rounding error. */
function normalizedMagnitude(
  { rows, inputs: channels, inputPitch, norm }: FfnProblem,
  inputs: Tensors,
): Float64Array {
  const problem: LayerNormProblem = {
    op: 'layer-norm',
    rows,
    channels,
    pitch: inputPitch,
    epsilon: norm?.epsilon ?? 0,
    affine: false,
  };
  const size = layerNormMagnitude(problem, inputs, {});
  return Float64Array.from(reference(problem, inputs, {}), (value, i) =>
    i % inputPitch < channels ? Math.abs(value) + size : 0,
  );
}

/** max|x| / deviation · max|weight| + max|bias|, for the row where the first factor is largest. */
function layerNormMagnitude(problem: LayerNormProblem, inputs: Tensors, weights: Tensors): number {
  const plain = reference({ ...problem, affine: false }, inputs, {});
  const { rows, channels, pitch } = problem;
  const x = inputs.x ?? new Float32Array();
  let size = 1;
  for (let row = 0; row < rows; row++) {
    const slice = x.subarray(row * pitch, row * pitch + channels);
    // Normalised values differ by what x differs by, divided by the deviation.
    const spread = Math.max(...slice) - Math.min(...slice);
    const normal = plain.subarray(row * pitch, row * pitch + channels);
    const deviation = spread / (Math.max(...normal) - Math.min(...normal));
    if (spread > 0) size = Math.max(size, largest(slice) / deviation);
  }
  return problem.affine ? size * largest(weights.weight) + largest(weights.bias) : size;
}

function absolute(tensors: Tensors): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, values]) => [name, values.map(Math.abs)]));
}

function largest(values: Float32Array | Float64Array | undefined): number {
  let max = 0;
  for (const value of values ?? []) max = Math.max(max, Math.abs(value));
  return max;
}
