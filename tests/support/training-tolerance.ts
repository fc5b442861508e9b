import { reference } from '../../src/graph/reference.ts';
import type { Tensors } from '../../src/graph/tensors.ts';
import type { Problem } from '../../src/kernels/problem.ts';
import type { TrainingProblem } from '../../src/kernels/training/problems.ts';

const OPS: ReadonlySet<string> = new Set<TrainingProblem['op']>([
  'pointwise-weight-gradient',
  'depthwise-weight-gradient',
  'conv-weight-gradient',
  'pixel-sum',
  'pixel-broadcast',
  'batch-statistics',
  'batch-normalize',
  'batch-norm-sums',
  'batch-norm-gradient',
  'layer-norm-gradient',
  'layer-norm-sums',
  'activation-gradient',
  'sample-scale',
  'zero-insert',
  'pixel-shuffle',
  'channel-slice',
  'pool-gradient',
  'blur-pool-gradient',
  'resize-gradient',
  'softmax-gradient',
  'cross-entropy',
  'cross-entropy-gradient',
]);

export function isTraining(problem: Problem): problem is TrainingProblem {
  return OPS.has(problem.op);
}

/** What a kernel of training may be off by, given what one unit of its largest term may be: λ · √(depth + 8) · u. */
export function trainingTolerance(
  problem: TrainingProblem,
  inputs: Tensors,
  weights: Tensors,
  rounding: number,
): number {
  const size = (name: string): number => largest(inputs[name]);
  const weight = Math.max(largest(weights.weight), 'weight' in weights ? 0 : 1);
  switch (problem.op) {
    case 'zero-insert':
    case 'pixel-shuffle':
    case 'channel-slice':
      return 0;
    case 'pointwise-weight-gradient':
    case 'depthwise-weight-gradient':
    case 'conv-weight-gradient':
    case 'pixel-sum':
    case 'pixel-broadcast':
    case 'sample-scale':
    case 'blur-pool-gradient':
    case 'resize-gradient':
      return rounding * magnitude(problem, absolute(inputs));
    case 'pool-gradient':
      // Which pixel is the largest must not change.
      return (
        rounding * magnitude(problem, { ...inputs, ...absolute({ dy: inputs.dy ?? new Float32Array() }) })
      );
    case 'batch-statistics':
      return rounding * (size('x') + 2 * size('x') ** 2);
    case 'batch-normalize':
      return (
        rounding * ((size('x') + mean(inputs)) * inverse(problem, inputs) * weight + largest(weights.bias))
      );
    case 'batch-norm-sums':
      return (
        rounding *
        problem.rows *
        size('dy') *
        Math.max(1, (size('x') + mean(inputs)) * inverse(problem, inputs))
      );
    case 'batch-norm-gradient': {
      const normal = (size('x') + mean(inputs)) * inverse(problem, inputs);
      const slopes = size('dy') + (size('sums') * (1 + normal)) / problem.rows;
      return rounding * weight * inverse(problem, inputs) * slopes;
    }
    case 'layer-norm-gradient': {
      const spread = 1 / smallestDeviation(problem, inputs);
      // Normalised values are off by |x| / deviation roundings, and enter twice.
      const normal = Math.max(1, size('x') * spread);
      return rounding * spread * size('dy') * weight * (2 + 3 * normal ** 2);
    }
    case 'layer-norm-sums': {
      const normal = Math.max(1, size('x') / smallestDeviation(problem, inputs));
      return rounding * problem.rows * size('dy') * 2 * normal;
    }
    case 'activation-gradient':
      return size('dy') * (rounding + 6e-7 * Math.max(1, size('x')));
    case 'softmax-gradient':
      return rounding * size('x') * size('dy') * (1 + problem.channels * size('x'));
    case 'cross-entropy': {
      const logarithm = Math.log(problem.channels);
      const terms = problem.channels * size('target');
      return terms * (rounding * (2 * size('x') + logarithm) + 2e-7 * Math.max(1, logarithm));
    }
    case 'cross-entropy-gradient': {
      // The exponent's rounding is relative to the exponent itself.
      const power = rounding * (1 + 2 * size('x'));
      return size('dy') * size('target') * (problem.channels * power + rounding);
    }
  }
}

function magnitude(problem: Problem, inputs: Tensors): number {
  return largest(reference(problem, inputs, {}));
}

/** The largest mean in `statistics`, whose first half it is. */
function mean({ statistics }: Tensors): number {
  return largest(statistics?.subarray(0, statistics.length / 2));
}

/** The largest 1 / √(variance + ε). */
function inverse(
  problem: { readonly epsilon: number; readonly channels: number },
  { statistics }: Tensors,
): number {
  const half = (statistics?.length ?? 0) / 2;
  const variances = [...(statistics?.subarray(half, half + problem.channels) ?? [])];
  return 1 / Math.sqrt(Math.min(...variances) + problem.epsilon);
}

function smallestDeviation(
  {
    rows,
    channels,
    pitch,
    epsilon,
  }: { readonly rows: number; readonly channels: number; readonly pitch: number; readonly epsilon: number },
  inputs: Tensors,
): number {
  const x = inputs.x ?? new Float32Array();
  let smallest = Infinity;
  for (let row = 0; row < rows; row++) {
    const values = [...x.subarray(row * pitch, row * pitch + channels)];
    const centre = values.reduce((a, b) => a + b, 0) / channels;
    const variance = values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / channels;
    smallest = Math.min(smallest, Math.sqrt(variance + epsilon));
  }
  return smallest;
}

function absolute(tensors: Tensors): Tensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, values]) => [name, values.map(Math.abs)]));
}

function largest(values: Float32Array | Float64Array | undefined): number {
  let max = 0;
  for (const value of values ?? []) max = Math.max(max, Math.abs(value));
  return max;
}
