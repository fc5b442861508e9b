import { invalidArgument, throwIfAborted } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import type { Graph } from '../../graph/graph.ts';
import type { ByteSink } from '../byte-sink.ts';
import { valuesOf } from '../parameter-values.ts';
import type { WeightSource } from '../source.ts';
import type { InitialValues } from './emitter.ts';
import { bytesOf, layOutModel } from './model.ts';
import type { OnnxInitializer, OnnxLayout, OnnxNumbers } from './model.ts';
import { translateGraph } from './translate.ts';
import type { TranslateOptions } from './translate.ts';

export interface OnnxOptions extends TranslateOptions {
  readonly signal?: AbortSignal;
  /** Called after each piece of the file, with bytes. */
  readonly onProgress?: (progress: { readonly written: number; readonly total: number }) => void;
}

/**
 * Writes a network as an ONNX model, one tensor after the other: never more than one is in memory. Then closes the
 * sink; if anything fails, or `signal` fires, aborts the sink and throws.
 *
 * The model's input is `input`, float32 [N, C, H, W] with any N (unless `dynamicBatch` is false); its outputs have
 * the graph's names, [N, C, H, W] for maps and [N, C] behind a global pool. Initializers have the parameters' keys,
 * followed by `.T` where a matrix is stored as [inputs, outputs], by `.conv` where it is [outputs, inputs, 1, 1], and
 * by `.map` where a vector is [C, 1, 1].
 *
 * @param weights every parameter of the graph that is not derived from others
 * Throws `invalid-argument` for parameters of a wrong length, `unsupported` for models over 2 GB, `aborted`, and
 * what reading weights and writing throw.
 */
export async function exportOnnx(
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  sink: ByteSink,
  options: OnnxOptions = {},
): Promise<void> {
  try {
    const layout = layOutModel(translateGraph(graph, options));
    await writeModel(layout, weights, (bytes) => sink.write(bytes), options);
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** The ONNX model in memory; see {@link exportOnnx}. */
export async function exportOnnxBytes(
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  options: OnnxOptions = {},
): Promise<Uint8Array> {
  const layout = layOutModel(translateGraph(graph, options));
  const model = new Uint8Array(layout.size);
  let end = 0;
  const append = (bytes: Uint8Array): void => {
    model.set(bytes, end);
    end += bytes.length;
  };
  await writeModel(layout, weights, append, options);
  return model;
}

async function writeModel(
  { size: total, pieces }: OnnxLayout<InitialValues>,
  weights: Pick<WeightSource, 'read'>,
  write: (bytes: Uint8Array) => Promise<void> | void,
  { signal, onProgress }: OnnxOptions,
): Promise<void> {
  let written = 0;
  for (const piece of pieces) {
    throwIfAborted(signal);
    const bytes = piece instanceof Uint8Array ? piece : bytesOf(await numbersOf(piece, weights));
    await write(bytes);
    written += bytes.length;
    onProgress?.({ written, total });
  }
  throwIfAborted(signal);
}

async function numbersOf(
  { values, shape }: OnnxInitializer<InitialValues>,
  weights: Pick<WeightSource, 'read'>,
): Promise<OnnxNumbers> {
  if ('constant' in values) return values.constant;
  const { parameter, transposed } = values;
  const numbers = await valuesOf(parameter, weights);
  if (numbers.length !== elements(parameter.shape)) {
    throw invalidArgument(
      `${parameter.key} must have the ${elements(parameter.shape)} values of [${parameter.shape.join(', ')}], got ${numbers.length}.`,
    );
  }
  return transposed ? transpose(numbers, shape) : numbers;
}

/** The values of a matrix of this shape, [inputs, outputs], from those of its transpose. */
function transpose(values: Float32Array, [inputs = 1, outputs = 1]: readonly number[]): Float32Array {
  const transposed = new Float32Array(values.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) transposed[i * outputs + o] = values[o * inputs + i] ?? 0;
  }
  return transposed;
}
