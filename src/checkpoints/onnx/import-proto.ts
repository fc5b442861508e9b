import { PbfReader } from 'pbf';

import { WidefieldError, invalidArgument } from '../../core/errors.ts';
import { printable } from '../text.ts';

/** Where a tensor's numbers lie: in the model, little-endian or one by one, or in a file beside it. */
export type TensorData =
  | { readonly raw: Uint8Array }
  | { readonly numbers: readonly number[] }
  | { readonly location: string; readonly offset: number; readonly length: number | undefined };

/** A stored tensor (`TensorProto`). */
export interface ProtoTensor {
  readonly name: string;
  /** `TensorProto.DataType` */
  readonly type: number;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface ProtoAttribute {
  readonly float?: number;
  readonly int?: number;
  readonly text?: string;
  readonly ints: readonly number[];
  readonly tensor?: ProtoTensor;
}

export interface ProtoNode {
  readonly name: string;
  readonly operator: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, ProtoAttribute>;
}

/** The name, element type and shape of an input or output; a dimension that may have any size is undefined. */
export interface ProtoValue {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly (number | undefined)[];
}

export interface ProtoModel {
  readonly opset: number;
  readonly name: string;
  readonly nodes: readonly ProtoNode[];
  readonly initializers: readonly ProtoTensor[];
  readonly inputs: readonly ProtoValue[];
  readonly outputs: readonly ProtoValue[];
}

/** Larger numbers are not those of a network. */
const LIMITS = { nodes: 100_000, tensors: 100_000, rank: 8, attributes: 64, elements: 2 ** 31 };

const DAMAGED = 'is damaged, or no ONNX model: export it again';

/**
 * Reads the structure of an ONNX file; tensors stay where they are in `bytes`. Field numbers are those of onnx.proto.
 * Throws `invalid-argument` for anything else than an ONNX model.
 */
export function readModel(bytes: Uint8Array): ProtoModel {
  try {
    return modelOf(bytes);
  } catch (error) {
    if (error instanceof WidefieldError) throw error;
    throw new WidefieldError('invalid-argument', `The file ${DAMAGED}.`, { cause: error });
  }
}

function modelOf(bytes: Uint8Array): ProtoModel {
  let opset = 0;
  let graph: Uint8Array | undefined;
  readMessage(bytes, (field, value) => {
    if (field === 7) graph = value.bytes();
    if (field === 8) {
      const { domain, version } = opsetOf(value.bytes());
      if (domain === '' || domain === 'ai.onnx') opset = version;
    }
  });
  if (graph === undefined || opset < 1) throw invalidArgument(`The file ${DAMAGED}.`);
  return { opset, ...graphOf(graph) };
}

function opsetOf(bytes: Uint8Array): { domain: string; version: number } {
  let [domain, version] = ['', 0];
  readMessage(bytes, (field, value) => {
    if (field === 1) domain = value.text();
    if (field === 2) version = value.int();
  });
  return { domain, version };
}

function graphOf(bytes: Uint8Array): Omit<ProtoModel, 'opset'> {
  const nodes: ProtoNode[] = [];
  const initializers: ProtoTensor[] = [];
  const inputs: ProtoValue[] = [];
  const outputs: ProtoValue[] = [];
  let name = '';
  readMessage(bytes, (field, value) => {
    if (field === 1) push(nodes, nodeOf(value.bytes()), LIMITS.nodes);
    if (field === 2) name = value.text();
    if (field === 5) push(initializers, tensorOf(value.bytes()), LIMITS.tensors);
    if (field === 11) push(inputs, valueOf(value.bytes()), LIMITS.tensors);
    if (field === 12) push(outputs, valueOf(value.bytes()), LIMITS.tensors);
    if (field === 15) {
      throw new WidefieldError(
        'unsupported',
        'The ONNX file holds sparse initializers: export it with dense ones.',
      );
    }
  });
  return { name, nodes, initializers, inputs, outputs };
}

function nodeOf(bytes: Uint8Array): ProtoNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, ProtoAttribute>();
  let [name, operator, domain] = ['', '', ''];
  readMessage(bytes, (field, value) => {
    if (field === 1) push(inputs, value.text(), LIMITS.tensors);
    if (field === 2) push(outputs, value.text(), LIMITS.tensors);
    if (field === 3) name = value.text();
    if (field === 4) operator = value.text();
    if (field === 5) {
      attributes.set(...attributeOf(value.bytes()));
      if (attributes.size > LIMITS.attributes) throw tooMany(LIMITS.attributes);
    }
    if (field === 7) domain = value.text();
  });
  return { name, operator, domain, inputs, outputs, attributes };
}

function attributeOf(bytes: Uint8Array): [string, ProtoAttribute] {
  let name = '';
  let attribute: ProtoAttribute = { ints: [] };
  const ints: number[] = [];
  readMessage(bytes, (field, value) => {
    if (field === 1) name = value.text();
    if (field === 2) attribute = { ...attribute, float: value.float() };
    if (field === 3) attribute = { ...attribute, int: value.int() };
    if (field === 4) attribute = { ...attribute, text: value.text() };
    if (field === 5) attribute = { ...attribute, tensor: tensorOf(value.bytes()) };
    if (field === 8) value.ints(ints);
  });
  return [name, { ...attribute, ints }];
}

