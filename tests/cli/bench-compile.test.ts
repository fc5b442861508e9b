import { expect, test } from 'vitest';

import type { CompileReport } from '../../src/bench/bench-compile.ts';
import { widefield } from '../support/command-line.ts';

const QUICK = ['--devices', 'wasm', '--threads', '2', '--runs', '10', '--shape', '1,8,9,16'];

test('bench compile prints JSON with a row for each kernel size', async () => {
  const { code, out, err } = await widefield('bench', 'compile', '--kernels', '3,5x3', '--json', ...QUICK);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const { machine, rows } = JSON.parse(out) as CompileReport;
  expect(machine.threads).toBe(2);
  expect(rows.map(({ op, shape, kernel, engine, runs }) => [op, shape, kernel, engine, runs])).toEqual([
    ['depthwise', '1,8,9,16', 3, 'widefield-wasm', 10],
    ['depthwise', '1,8,9,16', '5x3', 'widefield-wasm', 10],
  ]);
});

test('bench compile prints a table for people', async () => {
  const { code, out, err } = await widefield('bench', 'compile', '--kernels', '7', ...QUICK);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^depthwise +engine +threads +plan ms +first ms +cached ms +runs +growth KiB/);
  expect(out).toMatch(/\n1,8,9,16 kernel 7 +widefield-wasm +2 /);
  expect(out).toContain('Machine: ');
});

test('bench compile measures devices: without one it is a mistake', async () => {
  const { code, out, err } = await widefield('bench', 'compile', '--devices', 'none');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain('There is no device none: use native, wasm.');
});
