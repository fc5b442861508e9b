import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { parseHTML } from 'linkedom';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { widefield } from '../../support/command-line.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-lab-out-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const commands = [
  ['device', 'a5000'],
  ['device', '--list'],
  ['waterline', 'mobilenet-v2', 'convfirst-pico'],
  ['waterline', 'mobilenet-v2', '--scale', 'linear'],
  ['block', 'mbconv', '--channels', '128', '--expansion', '4', '--size', '16'],
  ['amdahl', 'mobilenet-v2', '--top', '5'],
  ['mediant', 'mobilenet-v2', 'convfirst-pico'],
  ['roofline'],
  ['gap'],
  ['project'],
  ['scaling', '--kernels', '7,51'],
  ['tensor-machine', 'ffn'],
];

describe.each(commands)('lab %s %s', (...args) => {
  it('draws a standalone SVG, and still prints', async () => {
    const file = path.join(folder, 'plot.svg');
    const { code, out, err } = await widefield('lab', ...args, '--out', file);
    expect({ code, err }).toEqual({ code: 0, err: `The picture is in ${file}.\n` });
    expect(out).toBe((await widefield('lab', ...args)).out);
    const svg = await readFile(file, 'utf8');
    expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity|\[object/);
    const { document } = parseHTML(svg);
    expect(document.querySelector('title')?.textContent).not.toBe('');
    expect(document.querySelectorAll('rect, path, line, circle').length).toBeGreaterThan(5);
    expect(await readdir(folder)).toEqual(['plot.svg']);
  });
});

it('writes PNG files of twice the size, and pages with picture and table', async () => {
  const [svg, png, html] = ['plot.svg', 'plot.PNG', 'plot.html'].map((name) => path.join(folder, name));
  for (const file of [svg, png, html]) {
    const { code } = await widefield('lab', 'amdahl', 'resnet-50', '--json', '--out', String(file));
    expect(code).toBe(0);
  }
  const width = Number(/ width="(\d+)"/.exec(await readFile(String(svg), 'utf8'))?.[1]);
  expect((await sharp(png).metadata()).width).toBe(2 * width);
  const page = await readFile(String(html), 'utf8');
  const { document } = parseHTML(page);
  expect(document.querySelectorAll('svg')).toHaveLength(1);
  expect(document.querySelectorAll('tbody tr').length).toBeGreaterThan(20);
  // Nothing is loaded from elsewhere.
  expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|<link|@import/);
});

it.each(['plot.gif', 'plot', 'svg'])('refuses the file %s in one sentence', async (name) => {
  const { code, out, err } = await widefield('lab', 'gap', '--out', path.join(folder, name));
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain('Use a name that ends in .svg, .png or .html.');
  expect(err.trim().split('\n')).toHaveLength(1);
  expect(await readdir(folder)).toEqual([]);
});

it('leaves nothing half-written where a file cannot be', async () => {
  const { code, err } = await widefield('lab', 'gap', '--out', path.join(folder, 'missing', 'plot.svg'));
  expect(code).toBe(1);
  expect(err).toContain('cannot be written');
  expect(await readdir(folder)).toEqual([]);
});
