import { outputMap } from '../../kernels/problem.ts';
import type { PoolProblem } from '../../kernels/problem.ts';
import type { PoolGradientProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition, PoolOp } from '../op.ts';
import type { PoolGradientOp } from '../training-ops.ts';
import { onlyInput } from './shape-rules.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { forEachTap, gradientInputs, slide, windowOf } from './window.ts';

/**
 * Maximum or average of the taps of each window that lie on the map. With `countPadding` the average
 * divides by the whole window. A window that lies wholly on padding gives 0.
 */
export function pool(problem: PoolProblem, inputs: Tensors): Float64Array {
  const { kind, batch, channels, pitch, kernelHeight, kernelWidth, countPadding } = problem;
  const x = tensorNamed(inputs, 'x');
  const out = outputMap(problem);
  const pixels = batch * out.height * out.width;
  const y = new Float64Array(pixels * pitch);
  const counts = new Float64Array(pixels);
  forEachTap(problem, (outputPixel, inputPixel) => {
    const isFirst = at(counts, outputPixel) === 0;
    counts[outputPixel] = at(counts, outputPixel) + 1;
    for (let c = 0; c < channels; c++) {
      const value = at(x, inputPixel * pitch + c);
      const before = at(y, outputPixel * pitch + c);
      const larger = isFirst ? value : Math.max(before, value);
      y[outputPixel * pitch + c] = kind === 'max' ? larger : before + value;
    }
  });
  if (kind === 'average') {
    for (let i = 0; i < y.length; i++) {
      const count = Math.max(at(counts, Math.floor(i / pitch)), 1);
      y[i] = at(y, i) / (countPadding ? kernelHeight * kernelWidth : count);
    }
  }
  return y;
}

export const poolDefinition: OpDefinition<PoolOp> = {
  shape(op, inputs) {
    const input = onlyInput('pool', inputs);
    const { height, width } = slide(op, input);
    return [input[0], height, width, input[3]];
  },
  lower({ type: _, ...window }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: { op: 'pool', ...window, batch, height, width, channels, pitch: pitch(channels) },
      inputs: ['x'],
    };
  },
  gradient: (node, dy, g) => ({
    inputs: [g.make({ ...node.op, type: 'pool-gradient' }, [...node.inputs, dy])],
    parameters: {},
  }),
};

/**
 * A maximum's gradient goes to the first tap that has it, in order of rows, as in PyTorch; an average's in equal parts to
 * all taps on the map.
 */
export function poolGradient(problem: PoolGradientProblem, inputs: Tensors): Float64Array {
  const { kind, batch, height, width, channels, pitch, kernelHeight, kernelWidth, countPadding } = problem;
  const x = tensorNamed(inputs, 'x');
  const dy = tensorNamed(inputs, 'dy');
  const out = outputMap(problem);
  const outputs = batch * out.height * out.width;
  const dx = new Float64Array(batch * height * width * pitch);
  const give = (inputPixel: number, c: number, value: number): void => {
    dx[inputPixel * pitch + c] = at(dx, inputPixel * pitch + c) + value;
  };
  const counts = new Float64Array(outputs);
  const winners = new Int32Array(outputs * channels).fill(-1);
  forEachTap(problem, (outputPixel, inputPixel) => {
    counts[outputPixel] = at(counts, outputPixel) + 1;
    for (let c = 0; c < channels; c++) {
      const winner = winners[outputPixel * channels + c] ?? -1;
      const wins = winner < 0 || at(x, inputPixel * pitch + c) > at(x, winner * pitch + c);
      if (wins) winners[outputPixel * channels + c] = inputPixel;
    }
  });
  if (kind === 'max') {
    winners.forEach((inputPixel, i) => {
      const [outputPixel, c] = [Math.floor(i / channels), i % channels];
      if (inputPixel >= 0) give(inputPixel, c, at(dy, outputPixel * pitch + c));
    });
    return dx;
  }
  forEachTap(problem, (outputPixel, inputPixel) => {
    const divisor = countPadding ? kernelHeight * kernelWidth : at(counts, outputPixel);
    for (let c = 0; c < channels; c++) give(inputPixel, c, at(dy, outputPixel * pitch + c) / divisor);
  });
  return dx;
}

export const poolGradientDefinition: OpDefinition<PoolGradientOp> = {
  shape: (op, inputs) => gradientInputs(op, inputs)[0],
  lower(op, { output: [batch, height, width, channels], pitch }) {
    const { type, kind, countPadding } = op;
    const window = windowOf(op, batch, height, width);
    return {
      problem: { op: type, ...window, kind, channels, pitch: pitch(channels), countPadding },
      inputs: ['x', 'dy'],
    };
  },
};
