import { invalidArgument } from '../core/errors.ts';
import type { Cost } from './family.ts';
import { blockOfChain, outputMap, productInputs } from './problem.ts';
import type { Epilogue, Problem } from './problem.ts';
import { trainingParts } from './training/signature.ts';
import { validate } from './validate.ts';

/** A tensor as a kernel sees it: `rows` pixels of `channels` floats, `pitch` floats apart. */
export interface TensorSpec {
  readonly name: string;
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
}

/** The tensors and weights of a problem, and what it costs by definition. */
export interface Signature {
  /** Readable, and the key of measurements: {@link encode}. */
  readonly key: string;
  readonly inputs: readonly TensorSpec[];
  readonly output: TensorSpec;
  /** Weights in PyTorch's names and shapes. */
  readonly weights: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly cost: Cost;
}

/**
 * The signature of a problem of any size: what no kernel can compute still has a cost, see {@link checkIndexRange}.
 * Throws `invalid-argument`, naming the field, for sizes that make no sense.
 */
export function signature(problem: Problem): Signature {
  validate(problem);
  const { inputs, output, weights, macs, depth } = tensors(problem);
  const elements =
    [...inputs, output].reduce((sum, tensor) => sum + tensor.rows * tensor.channels, 0) +
    weights.reduce((sum, weight) => sum + product(weight.shape), 0);
  return { key: encode(problem), inputs, output, weights, cost: { macs, bytes: 4 * elements, depth } };
}

/** Kernels index with 32-bit integers. */
const MAX_FLOATS = 2 ** 31 - 1;

/**
 * Throws `invalid-argument`, naming the tensor, for problems whose elements kernels could not index, and what
 * {@link signature} throws.
 */
export function checkIndexRange(problem: Problem): void {
  const { inputs, output, weights } = signature(problem);
  for (const { name, rows, pitch } of [output, ...inputs]) {
    if (rows * pitch > MAX_FLOATS) {
      throw invalidArgument(`The tensor ${name} would have ${rows} × ${pitch} floats; the most is 2^31 − 1.`);
    }
  }
  for (const { name, shape } of weights) {
    if (product(shape) > MAX_FLOATS) {
      throw invalidArgument(`The ${name} would have ${shape.join(' × ')} floats; the most is 2^31 − 1.`);
    }
  }
}

/**
 * A problem as one line: op, then `field=value` for each field that is not undefined, in the order in which the object
 * has them. So problems have one key if they are made in one place, as those of graphs are.
 */
export function encode(problem: Problem): string {
  const { op, ...fields } = problem;
  return `${op} ${encodeFields(fields)}`;
}

/** Pixels behind one of a blur. */
const BLUR_TAPS = 9;

type Parts = Omit<Signature, 'key' | 'cost'> & { readonly macs: number; readonly depth: number };

