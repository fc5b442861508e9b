import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { DTYPE_BYTES } from './dtype.ts';
import type { DType } from './dtype.ts';
import type { PickleWorld } from './pickle-machine.ts';
import { PickleDict, PickleGlobal, PickleList, PickleOpaque, PickleStorage } from './pickle-value.ts';
import type { PickleValue } from './pickle-value.ts';
import { StoredTensor, checkTensor } from './stored-tensor.ts';
import { printable } from './text.ts';

/** Pairs that calls may make dicts of: a pickle can pass the same long list again and again. */
const MAX_PAIRS = 2 ** 22;

/** The callables of PyTorch checkpoints, and the storages that one names. */
export class TorchWorld implements PickleWorld {
  readonly name: string;
  /** How large each whole storage is, by key. */
  readonly storages = new Map<string, { readonly length: number; readonly bytes: number }>();
  #pairs = 0;

  constructor(name: string) {
    this.name = name;
  }

  admit(callable: string): PickleGlobal {
    if (CALLS.has(callable)) return new PickleGlobal(callable);
    throw new WidefieldError('unsupported', refusal(this.name, callable));
  }

  call(callable: PickleGlobal, args: readonly PickleValue[]): PickleValue {
    return (CALLS.get(callable.name) ?? opaque)(args, callable.name, this);
  }

  /** `('storage', type, key, device, length[, view])`, the view of old files being `(key, offset, length)`. */
  persistent(id: PickleValue): PickleValue {
    const [tag, type, key, , length, view] = id instanceof PickleList ? id.items : [];
    const isStorage = tag === 'storage' && type instanceof PickleGlobal && STORAGES.has(type.name);
    if (!isStorage || typeof key !== 'string' || !isCount(length)) {
      throw this.damaged('refers to something that is no storage');
    }
    const bytes = length * storageItemBytes(type.name);
    const known = this.storages.get(key);
    if (known !== undefined && known.bytes !== bytes) throw this.damaged('gives a storage two sizes');
    this.storages.set(key, { length, bytes });
    const offset = view instanceof PickleList ? view.items[1] : 0;
    if (!isCount(offset)) throw this.damaged('has an ill-formed view of a storage');
    return new PickleStorage(type.name, key, length, offset);
  }

  /** Counts pairs that a dict is made of. */
  addPairs(count: number): void {
    this.#pairs += count;
    if (this.#pairs > MAX_PAIRS) throw this.damaged(`makes dicts of more than ${MAX_PAIRS} pairs`);
  }

  damaged(what: string): WidefieldError {
    return invalidArgument(`${this.name} is damaged: its pickle ${what}; download or save it again.`);
  }
}

/** What a call stands for. */
type Call = (args: readonly PickleValue[], callable: string, world: TorchWorld) => PickleValue;

/** Types of storages; those without a number format are plain bytes. */
const STORAGES: ReadonlyMap<string, DType | undefined> = new Map<string, DType | undefined>([
  ['torch.DoubleStorage', 'float64'],
  ['torch.FloatStorage', 'float32'],
  ['torch.HalfStorage', 'float16'],
  ['torch.BFloat16Storage', 'bfloat16'],
  ['torch.LongStorage', 'int64'],
  ['torch.IntStorage', 'int32'],
  ['torch.ShortStorage', 'int16'],
  ['torch.CharStorage', 'int8'],
  ['torch.ByteStorage', 'uint8'],
  ['torch.BoolStorage', 'bool'],
  ['torch.UntypedStorage', undefined],
  ['torch.storage.UntypedStorage', undefined],
]);

/** `torch.float32` and its like, by which newer tensors say their format. */
const TORCH_DTYPES: ReadonlyMap<string, DType> = new Map(
  (Object.keys(DTYPE_BYTES) as DType[]).map((dtype) => [`torch.${dtype}`, dtype]),
);

/** `_rebuild_tensor_v2(storage, offset, shape, strides, …)`. */
function rebuildTensor(args: readonly PickleValue[], _callable: string, world: TorchWorld): PickleValue {
  const [storage] = args;
  return tensorIn(
    storage,
    storage instanceof PickleStorage ? STORAGES.get(storage.type) : undefined,
    args,
    world,
  );
}

/** `_rebuild_tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype, …)`. */
function rebuildTypedTensor(args: readonly PickleValue[], _callable: string, world: TorchWorld): PickleValue {
  const dtype = args[6];
  return tensorIn(
    args[0],
    dtype instanceof PickleGlobal ? TORCH_DTYPES.get(dtype.name) : undefined,
    args,
    world,
  );
}

function tensorIn(
  storage: PickleValue | undefined,
  dtype: DType | undefined,
  [, offset, shape, strides]: readonly PickleValue[],
  world: TorchWorld,
): PickleValue {
  const lists = shape instanceof PickleList && strides instanceof PickleList;
  if (!(storage instanceof PickleStorage) || dtype === undefined || !isCount(offset) || !lists) {
    throw world.damaged('has an ill-formed tensor');
  }
  // Offsets and strides count numbers of the tensor's format, lengths those of the storage's.
  const scale = storageItemBytes(storage.type) / DTYPE_BYTES[dtype];
  const tensor = new StoredTensor(
    storage,
    dtype,
    storage.offset * scale + offset,
    shape.items.map(countOrNaN),
    strides.items.map(countOrNaN),
  );
  checkTensor(tensor, Math.floor(storage.length * scale), world.name);
  return tensor;
}

/** `_rebuild_parameter(tensor, …)`: a parameter is its tensor. */
function firstArgument(args: readonly PickleValue[]): PickleValue {
  return args[0] ?? null;
}

/** `_rebuild_from_type_v2(function, type, args, state)`: a call, for tensors with attributes of their own. */
function rebuildFromType(args: readonly PickleValue[], _callable: string, world: TorchWorld): PickleValue {
  const [callable, , inner] = args;
  const sensible = callable instanceof PickleGlobal && TENSOR_CALLS.has(callable.name);
  if (!sensible || !(inner instanceof PickleList)) throw world.damaged('has an ill-formed tensor');
  return world.call(callable, inner.items);
}

/** `OrderedDict()`, or in old files `OrderedDict([[key, value], …])`. */
function dict(args: readonly PickleValue[], _callable: string, world: TorchWorld): PickleValue {
  const result = new PickleDict();
  for (const pairs of args) {
    if (!(pairs instanceof PickleList)) continue;
    world.addPairs(pairs.items.length);
    for (const pair of pairs.items) {
      if (pair instanceof PickleList) result.entries.set(pair.items[0] ?? null, pair.items[1] ?? null);
    }
  }
  return result;
}

function opaque(_args: readonly PickleValue[], callable: string): PickleValue {
  return new PickleOpaque(callable);
}

/** `torch.Size([2, 3])`, `set([…])`: the collection itself. */
function collection(args: readonly PickleValue[], callable: string): PickleValue {
  return args[0] instanceof PickleList ? args[0] : new PickleOpaque(callable);
}

const TENSOR_CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_tensor_v3', rebuildTypedTensor],
  ['torch._utils._rebuild_parameter', firstArgument],
  ['torch._utils._rebuild_parameter_with_state', firstArgument],
]);

