import { invalidArgument } from '../core/errors.ts';
import type { ByteSource } from './byte-source.ts';
import type { Checkpoint } from './source.ts';
import { torchCheckpoint } from './torch-checkpoint.ts';
import { TorchWorld } from './torch-pickle.ts';
import { unpickle } from './unpickler.ts';
import { openZip } from './zip-archive.ts';

/** The pickle holds names, shapes and training state, never weights: a few megabytes at most. */
const MAX_PICKLE_BYTES = 2 ** 26;

/**
 * Opens what `torch.save` has written since PyTorch 1.6: a zip file of one folder, with the object in `data.pkl`, the
 * storages in `data/<key>`, and their byte order in `byteorder` (little, if there is none).
 */
export async function openTorchZip(source: ByteSource, subtree: string | undefined): Promise<Checkpoint> {
  const { name } = source;
  const zip = await openZip(source);
  const pickles = [...zip.sizes.keys()].filter((path) => /^([^/]*\/)?data\.pkl$/.test(path));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    const count = pickles.length === 0 ? 'no' : 'more than one';
    throw invalidArgument(`${name} is a zip file but no PyTorch checkpoint: it has ${count} data.pkl.`);
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const pickleBytes = zip.sizes.get(pickle) ?? 0;
  if (pickleBytes > MAX_PICKLE_BYTES) {
    throw invalidArgument(
      `${name} has a data.pkl of ${pickleBytes} bytes, more than ${MAX_PICKLE_BYTES}: save the state dict alone.`,
    );
  }
  const world = new TorchWorld(name);
  const { value: root } = unpickle(await zip.read(pickle, 0, pickleBytes), 0, world);
  for (const [key, { bytes }] of world.storages) {
    if ((zip.sizes.get(`${folder}data/${key}`) ?? -1) < bytes) {
      throw world.damaged('names a storage that is missing or too short');
    }
  }
  const file = {
    name,
    format: 'pytorch-zip',
    root,
    littleEndian: await isLittleEndian(),
    readStorage: (key: string, offset: number, length: number) =>
      zip.read(`${folder}data/${key}`, offset, length),
    close: () => source.close(),
  } as const;
  return torchCheckpoint(file, subtree);

  async function isLittleEndian(): Promise<boolean> {
    const path = `${folder}byteorder`;
    const size = zip.sizes.get(path);
    if (size === undefined) return true;
    const text = new TextDecoder().decode(await zip.read(path, 0, Math.min(size, 16)));
    if (text !== 'little' && text !== 'big') throw world.damaged('comes with an unknown byte order');
    return text === 'little';
  }
}
