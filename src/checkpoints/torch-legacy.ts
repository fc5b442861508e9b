import { invalidArgument } from '../core/errors.ts';
import { truncated } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { PickleEnded } from './pickle-reader.ts';
import { PickleList } from './pickle-value.ts';
import type { PickleValue } from './pickle-value.ts';
import type { Checkpoint } from './source.ts';
import { torchCheckpoint } from './torch-checkpoint.ts';
import { TorchWorld } from './torch-pickle.ts';
import { unpickle } from './unpickler.ts';

/** How such a file begins: a pickle of the number 0x1950a86a20f9469cfc6c. */
export const LEGACY_MAGIC: readonly number[] = [
  0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
];

const PROTOCOL_VERSION = 1001;
/** Bytes in which the pickles are looked for, first and at most; they hold no weights. */
const FIRST_WINDOW = 2 ** 18;
const MAX_WINDOW = 2 ** 26;

/**
 * Opens what `torch.save` wrote before PyTorch 1.6. Five pickles follow each other: magic number, protocol version,
 * facts about the machine, the object, the keys of its storages. Then come the storages, each behind its length as
 * an int64, all little-endian.
 */
export async function openTorchLegacy(source: ByteSource, subtree: string | undefined): Promise<Checkpoint> {
  const { name } = source;
  const { root, world, end } = await readPickles(source);
  const storages = await locateStorages(source, end.position, end.keys, world);
  const file = {
    name,
    format: 'pytorch-legacy',
    root,
    littleEndian: true,
    readStorage(key: string, offset: number, length: number) {
      const start = storages.get(key);
      if (start === undefined) throw world.damaged('names a storage that is missing');
      return source.read(start + offset, length);
    },
    close: () => source.close(),
  } as const;
  return torchCheckpoint(file, subtree);
}

interface Pickles {
  readonly root: PickleValue;
  readonly world: TorchWorld;
  readonly end: { readonly keys: PickleValue; readonly position: number };
}

/** Where pickles end is known only when they are read: a window that turns out too small is doubled. */
async function readPickles(source: ByteSource): Promise<Pickles> {
  for (let size = FIRST_WINDOW; ; size *= 2) {
    const window = Math.min(size, source.size);
    try {
      return parsePickles(await source.read(0, window), source.name);
    } catch (error) {
      if (!(error instanceof PickleEnded) || window === source.size) throw error;
      if (size >= MAX_WINDOW) {
        throw invalidArgument(
          `${source.name} has pickles of more than ${MAX_WINDOW} bytes: save the state dict alone.`,
        );
      }
    }
  }
}

function parsePickles(bytes: Uint8Array, name: string): Pickles {
  const world = new TorchWorld(name);
  const version = unpickle(bytes, LEGACY_MAGIC.length, world);
  if (version.value !== PROTOCOL_VERSION) throw world.damaged('has an unknown protocol version');
  const machine = unpickle(bytes, version.end, world);
  const object = unpickle(bytes, machine.end, world);
  const keys = unpickle(bytes, object.end, world);
  return { root: object.value, world, end: { keys: keys.value, position: keys.end } };
}

/** Where the numbers of each storage begin, in bytes. */
async function locateStorages(
  source: ByteSource,
  start: number,
  keys: PickleValue,
  world: TorchWorld,
): Promise<ReadonlyMap<string, number>> {
  if (!(keys instanceof PickleList)) throw world.damaged('has no list of storages');
  const located = new Map<string, number>();
  let position = start;
  for (const key of keys.items) {
    const storage = typeof key === 'string' ? world.storages.get(key) : undefined;
    if (typeof key !== 'string' || storage === undefined || located.has(key)) {
      throw world.damaged('lists storages that it does not use');
    }
    const header = await source.read(position, 8);
    const length = new DataView(header.buffer, header.byteOffset, 8).getBigInt64(0, true);
    if (length !== BigInt(storage.length)) throw world.damaged('gives a storage two lengths');
    located.set(key, position + 8);
    position += 8 + storage.bytes;
    if (position > source.size) throw truncated(source);
  }
  for (const key of world.storages.keys()) {
    if (!located.has(key)) throw world.damaged('names a storage that is missing');
  }
  return located;
}
