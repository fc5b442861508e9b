import { exportOnnxBytes } from '../../checkpoints/onnx/export.ts';
import type { OnnxOptions } from '../../checkpoints/onnx/export.ts';
import { nodesOf } from '../../graph/graph.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import type { ModelEngine } from '../engine.ts';
import { nhwcToNchw } from '../layout.ts';
import type { ModelCase } from '../model-case.ts';
import { ortEngine } from './ort.ts';
import type { OrtApi, OrtEngineOptions } from './ort.ts';

/** 20 is the first opset with an operator for GELU; before, runtimes have to recognise it. */
const OPSETS = [17, 20];

/**
 * Engines for all ONNX exports that may differ in speed: with and without merged branches, linear layers as matrix
 * products or as 1×1 convolutions, GELU as one operator or spelled out. Which is quickest depends on the network
 * and the runtime.
 */
export function ortModelMakers(
  ort: OrtApi,
  test: ModelCase,
  options: OrtEngineOptions,
  signal?: AbortSignal,
): (() => Promise<ModelEngine>)[] {
  const graphs = test.merged === test.graph ? [test.graph] : [test.graph, test.merged];
  return graphs.flatMap((graph) => {
    const nodes = nodesOf(graph);
    const opsets = nodes.some(hasGelu) ? OPSETS : OPSETS.slice(0, 1);
    const linears = nodes.some(isLinearOnMap) ? (['matmul', 'conv'] as const) : (['matmul'] as const);
    return opsets.flatMap((opset) =>
      linears.map((linear) => () => {
        const parts = [
          `ONNX opset ${opset}`,
          ...(linears.length > 1 ? [`linear layers as ${linear === 'conv' ? 'Conv' : 'MatMul'}`] : []),
          ...(graphs.length > 1 ? [graph === test.merged ? 'branches merged' : 'branches apart'] : []),
        ];
        return makeEngine(ort, test, graph, parts.join(', '), options, {
          opset,
          linear,
          dynamicBatch: false,
          ...(signal && { signal }),
        });
      }),
    );
  });
}

async function makeEngine(
  ort: OrtApi,
  { weights, input }: ModelCase,
  graph: Graph,
  name: string,
  options: OrtEngineOptions,
  onnx: OnnxOptions,
): Promise<ModelEngine> {
  const model = await exportOnnxBytes(graph, weights, onnx);
  const [batch, height, width, channels] = graph.input.shape;
  const [, , , classes = 0] = graph.outputs.get('logits')?.shape ?? [];
  return ortEngine(
    ort,
    {
      name,
      model,
      inputName: 'input',
      outputName: 'logits',
      input: nhwcToNchw(input, batch, height * width, channels),
      inputShape: [batch, channels, height, width],
      outputShape: [batch, classes],
      toNhwc: (logits) => logits,
    },
    options,
  );
}

function hasGelu({ op }: Node): boolean {
  switch (op.type) {
    case 'conv':
    case 'linear':
      return op.epilogue.activation === 'gelu' || op.epilogue.finalActivation === 'gelu';
    case 'batch-norm':
      return op.activation === 'gelu';
    case 'elementwise':
      return op.steps.some((step) => step.kind === 'activation' && step.activation === 'gelu');
    default:
      return false;
  }
}

function isLinearOnMap({ op, shape: [, height, width] }: Node): boolean {
  return op.type === 'linear' && height * width > 1;
}
