import { realpath } from 'node:fs/promises';
import path from 'node:path';

import { invalidArgument } from '../../core/errors.ts';
import { cannotRead, openFileSource } from '../file-source.ts';
import { printable } from '../text.ts';
import { importOnnx } from './import.ts';
import type { ImportOnnxOptions, ImportedOnnx } from './import.ts';
import type { ReadExternal } from './import-tensor.ts';

/** Protocol buffers cannot be larger. */
const MAX_BYTES = 2 ** 31 - 1;

/**
 * An ONNX file as a graph with its weights; see {@link importOnnx}. Tensors that it keeps in files beside it are read when
 * they are needed, and only from its own folder, or the one that it is linked from.
 * Throws `io` if a file cannot be read, and what `importOnnx` throws.
 */
export async function openOnnx(
  file: string,
  options: Omit<ImportOnnxOptions, 'readExternal'> = {},
): Promise<ImportedOnnx> {
  const source = await openFileSource(file);
  try {
    if (source.size > MAX_BYTES) throw invalidArgument(`${file} is larger than 2 GB: it is no ONNX file.`);
    const bytes = await source.read(0, source.size);
    const readExternal: ReadExternal = (location, offset, length) =>
      readBeside(file, location, offset, length);
    return importOnnx(bytes, { name: path.basename(file), ...options, readExternal });
  } finally {
    await source.close();
  }
}

async function readBeside(
  file: string,
  location: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const source = await openFileSource(await pathBeside(file, location));
  try {
    return await source.read(offset, length);
  } finally {
    await source.close();
  }
}

/**
 * The file that a model names, which must be in the model's folder, also behind symbolic links; or in the folder that the
 * model itself is linked from, as in Hugging Face's cache.
 */
async function pathBeside(file: string, location: string): Promise<string> {
  const wanted = path.resolve(path.dirname(file), location);
  try {
    const folders = [await realpath(path.dirname(file)), path.dirname(await realpath(file))];
    const found = await realpath(wanted);
    if (folders.some((folder) => isInside(folder, found))) return found;
  } catch (error) {
    throw cannotRead(wanted, error);
  }
  throw invalidArgument(
    `${printable(file)} keeps tensors in ${printable(location)}, outside of its folder: that is not read.`,
  );
}

function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return (
    relative !== '' &&
    relative !== '..' &&
    !relative.startsWith(`..${path.sep}`) &&
    !path.isAbsolute(relative)
  );
}
