import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { expect, test } from 'vitest';

import { relativeError } from '../../src/bench/verify-model.ts';
import { syntheticInput } from '../../src/checkpoints/synthetic.ts';
import { decodeNpy, encodeNpy } from '../../src/cli/npy.ts';
import { buildModel } from '../../src/models/zoo.ts';
import { widefield } from '../support/command-line.ts';
import type { Outcome } from '../support/command-line.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { networkTolerance } from '../support/tolerance.ts';

const PHOTO = path.join(import.meta.dirname, '../../examples/photos/coffee.jpg');

interface Report {
  readonly model: string;
  readonly resolution: number | readonly number[];
  readonly device: string;
  readonly shape: readonly number[];
  readonly output: readonly number[];
  readonly features?: readonly {
    readonly stage: string;
    readonly stride: number;
    readonly shape: readonly number[];
    readonly values: readonly number[];
  }[];
}

const inFolder = temporaryFolder();

/** mobilenet-v2 with synthetic weights, at 32 pixels unless told otherwise. */
function run(input: string, ...args: string[]): Promise<Outcome> {
  const fixed = ['--weights', 'synthetic', '--device', 'wasm', '--threads', '2'];
  const size = args.includes('--resolution') || input.endsWith('.npy') ? [] : ['--resolution', '32'];
  return widefield('run', 'mobilenet-v2', '--input', input, ...fixed, ...size, ...args);
}

async function runJson(input: string, ...args: string[]): Promise<Report> {
  const { code, out, err } = await run(input, '--json', ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out) as Report;
}

test('JSON has these members, in this order', async () => {
  const report = await runJson('synthetic');
  expect(Object.keys(report)).toEqual(['model', 'resolution', 'device', 'shape', 'output']);
  const { output, ...facts } = report;
  expect(facts).toEqual({ model: 'mobilenet-v2', resolution: 32, device: 'wasm', shape: [1, 1000] });
  expect(output).toHaveLength(1000);
  expect(Math.max(...output)).toBeGreaterThan(0.1);
});

test('arrays in either layout give what they hold, in batches or not', async () => {
  const nhwc = syntheticInput([3, 3, 32, 48]);
  const nchw = nhwc.map((_, i) => {
    const [pixel, c, n] = [i % 1536, Math.floor(i / 1536) % 3, Math.floor(i / 4608)];
    return nhwc[(n * 1536 + pixel) * 3 + c] ?? NaN;
  });
  await writeFile(inFolder('nhwc.npy'), encodeNpy({ shape: [3, 32, 48, 3], values: nhwc }));
  await writeFile(inFolder('nchw.npy'), encodeNpy({ shape: [3, 3, 32, 48], values: nchw }));
  const first = await runJson(inFolder('nhwc.npy'));
  expect(first).toMatchObject({ resolution: [32, 48], shape: [3, 1000] });
  const second = await runJson(inFolder('nchw.npy'));
  expect(second.output).toEqual(first.output);
  const batched = await runJson(inFolder('nhwc.npy'), '--batch', '2');
  const synthetic = await runJson('synthetic', '--batch', '3', '--resolution', '32x48');
  for (const { output, shape } of [batched, synthetic]) {
    expect(shape).toEqual([3, 1000]);
    const error = relativeError(Float32Array.from(output), Float32Array.from(first.output));
    // Either may be off.
    expect(error).toBeLessThan(2 * networkTolerance(buildModel('mobilenet-v2', { resolution: [32, 48] })));
  }
});

