import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { findImages } from '../../src/cli/images.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
  await mkdir(path.join(folder, 'inner', 'empty'), { recursive: true });
  for (const name of ['b.jpg', 'a.PNG', 'notes.txt', 'inner/c.webp', '[x].gif']) {
    await writeFile(path.join(folder, name), '');
  }
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function find(...patterns: string[]): Promise<string[]> {
  const found = await findImages(patterns.map((pattern) => path.join(folder, pattern)));
  return found.map((entry) => ('error' in entry ? `! ${entry.error}` : path.relative(folder, entry.file)));
}

test('folders: images only, whatever the case, and what is within, by name', async () => {
  expect(await find('.')).toEqual(['[x].gif', 'a.PNG', 'b.jpg', path.join('inner', 'c.webp')]);
});

test('globs, files, each once, in the order given', async () => {
  expect(await find('*.jpg', 'a.PNG', '*.{jpg,PNG}', '**/*.webp')).toEqual([
    'b.jpg',
    'a.PNG',
    path.join('inner', 'c.webp'),
  ]);
});

test('a file that is named may be called anything', async () => {
  expect(await find('[x].gif', 'notes.txt', 'missing.jpg')).toEqual(['[x].gif', 'notes.txt', 'missing.jpg']);
});

test('what leads to no file says so', async () => {
  const [noMatch = '', noImages = ''] = await find('*.tiff', path.join('inner', 'empty'));
  expect(noMatch).toMatch(/^! No file matches .*\*\.tiff\.$/);
  expect(noImages).toMatch(/^! There are no images in the folder .*empty\.$/);
});
