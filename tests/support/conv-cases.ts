import type { Candidate } from '../../src/kernels/family.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';
import type { ConvProblem, Epilogue } from '../../src/kernels/problem.ts';
import type { KernelCase } from './kernel-harness.ts';

/** What matters of a convolution; the rest has defaults. */
export interface ConvShape {
  readonly map: readonly [height: number, width: number];
  readonly channels: readonly [inputs: number, outputs: number];
  readonly kernel: readonly [height: number, width: number];
  readonly groups?: number;
  readonly stride?: number;
  readonly dilation?: number;
  /** Top, bottom, left, right. */
  readonly padding?: readonly [number, number, number, number];
  readonly batch?: number;
  /** Floats from pixel to pixel of the input; default: what the device gives. */
  readonly inputPitch?: number;
  /** Channels that the output's pitch has room for; default: its own. */
  readonly outputRoom?: number;
  readonly epilogue?: Epilogue;
}

function problem(shape: ConvShape, pitch: (channels: number) => number): ConvProblem {
  const [height, width] = shape.map;
  const [inputs, outputs] = shape.channels;
  const [kernelHeight, kernelWidth] = shape.kernel;
  const [top, bottom, left, right] = shape.padding ?? [0, 0, 0, 0];
  return {
    op: 'conv',
    batch: shape.batch ?? 1,
    height,
    width,
    kernelHeight,
    kernelWidth,
    stride: shape.stride ?? 1,
    dilation: shape.dilation ?? 1,
    padding: { top, bottom, left, right },
    inputs,
    outputs,
    groups: shape.groups ?? 1,
    inputPitch: shape.inputPitch ?? pitch(inputs),
    outputPitch: pitch(shape.outputRoom ?? outputs),
    epilogue: shape.epilogue ?? NO_EPILOGUE,
  };
}

/** Test cases whose best and worst candidates run on devices; the interpreter also covers what lies between. */
export function convCases(shapes: Readonly<Record<string, ConvShape>>): KernelCase[] {
  return Object.entries(shapes).map(([name, shape]) => ({
    name,
    problem: (pitch) => problem(shape, pitch),
    onDevices: ends,
  }));
}

function ends(all: readonly Candidate[]): readonly Candidate[] {
  return [...new Set([...all.slice(0, 1), ...all.slice(-1)])];
}
