import { invalidArgument } from '../../core/errors.ts';
import type { ChannelScaleOp, OpDefinition } from '../op.ts';
import type { ChannelScaleProblem } from '../../kernels/problem.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** y[n, p, c] = x[n, p, c] · gate[n, c]. */
export function channelScale(problem: ChannelScaleProblem, inputs: Tensors): Float64Array {
  const { batch, pixels, channels, pitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const gate = tensorNamed(inputs, 'gate');
  const y = new Float64Array(batch * pixels * pitch);
  for (let row = 0; row < batch * pixels; row++) {
    const n = Math.floor(row / pixels);
    for (let c = 0; c < channels; c++) y[row * pitch + c] = at(x, row * pitch + c) * at(gate, n * pitch + c);
  }
  return y;
}

export const channelScaleDefinition: OpDefinition<ChannelScaleOp> = {
  shape(_, [x, gate]) {
    if (x === undefined || gate?.[0] !== x[0] || gate[1] !== 1 || gate[2] !== 1 || gate[3] !== x[3]) {
      throw invalidArgument(
        `A channel-scale takes [N, H, W, C] and [N, 1, 1, C], got [${x?.join(', ')}] and [${gate?.join(', ')}].`,
      );
    }
    return x;
  },
  lower: (_, { output: [batch, height, width, channels], pitch }) => ({
    problem: { op: 'channel-scale', batch, pixels: height * width, channels, pitch: pitch(channels) },
    inputs: ['x', 'gate'],
  }),
  /** dx = dy · gate, dgate = Σ over pixels of dy · x. */
  gradient(node, dy, g) {
    const [x, gate] = node.inputs;
    if (x === undefined || gate === undefined)
      throw invalidArgument(`${node.name} needs an input and a gate.`);
    return {
      inputs: [
        g.wantsInput(0) ? g.make({ type: 'channel-scale' }, [dy, gate]) : undefined,
        g.wantsInput(1) ? g.make({ type: 'pixel-sum', product: true, of: 'image' }, [x, dy]) : undefined,
      ],
      parameters: {},
    };
  },
};
