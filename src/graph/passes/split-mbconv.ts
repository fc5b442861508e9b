import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { Activation } from '../../kernels/problem.ts';
import { makeNode } from '../builder.ts';
import type { Node, Parameter } from '../graph.ts';
import type { ConvOp, MBConvOp } from '../op.ts';
import { firstInput, parameterOf, productOp } from './patterns.ts';
import type { NodeOf } from './patterns.ts';

/** The layers that an `mbconv` stands for; its last one, that is, with the others as inputs. */
export function splitMBConv(node: NodeOf<MBConvOp>): Node {
  const { expand, spatial, squeeze, hidden, outputs, epilogue, groups } = node.op;
  const { kernelHeight, kernelWidth, stride, padding } = node.op;
  const named = (name: string): Record<string, Parameter> => ({
    weight: parameterOf(node, name),
    ...(node.parameters[`${name}_bias`] && { bias: parameterOf(node, `${name}_bias`) }),
  });
  const layer = (name: string, x: Node, count: number, activation: Activation, bias: boolean): Node => {
    const op = productOp(parameterOf(node, name), count, { ...NO_EPILOGUE, bias, activation });
    return makeNode(`${node.name}.${name}`, op, [x], named(name));
  };
  const x = firstInput(node);
  const expanded = expand ? layer('expand', x, hidden, expand.activation, expand.bias) : x;
  const window = { groups, kernelHeight, kernelWidth, stride, dilation: 1, padding };
  const spatialOp: ConvOp = {
    type: 'conv',
    outputs: hidden,
    ...window,
    epilogue: { ...NO_EPILOGUE, ...spatial },
  };
  const map = makeNode(`${node.name}.spatial`, spatialOp, [expanded], named('spatial'));
  const gated = (channels: number, activation: Activation): Node => {
    const means = makeNode(`${node.name}.means`, { type: 'global-pool' }, [map]);
    const squeezed = layer('squeeze', means, channels, activation, true);
    const gate = layer('excite', squeezed, hidden, 'sigmoid', true);
    return makeNode(`${node.name}.gated`, { type: 'channel-scale' }, [map, gate]);
  };
  const read = squeeze ? gated(squeeze.channels, squeeze.activation) : map;
  const { bias, scale } = node.parameters;
  const weight = parameterOf(node, 'project');
  return makeNode(node.name, productOp(weight, outputs, epilogue), [read, ...node.inputs.slice(1)], {
    weight,
    ...(bias && { bias }),
    ...(scale && { scale }),
  });
}
