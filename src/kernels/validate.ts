import { invalidArgument } from '../core/errors.ts';
import { ACTIVATIONS, outputMap } from './problem.ts';
import type { MBConvProblem, Padding, Problem } from './problem.ts';
import { largestNumerator } from './resize.ts';

/** Fields that are no sizes. */
const REAL_FIELDS: ReadonlySet<string> = new Set(['epsilon', 'factor', 'density']);

const WITH_EPILOGUE: ReadonlySet<string> = new Set([
  'depthwise',
  'pointwise',
  'conv',
  'ffn',
  'convfirst',
  'convfirst-chain',
  'mbconv',
]);

/** Throws `invalid-argument`, naming the field, for sizes and options that make no sense. */
export function validate(problem: Problem): void {
  for (const [field, value] of Object.entries(problem)) {
    if (typeof value !== 'number' || REAL_FIELDS.has(field)) continue;
    if (!Number.isSafeInteger(value) || value < 1) {
      throw invalidArgument(`The ${field} of a ${problem.op} must be a positive integer, got ${value}.`);
    }
  }
  if (WITH_EPILOGUE.has(problem.op) && !('epilogue' in problem && isObject(problem.epilogue))) {
    throw invalidArgument(`A ${problem.op} needs an epilogue: NO_EPILOGUE where there is nothing to fuse.`);
  }
  if ('kernelHeight' in problem && problem.op !== 'convfirst' && problem.op !== 'convfirst-chain') {
    for (const field of ['batch', 'height', 'width', 'kernelHeight', 'kernelWidth', 'stride'] as const) {
      const value: unknown = problem[field];
      if (typeof value === 'number') continue;
      throw invalidArgument(
        `The ${field} of a ${problem.op} must be a positive integer, got ${String(value)}.`,
      );
    }
    for (const side of ['top', 'bottom', 'left', 'right'] as const) {
      const value: unknown = (problem.padding as Partial<Padding> | undefined)?.[side];
      if (!(Number.isSafeInteger(value) && Number(value) >= 0)) {
        throw invalidArgument(
          `The ${side} padding of a ${problem.op} must be 0 or more, got ${String(value)}.`,
        );
      }
    }
    const out = outputMap(problem);
    if (out.height < 1 || out.width < 1) {
      throw invalidArgument(
        `A ${problem.kernelHeight}×${problem.kernelWidth} ${problem.op} with this padding has no output on a ` +
          `${problem.height}×${problem.width} map: pad more or use a smaller kernel.`,
      );
    }
  }
  if ('epsilon' in problem && !(problem.epsilon >= 0 && problem.epsilon < Infinity)) {
    throw invalidArgument(`The epsilon of a ${problem.op} must be 0 or more, got ${problem.epsilon}.`);
  }
  activationsOf(problem).forEach(checkActivation);
  if (
    (problem.op === 'pool' || problem.op === 'pool-gradient') &&
    !['max', 'average'].includes(problem.kind)
  ) {
    throw invalidArgument(`The kind of a ${problem.op} must be 'max' or 'average', got ${problem.kind}.`);
  }
  if (problem.op === 'channel-slice') {
    const [from, to] = problem.range;
    if (!(
      Number.isSafeInteger(from) &&
      Number.isSafeInteger(to) &&
      0 <= from &&
      from < to &&
      to <= problem.inputs
    )) {
      throw invalidArgument(
        `The range of a channel-slice must lie within its ${problem.inputs} channels, got ${from} to ${to}.`,
      );
    }
  }
  if (problem.op === 'resize' || problem.op === 'resize-gradient') {
    const { height, width, outHeight, outWidth, alignCorners } = problem;
    const largest = Math.max(
      largestNumerator(height, outHeight, alignCorners),
      largestNumerator(width, outWidth, alignCorners),
    );
    if (largest >= 2 ** 31) {
      throw invalidArgument(
        `A ${problem.op} from ${height}×${width} to ${outHeight}×${outWidth} needs larger whole numbers than kernels have: use other sizes.`,
      );
    }
  }
  if (problem.op === 'depthwise' && problem.density !== undefined) {
    if (!(problem.density >= 0 && problem.density <= 1)) {
      throw invalidArgument(`The density of a depthwise must be from 0 to 1, got ${problem.density}.`);
    }
  }
  if (problem.op === 'pixel-shuffle' && !(Number.isSafeInteger(problem.factor) && problem.factor >= 1)) {
    throw invalidArgument(`The factor of a pixel-shuffle must be a positive integer, got ${problem.factor}.`);
  }
  if (problem.op === 'pointwise' && ![undefined, 'bf16'].includes(problem.precision)) {
    throw invalidArgument(`The precision of a pointwise must be 'bf16' or absent, got ${problem.precision}.`);
  }
  if (
    (problem.op === 'conv' || problem.op === 'conv-weight-gradient') &&
    (problem.inputs % problem.groups || problem.outputs % problem.groups)
  ) {
    throw invalidArgument(
      `The groups of a conv must divide its channels: ${problem.groups} does not divide ${problem.inputs} and ${problem.outputs}.`,
    );
  }
  if (problem.op === 'convfirst-chain' && problem.epilogue.finalActivation !== 'none') {
    throw invalidArgument(
      `A convfirst-chain takes no final activation, got ${problem.epilogue.finalActivation}: use blocks of their own.`,
    );
  }
  if (problem.op === 'convfirst' || problem.op === 'convfirst-chain') {
    if (problem.channels % problem.groups) {
      throw invalidArgument(
        `The groups of a ${problem.op} must divide its channels: ${problem.groups} does not divide ${problem.channels}.`,
      );
    }
    if (problem.kernelHeight % 2 === 0 || problem.kernelWidth % 2 === 0) {
      throw invalidArgument(
        `The kernel of a ${problem.op} must be odd, got ${problem.kernelHeight}×${problem.kernelWidth}.`,
      );
    }
  }
  if (problem.op === 'mbconv') validateMBConv(problem);
  if (
    problem.op === 'concat' &&
    (problem.channels.length === 0 || problem.channels.length !== problem.pitches.length)
  ) {
    throw invalidArgument('A concat needs at least one input, and one pitch for each.');
  }
}

