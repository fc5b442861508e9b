import type { PickleValue } from './pickle-value.ts';
import { noSuchTensor } from './source.ts';
import type { Checkpoint } from './source.ts';
import { findStateDict } from './state-dict.ts';
import { readTensor } from './stored-tensor.ts';

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
  return {
    name: file.name,
    format: file.format,
    subtree: state.subtree,
    subtrees: state.subtrees,
    entries: new Map([...state.tensors].map(([key, { shape, dtype }]) => [key, { shape, dtype }])),
    read(key) {
      const tensor = state.tensors.get(key);
      if (tensor === undefined) return Promise.reject(noSuchTensor(file.name, key));
      return readTensor(tensor, file.littleEndian, (offset, length) =>
        file.readStorage(tensor.storage.key, offset, length),
      );
    },
    close: () => file.close(),
  };
}
