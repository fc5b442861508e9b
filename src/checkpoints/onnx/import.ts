import { WidefieldError, invalidArgument } from '../../core/errors.ts';
import { makeNode } from '../../graph/builder.ts';
import { rewriteGraph } from '../../graph/graph.ts';
import type { Graph, Node, Shape } from '../../graph/graph.ts';
import { printable } from '../text.ts';
import type { WeightSource } from '../source.ts';
import { dataInput, mapInput, nameOf } from './import-call.ts';
import type { OnnxCall } from './import-call.ts';
import { fold } from './import-fold.ts';
import { OnnxIndex, hasNoCost } from './import-index.ts';
import { activation, normalized, translateCall } from './import-ops.ts';
import { ImportedParameters } from './import-parameters.ts';
import { matchActivation, matchBlurPool, matchLayerNorm, matchZeroPad } from './import-patterns.ts';
import type { BlurPattern } from './import-patterns.ts';
import { readModel } from './import-proto.ts';
import type { ProtoNode, ProtoValue } from './import-proto.ts';
import type { ReadExternal } from './import-tensor.ts';
import { NCHW, dataIn } from './import-values.ts';
import type { Axis, Value } from './import-values.ts';

export interface ImportOnnxOptions {
  /** Images, 1 or more; default: as the file says, or 1 where it says nothing. */
  readonly batch?: number;
  /** Height and width where the file leaves them open; default 224. Another size than a fixed one is refused. */
  readonly resolution?: number | readonly [height: number, width: number];
  /** What the graph is called; default: as in the file. */
  readonly name?: string;
  /** Reads the files beside the model that hold large tensors; without it, these are refused. */
  readonly readExternal?: ReadExternal;
}

/** A network from an ONNX file. */
export interface ImportedOnnx {
  /** Its outputs have the file's names; a lone one is also `logits` if it is a vector for each image. */
  readonly graph: Graph;
  /** The graph's parameters, under the names of the file's tensors. */
  readonly weights: WeightSource & AsyncDisposable;
}

const DEFAULT_RESOLUTION = 224;
const NHWC: readonly Axis[] = ['n', 'h', 'w', 'c'];

/**
 * An ONNX model as a graph of ours: convolutions, linear layers, norms, activations, pools, squeeze-and-excitation, sums,
 * concatenations. Transpositions, reshapes and the like only say where axes are, and become nothing. Activations and layer
 * norms that exporters take apart are put together again.
 *
 * Throws `unsupported` for everything else, naming the node, and `invalid-argument` for damaged files and impossible options.
 */
export function importOnnx(bytes: Uint8Array, options: ImportOnnxOptions = {}): ImportedOnnx {
  const model = readModel(bytes);
  const index = new OnnxIndex(model, options.readExternal);
  const parameters = new ImportedParameters();
  const { name, input, layout } = inputOf(index, options);
  const values = new Map<string, Value>([[name, dataIn(layout, input)]]);
  const outputs = new Map<string, Node>();
  for (const { name: output } of model.outputs) {
    const value = new Translation(index, parameters, values).evaluate(output);
    if (value.kind === 'constant') continue;
    outputs.set(printable(output), value.node);
  }
  if (outputs.size === 0)
    throw invalidArgument('The ONNX file computes nothing from its input: export it again.');
  const graph = { name: options.name ?? printable(model.name), input, outputs: withLogits(outputs) };
  return {
    graph: withBatch(graph, options.batch ?? input.shape[0]),
    weights: parameters.source(graph.name, () => Promise.resolve()),
  };
}

/** The same network for another number of images. */
function withBatch(graph: Graph, batch: number): Graph {
  if (batch === graph.input.shape[0]) return graph;
  return rewriteGraph(graph, (node) => {
    if (node.op.type !== 'input') return makeNode(node.name, node.op, node.inputs, node.parameters);
    const [, ...rest] = node.shape;
    return { ...node, shape: [batch, ...rest] };
  });
}

