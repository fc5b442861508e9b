import { exportOnnxBytes } from '../../checkpoints/onnx/export.ts';
import { pooledNodes } from '../../checkpoints/onnx/translate.ts';
import { invalidArgument } from '../../core/errors.ts';
import { nodesOf } from '../../graph/graph.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { quickest } from '../engine.ts';
import type { ModelEngine } from '../engine.ts';
import { nhwcToNchw } from '../layout.ts';
import type { ModelCase } from '../model-case.ts';
import { ortEngine } from './ort.ts';
import type { OrtApi, OrtEngineOptions } from './ort.ts';

/** 20 is the first opset with an operator for GELU; before, runtimes have to recognise it. */
const OPSETS = [17, 20];

/** Ways to write the same network as ONNX. */
interface ExportForm {
  readonly graph: Graph;
  readonly opset: number;
  readonly linear: 'matmul' | 'conv';
  readonly config: string;
}

/**
 * Up to two engines. The first runs the network as PyTorch's exporter writes it, at the opset that suits it best. The
 * second, named `…-rewritten`, runs the quickest of the forms that take a knowledgeable user: branches merged, linear
 * layers as 1×1 convolutions. One may be much quicker than the other, so neither row alone would be fair.
 *
 * @param around what surrounds the making of each engine
 */
export async function ortModelEngines(
  ort: OrtApi,
  test: ModelCase,
  options: OrtEngineOptions,
  signal: AbortSignal | undefined,
  around: <T>(make: () => Promise<T>) => Promise<T> = (make) => make(),
): Promise<ModelEngine[]> {
  const choose = (forms: readonly ExportForm[], name: string): Promise<ModelEngine> =>
    quickest(
      forms.map((form) => () => around(() => makeEngine(ort, test, form, { ...options, name }, signal))),
      signal,
    );
  const forms = exportForms(test);
  const isPlain = ({ graph, linear }: ExportForm): boolean => graph === test.graph && linear === 'matmul';
  const rewritten = forms.filter((form) => !isPlain(form));
  const engines = [await choose(forms.filter(isPlain), options.name)];
  if (rewritten.length > 0) engines.push(await choose(rewritten, `${options.name}-rewritten`));
  return engines;
}

function exportForms({ graph, merged }: ModelCase): ExportForm[] {
  const nodes = nodesOf(graph);
  const opsets = nodes.some(hasGelu) ? OPSETS : OPSETS.slice(0, 1);
  const linears = nodes.some(isLinearOnMap) ? (['matmul', 'conv'] as const) : (['matmul'] as const);
  const graphs = merged === graph ? [graph] : [graph, merged];
  return graphs.flatMap((each) =>
    opsets.flatMap((opset) =>
      linears.map((linear) => {
        const parts = [
          `ONNX opset ${opset}`,
          ...(linears.length > 1 ? [`linear layers as ${linear === 'conv' ? 'Conv' : 'MatMul'}`] : []),
          ...(graphs.length > 1 ? [each === merged ? 'branches merged' : 'branches apart'] : []),
        ];
        return { graph: each, opset, linear, config: parts.join(', ') };
      }),
    ),
  );
}

async function makeEngine(
  ort: OrtApi,
  { weights, input }: ModelCase,
  { graph, opset, linear, config }: ExportForm,
  options: OrtEngineOptions,
  signal: AbortSignal | undefined,
): Promise<ModelEngine> {
  const model = await exportOnnxBytes(graph, weights, {
    opset,
    linear,
    dynamicBatch: false,
    ...(signal && { signal }),
  });
  const [batch, height, width, channels] = graph.input.shape;
  const [outputName, y] = firstOutput(graph);
  const [, ...map] = y.shape;
  return ortEngine(
    ort,
    {
      name: config,
      model,
      inputName: 'input',
      outputName,
      input: nhwcToNchw(input, batch, height * width, channels),
      inputShape: [batch, channels, height, width],
      outputShape: pooledNodes(graph).has(y) ? [batch, map[2]] : [batch, map[2], map[0], map[1]],
      toNhwc: (output) => output,
    },
    options,
  );
}

function firstOutput({ name, outputs }: Graph): [string, Node] {
  const [first] = outputs;
  if (first === undefined) throw invalidArgument(`${name} has no output.`);
  return first;
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
