import { invalidArgument } from '../../core/errors.ts';
import type { ConcatOp, OpDefinition } from '../op.ts';
import { rowsOf } from './shape-rules.ts';
import type { ConcatProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** The channels of `x`, `x1`, `x2`, … one after the other in each row. */
export function concat(problem: ConcatProblem, inputs: Tensors): Float64Array {
  const { rows, channels, pitches, outputPitch } = problem;
  const y = new Float64Array(rows * outputPitch);
  let first = 0;
  channels.forEach((count, i) => {
    const x = tensorNamed(inputs, i === 0 ? 'x' : `x${i}`);
    const pitch = pitches[i] ?? count;
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < count; c++) y[row * outputPitch + first + c] = at(x, row * pitch + c);
    }
    first += count;
  });
  return y;
}

export const concatDefinition: OpDefinition<ConcatOp> = {
  shape(_, inputs) {
    const [first] = inputs;
    if (first === undefined) throw invalidArgument('A concat needs an input.');
    const [batch, height, width] = first;
    if (inputs.some((shape) => shape[0] !== batch || shape[1] !== height || shape[2] !== width)) {
      throw invalidArgument(
        `The inputs of a concat must agree in batch, height and width, got ${inputs.map((s) => `[${s.join(', ')}]`).join(', ')}.`,
      );
    }
    return [batch, height, width, inputs.reduce((sum, shape) => sum + shape[3], 0)];
  },
  lower: (_, { inputs, output, pitch }) => ({
    problem: {
      op: 'concat',
      rows: rowsOf(output),
      channels: inputs.map((shape) => shape[3]),
      pitches: inputs.map((shape) => pitch(shape[3])),
      outputPitch: pitch(output[3]),
    },
    inputs: inputs.map((_, i) => (i === 0 ? 'x' : `x${i}`)),
  }),
  /** Each input's own channels of dy. */
  gradient(node, dy, g) {
    let from = 0;
    const inputs = node.inputs.map((input, i) => {
      const range = [from, from + input.shape[3]] as const;
      from = range[1];
      return g.wantsInput(i) ? g.make({ type: 'channel-slice', range }, [dy]) : undefined;
    });
    return { inputs, parameters: {} };
  },
};
