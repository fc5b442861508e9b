import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE, outputMap } from '../../kernels/problem.ts';
import type { Activation, Epilogue, MBConvProblem } from '../../kernels/problem.ts';
import type { MBConvOp, OpDefinition } from '../op.ts';
import { tensorNamed } from '../tensors.ts';
import type { Floats, Tensors } from '../tensors.ts';
import { channelScale } from './channel-scale.ts';
import { conv } from './conv.ts';
import { globalPool } from './global-pool.ts';
import { pointwise } from './pointwise.ts';
import { onlyInput } from './shape-rules.ts';

/** Its layers, one after the other. */
export function mbConv(problem: MBConvProblem, inputs: Tensors, weights: Tensors): Float64Array {
  const { batch, height, width, channels, hidden, groups, inputPitch, expand, spatial, squeeze } = problem;
  const { kernelHeight, kernelWidth, stride, dilation, padding } = problem;
  const layer = (name: string, x: Floats, rows: number, sizes: Sizes, epilogue: Epilogue): Float64Array =>
    pointwise(
      { op: 'pointwise', rows, ...sizes, epilogue },
      { ...inputs, x },
      {
        ...weights,
        weight: tensorNamed(weights, name),
        ...(epilogue.bias && name !== 'project' && { bias: tensorNamed(weights, `${name}_bias`) }),
      },
    );
  const x = tensorNamed(inputs, 'x');
  const up = { inputs: channels, outputs: hidden, inputPitch, outputPitch: hidden };
  const expanded = expand ? layer('expand', x, batch * height * width, up, only(expand)) : x;
  const map = conv(
    {
      op: 'conv',
      ...{ batch, height, width, kernelHeight, kernelWidth, stride, dilation, padding, groups },
      ...{ inputs: hidden, outputs: hidden, inputPitch: expand ? hidden : inputPitch, outputPitch: hidden },
      epilogue: only(spatial),
    },
    { x: expanded },
    {
      weight: tensorNamed(weights, 'spatial'),
      ...(spatial.bias && { bias: tensorNamed(weights, 'spatial_bias') }),
    },
  );
  const out = outputMap(problem);
  const pixels = out.height * out.width;
  const down = {
    inputs: hidden,
    outputs: problem.outputs,
    inputPitch: hidden,
    outputPitch: problem.outputPitch,
  };
  if (squeeze === undefined) return layer('project', map, batch * pixels, down, problem.epilogue);
  const pooled = { batch, pixels, channels: hidden, pitch: hidden };
  const means = globalPool({ op: 'global-pool', ...pooled }, { x: map });
  const narrow = {
    inputs: hidden,
    outputs: squeeze.channels,
    inputPitch: hidden,
    outputPitch: squeeze.channels,
  };
  const wide = {
    inputs: squeeze.channels,
    outputs: hidden,
    inputPitch: squeeze.channels,
    outputPitch: hidden,
  };
  const squeezed = layer('squeeze', means, batch, narrow, only({ ...squeeze, bias: true }));
  const gate = layer('excite', squeezed, batch, wide, only({ bias: true, activation: 'sigmoid' }));
  const gated = channelScale({ op: 'channel-scale', ...pooled }, { x: map, gate });
  return layer('project', gated, batch * pixels, down, problem.epilogue);
}

interface Sizes {
  readonly inputs: number;
  readonly outputs: number;
  readonly inputPitch: number;
  readonly outputPitch: number;
}

function only({ bias, activation }: { readonly bias: boolean; readonly activation: Activation }): Epilogue {
  return { ...NO_EPILOGUE, bias, activation };
}

/** What `fuseMBConv` makes of a block. */
export const mbConvDefinition: OpDefinition<MBConvOp> = {
  shape(op, inputs) {
    const [batch, height, width, channels] = onlyInput('mbconv', inputs.slice(0, 1));
    if (!op.expand && op.hidden !== channels) {
      throw invalidArgument(
        `The hidden channels of an mbconv that does not expand must be its ${channels} channels, got ${op.hidden}.`,
      );
    }
    const out = outputMap({ ...op, batch, height, width, dilation: 1 });
    return [batch, out.height, out.width, op.outputs];
  },
  lower({ type, ...op }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    const sizes = { batch, height, width, channels, dilation: 1 };
    const pitches = { inputPitch: pitch(channels), outputPitch: pitch(op.outputs) };
    return {
      problem: { op: type, ...sizes, ...pitches, ...op },
      inputs: op.epilogue.residual ? ['x', 'residual'] : ['x'],
    };
  },
};
