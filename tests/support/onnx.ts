import { InferenceSession, Tensor } from 'onnxruntime-node';

import { exportOnnxBytes } from '../../src/checkpoints/onnx/export.ts';
import type { OnnxOptions } from '../../src/checkpoints/onnx/export.ts';
import { Random } from '../../src/core/random.ts';
import { elements, nodesOf } from '../../src/graph/graph.ts';
import type { Graph, Parameter } from '../../src/graph/graph.ts';

/** An output of ONNX Runtime: maps as [N, H, W, C], whatever the model says. */
export interface RuntimeOutput {
  readonly dims: readonly number[];
  readonly nhwc: Float32Array;
}

/** Random values for every parameter that a checkpoint would hold; variances are positive. */
export function randomValues(graph: Graph): Map<string, Float32Array> {
  const values = new Map<string, Float32Array>();
  const add = (parameter: Parameter): void => {
    if (parameter.derivation !== undefined) return parameter.derivation.from.forEach(add);
    const { key, shape } = parameter;
    const fanIn = elements(shape.slice(1));
    const numbers = new Random(key).array(elements(shape), Math.sqrt(3 / fanIn));
    const isVariance = key.endsWith('running_var');
    values.set(
      key,
      numbers.map((x) => (isVariance ? 0.5 + Math.abs(x) : x)),
    );
  };
  for (const node of nodesOf(graph)) Object.values(node.parameters).forEach(add);
  return values;
}

/** A reader of values that are in memory. */
export function memoryWeights(values: ReadonlyMap<string, Float32Array>): {
  read(key: string): Promise<Float32Array>;
} {
  return {
    read(key) {
      const found = values.get(key);
      return found === undefined ? Promise.reject(new Error(`no ${key}`)) : Promise.resolve(found);
    },
  };
}

/** Exports a graph and runs it in ONNX Runtime on an input [N, H, W, C] with as many images as are there. */
export async function runExported(
  graph: Graph,
  values: ReadonlyMap<string, Float32Array>,
  input: Float32Array,
  options: OnnxOptions = {},
): Promise<Map<string, RuntimeOutput>> {
  const model = await exportOnnxBytes(graph, memoryWeights(values), options);
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1 });
  const [, height, width, channels] = graph.input.shape;
  const dims = [input.length / (height * width * channels), channels, height, width];
  const results = await session.run({ input: new Tensor('float32', permute(input, dims, 'nchw'), dims) });
  await session.release();
  return new Map(
    Object.entries(results).map(([name, tensor]) => {
      const data = tensor.data as Float32Array;
      const nhwc = tensor.dims.length === 4 ? permute(data, tensor.dims, 'nhwc') : data;
      return [name, { dims: tensor.dims, nhwc }];
    }),
  );
}

/** Values of a tensor of dimensions [N, C, H, W] from or to the order [N, H, W, C]. */
function permute(
  values: Float32Array,
  [batch = 1, channels = 1, height = 1, width = 1]: readonly number[],
  to: 'nchw' | 'nhwc',
): Float32Array {
  const out = new Float32Array(values.length);
  const pixels = height * width;
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) {
        const nchw = (n * channels + c) * pixels + p;
        const nhwc = (n * pixels + p) * channels + c;
        if (to === 'nchw') out[nchw] = values[nhwc] ?? NaN;
        else out[nhwc] = values[nchw] ?? NaN;
      }
    }
  }
  return out;
}
