import type { StoredTensor } from './stored-tensor.ts';

/**
 * What a pickle says, as inert data: nothing here has behaviour. Lists, dicts and objects are shared where the
 * pickle shares them, and may contain themselves; whoever walks over them must bound the walk.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleOpaque
  | StoredTensor;

/** A list, tuple or set. */
export class PickleList {
  readonly kind: 'list' | 'tuple' | 'set';
  readonly items: PickleValue[];

  constructor(kind: 'list' | 'tuple' | 'set', items: PickleValue[]) {
    this.kind = kind;
    this.items = items;
  }
}

/** A dict or OrderedDict. Keys that are neither numbers nor strings are told apart by identity. */
export class PickleDict {
  readonly entries = new Map<PickleValue, PickleValue>();
}

/** The name of a class or function, e.g. `collections.OrderedDict`. It stays a name. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** The numbers that tensors point into, named by a persistent id. */
export class PickleStorage {
  /** Name of the class, e.g. `torch.FloatStorage`. */
  readonly type: string;
  readonly key: string;
  /** Numbers in the whole storage (bytes, if the type is untyped). */
  readonly length: number;
  /** Where this part of it starts, in numbers; 0 unless it is an old view of another storage. */
  readonly offset: number;

  constructor(type: string, key: string, length: number, offset: number) {
    this.type = type;
    this.key = key;
    this.length = length;
    this.offset = offset;
  }
}

/** Anything else that a checkpoint may hold and nobody reads: arguments of the training script, random states. */
export class PickleOpaque {
  readonly type: string;

  constructor(type: string) {
    this.type = type;
  }
}
