import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { tensorMachineCommand } from '../../../src/cli/lab/tensor-machine.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'widefield-tensor-machine-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Runs the command alone. Returns what it printed. */
async function run(...args: string[]): Promise<string> {
  const printed: string[] = [];
  const context = {
    signal: new AbortController().signal,
    print: (text: string) => printed.push(text),
    warn: () => undefined,
    write: () => undefined,
    fail: () => undefined,
  };
  const command = tensorMachineCommand(context)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  await command.parseAsync(args, { from: 'user' });
  return printed.join('\n');
}

describe('widefield lab tensor-machine', () => {
  it('prints a table with a line for each kernel', async () => {
    const table = await run('convfirst-layer-wise', '--channels', '16', '--expansion', '3', '--size', '128');
    expect(table).toMatch(/^ConvFirst block, layer-wise: N = 128, H = 128, W = 128, C = 16, R = 48$/m);
    expect(table).toMatch(/^grouped convolution +4\.83 +134 /m);
    expect(table).toMatch(/^in all +11\.3 +738 /m);
  });

  it('prints counts and the description itself as JSON', async () => {
    const json: unknown = JSON.parse(
      await run('ffn', '--channels', '32', '--size', '8x4', '--batch', '2', '--json'),
    );
    expect(json).toMatchObject({
      name: 'ffn',
      dtypeBytes: 2,
      operations: 2 * 64 * 2 * 32 * 128,
      writes: 64 * 32,
      machine: { axes: { N: { size: 2 }, H: { size: 8 }, W: { size: 4 } } },
    });
  });

  it('writes SVG and PNG files, and nothing beside them', async () => {
    const svg = path.join(folder, 'machine.svg');
    const png = path.join(folder, 'machine.png');
    await run('mbconv-fused', '--out', svg);
    await run('mbconv-fused', '--out', png);
    const width = Number(/ width="(\d+)"/.exec(await readFile(svg, 'utf8'))?.[1]);
    expect((await sharp(png).metadata()).width).toBe(2 * width);
    expect((await readdir(folder)).sort()).toEqual(['machine.png', 'machine.svg']);
  });

  it.each([
    [['fnn'], /There is no tensor machine "fnn": did you mean ffn/],
    [['ffn', '--out', 'machine.gif'], /ends in \.svg, \.png or \.html/],
    [['convfirst-fused', '--stride', '3'], /Use 1 or 2/],
    [['convfirst-fused', '--channels', '20'], /multiple of its group width, 8/],
  ])('refuses %j', async (args, message) => {
    await expect(run(...args)).rejects.toThrow(message);
  });
});
