import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { widefield } from '../support/command-line.ts';
import { encodedImage } from '../support/dataset-files.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const PHOTOS = path.join(import.meta.dirname, '../../examples/photos');
const QUICK = '--weights synthetic --device wasm --threads 2 --resolution 32'.split(' ');

const inFolder = temporaryFolder();

async function addImage(file: string, colour: number): Promise<void> {
  await mkdir(path.dirname(inFolder(file)), { recursive: true });
  await writeFile(inFolder(file), await encodedImage('png', colour));
}

beforeAll(async () => {
  for (const [i, synset] of ['n01440764', 'n02123045'].entries()) {
    for (let k = 0; k < 3; k++) await addImage(`imagenet/val/${synset}/${k}.png`, 3 * i + k);
  }
  const photo = await readFile(path.join(PHOTOS, 'chelsea.jpg'));
  await writeFile(inFolder('imagenet/val/n02123045/broken.jpg'), photo.subarray(0, photo.length / 2));
  await addImage('pets/cat/1.png', 1);
  await addImage('pets/dog/1.png', 2);
  await addImage('cues/cat/cat1-dog2.png', 1);
  await addImage('cues/cat/cat2-car1.png', 2);
  await addImage('cues/bear/bear1-bear2.png', 3);
  await addImage('cues/notes.png', 4);
  await mkdir(inFolder('photos'));
  await copyFile(path.join(PHOTOS, 'coffee.jpg'), inFolder('photos/a.jpg'));
  await writeFile(inFolder('photos/b.jpg'), photo.subarray(0, photo.length / 2));
});

describe('eval', () => {
  it('counts what folders of WordNet identifiers hold, and names damaged images', async () => {
    const args = ['eval', 'mobilenet-v2', ...QUICK, '--workers', '0', '--batch', '4'];
    const out = inFolder('confusion.svg');
    const result = await widefield(
      ...args,
      '--data',
      inFolder('imagenet'),
      '--mirror',
      '--json',
      '--out',
      out,
    );
    expect(result.code).toBe(0);
    const report = JSON.parse(result.out) as {
      mirror: boolean;
      images: number;
      top1: number;
      top5: number;
      corrupt: string[];
      classes: { index: number; name: string; images: number; correct: number }[];
      confusion: { label: number; predicted: number; images: number }[];
    };
    expect(report).toMatchObject({ mirror: true, images: 6 });
    expect(report.corrupt).toEqual([expect.stringContaining('broken.jpg')]);
    expect(result.err).toContain('broken.jpg');
    expect(report.classes.map(({ index, name, images }) => [index, name, images])).toEqual([
      [0, 'n01440764 tench', 3],
      [281, 'n02123045 tabby', 3],
    ]);
    const correct = report.classes.reduce((sum, each) => sum + each.correct, 0);
    expect(report.top1).toBeCloseTo(correct / 6);
    expect(report.top5).toBeGreaterThanOrEqual(report.top1);
    expect(report.confusion.reduce((sum, { images }) => sum + images, 0)).toBe(6);
    const picture = await readFile(out, 'utf8');
    expect(picture).toContain('n02123045 tabby');
    expect(picture).toContain('with mirror images');
  });

  it('takes no more workers than there may be', async () => {
    const args = ['eval', 'mobilenet-v2', ...QUICK, '--data', inFolder('pets'), '--workers'];
    const { code, err } = await widefield(...args, '65');
    expect(code).toBe(2);
    expect(err).toMatch(/--workers.*64/);
  });

  it('says how to match classes', async () => {
    const args = ['eval', 'mobilenet-v2', ...QUICK, '--workers', '0', '--data', inFolder('pets')];
    const { code, err } = await widefield(...args);
    expect(code).toBe(1);
    expect(err).toMatch(/mobilenet-v2 tells 1000 classes apart, but .*pets has 2 .* \(cat, dog\)/);
  });
});

describe('erf', () => {
  it('compares networks, and leaves damaged images out', async () => {
    const out = inFolder('erf.svg');
    const models = ['erf', 'mobilenet-v2', 'mobilenet-v2', '--images', inFolder('photos')];
    const result = await widefield(...models, ...QUICK, '--json', '--labels', 'one,two', '--out', out);
    expect(result.code).toBe(1); // One image is damaged.
    expect(result.err).toContain('b.jpg cannot be decoded');
    expect(result.err).toContain('There are only 2 of the 50 images');
    expect(result.err).toMatch(/one at 32×32 takes [\d.]+ MiB/);
    interface Report {
      name: string;
      images: number;
      ratios: { threshold: number; side: number; ratio: number }[];
    }
    const { models: reports } = JSON.parse(result.out) as { models: Report[] };
    expect(reports.map(({ name, images }) => [name, images])).toEqual([
      ['one', 1],
      ['two', 1],
    ]);
    const [first, second] = reports;
    expect(first?.ratios.map(({ threshold }) => threshold)).toEqual([0.2, 0.3, 0.5, 0.99]);
    for (const { threshold, ratio } of first?.ratios ?? []) expect(ratio).toBeGreaterThan(0.1 * threshold);
    expect(second?.ratios).toEqual(first?.ratios);
    expect(await readFile(out, 'utf8')).toContain('data:image/png;base64,');
  });

  it('shows small networks smaller images than the paper does', async () => {
    const args = ['erf', 'slak-fashion', '--images', inFolder('photos'), '--count', '1', '--json'];
    const { out } = await widefield(...args);
    const report = JSON.parse(out) as { resolution: number; models: { ratios: { ratio: number }[] }[] };
    expect(report.resolution).toBe(128);
    expect(report.models[0]?.ratios.at(-1)?.ratio).toBeGreaterThan(0.1);
  });

  it('wants weights for each network', async () => {
    const args = ['erf', 'mobilenet-v2', 'resnet-50', '--weights', 'a.pth', '--images', inFolder('photos')];
    const { code, err } = await widefield(...args);
    expect(code).toBe(2);
    expect(err).toContain('There are 2 networks, but 1 --weights');
  });
});

describe('shape-bias', () => {
  it('counts decisions by shape and by texture', async () => {
    const args = ['shape-bias', 'mobilenet-v2', ...QUICK, '--images', inFolder('cues'), '--json'];
    const { code, out, err } = await widefield(...args);
    expect(code).toBe(0);
    expect(err).toContain('Images whose names tell no shape and texture are left out: 1.');
    const report = JSON.parse(out) as { images: number; categories: object; decisions: { file: string }[] };
    expect(report.images).toBe(2);
    expect(Object.keys(report.categories)).toEqual(['cat']);
    expect(report.decisions).toHaveLength(3);
  });

  it('refuses folders without cue conflicts', async () => {
    const args = ['shape-bias', 'mobilenet-v2', ...QUICK, '--images', inFolder('pets')];
    const { code, err } = await widefield(...args);
    expect(code).toBe(1);
    expect(err).toContain('such as cat1-elephant2.png');
  });
});
