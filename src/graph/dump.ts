import { NO_EPILOGUE } from '../kernels/problem.ts';
import type { Activation, ElementwiseStep, Epilogue } from '../kernels/problem.ts';
import { nodesOf } from './graph.ts';
import type { Graph } from './graph.ts';
import type { Op } from './op.ts';

/**
 * A graph as text, a line a node: number, shape, operation, inputs by number, official name.
 *
 *     %3 [1, 56, 56, 128] = conv 3×3 stride 2 groups 128, bias, relu (%2)  stem.3.conv
 */
export function dump(graph: Graph): string {
  const nodes = nodesOf(graph);
  const numbers = new Map(nodes.map((node, i) => [node, `%${i}`]));
  const lines = nodes.map((node) => {
    const inputs = node.inputs.map((input) => numbers.get(input)).join(', ');
    return `${numbers.get(node)} [${node.shape.join(', ')}] = ${describeOp(node.op)} (${inputs})  ${node.name}`;
  });
  const outputs = [...graph.outputs].map(([name, node]) => `${name} = ${numbers.get(node)}`);
  return [graph.name, ...lines, ...outputs, ''].join('\n');
}

/** An operation in a few words. */
export function describeOp(op: Op): string {
  switch (op.type) {
    case 'conv': {
      const parts = [`conv ${op.kernelHeight}×${op.kernelWidth}`];
      if (op.stride > 1) parts.push(`stride ${op.stride}`);
      if (op.dilation > 1) parts.push(`dilation ${op.dilation}`);
      if (op.groups > 1) parts.push(`groups ${op.groups}`);
      if (op.adjoint) parts.unshift('adjoint');
      return parts.join(' ') + describeEpilogue(op.epilogue);
    }
    case 'linear':
      return `${op.adjoint ? 'adjoint ' : ''}linear${describeEpilogue(op.epilogue)}`;
    case 'convfirst': {
      const { groups, kernelHeight, kernelWidth, ...rest } = op;
      const spatial = `conv ${kernelHeight}×${kernelWidth} groups ${groups}${op.spatialBias ? ', bias' : ''}`;
      const subsample = op.stride > 1 ? `; beside input, blur-pool stride ${op.stride}` : '';
      return `${spatial}${subsample}; ${describeOp({ ...rest, type: 'ffn' })}`;
    }
    case 'mbconv': {
      const { expand, spatial, squeeze, hidden, groups, kernelHeight, kernelWidth, stride } = op;
      const layer = (name: string, { bias, activation }: { bias: boolean; activation: Activation }): string =>
        name + describeEpilogue({ ...NO_EPILOGUE, bias, activation });
      const parts = [
        ...(expand ? [layer(`expand ${hidden}`, expand)] : []),
        layer(
          `conv ${kernelHeight}×${kernelWidth}${stride > 1 ? ` stride ${stride}` : ''} groups ${groups}`,
          spatial,
        ),
        ...(squeeze ? [`squeeze ${squeeze.channels}, ${squeeze.activation}`] : []),
        `project${describeEpilogue(op.epilogue)}`,
      ];
      return parts.join('; ');
    }
    case 'convfirst-chain': {
      const { blocks, ...block } = op;
      const described = describeOp({ ...block, type: 'convfirst', stride: 1, outputs: 0 });
      return `${blocks} times: ${described}`;
    }
    case 'ffn': {
      const bias = op.hiddenBias ? ', bias' : '';
      const activation = op.activation === 'none' ? '' : `, ${op.activation}`;
      return `${op.norm ? 'layer-norm, ' : ''}ffn ${op.hidden}${bias}${activation}; linear${describeEpilogue(op.epilogue)}`;
    }
    case 'batch-norm':
      return op.activation === 'none' ? 'batch-norm' : `batch-norm, ${op.activation}`;
    case 'layer-norm':
      return op.affine ? 'layer-norm' : 'layer-norm without weights';
    case 'elementwise':
      return op.steps.map(describeStep).join(', ');
    case 'pool':
      return `${op.kind} pool ${op.kernelHeight}×${op.kernelWidth} stride ${op.stride}`;
    case 'blur-pool':
      return `blur-pool stride ${op.stride}`;
    case 'resize':
      return `resize to ${op.height}×${op.width}`;
    case 'input':
    case 'layer-scale':
    case 'channel-scale':
    case 'global-pool':
    case 'softmax':
    case 'concat':
      return op.type;
    case 'pixel-sum':
      return `pixel-sum of each ${op.of}${op.product ? ', product' : ''}`;
    case 'activation-gradient':
      return `${op.activation} gradient`;
    case 'row-slice':
      return `row ${op.row}`;
    case 'channel-slice':
      return `channels ${op.range[0]} to ${op.range[1]}`;
    case 'depthwise-weight-gradient':
    case 'conv-weight-gradient':
    case 'pool-gradient':
      return `${op.type} ${op.kernelHeight}×${op.kernelWidth}`;
    default:
      return op.type;
  }
}

function describeEpilogue({ bias, activation, scale, residual, finalActivation }: Epilogue): string {
  const parts = [
    bias ? 'bias' : 'none',
    activation,
    scale ? 'scale' : 'none',
    residual ? 'residual' : 'none',
    finalActivation,
  ].filter((part) => part !== 'none');
  return parts.map((part) => `, ${part}`).join('');
}

function describeStep(step: ElementwiseStep): string {
  switch (step.kind) {
    case 'activation':
      return step.activation;
    case 'affine':
      return `× ${step.scale} + ${step.shift}`;
    case 'add':
    case 'mul':
    case 'sub':
      return step.kind;
  }
}
