import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { beforeAll, expect, test } from 'vitest';

import { widefield } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const PHOTOS = path.join(import.meta.dirname, '../../examples/photos');
const QUICK = '--model mobilenet-v2 --weights synthetic --device wasm --threads 2 --resolution 64'.split(' ');

interface Report {
  readonly model: string;
  readonly device: string;
  readonly resolution: number | readonly [number, number];
  readonly results: readonly {
    readonly file: string;
    readonly error?: string;
    readonly predictions?: readonly {
      readonly label: string;
      readonly index: number;
      readonly probability: number;
      readonly logit: number;
    }[];
  }[];
}

const inFolder = temporaryFolder();
beforeAll(async () => {
  await mkdir(inFolder('photos'));
  const chelsea = await readFile(path.join(PHOTOS, 'chelsea.jpg'));
  const files = {
    'broken.jpg': chelsea.subarray(0, chelsea.length / 2),
    'empty.jpg': Buffer.alloc(0),
    'text.png': Buffer.from('not an image'),
  };
  for (const [name, bytes] of Object.entries(files)) await writeFile(inFolder(`photos/${name}`), bytes);
  await copyFile(path.join(PHOTOS, 'chelsea.jpg'), inFolder('photos/cat.jpg'));
  await copyFile(path.join(PHOTOS, 'coffee.jpg'), inFolder('photos/coffee.jpg'));
});

test('images, and one line for each that fails', async () => {
  const { code, out, err } = await widefield(
    'classify',
    inFolder('photos'),
    ...QUICK,
    '--json',
    '--top',
    '3',
  );
  expect(code).toBe(1);
  const { results, ...facts } = JSON.parse(out) as Report;
  expect(facts).toEqual({ model: 'mobilenet-v2', device: 'wasm', resolution: 64 });
  const names = ['broken.jpg', 'cat.jpg', 'coffee.jpg', 'empty.jpg', 'text.png'];
  expect(results.map(({ file }) => path.basename(file))).toEqual(names);
  for (const { file, error, predictions } of results) {
    if (/broken|empty|text/.test(file)) {
      expect(error).toContain(file);
      expect(predictions).toBeUndefined();
      continue;
    }
    const probabilities = predictions?.map(({ probability }) => probability) ?? [];
    expect(probabilities).toHaveLength(3);
    expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
    expect(Math.min(...probabilities)).toBeGreaterThan(0.001);
    expect(predictions?.[0]?.label).toMatch(/[a-z]/);
  }
  const [warning, ...failures] = err.trim().split('\n');
  expect(warning).toMatch(/^Synthetic weights/);
  expect(failures.map((line) => /(broken|empty|text)\.\w+ .*\.$/.exec(line)?.[1])).toEqual([
    'broken',
    'empty',
    'text',
  ]);
});

test('batches give what single images give', async () => {
  const photos = ['astronaut.jpg', 'chelsea.jpg', 'coffee.jpg'].map((name) => path.join(PHOTOS, name));
  const predictions = async (...args: string[]): Promise<Report['results']> => {
    const { code, out } = await widefield('classify', ...photos, ...QUICK, '--json', ...args);
    expect(code).toBe(0);
    return (JSON.parse(out) as Report).results;
  };
  const single = await predictions();
  const batched = await predictions('--batch', '2');
  expect(batched.map(({ file }) => file)).toEqual(photos);
  batched.forEach(({ predictions: some = [] }, i) => {
    some.forEach(({ index, logit }, k) => {
      const expected = single[i]?.predictions?.[k];
      expect(index).toBe(expected?.index);
      expect(logit).toBeCloseTo(expected?.logit ?? NaN, 4);
    });
  });
  expect(batched[0]?.predictions?.[0]?.logit).not.toBe(batched[2]?.predictions?.[0]?.logit);
});

test('a table for people, with labels of their own', async () => {
  const labels = inFolder('labels.txt');
  await writeFile(labels, `${Array.from({ length: 1000 }, (_, i) => `thing ${i}`).join('\n')}\n`);
  const cat = inFolder('photos/cat.jpg');
  const { code, out } = await widefield('classify', cat, ...QUICK, '--labels', labels, '--top', '2');
  expect(code).toBe(0);
  const [header = '', first = '', second = '', ...rest] = out.trimEnd().split('\n');
  expect(header).toMatch(/^file +probability {2}label$/);
  expect(first).toMatch(/cat\.jpg +\d[\d.]* % {2}thing \d+$/);
  expect(second).toMatch(/^ +\d[\d.]* % {2}thing \d+$/);
  expect(rest).toEqual([]);
});

test.each([
  ['not as many labels as classes', ['--labels', 'labels.json'], 1, '1000 classes'],
  ['labels that are not there', ['--labels', 'missing.txt'], 1, 'labels cannot be read'],
  ['an empty file of labels', ['--labels', 'empty.txt'], 1, 'holds no labels'],
  ['too many pixels', ['--max-pixels', '100'], 1, 'limit of 100'],
  ['too small a resolution', ['--resolution', '0'], 2, '--resolution'],
  ['an unknown model', ['--model', 'mobilenet'], 2, 'mobilenet-v2'],
  ['an unknown device', ['--device', 'cuda'], 2, 'auto, native, wasm'],
  ['a checkpoint that is not there', ['--weights', 'missing.pth'], 1, 'missing.pth cannot be read'],
])('%s: one sentence', async (_, args, code, hint) => {
  await writeFile(inFolder('labels.json'), '["cat", "dog"]');
  await writeFile(inFolder('empty.txt'), '\n');
  const [option = '', value = ''] = args;
  const local = /\.(json|txt|pth)$/.test(value) ? inFolder(value) : value;
  const outcome = await widefield('classify', inFolder('photos/cat.jpg'), ...QUICK, option, local);
  expect({ code: outcome.code, out: outcome.out }).toEqual({ code, out: '' });
  const lines = outcome.err.split('\n').filter((line) => line !== '' && !line.startsWith('Synthetic'));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(hint);
});

test('inputs that are not square', async () => {
  const photo = path.join(PHOTOS, 'coffee.jpg');
  const { code, out } = await widefield('classify', photo, ...QUICK, '--resolution', '64x96', '--json');
  expect(code).toBe(0);
  const { resolution, results } = JSON.parse(out) as Report;
  expect(resolution).toEqual([64, 96]);
  expect(results[0]?.predictions).toHaveLength(5);
});

test('without weights: where to get some', async () => {
  const { code, err } = await widefield('classify', 'x.jpg', '--model', 'slak-tiny');
  expect(code).toBe(2);
  expect(err).toMatch(/--weights FILE .* --weights synthetic\.\n$/);
});

test('Ctrl-C ends it with exit code 130', async () => {
  const running = widefield('classify', PHOTOS, ...QUICK, '--json');
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.emit('SIGINT');
  expect(await running).toMatchObject({ code: 130, out: '', err: 'Interrupted.\n' });
});