function tensors(problem: Problem): Parts {
  switch (problem.op) {
    case 'depthwise': {
      const { batch, height, width, channels, pitch, kernelHeight, kernelWidth, epilogue } = problem;
      const out = outputMap(problem);
      const output = tensor('y', batch * out.height * out.width, channels, pitch);
      const taps = kernelHeight * kernelWidth;
      return {
        inputs: [tensor('x', batch * height * width, channels, pitch), ...epilogueInputs(epilogue, output)],
        output,
        weights: [
          { name: 'weight', shape: [channels, 1, kernelHeight, kernelWidth] },
          ...epilogueWeights(epilogue, channels),
        ],
        macs: output.rows * channels * taps,
        depth: taps,
      };
    }
    case 'pointwise': {
      const { rows, inputs, outputs, inputPitch, outputPitch, epilogue } = problem;
      const output = tensor('y', rows, outputs, outputPitch);
      return {
        inputs: [tensor('x', rows, inputs, inputPitch), ...epilogueInputs(epilogue, output)],
        output,
        weights: [
          { name: 'weight', shape: problem.adjoint ? [inputs, outputs] : [outputs, inputs] },
          ...epilogueWeights(epilogue, outputs),
        ],
        macs: rows * inputs * outputs,
        depth: inputs,
      };
    }
    case 'ffn': {
      const { rows, inputs, hidden, outputs, inputPitch, outputPitch, hiddenBias, epilogue } = problem;
      const output = tensor('y', rows, outputs, outputPitch);
      return {
        inputs: [tensor('x', rows, inputs, inputPitch), ...epilogueInputs(epilogue, output)],
        output,
        weights: [
          { name: 'up', shape: [hidden, inputs] },
          ...(hiddenBias ? vectors(hidden, 'up_bias') : []),
          { name: 'down', shape: [outputs, hidden] },
          ...epilogueWeights(epilogue, outputs),
        ],
        macs: rows * hidden * (inputs + outputs),
        depth: inputs + hidden,
      };
    }
    case 'convfirst': {
      const { batch, height, width, channels, groups, kernelHeight, kernelWidth, hidden, outputs } = problem;
      const { stride, inputPitch, outputPitch, spatialBias, hiddenBias, epilogue } = problem;
      const pixels = batch * height * width;
      const rows = batch * Math.ceil(height / stride) * Math.ceil(width / stride);
      const output = tensor('y', rows, outputs, outputPitch);
      const taps = (channels / groups) * kernelHeight * kernelWidth;
      const inputs = productInputs(problem);
      return {
        inputs: [tensor('x', pixels, channels, inputPitch), ...epilogueInputs(epilogue, output)],
        output,
        weights: [
          { name: 'spatial', shape: [channels, channels / groups, kernelHeight, kernelWidth] },
          ...(spatialBias ? vectors(channels, 'spatial_bias') : []),
          { name: 'up', shape: [hidden, inputs] },
          ...(hiddenBias ? vectors(hidden, 'up_bias') : []),
          { name: 'down', shape: [outputs, hidden] },
          ...epilogueWeights(epilogue, outputs),
        ],
        macs: pixels * channels * taps + rows * hidden * (inputs + outputs),
        depth: taps + (stride > 1 ? BLUR_TAPS : 0) + inputs + hidden,
      };
    }
    case 'mbconv': {
      const { batch, height, width, channels, hidden, outputs, groups, kernelHeight, kernelWidth } = problem;
      const { inputPitch, outputPitch, expand, spatial, squeeze, epilogue } = problem;
      const out = outputMap(problem);
      const output = tensor('y', batch * out.height * out.width, outputs, outputPitch);
      const taps = (hidden / groups) * kernelHeight * kernelWidth;
      const gate = squeeze ? 2 * hidden * squeeze.channels : 0;
      return {
        inputs: [
          tensor('x', batch * height * width, channels, inputPitch),
          ...epilogueInputs(epilogue, output),
        ],
        output,
        weights: [
          ...(expand ? [{ name: 'expand', shape: [hidden, channels] }] : []),
          ...(expand?.bias ? vectors(hidden, 'expand_bias') : []),
          { name: 'spatial', shape: [hidden, hidden / groups, kernelHeight, kernelWidth] },
          ...(spatial.bias ? vectors(hidden, 'spatial_bias') : []),
          ...(squeeze
            ? [
                { name: 'squeeze', shape: [squeeze.channels, hidden] },
                { name: 'squeeze_bias', shape: [squeeze.channels] },
                { name: 'excite', shape: [hidden, squeeze.channels] },
                { name: 'excite_bias', shape: [hidden] },
              ]
            : []),
          { name: 'project', shape: [outputs, hidden] },
          ...epilogueWeights(epilogue, outputs),
        ],
        macs:
          (expand ? batch * height * width * channels * hidden : 0) +
          output.rows * hidden * (taps + outputs) +
          batch * gate,
        depth:
          (expand ? channels : 0) +
          taps +
          hidden +
          (squeeze ? hidden + squeeze.channels + out.height * out.width : 0),
      };
    }
    case 'convfirst-chain': {
      const { inputs, output, weights, macs, depth } = tensors(blockOfChain(problem));
      return {
        inputs: inputs.slice(0, 1),
        output,
        weights: Array.from({ length: problem.blocks }, (_, block) =>
          weights.map(({ name, shape }) => ({ name: `${name}${block}`, shape })),
        ).flat(),
        macs: problem.blocks * macs,
        depth: problem.blocks * depth,
      };
    }
    case 'conv': {
      const { batch, height, width, inputs, outputs, groups, kernelHeight, kernelWidth } = problem;
      const { inputPitch, outputPitch, epilogue } = problem;
      const [rows, columns] = problem.adjoint ? [inputs, outputs] : [outputs, inputs];
      const out = outputMap(problem);
      const output = tensor('y', batch * out.height * out.width, outputs, outputPitch);
      const depth = (inputs / groups) * kernelHeight * kernelWidth;
      return {
        inputs: [
          tensor('x', batch * height * width, inputs, inputPitch),
          ...epilogueInputs(epilogue, output),
        ],
        output,
        weights: [
          { name: 'weight', shape: [rows, columns / groups, kernelHeight, kernelWidth] },
          ...epilogueWeights(epilogue, outputs),
        ],
        macs: output.rows * outputs * depth,
        depth,
      };
    }
    case 'layer-norm': {
      const { rows, channels, pitch, affine } = problem;
      return {
        inputs: [tensor('x', rows, channels, pitch)],
        output: tensor('y', rows, channels, pitch),
        weights: affine ? vectors(channels, 'weight', 'bias') : [],
        macs: 0,
        depth: channels,
      };
    }
    case 'batch-norm': {
      const { rows, channels, pitch } = problem;
      return {
        inputs: [tensor('x', rows, channels, pitch)],
        output: tensor('y', rows, channels, pitch),
        weights: vectors(channels, 'weight', 'bias', 'running_mean', 'running_var'),
        macs: 0,
        depth: 2,
      };
    }
    case 'pool': {
      const { batch, height, width, channels, pitch, kernelHeight, kernelWidth } = problem;
      const out = outputMap(problem);
      return {
        inputs: [tensor('x', batch * height * width, channels, pitch)],
        output: tensor('y', batch * out.height * out.width, channels, pitch),
        weights: [],
        macs: 0,
        depth: kernelHeight * kernelWidth,
      };
    }
    case 'global-pool':
      return {
        inputs: [tensor('x', problem.batch * problem.pixels, problem.channels, problem.pitch)],
        output: tensor('y', problem.batch, problem.channels, problem.pitch),
        weights: [],
        macs: 0,
        depth: problem.pixels,
      };
    case 'softmax':
      return {
        inputs: [tensor('x', problem.rows, problem.channels, problem.pitch)],
        output: tensor('y', problem.rows, problem.channels, problem.pitch),
        weights: [],
        macs: 0,
        depth: problem.channels,
      };
    case 'elementwise': {
      const { rows, channels, pitch, steps } = problem;
      const extra = steps.filter((step) => step.kind === 'add' || step.kind === 'mul' || step.kind === 'sub');
      return {
        inputs: [
          tensor('x', rows, channels, pitch),
          ...extra.map((_, i) => tensor(`x${i + 1}`, rows, channels, pitch)),
        ],
        output: tensor('y', rows, channels, pitch),
        weights: [],
        macs: 0,
        depth: steps.length,
      };
    }
    case 'channel-scale':
      return {
        inputs: [
          tensor('x', problem.batch * problem.pixels, problem.channels, problem.pitch),
          tensor('gate', problem.batch, problem.channels, problem.pitch),
        ],
        output: tensor('y', problem.batch * problem.pixels, problem.channels, problem.pitch),
        weights: [],
        macs: 0,
        depth: 1,
      };
    case 'blur-pool': {
      const { batch, height, width, channels, pitch, stride } = problem;
      const rows = batch * Math.ceil(height / stride) * Math.ceil(width / stride);
      return {
        inputs: [tensor('x', batch * height * width, channels, pitch)],
        output: tensor('y', rows, channels, pitch),
        weights: [],
        macs: 0,
        depth: BLUR_TAPS,
      };
    }
    case 'resize': {
      const { batch, height, width, outHeight, outWidth, channels, pitch } = problem;
      return {
        inputs: [tensor('x', batch * height * width, channels, pitch)],
        output: tensor('y', batch * outHeight * outWidth, channels, pitch),
        weights: [],
        macs: 0,
        depth: 4,
      };
    }
    case 'concat': {
      const { rows, channels, pitches, outputPitch } = problem;
      const total = channels.reduce((sum, c) => sum + c, 0);
      return {
        inputs: channels.map((c, i) => tensor(i === 0 ? 'x' : `x${i}`, rows, c, pitches[i] ?? c)),
        output: tensor('y', rows, total, outputPitch),
        weights: [],
        macs: 0,
        depth: 0,
      };
    }
    default:
      return trainingParts(problem, tensor);
  }
}

function tensor(name: string, rows: number, channels: number, pitch: number): TensorSpec {
  for (const [what, size] of Object.entries({ rows, channels, pitch })) {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw invalidArgument(`The ${what} of ${name} must be a positive integer, got ${String(size)}.`);
    }
  }
  if (pitch < channels) {
    throw invalidArgument(`The pitch of ${name} must be at least its ${channels} channels, got ${pitch}.`);
  }
  return { name, rows, channels, pitch };
}

function epilogueInputs(epilogue: Epilogue, output: TensorSpec): TensorSpec[] {
  return epilogue.residual ? [{ ...output, name: 'residual' }] : [];
}

function epilogueWeights(epilogue: Epilogue, channels: number): Signature['weights'] {
  return vectors(channels, ...(epilogue.bias ? ['bias'] : []), ...(epilogue.scale ? ['scale'] : []));
}

function vectors(channels: number, ...names: readonly string[]): Signature['weights'] {
  return names.map((name) => ({ name, shape: [channels] }));
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

function encodeFields(fields: object): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeValue(value)}`)
    .join(' ');
}

function encodeValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(encodeValue).join(',')}]`;
  if (typeof value === 'object' && value !== null) return `{${encodeFields(value)}}`;
  return String(value);
}
