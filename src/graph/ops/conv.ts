import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE, outputMap } from '../../kernels/problem.ts';
import type { ConvProblem, Padding } from '../../kernels/problem.ts';
import type { ConvWeightGradientProblem } from '../../kernels/training/problems.ts';
import type { Node } from '../graph.ts';
import type { ConvOp, GradientContext, NodeOf, OpDefinition } from '../op.ts';
import type { ConvWeightGradientOp } from '../training-ops.ts';
import { applyEpilogue } from '../epilogue.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { biasGradient, plainEpilogue } from './layer-gradient.ts';
import { expectCounts, onlyInput } from './shape-rules.ts';
import { forEachTap, gradientInputs, slide, windowOf } from './window.ts';

/**
 * y[n, oy, ox, o] = Σ x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, g·I + i] · weight[o, i, ky, kx],
 * where I = inputs / groups and g = ⌊o / (outputs / groups)⌋ is the group of output channel o. For an adjoint the weight
 * is [inputs, outputs / groups, kernelHeight, kernelWidth], and its taps are read in reverse.
 */
export function conv(problem: ConvProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { batch, outputs, inputPitch, outputPitch, epilogue } = problem;
  const x = tensorNamed(inputs, 'x');
  const weight = tensorNamed(weights, 'weight');
  const taps = problem.kernelHeight * problem.kernelWidth;
  const groupInputs = problem.inputs / problem.groups;
  const groupOutputs = outputs / problem.groups;
  const out = outputMap(problem);
  const weightIndex = (o: number, i: number, tap: number): number => {
    if (!problem.adjoint) return (o * groupInputs + i) * taps + tap;
    const input = Math.floor(o / groupOutputs) * groupInputs + i;
    return (input * groupOutputs + (o % groupOutputs)) * taps + (taps - 1 - tap);
  };
  const y = new Float64Array(batch * out.height * out.width * outputPitch);
  forEachTap(problem, (outputPixel, inputPixel, tap) => {
    for (let o = 0; o < outputs; o++) {
      const first = inputPixel * inputPitch + Math.floor(o / groupOutputs) * groupInputs;
      let sum = 0;
      for (let i = 0; i < groupInputs; i++) {
        sum += at(x, first + i) * at(weight, weightIndex(o, i, tap));
      }
      y[outputPixel * outputPitch + o] = at(y, outputPixel * outputPitch + o) + sum;
    }
  });
  applyEpilogue(epilogue, inputs, weights, y, outputs, outputPitch);
  return y;
}

/** Lowers to a matrix product for 1×1 at stride 1, to a depthwise kernel for groups of one channel, else to `conv`. */
export const convDefinition: OpDefinition<ConvOp> = {
  shape(op, inputs) {
    const input = onlyInput('conv', inputs, op.epilogue.residual);
    const [batch, , , channels] = input;
    const { outputs, groups } = op;
    expectCounts('conv', { outputs, groups });
    if (channels % op.groups !== 0 || op.outputs % op.groups !== 0) {
      throw invalidArgument(
        `The groups of a conv must divide its channels: ${op.groups} does not divide ${channels} and ${op.outputs}.`,
      );
    }
    const { height, width } = slide(op, input);
    return [batch, height, width, outputs];
  },
  lower(op, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    const { outputs, groups } = op;
    const window = windowOf(op, batch, height, width);
    const rest = { epilogue: op.epilogue, ...(op.adjoint && { adjoint: op.adjoint }) };
    const names = op.epilogue.residual ? ['x', 'residual'] : ['x'];
    if (isPointwise(op)) {
      return {
        problem: {
          op: 'pointwise',
          rows: batch * height * width,
          inputs: channels,
          outputs,
          inputPitch: pitch(channels),
          outputPitch: pitch(outputs),
          ...rest,
        },
        inputs: names,
      };
    }
    if (groups === channels && groups === outputs) {
      return {
        problem: { op: 'depthwise', ...window, channels, pitch: pitch(channels), ...rest },
        inputs: names,
      };
    }
    return {
      problem: {
        op: 'conv',
        ...window,
        inputs: channels,
        outputs,
        groups,
        inputPitch: pitch(channels),
        outputPitch: pitch(outputs),
        ...rest,
      },
      inputs: names,
    };
  },
  gradient(node, dy, g) {
    const [x] = node.inputs;
    plainEpilogue(node);
    if (x === undefined) throw invalidArgument(`${node.name} needs an input.`);
    return {
      inputs: [g.wantsInput(0) ? inputGradient(node, x, dy, g) : undefined],
      parameters: {
        ...(g.wantsParameter('weight') && { weight: weightGradient(node.op, x, dy, g) }),
        ...biasGradient(dy, g),
      },
    };
  },
};

/** A 1×1 convolution of every pixel: a matrix product. */
export function isPointwise({ groups, kernelHeight, kernelWidth, stride, padding }: ConvOp): boolean {
  const noPadding = Object.values(padding).every((side) => side === 0);
  return groups === 1 && kernelHeight === 1 && kernelWidth === 1 && stride === 1 && noPadding;
}

/** A dense convolution of windows that lie side by side: the stem and the downsampling of ConvNeXt. */
function isPatches({ groups, kernelHeight, kernelWidth, stride, dilation, padding }: ConvOp): boolean {
  const noPadding = Object.values(padding).every((side) => side === 0);
  const sideBySide = stride > 1 && kernelHeight === stride && kernelWidth === stride && dilation === 1;
  return groups === 1 && noPadding && sideBySide;
}