function tensorOf(bytes: Uint8Array): ProtoTensor {
  const shape: number[] = [];
  const numbers: number[] = [];
  const external = new Map<string, string>();
  let [name, type, isExternal] = ['', 0, false];
  let raw: Uint8Array | undefined;
  readMessage(bytes, (field, value) => {
    if (field === 1) value.ints(shape);
    if (field === 2) type = value.int();
    if (field === 4) value.floats(numbers);
    if (field === 5 || field === 7 || field === 11) value.ints(numbers);
    if (field === 8) name = value.text();
    if (field === 9) raw = value.bytes();
    if (field === 10) value.doubles(numbers);
    if (field === 13) external.set(...entryOf(value.bytes()));
    if (field === 14) isExternal = value.int() === 1;
  });
  const count = shape.reduce((product, size) => product * size, 1);
  if (shape.length > LIMITS.rank || shape.some((size) => !(size >= 0)) || !(count <= LIMITS.elements)) {
    throw invalidArgument(`The tensor ${printable(name)} of the file ${DAMAGED}.`);
  }
  if (isExternal) return { name, type, shape, data: externalData(name, external) };
  return { name, type, shape, data: raw === undefined ? { numbers } : { raw } };
}

function externalData(name: string, external: ReadonlyMap<string, string>): TensorData {
  const location = external.get('location') ?? '';
  const offset = Number(external.get('offset') ?? 0);
  const length = external.has('length') ? Number(external.get('length')) : undefined;
  const isNatural = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  if (location === '' || !isNatural(offset) || (length !== undefined && !isNatural(length))) {
    throw invalidArgument(`The tensor ${printable(name)} of the file ${DAMAGED}.`);
  }
  return { location, offset, length };
}

function entryOf(bytes: Uint8Array): [string, string] {
  let [key, text] = ['', ''];
  readMessage(bytes, (field, value) => {
    if (field === 1) key = value.text();
    if (field === 2) text = value.text();
  });
  return [key, text];
}

function valueOf(bytes: Uint8Array): ProtoValue {
  let [name, type] = ['', 0];
  const shape: (number | undefined)[] = [];
  readMessage(bytes, (field, value) => {
    if (field === 1) name = value.text();
    if (field !== 2) return;
    // TypeProto: tensor_type; Tensor: elem_type, shape; TensorShapeProto: dim; Dimension: dim_value.
    readMessage(value.bytes(), (kind, tensor) => {
      if (kind !== 1) return;
      readMessage(tensor.bytes(), (part, content) => {
        if (part === 1) type = content.int();
        if (part === 2) {
          readMessage(content.bytes(), (_, dimension) => {
            push(shape, sizeOf(dimension.bytes()), LIMITS.rank);
          });
        }
      });
    });
  });
  return { name, type, shape };
}

function sizeOf(bytes: Uint8Array): number | undefined {
  let size: number | undefined;
  readMessage(bytes, (field, value) => {
    if (field === 1) size = value.int();
  });
  // Some exporters write 0 or -1 for what is not known.
  return size !== undefined && size > 0 ? size : undefined;
}

function push<T>(list: T[], item: T, limit: number): void {
  if (list.length >= limit) throw tooMany(limit);
  list.push(item);
}

function tooMany(limit: number): WidefieldError {
  return invalidArgument(`The ONNX file has more than ${limit} parts of a kind.`);
}

/** The value of a field, of a type that is checked. */
interface FieldValue {
  int(): number;
  float(): number;
  text(): string;
  bytes(): Uint8Array;
  /** Appends integers, packed or one. */
  ints(to: number[]): void;
  floats(to: number[]): void;
  doubles(to: number[]): void;
}

/** Wire types of protocol buffers. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Calls `visit` with each field of a message. The library does not check lengths, so that is done here. */
function readMessage(bytes: Uint8Array, visit: (field: number, value: FieldValue) => void): void {
  const pbf = new PbfReader(bytes);
  const fail = (): never => {
    throw new Error('a field ends outside of its message, or has another type');
  };
  const expect = (type: number): void => void (pbf.type === type || fail());
  const chunk = (): Uint8Array => {
    expect(WIRE.bytes);
    const content = pbf.readBytes();
    return pbf.pos <= bytes.length ? content : fail();
  };
  const list = (to: number[], single: number, read: (from: PbfReader) => number): void => {
    if (pbf.type !== WIRE.bytes) {
      expect(single);
      to.push(read(pbf));
      return;
    }
    const packed = new PbfReader(chunk());
    while (packed.pos < packed.length) to.push(read(packed));
    if (packed.pos > packed.length) fail();
  };
  const value: FieldValue = {
    int: () => {
      expect(WIRE.varint);
      return pbf.readVarint(true);
    },
    float: () => {
      expect(WIRE.fixed32);
      return pbf.readFloat();
    },
    text: () => new TextDecoder().decode(chunk()),
    bytes: chunk,
    ints: (to) => {
      list(to, WIRE.varint, (from) => from.readVarint(true));
    },
    floats: (to) => {
      list(to, WIRE.fixed32, (from) => from.readFloat());
    },
    doubles: (to) => {
      list(to, WIRE.fixed64, (from) => from.readDouble());
    },
  };
  for (let field = pbf.nextField(); field !== 0; field = pbf.nextField()) {
    visit(field, value);
    if (pbf.pos > bytes.length) fail();
  }
  if (pbf.pos !== bytes.length) fail();
}