test('a photo, features, and both kinds of files', async () => {
  const json = inFolder('y.json');
  const npy = inFolder('y.npy');
  const wrote = await run(PHOTO, '--features', '--output', json, '--resolution', '64');
  expect(wrote).toMatchObject({ code: 0, err: '' });
  expect(wrote.out).toMatch(/stage4 +\[1, 2, 2, 320\]/);
  const report = JSON.parse(await readFile(json, 'utf8')) as Report;
  const { out } = await run(PHOTO, '--features', '--output', npy, '--resolution', '64', '--json');
  const { files } = JSON.parse(out) as { files: string[] };
  expect(files).toEqual([npy, ...[1, 2, 3, 4].map((i) => inFolder(`y.stage${i}.npy`))]);

  const logits = decodeNpy(await readFile(npy), 'y.npy');
  expect(logits.shape).toEqual([1, 1000]);
  expect(Float32Array.from(report.output)).toEqual(logits.values);
  expect(report.features?.map(({ stage, stride, shape }) => [stage, stride, shape[1], shape[2]])).toEqual([
    ['stage1', 4, 16, 16],
    ['stage2', 8, 8, 8],
    ['stage3', 16, 4, 4],
    ['stage4', 32, 2, 2],
  ]);
  for (const { stage, shape, values } of report.features ?? []) {
    const array = decodeNpy(await readFile(inFolder(`y.${stage}.npy`)), stage);
    expect(array).toEqual({ shape, values: Float32Array.from(values) });
  }
});

test('strides of features are those of the network', async () => {
  const rgb = [0.5, 0.5, 0.5];
  const content = {
    model: { family: 'convnext', depths: [1, 1, 1, 1], channels: [8, 8, 8, 8], stem: 2 },
    classes: ['cat', 'dog'],
    resolution: 32,
    photos: { resize: 32, interpolation: 'bilinear', mean: rgb, std: rgb },
  };
  const file = inFolder('model.json');
  await writeFile(file, JSON.stringify(content));
  const given = ['--input', 'synthetic', '--weights', 'synthetic', '--device', 'wasm', '--threads', '1'];
  const { out, err } = await widefield('run', file, ...given, '--features', '--json');
  expect(err).toBe('');
  expect((JSON.parse(out) as Report).features?.map(({ stride }) => stride)).toEqual([2, 4, 8, 16]);
});

test('a summary for people', async () => {
  const { code, out } = await run('synthetic', '--batch', '2');
  expect(code).toBe(0);
  const lines = out.trimEnd().split('\n');
  expect(lines[0]).toBe('mobilenet-v2 at 32×32 on wasm');
  expect(lines[2]).toMatch(/^logits +\[2, 1000\] +-[\d.]+ +[\d.]+$/);
  expect(lines[4]).toMatch(/^image 1: best classes \d+ \([\d.]+\)(, \d+ \([\d.]+\)){4}$/);
});

test('what fails leaves files as they were, and no others', async () => {
  const output = inFolder('kept/y.npy');
  const missing = await run('synthetic', '--output', output);
  expect(missing).toMatchObject({ code: 1, out: '' });
  expect(missing.err).toMatch(/^.*y\.npy cannot be written: there is no such file or folder\.\n$/);

  const before = await readdir(inFolder());
  await writeFile(inFolder('nothing.npy'), 'nothing');
  const bad = await run(inFolder('nothing.npy'), '--output', inFolder('z.json'));
  expect(bad).toMatchObject({ code: 1, out: '' });
  expect(bad.err).toMatch(/^.*nothing\.npy is not a NumPy file .*\.\n$/);
  expect(await readdir(inFolder())).toEqual([...before, 'nothing.npy'].toSorted());
});

test.each([
  [['synthetic', '--output', 'y.txt'], 2, '.npy or .json'],
  [['missing.npy'], 1, 'missing.npy'],
  [['missing.jpg'], 1, 'missing.jpg'],
  [['synthetic', '--layout', 'chwn'], 2, 'nhwc, nchw'],
  [['synthetic', '--batch', '0'], 2, '--batch'],
])('%j fails in one line', async ([input = '', ...args], code, hint) => {
  const outcome = await run(input, ...args);
  expect({ code: outcome.code, out: outcome.out }).toEqual({ code, out: '' });
  expect(outcome.err).toContain(hint);
  expect(outcome.err.trim().split('\n')).toHaveLength(1);
});
