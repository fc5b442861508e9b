import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { FfnProblem } from '../../kernels/problem.ts';
import type { FfnOp, OpDefinition } from '../op.ts';
import { tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { layerNorm } from './layer-norm.ts';
import { pointwise } from './pointwise.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';

/** y = epilogue(φ(n(x) · upᵀ + up_bias) · downᵀ): a layer norm, if any, and two products, one after the other. */
export function ffn(problem: FfnProblem, inputTensors: Tensors, weights: Tensors): Float64Array {
  const { rows, inputs, hidden, outputs, inputPitch, outputPitch, norm, hiddenBias, activation } = problem;
  const x = tensorNamed(inputTensors, 'x');
  const layer = { op: 'layer-norm', rows, channels: inputs, pitch: inputPitch, affine: false } as const;
  const normalized = norm ? layerNorm({ ...layer, ...norm }, { x }, {}) : x;
  const up = { op: 'pointwise', rows, inputs, outputs: hidden, inputPitch, outputPitch: hidden } as const;
  const down = { op: 'pointwise', rows, inputs: hidden, outputs, inputPitch: hidden, outputPitch } as const;
  const middle = pointwise(
    { ...up, epilogue: { ...NO_EPILOGUE, bias: hiddenBias, activation } },
    { x: normalized },
    { weight: tensorNamed(weights, 'up'), ...(hiddenBias && { bias: tensorNamed(weights, 'up_bias') }) },
  );
  return pointwise(
    { ...down, epilogue: problem.epilogue },
    { ...inputTensors, x: middle },
    { ...weights, weight: tensorNamed(weights, 'down') },
  );
}

/** What `fuseBlocks` makes of two layers and the layer norm before them. */
export const ffnDefinition: OpDefinition<FfnOp> = {
  shape(op, inputs) {
    const [batch, height, width] = onlyInput('ffn', inputs, op.epilogue.residual);
    return [batch, height, width, op.outputs];
  },
  lower({ type: _, ...op }, { inputs: [input], output, pitch }) {
    const channels = (input ?? output)[3];
    return {
      problem: {
        op: 'ffn',
        rows: rowsOf(output),
        inputs: channels,
        hidden: op.hidden,
        outputs: op.outputs,
        inputPitch: pitch(channels),
        outputPitch: pitch(op.outputs),
        ...(op.norm && { norm: op.norm }),
        hiddenBias: op.hiddenBias,
        activation: op.activation,
        epilogue: op.epilogue,
      },
      inputs: op.epilogue.residual ? ['x', 'residual'] : ['x'],
    };
  },
};