/** Throws `invalid-argument` for activations that there are not, which may come from JavaScript without types. */
export function checkActivation(name: string): void {
  if (ACTIVATIONS.some((known) => known === name)) return;
  throw invalidArgument(`There is no activation ${name}: use one of ${ACTIVATIONS.join(', ')}.`);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** What a problem's fields have for activations. */
function activationsOf(problem: Problem): string[] {
  const steps = problem.op === 'elementwise' ? problem.steps : [];
  const layers =
    problem.op === 'mbconv'
      ? [problem.spatial, problem.expand, problem.squeeze].filter((layer) => layer !== undefined)
      : [];
  return [
    ...('activation' in problem ? [problem.activation] : []),
    ...('epilogue' in problem ? [problem.epilogue.activation, problem.epilogue.finalActivation] : []),
    ...steps.flatMap((step) => (step.kind === 'activation' ? [step.activation] : [])),
    ...layers.map(({ activation }) => activation),
  ];
}

function validateMBConv({ channels, hidden, groups, expand, squeeze }: MBConvProblem): void {
  if (hidden % groups) {
    throw invalidArgument(
      `The groups of an mbconv must divide its hidden channels: ${groups} does not divide ${hidden}.`,
    );
  }
  if (!expand && hidden !== channels) {
    throw invalidArgument(
      `The hidden channels of an mbconv that does not expand must be its ${channels} channels, got ${hidden}.`,
    );
  }
  if (squeeze && (!Number.isSafeInteger(squeeze.channels) || squeeze.channels < 1)) {
    throw invalidArgument(
      `The squeezed channels of an mbconv must be a positive integer, got ${squeeze.channels}.`,
    );
  }
}
