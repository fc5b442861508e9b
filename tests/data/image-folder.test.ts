import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { expect, test } from 'vitest';

import { countClasses } from '../../src/data/dataset.ts';
import { decodeSample } from '../../src/data/decode.ts';
import { openDataset } from '../../src/data/open.ts';
import { encodedImage, folderOfTest } from '../support/dataset-files.ts';

async function fill(folder: string, files: Record<string, Uint8Array | string>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
  }
}

test('a folder a class, with strays', async () => {
  const folder = await folderOfTest();
  const image = await encodedImage('jpeg', 1);
  await fill(folder, {
    'dog/1.JPEG': image,
    'dog/more/2.png': await encodedImage('png', 2),
    'cat/1.webp': await encodedImage('webp', 3),
    'cat/notes.txt': 'a cat',
    'cat/.DS_Store': '',
    'README.md': 'pets',
    '.git/config': '',
  });
  const dataset = await openDataset(folder);
  expect(dataset).toMatchObject({
    length: 3,
    classes: ['cat', 'dog'],
    strays: [
      { name: 'README.md', reason: 'it is in no class' },
      { name: path.join('cat', 'notes.txt'), reason: 'it is no image, by its name' },
    ],
  });
  expect(countClasses(dataset)).toEqual([1, 2]);
  expect(await dataset.read(1)).toEqual({
    name: path.join(folder, 'dog', '1.JPEG'),
    label: 1,
    image: { bytes: new Uint8Array(image) },
  });
});

test('splits agree about their labels', async () => {
  const folder = await folderOfTest();
  const image = await encodedImage('jpeg', 1);
  await fill(folder, { 'train/a/1.jpg': image, 'train/b/1.jpg': image, 'val/b/1.jpg': image });
  const validation = await openDataset(folder, { split: 'validation' });
  expect(validation.classes).toEqual(['a', 'b']);
  expect(validation.labelOf(0)).toBe(1);
  await fill(folder, { 'val/c/1.jpg': image });
  await expect(openDataset(folder, { split: 'val' })).rejects.toThrow(/the training set lacks: remove c/);
});

test('classes without images are named', async () => {
  const folder = await folderOfTest();
  await fill(folder, { 'a/1.jpg': await encodedImage('jpeg', 1), 'b/x.txt': '' });
  await mkdir(path.join(folder, 'c'));
  await expect(openDataset(folder)).rejects.toThrow(
    /classes without images: fill or remove the folders b, c/,
  );
});

test('nothing, and nothing that is known', async () => {
  const folder = await folderOfTest();
  await expect(openDataset(folder)).rejects.toThrow(/holds no dataset that Widefield knows/);
  await expect(openDataset(path.join(folder, 'missing'))).rejects.toThrow(/no such file or folder/);
  await fill(folder, { 'note.txt': 'hello' });
  await expect(openDataset(path.join(folder, 'note.txt'))).rejects.toThrow(/no Parquet file and no tar/);
});

test('images of all modes become RGB', async () => {
  const raw = { raw: { width: 2, height: 1, channels: 4 as const } };
  const rgba = sharp(Uint8Array.of(10, 20, 30, 255, 40, 50, 60, 0), raw);
  const grey = sharp(Uint8Array.of(7, 9), { raw: { width: 2, height: 1, channels: 1 } });
  const cmyk = sharp(
    Uint8Array.from({ length: 64 * 3 }, () => 128),
    { raw: { width: 8, height: 8, channels: 3 } },
  );
  const decode = async (image: Sharp) =>
    decodeSample({ name: 'x', label: 0, image: { bytes: await image.toBuffer() } });
  expect((await decode(rgba.png())).data).toEqual(Uint8Array.of(10, 20, 30, 40, 50, 60));
  expect((await decode(grey.toColourspace('b-w').png())).data).toEqual(Uint8Array.of(7, 7, 7, 9, 9, 9));
  expect(await decode(cmyk.toColourspace('cmyk').jpeg())).toMatchObject({ width: 8, height: 8, channels: 3 });
});

test('classes of the training set are folders, not links to files', async () => {
  const folder = await folderOfTest();
  const image = await encodedImage('jpeg', 1);
  await fill(folder, { 'train/b/1.jpg': image, 'val/b/1.jpg': image, 'notes.txt': '' });
  await symlink(path.join(folder, 'notes.txt'), path.join(folder, 'train', 'a'));
  expect((await openDataset(folder, { split: 'val' })).classes).toEqual(['b']);
});

test.skipIf(process.platform === 'win32')(
  'pipes and devices are no images, and nobody waits for them',
  async () => {
    const folder = await folderOfTest();
    await fill(folder, { 'a/1.jpg': await encodedImage('jpeg', 1) });
    execFileSync('mkfifo', [path.join(folder, 'a', 'pipe.jpg')]);
    await symlink('/dev/zero', path.join(folder, 'a', 'zero.jpg'));
    await symlink(path.join(folder, 'a', 'pipe.jpg'), path.join(folder, 'a', 'link.jpg'));
    const dataset = await openDataset(folder);
    expect(dataset.strays).toContainEqual({ name: path.join('a', 'pipe.jpg'), reason: 'it is no file' });
    expect(dataset.length).toBe(3);
    await expect(dataset.read(1)).rejects.toThrow(/link\.jpg cannot be read: it is not a file/);
    await expect(dataset.read(2)).rejects.toThrow(/zero\.jpg cannot be read: it is not a file/);
    await expect(openDataset(path.join(folder, 'a', 'pipe.jpg'))).rejects.toThrow(/it is not a file/);
  },
);

test('opening can be cancelled', async () => {
  const folder = await folderOfTest();
  await fill(folder, { 'a/1.jpg': await encodedImage('jpeg', 1) });
  await expect(openDataset(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'aborted',
  });
});
