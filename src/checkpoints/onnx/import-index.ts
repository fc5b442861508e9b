import { WidefieldError, invalidArgument } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import { printable } from '../text.ts';
import { Numbers } from './import-numbers.ts';
import type { NumberSource } from './import-numbers.ts';
import type { ProtoAttribute, ProtoModel, ProtoNode, ProtoTensor } from './import-proto.ts';
import { inlineNumbers, isFloat, readNumbers } from './import-tensor.ts';
import type { ReadExternal } from './import-tensor.ts';
import type { Constant } from './import-values.ts';

/** Constants that shapes and patterns look into are small; weights are only read when they are packed. */
const MAX_NUMBERS = 2 ** 20;

/** Finds the producers of an ONNX graph's values, and its constants. */
export class OnnxIndex {
  readonly model: ProtoModel;
  readonly #producers = new Map<string, ProtoNode>();
  readonly #constants = new Map<string, Constant>();
  /** Operators that read a value; the graph's outputs count as one. */
  readonly #readers = new Map<string, string[]>();
  /** What `foldedConstant` has found: constants, and undefined for values that depend on the input. */
  readonly folded = new Map<string, Constant | undefined>();

  /** Throws `invalid-argument` for values that are computed twice. */
  constructor(model: ProtoModel, readExternal?: ReadExternal) {
    this.model = model;
    for (const tensor of model.initializers) {
      this.#constants.set(tensor.name, constantOf(tensor, tensor.name, readExternal));
    }
    for (const node of model.nodes) {
      for (const output of node.outputs) {
        if (output === '') continue;
        if (this.#producers.has(output)) {
          throw invalidArgument(`The ONNX file computes ${printable(output)} twice: export it again.`);
        }
        this.#producers.set(output, node);
      }
      for (const input of node.inputs) this.#addReader(input, node.operator);
      const [output] = node.outputs;
      const tensor = node.operator === 'Constant' ? node.attributes.get('value')?.tensor : undefined;
      if (output !== undefined && tensor !== undefined) {
        this.#constants.set(output, constantOf(tensor, output, readExternal));
      }
    }
    for (const { name } of model.outputs) this.#addReader(name, '');
  }

  /** The node that computes a value as its first output; undefined for inputs and stored tensors. */
  producer(name: string | undefined): ProtoNode | undefined {
    return name === undefined || this.#constants.has(name) ? undefined : this.#producers.get(name);
  }

  /** The node that computes a value, if it is a given operator. */
  producerOf(name: string | undefined, ...operators: readonly string[]): ProtoNode | undefined {
    const node = this.producer(name);
    return node !== undefined && node.domain === '' && operators.includes(node.operator) ? node : undefined;
  }

  constant(name: string | undefined): Constant | undefined {
    return name === undefined ? undefined : this.#constants.get(name);
  }

  /** A stored number by itself. */
  scalar(name: string | undefined): number | undefined {
    const constant = this.constant(name);
    if (constant?.numbers.isKnown !== true || constant.shape.some((size) => size !== 1)) return undefined;
    return constant.numbers.all()[0];
  }

  /** Whether a value has one reader. */
  isUsedOnce(name: string): boolean {
    return this.readers(name).length === 1;
  }

  /** The operators that read a value. */
  readers(name: string): readonly string[] {
    return this.#readers.get(name) ?? [];
  }

  #addReader(name: string, operator: string): void {
    const readers = this.#readers.get(name);
    if (readers === undefined) this.#readers.set(name, [operator]);
    else readers.push(operator);
  }
}

export function floatAttribute(node: ProtoNode, name: string, otherwise: number): number {
  return node.attributes.get(name)?.float ?? otherwise;
}

export function intAttribute(node: ProtoNode, name: string, otherwise: number): number {
  return node.attributes.get(name)?.int ?? otherwise;
}

export function intsAttribute(node: ProtoNode, name: string): readonly number[] | undefined {
  const attribute: ProtoAttribute | undefined = node.attributes.get(name);
  return attribute?.ints;
}

export function textAttribute(node: ProtoNode, name: string, otherwise: string): string {
  return node.attributes.get(name)?.text ?? otherwise;
}

/** What messages call a node: its name, else that of its output. */
export function labelOf({ name, outputs }: ProtoNode): string {
  return printable(name !== '' ? name : (outputs[0] ?? 'without a name'));
}

/** The error for what has no place in a graph of ours: never left out silently. */
export function hasNoCost(node: ProtoNode, why?: string): WidefieldError {
  const operator = `${node.domain === '' ? '' : `${printable(node.domain)}.`}${printable(node.operator)}`;
  const reason = why === undefined ? '' : `: ${why}`;
  return new WidefieldError(
    'unsupported',
    `The node ${labelOf(node)} (${operator}) has no cost in Widefield${reason}.`,
  );
}

function constantOf(tensor: ProtoTensor, name: string, readExternal: ReadExternal | undefined): Constant {
  const isKnown = elements(tensor.shape) <= MAX_NUMBERS && !('location' in tensor.data);
  const source: NumberSource = {
    isKnown,
    all: () => {
      const numbers = isKnown ? inlineNumbers(tensor) : undefined;
      if (numbers !== undefined) return numbers;
      throw new WidefieldError(
        'unsupported',
        `The ONNX file computes with the large tensor ${printable(name)}: let the exporter fold constants.`,
      );
    },
    read: () => readNumbers(tensor, readExternal),
  };
  const numbers = new Numbers(source);
  return { kind: 'constant', name, shape: tensor.shape, isFloat: isFloat(tensor.type), numbers };
}
