import { invalidArgument } from '../../core/errors.ts';
import type { SampleScaleProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition } from '../op.ts';
import type { SampleScaleOp } from '../training-ops.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { commonShape, expectShape, inputCount } from './shape-rules.ts';

/** y[n, p, c] = x[n, p, c] · scale[n]. */
export function sampleScale(problem: SampleScaleProblem, inputs: Tensors): Float64Array {
  const { batch, pixels, channels, pitch, scalePitch } = problem;
  const x = tensorNamed(inputs, 'x');
  const scale = tensorNamed(inputs, 'scale');
  const y = new Float64Array(batch * pixels * pitch);
  for (let row = 0; row < batch * pixels; row++) {
    const factor = at(scale, Math.floor(row / pixels) * scalePitch);
    for (let c = 0; c < channels; c++) y[row * pitch + c] = at(x, row * pitch + c) * factor;
  }
  return y;
}

export const sampleScaleDefinition: OpDefinition<SampleScaleOp> = {
  shape({ type }, inputs) {
    const [x, scale] = inputCount(type, inputs, 2);
    const shape = commonShape(type, x ? [x] : []);
    expectShape(type, 'scale', scale, [shape[0], 1, 1, 1]);
    return shape;
  },
  lower({ type }, { output: [batch, height, width, channels], pitch }) {
    return {
      problem: {
        op: type,
        batch,
        pixels: height * width,
        channels,
        pitch: pitch(channels),
        scalePitch: pitch(1),
      },
      inputs: ['x', 'scale'],
    };
  },
  gradient(node, dy, g) {
    const [, scale] = node.inputs;
    if (scale === undefined || g.wantsInput(1)) {
      throw invalidArgument(`${node.name} has no gradient to its scale, which is to be an input.`);
    }
    return { inputs: [g.make({ type: 'sample-scale' }, [dy, scale])], parameters: {} };
  },
};