/** Harmless things that real checkpoints hold beside the weights; their contents are not kept. */
const OPAQUE: readonly string[] = [
  'argparse.Namespace',
  'types.SimpleNamespace',
  'yacs.config.CfgNode',
  'copyreg._reconstructor',
  'copy_reg._reconstructor',
  '_codecs.encode',
  'numpy.dtype',
  'numpy.ndarray',
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module) => [
    `${module}.scalar`,
    `${module}._reconstruct`,
  ]),
  'numpy.core.numeric._frombuffer',
  'numpy._core.numeric._frombuffer',
  ...['builtins', '__builtin__'].flatMap((module) =>
    ['object', 'int', 'float', 'bool', 'str', 'bytes', 'bytearray', 'complex', 'range', 'slice'].map(
      (name) => `${module}.${name}`,
    ),
  ),
  'collections.deque',
  'datetime.date',
  'datetime.datetime',
  'datetime.timedelta',
  ...['Path', 'PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath'].map(
    (name) => `pathlib.${name}`,
  ),
  'torch.device',
  'torch.Tensor',
  'torch.nn.parameter.Parameter',
  'torch.strided',
  'torch.contiguous_format',
  'torch.channels_last',
  'torch.preserve_format',
  'torch.serialization._get_layout',
];

/** Everything that a pickle may name, with what its call stands for. Types and constants are never called. */
const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ...TENSOR_CALLS,
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  ['torch.Size', collection],
  ...['collections.OrderedDict', 'collections.defaultdict', 'collections.Counter'].map(
    (name) => [name, dict] as const,
  ),
  ...['builtins', '__builtin__'].flatMap((module) => [
    [`${module}.dict`, dict] as const,
    ...['list', 'tuple', 'set', 'frozenset'].map((name) => [`${module}.${name}`, collection] as const),
  ]),
  ...[...STORAGES.keys(), ...TORCH_DTYPES.keys(), ...OPAQUE].map((name) => [name, opaque] as const),
]);

function storageItemBytes(type: string): number {
  const dtype = STORAGES.get(type);
  return dtype === undefined ? 1 : DTYPE_BYTES[dtype];
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function countOrNaN(value: PickleValue): number {
  return isCount(value) ? value : NaN;
}

function refusal(file: string, callable: string): string {
  const shown = printable(callable);
  const isModule = /^(torch\.nn\.modules|torchvision|timm|models?|__torch__|__main__)\./.test(callable);
  return isModule
    ? `${file} holds the class ${shown}, a whole model instead of its weights, and was refused: ` +
        'in Python, save model.state_dict() instead.'
    : `${file} asks for the callable ${shown}, which reading weights does not need, and was refused; ` +
        'nothing of it was run: if you trust the file, save its state dict alone in Python.';
}