/**
 * The adjoint convolution of dy, with zeros where a stride left pixels out. With extent E = dilation · (kernel − 1), a
 * padding of E − before on one side and of what gives the input's size on the other.
 */
function inputGradient(node: NodeOf<ConvOp>, x: Node, dy: Node, g: GradientContext): Node {
  const { name, op } = node;
  const { weight } = node.parameters;
  if (weight === undefined) throw invalidArgument(`${name} needs a weight.`);
  const [, height, width, channels] = x.shape;
  if (isPointwise({ ...op, stride: 1 }) && op.stride > 1) {
    // The product first, while there are fewer pixels.
    const product: ConvOp = { ...op, outputs: channels, stride: 1, epilogue: NO_EPILOGUE, adjoint: true };
    const gradient = g.make(product, [dy], { weight });
    return paddedTo(x, g.make({ type: 'zero-insert', stride: op.stride }, [gradient]), g);
  }
  if (isPatches(op)) {
    // Windows do not overlap: one product gives all of a window's pixels.
    const outputs = channels * op.kernelHeight * op.kernelWidth;
    const window = { kernelHeight: 1, kernelWidth: 1, stride: 1 };
    const product: ConvOp = { ...op, ...window, outputs, epilogue: NO_EPILOGUE, adjoint: true };
    const gradient = g.make(product, [dy], { weight });
    return paddedTo(x, g.make({ type: 'pixel-shuffle', factor: op.stride }, [gradient]), g);
  }
  const spread = op.stride === 1 ? dy : g.make({ type: 'zero-insert', stride: op.stride }, [dy]);
  const extentHeight = op.dilation * (op.kernelHeight - 1);
  const extentWidth = op.dilation * (op.kernelWidth - 1);
  const { top, left } = op.padding;
  const padding: Padding = {
    top: extentHeight - top,
    bottom: height - spread.shape[1] + top,
    left: extentWidth - left,
    right: width - spread.shape[2] + left,
  };
  if (Object.values(padding).some((side) => side < 0)) {
    throw invalidArgument(
      `${name} cannot be trained: its padding is wider than its ${op.kernelHeight}×${op.kernelWidth} kernel reaches; pad less.`,
    );
  }
  const adjoint: ConvOp = {
    ...op,
    outputs: channels,
    stride: 1,
    padding,
    epilogue: NO_EPILOGUE,
    adjoint: true,
  };
  return g.make(adjoint, [spread], { weight });
}

/** Zeros below and to the right, up to the size of x: windows of a pool that lie on padding give 0. */
function paddedTo(x: Node, map: Node, g: GradientContext): Node {
  const padding = { top: 0, bottom: x.shape[1] - map.shape[1], left: 0, right: x.shape[2] - map.shape[2] };
  if (padding.bottom === 0 && padding.right === 0) return map;
  const window = { kernelHeight: 1, kernelWidth: 1, stride: 1, dilation: 1 };
  return g.make({ type: 'pool', kind: 'average', ...window, padding, countPadding: false }, [map]);
}

function weightGradient(op: ConvOp, x: Node, dy: Node, g: GradientContext): Node {
  if (isPointwise(op)) return g.make({ type: 'pointwise-weight-gradient' }, [x, dy]);
  const { kernelHeight, kernelWidth, stride, dilation, padding, groups } = op;
  const window = { kernelHeight, kernelWidth, stride, dilation, padding };
  const isDepthwise = groups === x.shape[3] && groups === op.outputs;
  return isDepthwise
    ? g.make({ type: 'depthwise-weight-gradient', ...window }, [x, dy])
    : g.make({ type: 'conv-weight-gradient', ...window, groups }, [x, dy]);
}

/** dweight[o, i, ky, kx] = Σ dy[n, oy, ox, o] · x[n, oy·stride + ky·dilation − top, ox·stride + kx·dilation − left, g·I + i]. */
export function convWeightGradient(problem: ConvWeightGradientProblem, inputs: Tensors): Float64Array {
  const { outputs, groups, inputPitch, outputPitch, gradientPitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const taps = problem.kernelHeight * problem.kernelWidth;
  const groupInputs = problem.inputs / groups;
  const groupOutputs = outputs / groups;
  const dweight = new Float64Array(gradientPitch);
  forEachTap(problem, (outputPixel, inputPixel, tap) => {
    for (let o = 0; o < outputs; o++) {
      const first = inputPixel * inputPitch + Math.floor(o / groupOutputs) * groupInputs;
      for (let i = 0; i < groupInputs; i++) {
        const index = (o * groupInputs + i) * taps + tap;
        dweight[index] = at(dweight, index) + at(dy, outputPixel * outputPitch + o) * at(x, first + i);
      }
    }
  });
  return dweight;
}

export const convWeightGradientDefinition: OpDefinition<ConvWeightGradientOp> = {
  shape(op, inputs) {
    const [x, dy] = gradientInputs(op, inputs);
    return [1, 1, 1, dy[3] * (x[3] / op.groups) * op.kernelHeight * op.kernelWidth];
  },
  lower(op, { inputs, output, pitch }) {
    const [[batch, height, width, channels], dy] = gradientInputs(op, inputs);
    return {
      problem: {
        op: op.type,
        ...windowOf(op, batch, height, width),
        inputs: channels,
        outputs: dy[3],
        groups: op.groups,
        inputPitch: pitch(channels),
        outputPitch: pitch(dy[3]),
        gradientPitch: pitch(output[3]),
      },
      inputs: ['x', 'dy'],
    };
  },
};
