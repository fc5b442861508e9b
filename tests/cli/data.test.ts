import { mkdir, readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';
import { expect, test, vi } from 'vitest';

import { writeFolder } from '../../src/cli/lab/new-folder.ts';
import { fitToData } from '../../src/cli/train/data.ts';
import { openDataset } from '../../src/data/open.ts';
import { widefield } from '../support/command-line.ts';
import { encodedImage, idxFile, temporaryFolder } from '../support/dataset-files.ts';

const folder = await temporaryFolder();
const photos = path.join(folder, 'photos');
for (const name of ['train/cat', 'train/dog', 'val/dog']) {
  await mkdir(path.join(photos, name), { recursive: true });
  for (const i of [1, 2]) {
    await writeFile(path.join(photos, name, `${i}.jpg`), await encodedImage('jpeg', i, 40 * i, 30));
  }
}
await writeFile(path.join(photos, 'train/cat/broken.png'), 'no image');
await writeFile(path.join(photos, 'train/cat/list.csv'), '');

test('data tells splits, classes, sizes, damaged and stray files', async () => {
  const { code, out } = await widefield('data', photos, '--json');
  expect(code).toBe(1); // something is damaged
  const report = JSON.parse(out) as Record<string, unknown>;
  expect(report).toEqual({
    path: photos,
    kind: 'image-folder',
    splits: [
      {
        split: 'train',
        samples: 5,
        classes: [
          { name: 'cat', samples: 3 },
          { name: 'dog', samples: 2 },
        ],
        sizes: { decoded: 5, width: [40, 80], height: [30, 30] },
        corrupt: [expect.stringMatching(/broken\.png is not an image that Widefield reads/)],
        strays: [{ name: path.join('cat', 'list.csv'), reason: 'it is no image, by its name' }],
      },
      {
        split: 'val',
        samples: 2,
        classes: [
          { name: 'cat', samples: 0 },
          { name: 'dog', samples: 2 },
        ],
        sizes: { decoded: 2, width: [40, 80], height: [30, 30] },
        corrupt: [],
        strays: [],
      },
    ],
  });
});

test('data draws what training sees', async () => {
  const digits = path.join(folder, 'digits');
  await mkdir(digits);
  const pixels = Uint8Array.from({ length: 5 * 28 * 28 }, (_, i) => (i * 7) % 256);
  await writeFile(path.join(digits, 'train-images-idx3-ubyte'), idxFile([5, 28, 28], pixels));
  await writeFile(path.join(digits, 'train-labels-idx1-ubyte'), idxFile([5], Uint8Array.of(0, 1, 1, 0, 1)));
  const sheet = path.join(folder, 'sheet.png');
  const { code, out } = await widefield('data', digits, '--sheet', sheet, '--samples', '4', '--crop', 'none');
  expect(code).toBe(0);
  expect(out).toContain('train: 5 samples of 2 classes, 28 × 28 pixels (all decoded)');
  expect(out).toMatch(/\n {4}0 {2}0 {12}2\n {4}1 {2}1 {12}3\n/);
  const { data, info } = await sharp(await readFile(sheet))
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: 62, height: 62, channels: 3 });
  // Unchanged, the first image of the sheet is one of the five.
  const drawn = Array.from(
    { length: 28 * 28 },
    (_, i) => data[((2 + Math.floor(i / 28)) * 62 + 2 + (i % 28)) * 3],
  );
  const stored = Array.from({ length: 5 }, (_, i) => pixels.subarray(i * 784, (i + 1) * 784).join());
  expect(stored).toContain(drawn.join());
});

test('data pads as training does where nothing is said', async () => {
  const white = path.join(folder, 'white');
  await mkdir(white);
  const count = 64;
  const pixels = new Uint8Array(count * 28 * 28).fill(255);
  await writeFile(path.join(white, 'train-images-idx3-ubyte'), idxFile([count, 28, 28], pixels));
  await writeFile(path.join(white, 'train-labels-idx1-ubyte'), idxFile([count], new Uint8Array(count)));
  const dataset = await openDataset(white, { split: 'train' });
  const { transform } = await fitToData({}, dataset, 28);
  await dataset.close();
  expect(transform).toMatchObject({ crop: { kind: 'pad', padding: 3 } });
  const sheet = path.join(folder, 'white.png');
  expect((await widefield('data', white, '--sheet', sheet, '--crop', 'pad')).code).toBe(0);
  const { data, info } = await sharp(await readFile(sheet))
    .raw()
    .toBuffer({ resolveWithObject: true });
  // The middle row of each sample: how much black the padding has left at its left end.
  const borders = Array.from({ length: count }, (_, i) => {
    const [left, middle] = [2 + 30 * (i % 8), 2 + 30 * Math.floor(i / 8) + 14];
    const row = Array.from({ length: 28 }, (_, x) => data[(middle * info.width + left + x) * info.channels]);
    return row.indexOf(255);
  });
  expect([...new Set(borders)].sort()).toEqual([0, 1, 2, 3]);
});

