import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll } from 'vitest';

/** Paths in a folder that is there while the tests of a file run; without names, the folder itself. */
export function temporaryFolder(): (...names: string[]) => string {
  let folder: string | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  });
  afterAll(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true });
  });
  return (...names) => {
    if (folder === undefined) throw new Error('The folder is there only while tests run.');
    return path.join(folder, ...names);
  };
}
