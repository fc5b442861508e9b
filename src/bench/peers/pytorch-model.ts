import { valuesOf } from '../../checkpoints/parameter-values.ts';
import { throwIfAborted } from '../../core/errors.ts';
import { nodesOf, parametersOf } from '../../graph/graph.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { splitBlocks } from '../../graph/passes/fuse-blocks.ts';
import { quickest } from '../engine.ts';
import type { ModelEngine } from '../engine.ts';
import type { ModelCase } from '../model-case.ts';
import { PYTORCH_FORMATS, pytorchName } from './pytorch-formats.ts';
import type { PytorchFormat } from './pytorch-formats.ts';
import type { PythonProcess } from './python-process.ts';

/**
 * A network in PyTorch, layer after layer without compilation, in both memory formats; in each with branches merged
 * or apart, whichever is quicker.
 */
export async function pytorchModels(
  server: PythonProcess,
  test: ModelCase,
  threads: number,
  signal?: AbortSignal,
): Promise<ModelEngine[]> {
  const graphs = new Map([
    ...(test.merged === test.graph ? [] : [['branches merged', splitBlocks(test.merged)] as const]),
    [test.merged === test.graph ? '' : 'branches apart', splitBlocks(test.graph)],
  ]);
  await sendParameters(server, test, [...graphs.values()], signal);
  await server.request(
    {
      command: 'prepare',
      op: 'network',
      threads,
      input: test.graph.input.shape,
      graphs: Object.fromEntries([...graphs].map(([name, graph]) => [name, describeNodes(graph)])),
    },
    test.input,
  );
  const engines: ModelEngine[] = [];
  for (const format of PYTORCH_FORMATS) {
    const makers = [...graphs.keys()].map(
      (graph) => () => Promise.resolve(engine(server, format, graph, threads)),
    );
    engines.push(await quickest(makers, signal));
  }
  return engines;
}

/** One tensor after the other, each answered before the next: none waits in a buffer. */
export async function sendParameters(
  server: PythonProcess,
  { weights }: Pick<ModelCase, 'weights'>,
  graphs: readonly Graph[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await server.request({ command: 'clear' });
  const parameters = new Map(graphs.flatMap(parametersOf).map((parameter) => [parameter.key, parameter]));
  for (const parameter of parameters.values()) {
    if (isUnused(parameter.key)) continue;
    throwIfAborted(signal);
    const values = await valuesOf(parameter, weights);
    await server.request({ command: 'parameter', key: parameter.key, shape: parameter.shape }, values);
  }
}

/** Nodes as `pytorch-network.ts` wants them. */
export function describeNodes(graph: Graph): object[] {
  const nodes = nodesOf(graph);
  const numbers = new Map(nodes.map((node, i) => [node, i]));
  return nodes.map(({ op, inputs, parameters, shape }: Node) => ({
    op,
    inputs: inputs.map((input) => numbers.get(input)),
    parameters: Object.fromEntries(
      Object.entries(parameters)
        .filter(([, { key }]) => !isUnused(key))
        .map(([name, { key }]) => [name, key]),
    ),
    channels: shape[3],
  }));
}

/** Batch norms count the batches they have seen in training. */
function isUnused(key: string): boolean {
  return key.endsWith('num_batches_tracked');
}

function engine(server: PythonProcess, format: PytorchFormat, graph: string, threads: number): ModelEngine {
  const form = `${format}|${graph}`;
  return {
    name: pytorchName(format),
    device: 'native',
    threads,
    config: graph === '' ? format : `${format}, ${graph}`,
    timingIncludes:
      'the network’s layers one after the other under torch.no_grad(), timed within Python; the input is a tensor already',
    time: async (iterations) => {
      const { header } = await server.request({ command: 'time', form, iterations });
      return (header.times as unknown[]).map(Number);
    },
    output: async () => {
      const { payload } = await server.request({ command: 'output', form });
      return new Float32Array(Uint8Array.from(payload).buffer);
    },
    dispose: async () => {
      await server.request({ command: 'drop', form });
    },
  };
}