/** A classifier's output is what analyses look for. */
function withLogits(outputs: ReadonlyMap<string, Node>): ReadonlyMap<string, Node> {
  const [only, ...others] = outputs.values();
  if (only === undefined || others.length > 0) return outputs;
  const [, height, width] = only.shape;
  return height === 1 && width === 1 ? new Map([['logits', only]]) : outputs;
}

/** The graph's input: the only one of the file that is not stored in it. */
function inputOf(
  index: OnnxIndex,
  options: ImportOnnxOptions,
): { name: string; input: Node; layout: readonly Axis[] } {
  const inputs = index.model.inputs.filter(({ name }) => index.constant(name) === undefined);
  const [value, ...others] = inputs;
  if (value === undefined || others.length > 0) {
    throw new WidefieldError(
      'unsupported',
      `The ONNX file has ${inputs.length} inputs; Widefield takes networks with one, an image.`,
    );
  }
  const { shape, layout } = imageShape(value, options);
  return {
    name: value.name,
    layout,
    input: { name: 'input', op: { type: 'input' }, inputs: [], parameters: {}, shape },
  };
}

/** Largest input: beyond it, sizes are mistakes. */
const MAX_INPUT = 2 ** 32;

function imageShape(
  { name, shape }: ProtoValue,
  options: ImportOnnxOptions,
): { shape: Shape; layout: readonly Axis[] } {
  const isFew = (channels: number | undefined): boolean => channels !== undefined && channels <= 4;
  const layout = isFew(shape[3]) && !isFew(shape[1]) ? NHWC : NCHW;
  const size = (axis: Axis): number | undefined => shape[layout.indexOf(axis)];
  const channels = size('c');
  if (shape.length !== 4 || channels === undefined) {
    const given = shape.map((each) => each ?? '?').join(', ');
    throw new WidefieldError(
      'unsupported',
      `The input ${printable(name)} of the ONNX file is [${given}]; Widefield takes images [N, C, H, W] with a fixed C.`,
    );
  }
  const { resolution = [size('h') ?? DEFAULT_RESOLUTION, size('w') ?? DEFAULT_RESOLUTION] } = options;
  const [height, width] = typeof resolution === 'number' ? [resolution, resolution] : resolution;
  // Until all is translated: files may have a batch of 1 in the shapes of their reshapes.
  const batch = size('n') ?? 1;
  const images = options.batch ?? batch;
  if (![height, width, images].every((count) => Number.isInteger(count) && count >= 1)) {
    throw invalidArgument(
      `The batch, height and width of an ONNX file's input must be whole numbers from 1 on, got ${images}, ${height} and ${width}.`,
    );
  }
  if (height !== (size('h') ?? height) || width !== (size('w') ?? width)) {
    throw invalidArgument(
      `The ONNX file is for ${size('h') ?? 'any'}×${size('w') ?? 'any'} pixels, not ${height}×${width}: leave the resolution out, or export it with dynamic axes.`,
    );
  }
  if (Math.max(batch, images) * height * width * channels > MAX_INPUT)
    throw invalidArgument('The input of the ONNX file is too large.');
  return { shape: [batch, height, width, channels], layout };
}

/** How to compute one of a file's values: from which others, and how. */
interface Recipe {
  readonly inputs: readonly string[];
  build(values: readonly (Value | undefined)[]): Value;
}

/** Translates what an output needs, and nothing else; with a stack of its own, because networks may be deep. */
class Translation {
  readonly #index: OnnxIndex;
  readonly #parameters: ImportedParameters;
  readonly #values: Map<string, Value>;
  readonly #open = new Map<string, Recipe>();

  constructor(index: OnnxIndex, parameters: ImportedParameters, values: Map<string, Value>) {
    this.#index = index;
    this.#parameters = parameters;
    this.#values = values;
  }

