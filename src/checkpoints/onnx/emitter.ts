import { elements } from '../../graph/graph.ts';
import type { Parameter, Shape } from '../../graph/graph.ts';
import type { OnnxAttribute, OnnxInitializer, OnnxNode, OnnxNumbers } from './model.ts';
import { UniqueNames } from './unique-names.ts';

/** Order of a tensor's axes: [N, C, H, W], [N, H, W, C], or [N, C] where a map is a single pixel. */
export type Layout = 'nchw' | 'nhwc' | 'nc';

/** What a linear layer on a map becomes; see `TranslateOptions.linear`. */
export type LinearForm = 'matmul' | 'conv';

/** A result, under one ONNX name for each layout that somebody has asked for so far. */
export interface Value {
  readonly shape: Shape;
  readonly names: Map<Layout, string>;
}

/** Where an initializer's values come from: a parameter, perhaps transposed, or here. */
export type InitialValues =
  { readonly parameter: Parameter; readonly transposed: boolean } | { readonly constant: OnnxNumbers };

/**
 * Collects the nodes and initializers of an ONNX graph, under unique names. Values change their layout when a
 * consumer wants it, at most once.
 */
export class OnnxEmitter {
  readonly opset: number;
  readonly linear: LinearForm;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxInitializer<InitialValues>[] = [];
  readonly #nodeNames = new UniqueNames();
  readonly #valueNames: UniqueNames;
  readonly #parameters = new Map<Parameter, Map<string, string>>();
  readonly #constants = new Map<string, string>();
  #module = '';
  #moduleHasNode = false;

  /** @param taken names of values that nodes must not use for themselves */
  constructor(opset: number, linear: LinearForm, taken: Iterable<string>) {
    this.opset = opset;
    this.linear = linear;
    this.#valueNames = new UniqueNames(taken);
  }

  get nodes(): readonly OnnxNode[] {
    return this.#nodes;
  }

  get initializers(): readonly OnnxInitializer<InitialValues>[] {
    return this.#initializers;
  }

  /** What is emitted from now on belongs to a module: its first node gets the module's name. */
  enter(module: string): void {
    this.#module = module;
    this.#moduleHasNode = false;
  }

  /** Adds a node and returns the name of its output. */
  emit(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): string {
    const name = this.#moduleHasNode ? `${this.#module}/${operator}` : this.#module;
    this.#moduleHasNode = true;
    return this.#add(name, operator, inputs, attributes);
  }

  /** The name of a value in a layout. */
  as(value: Value, layout: Layout): string {
    const known = value.names.get(layout);
    if (known !== undefined) return known;
    const [[from, name] = ['nchw', ''] as const] = value.names;
    const converted = this.#convert(name, from, layout);
    value.names.set(layout, converted);
    return converted;
  }

  /** A parameter in PyTorch's order. */
  parameter(parameter: Parameter): string {
    return this.#parameter(parameter, '', parameter.shape, false);
  }

  /** A matrix [outputs, inputs] as [inputs, outputs], under the name `key.T`. */
  transposed(parameter: Parameter): string {
    return this.#parameter(parameter, '.T', parameter.shape.toReversed(), true);
  }

  /** A matrix [outputs, inputs] as the kernel of a 1×1 convolution, under the name `key.conv`. */
  kernel(parameter: Parameter): string {
    return this.#parameter(parameter, '.conv', [...parameter.shape, 1, 1], false);
  }

  /** One number a channel, [C], in the shape that broadcasts over a layout. */
  perChannel(parameter: Parameter, layout: Layout): string {
    if (layout !== 'nchw') return this.parameter(parameter);
    return this.#parameter(parameter, '.map', [elements(parameter.shape), 1, 1], false);
  }

  scalar(value: number): string {
    return this.floats([value], []);
  }

  floats(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.#constant('float32', Float32Array.from(values), shape);
  }

  integers(values: readonly number[]): string {
    return this.#constant('int64', BigInt64Array.from(values, BigInt), [values.length]);
  }

  #convert(name: string, from: Layout, to: Layout): string {
    if (to === 'nc') return this.#addConversion('Flatten', [name], { axis: 1 });
    if (from === 'nc') {
      return this.#addConversion('Unsqueeze', [name, this.integers(to === 'nchw' ? [2, 3] : [1, 2])]);
    }
    return this.#addConversion('Transpose', [name], { perm: to === 'nchw' ? [0, 3, 1, 2] : [0, 2, 3, 1] });
  }

  #addConversion(
    operator: string,
    inputs: readonly string[],
    attributes: OnnxNode['attributes'] = {},
  ): string {
    return this.#add(`${this.#module}/${operator}`, operator, inputs, attributes);
  }

  #add(
    wanted: string,
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>>,
  ): string {
    const name = this.#nodeNames.take(wanted);
    const output = this.#valueNames.take(`${name}_output`);
    this.#nodes.push({ name, operator, inputs, outputs: [output], attributes });
    return output;
  }

  #parameter(parameter: Parameter, suffix: string, shape: readonly number[], transposed: boolean): string {
    const forms = this.#parameters.get(parameter) ?? new Map<string, string>();
    this.#parameters.set(parameter, forms);
    const known = forms.get(suffix);
    if (known !== undefined) return known;
    const name = this.#valueNames.take(parameter.key + suffix);
    forms.set(suffix, name);
    this.#initializers.push({ name, shape, values: { parameter, transposed } });
    return name;
  }

  #constant(type: 'float32' | 'int64', constant: OnnxNumbers, shape: readonly number[]): string {
    const key = `${type} [${shape.join()}] ${constant.join()}`;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.#valueNames.take('constant');
    this.#constants.set(key, name);
    this.#initializers.push({ name, type, shape, values: { constant } });
    return name;
  }
}
