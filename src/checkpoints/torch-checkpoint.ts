import type { PickleValue } from './pickle-value.ts';
import { noSuchTensor } from './source.ts';
import type { Checkpoint } from './source.ts';
import { findStateDict } from './state-dict.ts';
import { readTensor, readTensorBytes } from './stored-tensor.ts';

/** What the two formats of PyTorch have in common: an unpickled value, and storages with random access. */
export interface TorchFile {
  readonly name: string;
  readonly format: 'pytorch-zip' | 'pytorch-legacy';
  readonly root: PickleValue;
  readonly littleEndian: boolean;
  /** Bytes of the storage `key`. */
  readStorage(key: string, offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The weights of a PyTorch file. */
export function torchCheckpoint(file: TorchFile, subtree: string | undefined): Checkpoint {
  const state = findStateDict(file.root, file.name, subtree);
  const locate = (key: string): Parameters<typeof readTensor> => {
    const tensor = state.tensors.get(key);
    if (tensor === undefined) throw noSuchTensor(file.name, key);
    const readRange = (offset: number, length: number): Promise<Uint8Array> =>
      file.readStorage(tensor.storage.key, offset, length);
    return [tensor, file.littleEndian, readRange];
  };
  return {
    name: file.name,
    format: file.format,
    subtree: state.subtree,
    subtrees: state.subtrees,
    entries: new Map([...state.tensors].map(([key, { shape, dtype }]) => [key, { shape, dtype }])),
    read: async (key) => readTensor(...locate(key)),
    readBytes: async (key) => readTensorBytes(...locate(key)),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
