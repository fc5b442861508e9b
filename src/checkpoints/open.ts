import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { WidefieldError } from '../core/errors.ts';
import type { ByteSource } from './byte-source.ts';
import { openFileSource } from './file-source.ts';
import { detectFormat, loadCheckpoint, readIndex } from './load.ts';
import type { CheckpointOptions } from './load.ts';
import type { Checkpoint } from './source.ts';
import { printable } from './text.ts';

/**
 * Opens a checkpoint by its path or file URL: a safetensors or PyTorch file, or an index such as
 * `model.safetensors.index.json` with its shards beside it. Throws as `loadCheckpoint` does, `io` if a file cannot be
 * read, and `invalid-argument` for a URL of something else.
 */
export async function openCheckpoint(
  where: string | URL,
  options: CheckpointOptions = {},
): Promise<Checkpoint> {
  const file = typeof where === 'string' ? where : pathOf(where);
  const sources: ByteSource[] = [await openFileSource(file)];
  try {
    for (const source of [...sources]) {
      if ((await detectFormat(source)) !== 'index') continue;
      const shards = new Set((await readIndex(source)).values());
      for (const shard of shards) sources.push(await openFileSource(path.join(path.dirname(file), shard)));
    }
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
  return loadCheckpoint(sources, options);
}

function pathOf(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new WidefieldError(
      'invalid-argument',
      `${printable(url.href)} is no file of this machine: download it, and give its path.`,
      { cause: error },
    );
  }
}