  /** The value of a name. Throws `unsupported` for operators without a place here, `invalid-argument` for cycles. */
  evaluate(output: string): Value {
    const stack = [output];
    for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
      if (this.#known(name) !== undefined) {
        stack.pop();
        continue;
      }
      const opened = this.#open.get(name);
      const recipe = opened ?? this.#recipe(name);
      this.#open.set(name, recipe);
      const missing = recipe.inputs.filter((input) => input !== '' && this.#known(input) === undefined);
      if (missing.length === 0) {
        this.#values.set(name, recipe.build(recipe.inputs.map((input) => this.#known(input))));
        this.#open.delete(name);
        stack.pop();
      } else if (opened !== undefined || missing.some((input) => this.#open.has(input))) {
        throw invalidArgument(`The ONNX file computes ${printable(name)} from itself: export it again.`);
      } else {
        stack.push(...missing);
      }
    }
    const value = this.#known(output);
    if (value === undefined) throw invalidArgument(`Nothing computes ${printable(output)} in the ONNX file.`);
    return value;
  }

  #known(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#index.constant(name);
  }

  #recipe(name: string): Recipe {
    const node = this.#index.producer(name);
    if (node === undefined)
      throw invalidArgument(`Nothing computes ${printable(name)} in the ONNX file: export it again.`);
    if (node.outputs[0] !== name) throw hasNoCost(node, `its output ${printable(name)} is used`);
    return this.#pattern(node) ?? this.#plain(node);
  }

  /** What exporters have taken apart. */
  #pattern(node: ProtoNode): Recipe | undefined {
    const index = this.#index;
    const on = (input: string, build: (call: OnnxCall) => Value): Recipe => ({
      inputs: [input],
      build: (values) => build(this.#call({ ...node, inputs: [input] }, values)),
    });
    const activated = matchActivation(index, node);
    if (activated) return on(activated.input, (call) => activation(call, activated.activation));
    const norm = matchLayerNorm(index, node);
    if (norm) return on(norm.input, (call) => normalized(call, dataInput(call, 0), norm.axis, norm.epsilon));
    const blur = matchBlurPool(index, node);
    if (blur) return on(blur.input, (call) => blurPool(call, blur));
    const pad =
      node.operator === 'Conv' || node.operator === 'AveragePool'
        ? matchZeroPad(index, node.inputs[0])
        : undefined;
    if (!pad) return undefined;
    const inputs = [pad.input, ...node.inputs.slice(1)];
    return {
      inputs,
      build: (values) => translateCall({ ...this.#call({ ...node, inputs }, values), pads: pad.pads }),
    };
  }

  #plain(node: ProtoNode): Recipe {
    return {
      inputs: node.inputs,
      build: (values) => {
        const present = values.filter((value) => value !== undefined);
        return fold(node, present) ?? translateCall(this.#call(node, values));
      },
    };
  }

  #call(node: ProtoNode, inputs: readonly (Value | undefined)[]): OnnxCall {
    return {
      node,
      inputs,
      opset: this.#index.model.opset,
      parameters: this.#parameters,
      isUsedOnce: (input) => this.#index.isUsedOnce(node.inputs[input] ?? ''),
      readers: this.#index.readers(node.outputs[0] ?? ''),
    };
  }
}

/** Ours reflects borders, and repeats a single row or column, which has nothing to reflect. */
function blurPool(call: OnnxCall, { stride, borders }: BlurPattern): Value {
  const x = mapInput(call);
  const [, height, width] = x.node.shape;
  const fits = [height, width, height, width].every((size, side) => {
    const [own, other] = size === 1 ? [borders.edge, borders.reflect] : [borders.reflect, borders.edge];
    return own[side] === 1 && other[side] === 0;
  });
  if (!fits) throw hasNoCost(call.node, 'only borders of one pixel that are reflected have');
  return dataIn(NCHW, makeNode(nameOf(call.node), { type: 'blur-pool', stride }, [x.node]));
}
