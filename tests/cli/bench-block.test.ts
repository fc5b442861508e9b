import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { BlockRow } from '../../src/bench/bench-blocks.ts';
import type { BlockCase } from '../../src/lab/block-case.ts';
import { widefield } from '../support/command-line.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const QUICK = ['--devices', 'wasm', '--peers', 'none', '--threads', '2', '--seconds', '0.01'];
const SMALL = ['--channels', '8,16', '--expansion', '2', '--size', '6', '--batch', '2'];

test('bench block prints JSON with the sizes of each block, and draws the plot', async () => {
  const out = path.join(folder, 'blocks.svg');
  const result = await widefield('bench', 'block', 'convfirst', ...SMALL, '--json', '--out', out, ...QUICK);
  expect(result).toMatchObject({ code: 0, err: '' });
  const { rows } = JSON.parse(result.out) as { rows: (BlockRow & BlockCase)[] };
  expect(
    rows.map(({ channels, expansion, size, batch, engine }) => [channels, expansion, size, batch, engine]),
  ).toEqual(
    [8, 16].flatMap((channels) =>
      ['fused', 'layer-wise'].map((form) => [channels, 2, 6, 2, `widefield-wasm-${form}`]),
    ),
  );
  for (const { gflops, peakGflops, ofPeak } of rows)
    expect(ofPeak).toBeCloseTo(gflops / (peakGflops ?? NaN), 9);
  expect(await readFile(out, 'utf8')).toContain('convfirst 16c2α6hw');
});

test('without channels the blocks are those of the paper', async () => {
  const sizes = ['--size', '2', '--batch', '1', '--json'];
  const { out } = await widefield('bench', 'block', 'mbconv', ...sizes, ...QUICK);
  const { rows } = JSON.parse(out) as { rows: (BlockRow & BlockCase)[] };
  // Table 2 has each twice, on maps of 16 and of 8.
  expect([...new Set(rows.map(({ channels }) => channels))]).toEqual([128, 256]);
  expect([...new Set(rows.map(({ expansion }) => expansion))]).toEqual([4]);
});

test('bench block prints a table for people', async () => {
  const { code, out, err } = await widefield('bench', 'block', 'mbconv', ...SMALL, '--stride', '2', ...QUICK);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^block +engine +median ms .*× layer-wise/);
  expect(out).toContain('mbconv 16c2α6hw stride 2, batch 2');
  expect(out).toContain('Machine: ');
});

test.each([
  [['convfrst'], 2, 'There is no block convfrst: did you mean convfirst?'],
  [['convfirst', '--channels', '20'], 1, 'a multiple of 8, the width of its groups, got 20'],
  [['convfirst', '--plot', 'bars.png'], 2, 'give a name that ends in .svg, not bars.png'],
  [['convfirst', '--channels', '32', '--size', '0'], 2, 'whole number from 1'],
  [['convfirst', '--channels', '4096', '--size', '4096', '--batch', '64'], 1, 'use a smaller batch or map'],
])('bench block %j: one sentence', async (args, code, hint) => {
  const result = await widefield('bench', 'block', ...args, ...QUICK);
  expect(result).toMatchObject({ code, out: '' });
  expect(result.err).toContain(hint);
  expect(result.err.trim().split('\n')).toHaveLength(1);
});
