import { gcd } from '../../kernels/divide.ts';
import type { Padding } from '../../kernels/problem.ts';
import { elements } from '../graph.ts';
import type { Parameter } from '../graph.ts';
import { makeNode } from '../builder.ts';
import type { ConvOp } from '../op.ts';
import { firstInput, parameterOf } from './patterns.ts';
import type { NodeOf } from './patterns.ts';

/**
 * Depthwise convolutions of one input, by one stride, whose outputs are added, as one convolution: its kernel is the
 * sum of theirs, its bias the sum of their biases. All epilogues must be affine.
 */
export function mergeKernels(name: string, branches: readonly [Depthwise, ...Depthwise[]]): Depthwise {
  const [first] = branches;
  const window = cover(branches.map(({ op }) => op));
  const weight = mergedWeight(`${name}.weight`, branches, window);
  const bias = mergedBias(`${name}.bias`, branches);
  const epilogue = { ...first.op.epilogue, bias: true };
  const op: ConvOp = { ...first.op, ...window, epilogue };
  return { ...makeNode(name, op, [firstInput(first)], { weight, bias }), op };
}

export type Depthwise = NodeOf<ConvOp>;

type Window = Pick<ConvOp, 'kernelHeight' | 'kernelWidth' | 'dilation' | 'padding'>;

/**
 * The smallest window with a place for every tap. Tap k of a branch reads the pixel at offset
 * k · dilation − padding from stride · (output position); pixels off the map are zero for all branches, so a tap is
 * its offset and nothing else. Offsets lie on a grid whose step, the new dilation, is the greatest common divisor of
 * all dilations and of the differences between paddings.
 */
function cover(ops: readonly ConvOp[]): Window {
  const vertical = ops.map((op) => ({
    first: -op.padding.top,
    last: (op.kernelHeight - 1) * op.dilation - op.padding.top,
  }));
  const horizontal = ops.map((op) => ({
    first: -op.padding.left,
    last: (op.kernelWidth - 1) * op.dilation - op.padding.left,
  }));
  const [top, bottom] = union(vertical);
  const [left, right] = union(horizontal);
  const steps = [
    ...ops.map((op) => (op.kernelHeight > 1 || op.kernelWidth > 1 ? op.dilation : 0)),
    ...vertical.map(({ first }) => first - top),
    ...horizontal.map(({ first }) => first - left),
  ];
  const dilation = steps.reduce(gcd, 0) || 1;
  // After the last tap of a branch there are as many pixels as after that of the union, so the output keeps its size.
  const padding: Padding = {
    top: -top,
    left: -left,
    bottom: bottom + (ops[0]?.padding.bottom ?? 0) - (vertical[0]?.last ?? 0),
    right: right + (ops[0]?.padding.right ?? 0) - (horizontal[0]?.last ?? 0),
  };
  return {
    kernelHeight: (bottom - top) / dilation + 1,
    kernelWidth: (right - left) / dilation + 1,
    dilation,
    padding,
  };
}

function union(
  ranges: readonly { readonly first: number; readonly last: number }[],
): readonly [number, number] {
  return [Math.min(...ranges.map(({ first }) => first)), Math.max(...ranges.map(({ last }) => last))];
}

/** Σ of the kernels, each with its taps in their places and zeros elsewhere; in float64, rounded once. */
function mergedWeight(key: string, branches: readonly Depthwise[], window: Window): Parameter {
  const { kernelHeight, kernelWidth, dilation, padding } = window;
  const channels = branches[0]?.op.outputs ?? 0;
  const shape = [channels, 1, kernelHeight, kernelWidth];
  const add = (sum: Float64Array, op: ConvOp, kernel: Float32Array): void => {
    const top = (padding.top - op.padding.top) / dilation;
    const left = (padding.left - op.padding.left) / dilation;
    const step = op.dilation / dilation;
    for (let c = 0, i = 0; c < channels; c++) {
      for (let ky = 0; ky < op.kernelHeight; ky++) {
        const row = (c * kernelHeight + top + ky * step) * kernelWidth + left;
        for (let kx = 0; kx < op.kernelWidth; kx++, i++) {
          sum[row + kx * step] = (sum[row + kx * step] ?? NaN) + (kernel[i] ?? NaN);
        }
      }
    }
  };
  return {
    key,
    shape,
    buffer: false,
    derivation: {
      from: branches.map((branch) => parameterOf(branch, 'weight')),
      compute(kernels) {
        const sum = new Float64Array(elements(shape));
        kernels.forEach((kernel, i) => {
          const op = branches[i]?.op;
          if (op !== undefined) add(sum, op, kernel);
        });
        return Float32Array.from(sum);
      },
    },
  };
}

/** Σ of the biases of those branches that have one. */
function mergedBias(key: string, branches: readonly Depthwise[]): Parameter {
  const channels = branches[0]?.op.outputs ?? 0;
  return {
    key,
    shape: [channels],
    buffer: false,
    derivation: {
      from: branches.flatMap(({ parameters: { bias } }) => (bias === undefined ? [] : [bias])),
      compute: (biases) =>
        Float32Array.from({ length: channels }, (_, c) =>
          biases.reduce((sum, bias) => sum + (bias[c] ?? NaN), 0),
        ),
    },
  };
}
