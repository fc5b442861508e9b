import { PbfWriter } from 'pbf';

import { WidefieldError } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';

/** The name, element type and shape of a tensor; a dimension that is a name may have any size. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  /** Default: `'float32'`. */
  readonly type?: keyof typeof DATA_TYPES;
}

/** A tensor stored in the model. Where its values are is up to the user: `V` may be an array, or a way to read one. */
export interface OnnxInitializer<V> extends OnnxValue {
  readonly shape: readonly number[];
  readonly values: V;
}

/** A number is an integer; floats say so. */
export type OnnxAttribute = number | readonly number[] | string | { readonly float: number };

/** One node. */
export interface OnnxNode {
  readonly name?: string;
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxGraph<V> {
  readonly name?: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxInitializer<V>[];
}

export interface OnnxModel<V> extends OnnxGraph<V> {
  /** Version of the operator set. Default: 17, old enough for every runtime in use. */
  readonly opset?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Numbers of an initializer. */
export type OnnxNumbers = Float32Array | BigInt64Array;

/** `TensorProto.DataType` of onnx.proto, and bytes an element. */
const DATA_TYPES = { float32: { code: 1, bytes: 4 }, int64: { code: 7, bytes: 8 } } as const;

/** `AttributeProto.AttributeType` of onnx.proto. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** Protocol buffers cannot be larger. */
const MAX_BYTES = 2 ** 31 - 1;

const LENGTH_DELIMITED = 2;

/** A model as it lies in a file: bytes, and initializers whose values go right there, little-endian. */
export interface OnnxLayout<V> {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly pieces: readonly (Uint8Array | OnnxInitializer<V>)[];
}

/**
 * Lays a model out without its initializers' values, so that they can be written one after the other. Field
 * numbers are those of onnx.proto. Throws `unsupported` for models over 2 GB.
 */
export function layOutModel<V>(model: OnnxModel<V>): OnnxLayout<V> {
  const { opset = 17, metadata = {} } = model;
  const nodes = message((pbf) => {
    for (const node of model.nodes) pbf.writeMessage(1, writeNode, node);
    pbf.writeStringField(2, model.name ?? 'graph');
  });
  const tensors = model.initializers.flatMap((tensor) => [...tensorHeader(tensor), tensor]);
  const values = message((pbf) => {
    for (const input of model.inputs) pbf.writeMessage(11, writeValue, input);
    for (const output of model.outputs) pbf.writeMessage(12, writeValue, output);
  });
  const graph = [nodes, ...tensors, values];
  const header = message((pbf) => {
    pbf.writeVarintField(1, formatVersion(opset));
    pbf.writeStringField(2, 'widefield');
    pbf.writeMessage(8, writeOpset, opset);
    for (const entry of Object.entries(metadata)) pbf.writeMessage(14, writeMetadata, entry);
    pbf.writeTag(7, LENGTH_DELIMITED);
    pbf.writeVarint(sizeOf(graph));
  });
  const pieces = [header, ...graph];
  const size = sizeOf(pieces);
  if (size > MAX_BYTES) {
    throw new WidefieldError(
      'unsupported',
      `The ONNX file would have ${(size / 1e9).toFixed(1)} GB, but the format ends at 2 GB: export a smaller variant of the model.`,
    );
  }
  return { size, pieces };
}

/** A model with its values in memory, as the bytes of a file. */
export function encodeModel(model: OnnxModel<OnnxNumbers>): Uint8Array {
  const { size, pieces } = layOutModel(model);
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    const chunk = piece instanceof Uint8Array ? piece : bytesOf(piece.values);
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** The memory of an array, which ONNX wants little-endian, as all machines with JavaScript are. */
export function bytesOf(values: OnnxNumbers): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Bytes of an initializer's values. */
function valueBytes({ shape, type = 'float32' }: OnnxInitializer<unknown>): number {
  return elements(shape) * DATA_TYPES[type].bytes;
}

function sizeOf(pieces: readonly (Uint8Array | OnnxInitializer<unknown>)[]): number {
  return pieces.reduce(
    (sum, piece) => sum + (piece instanceof Uint8Array ? piece.length : valueBytes(piece)),
    0,
  );
}

/** The version of the file format that came with a version of the operator set. */
function formatVersion(opset: number): number {
  if (opset <= 18) return 8;
  return opset <= 20 ? 9 : 10;
}

function message(write: (pbf: PbfWriter) => void): Uint8Array {
  const pbf = new PbfWriter();
  write(pbf);
  return pbf.finish();
}

/** Field 5 of the graph up to where `raw_data` begins; that is its last field, so nothing follows the values. */
function tensorHeader(tensor: OnnxInitializer<unknown>): Uint8Array[] {
  const bytes = valueBytes(tensor);
  const fields = message((pbf) => {
    for (const size of tensor.shape) pbf.writeVarintField(1, size);
    pbf.writeVarintField(2, DATA_TYPES[tensor.type ?? 'float32'].code);
    pbf.writeStringField(8, tensor.name);
    pbf.writeTag(9, LENGTH_DELIMITED);
    pbf.writeVarint(bytes);
  });
  const start = message((pbf) => {
    pbf.writeTag(5, LENGTH_DELIMITED);
    pbf.writeVarint(fields.length + bytes);
  });
  return [start, fields];
}

function writeOpset(version: number, pbf: PbfWriter): void {
  pbf.writeStringField(1, '');
  pbf.writeVarintField(2, version);
}

function writeMetadata([key, value]: [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, value);
}

function writeNode(node: OnnxNode, pbf: PbfWriter): void {
  for (const input of node.inputs) pbf.writeStringField(1, input);
  for (const output of node.outputs) pbf.writeStringField(2, output);
  if (node.name !== undefined) pbf.writeStringField(3, node.name);
  pbf.writeStringField(4, node.operator);
  for (const attribute of Object.entries(node.attributes ?? {})) {
    pbf.writeMessage(5, writeAttribute, attribute);
  }
}

function writeAttribute([name, value]: [string, OnnxAttribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name);
  if (typeof value === 'number') {
    pbf.writeVarintField(3, value);
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.int);
  } else if (typeof value === 'string') {
    pbf.writeStringField(4, value);
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.string);
  } else if ('float' in value) {
    pbf.writeFloatField(2, value.float);
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.float);
  } else {
    for (const item of value) pbf.writeVarintField(8, item);
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.ints);
  }
}

function writeValue(value: OnnxValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, value.name);
  pbf.writeMessage(2, writeType, value);
}

function writeType(value: OnnxValue, pbf: PbfWriter): void {
  pbf.writeMessage(1, writeTensorType, value);
}

function writeTensorType({ type = 'float32', shape }: OnnxValue, pbf: PbfWriter): void {
  pbf.writeVarintField(1, DATA_TYPES[type].code);
  pbf.writeMessage(2, writeShape, shape);
}

function writeShape(shape: OnnxValue['shape'], pbf: PbfWriter): void {
  for (const size of shape) pbf.writeMessage(1, writeDimension, size);
}

function writeDimension(size: number | string, pbf: PbfWriter): void {
  if (typeof size === 'string') pbf.writeStringField(2, size);
  else pbf.writeVarintField(1, size);
}
