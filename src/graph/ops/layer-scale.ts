import { invalidArgument } from '../../core/errors.ts';
import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { LayerScaleOp, OpDefinition } from '../op.ts';
import { onlyInput, rowsOf } from './shape-rules.ts';

/** One factor a channel is a 1×1 depthwise convolution. Passes fold it into the layer before it. */
export const layerScaleDefinition: OpDefinition<LayerScaleOp> = {
  shape: (_, inputs) => onlyInput('layer-scale', inputs),
  lower: (_, { output, pitch }) => ({
    problem: {
      op: 'depthwise',
      batch: 1,
      height: rowsOf(output),
      width: 1,
      kernelHeight: 1,
      kernelWidth: 1,
      stride: 1,
      dilation: 1,
      padding: { top: 0, bottom: 0, left: 0, right: 0 },
      channels: output[3],
      pitch: pitch(output[3]),
      epilogue: NO_EPILOGUE,
    },
    inputs: ['x'],
    renamed: { weight: 'gamma' },
  }),
  /** dx = dy · gamma, dgamma = Σ dy · x. */
  gradient(node, dy, g) {
    const [x] = node.inputs;
    const { gamma } = node.parameters;
    if (x === undefined || gamma === undefined)
      throw invalidArgument(`${node.name} needs an input and a gamma.`);
    return {
      inputs: [g.wantsInput(0) ? g.make({ type: 'layer-scale' }, [dy], { gamma }) : undefined],
      parameters: g.wantsParameter('gamma')
        ? { gamma: g.make({ type: 'pixel-sum', product: true, of: 'batch' }, [x, dy]) }
        : {},
    };
  },
};