test('saves the first samples of each class, named by class and position', async () => {
  const digits = path.join(folder, 'saved-digits');
  await mkdir(digits);
  const pixels = Uint8Array.from({ length: 5 * 28 * 28 }, (_, i) => (i * 7) % 256);
  await writeFile(path.join(digits, 'train-images-idx3-ubyte'), idxFile([5, 28, 28], pixels));
  await writeFile(path.join(digits, 'train-labels-idx1-ubyte'), idxFile([5], Uint8Array.of(0, 1, 1, 0, 1)));
  const saved = path.join(folder, 'saved');
  const { code, out } = await widefield('data', digits, '--save', saved, '--samples', '3');
  expect(code).toBe(0);
  expect(out).toContain(`4 samples of train are in ${saved}.`);
  expect((await readdir(saved)).filter((name) => name.endsWith('.png'))).toEqual([
    '0-0.png',
    '0-3.png',
    '1-1.png',
    '1-2.png',
  ]);
  const grey = await sharp(path.join(saved, '1-2.png')).toColourspace('b-w').raw().toBuffer();
  expect(grey.equals(pixels.subarray(2 * 784, 3 * 784))).toBe(true);
  await writeFile(path.join(saved, 'mine.txt'), 'mine');
  const again = await widefield('data', digits, '--save', saved);
  expect(again.code).toBe(1);
  expect(again.err).toMatch(/has mine\.txt in it: name another one, or remove it\.\n$/);
});

test('damaged samples are passed over, named, and make the command fail; seeds start at 0', async () => {
  const mixed = path.join(folder, 'mixed');
  await mkdir(path.join(mixed, 'cat'), { recursive: true });
  await writeFile(path.join(mixed, 'cat', '0.jpg'), 'no image');
  for (const i of [1, 2]) {
    await writeFile(path.join(mixed, 'cat', `${i}.jpg`), await encodedImage('jpeg', i, 40, 30));
  }
  const saved = path.join(folder, 'saved-mixed');
  const sheet = path.join(folder, 'mixed.png');
  const two = ['--samples', '2', '--seed', '0', '--size', '16'];
  const { code, out, err } = await widefield('data', mixed, '--save', saved, '--sheet', sheet, ...two);
  expect(code).toBe(1);
  expect(err).toMatch(/0\.jpg is not an image/);
  expect(out).toContain(`2 samples of all are in ${saved}.`);
  expect((await readdir(saved)).filter((name) => name.endsWith('.png'))).toEqual(['cat-1.png', 'cat-2.png']);
  expect(await sharp(sheet).metadata()).toMatchObject({ width: 38, height: 20 });
});

test('a first sample that cannot be read does not end a sheet', async () => {
  const large = path.join(folder, 'large');
  await mkdir(path.join(large, 'cat'), { recursive: true });
  await writeFile(path.join(large, 'cat', '0.jpg'), '');
  await truncate(path.join(large, 'cat', '0.jpg'), 2 ** 29);
  await writeFile(path.join(large, 'cat', '1.jpg'), await encodedImage('jpeg', 1, 40, 30));
  const sheet = path.join(folder, 'large.png');
  const { code, err } = await widefield('data', large, '--sheet', sheet);
  expect(code).toBe(1);
  expect(err).toMatch(/0\.jpg/);
  expect(await sharp(sheet).metadata()).toMatchObject({ width: 454, height: 228 });
});

test('a folder without Fashion-MNIST, and no dataset at all', async () => {
  const { code, err } = await widefield('data', path.join(folder, 'missing'));
  expect(code).toBe(1);
  expect(err).toMatch(/missing cannot be read: there is no such file or folder\.\n$/);
});

test('a sheet that cannot be written is refused before any sample is read', async () => {
  const digits = path.join(folder, 'many-digits');
  await mkdir(digits);
  const pixels = new Uint8Array(300 * 784);
  await writeFile(path.join(digits, 'train-images-idx3-ubyte'), idxFile([300, 28, 28], pixels));
  await writeFile(path.join(digits, 'train-labels-idx1-ubyte'), idxFile([300], new Uint8Array(300)));
  const sheet = path.join(folder, 'large.png');
  const { code, err } = await widefield(
    'data',
    digits,
    '--sheet',
    sheet,
    '--samples',
    '300',
    '--size',
    '1024',
  );
  expect(code).toBe(1);
  expect(err).toMatch(/is too large: draw fewer --samples, or smaller ones with --size\./);
});

test.each([
  ['--crop', 'nope', 'Allowed choices are none, pad, random-resized, centre'],
  ['--flip', '2', 'from 0 to 1'],
  ['--flip', 'often', 'Use a number'],
  ['--rand-augment', 'zzz', 'zzz'],
  ['--colour-jitter', '-1', 'at least 0'],
  ['--erase', 'nope', 'Use a number'],
  ['--erase', '', 'Use a number'],
  ['--sheet', 'sheet.jpg', 'ends in .png'],
])('%s %s is refused before any sample is read', async (flag, value, hint) => {
  const { code, out, err } = await widefield('data', photos, flag, value);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(flag);
  expect(err).toContain(hint);
  expect(err.trim().split('\n')).toHaveLength(1);
});

test('in a working directory that is gone, a folder that cannot be made is named', async () => {
  const cwd = vi.spyOn(process, 'cwd').mockImplementation(() => {
    throw Object.assign(new Error('ENOENT: no such file or directory, uv_cwd'), { code: 'ENOENT' });
  });
  try {
    await expect(writeFolder('samples', 'a test', () => Promise.resolve())).rejects.toMatchObject({
      code: 'io',
      message: 'The folder samples cannot be written: there is no such file or folder.',
    });
  } finally {
    cwd.mockRestore();
  }
});
