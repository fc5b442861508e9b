import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openWeights } from '../../src/runtime/weights.ts';
import type { WeightsInput } from '../../src/runtime/weights.ts';
import { FOLDER, LOADED, expectedValues, fixtureBytes } from '../checkpoints/fixtures.ts';

const [fixture] = LOADED.filter(({ name }) => name.endsWith('.pth'));
if (fixture === undefined) throw new Error('There is no fixture of a PyTorch file.');
const { name, expected } = fixture;
const bytes = fixtureBytes(name);
const file = fileURLToPath(new URL(name, FOLDER));

let server: Server;
let address = '';
beforeAll(async () => {
  server = createServer((request, response) => {
    const found = request.url === '/weights.pth';
    response.writeHead(found ? 200 : 404).end(found ? bytes : 'nothing here');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = server.address();
  if (typeof port !== 'object' || port === null) throw new Error('The server has no port.');
  address = `http://127.0.0.1:${port.port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('the same weights', () => {
  test.each<[string, () => WeightsInput]>([
    ['a path', () => file],
    ['the URL of a file', () => pathToFileURL(file)],
    ['the address of a file', () => pathToFileURL(file).href],
    ['an address', () => `${address}/weights.pth`],
    ['a URL', () => new URL('/weights.pth', address)],
    [
      'a data: address',
      () => `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`,
    ],
    ['bytes', () => bytes],
    [
      'bytes that do not begin where their buffer does',
      () => Buffer.concat([Buffer.alloc(3), bytes]).subarray(3),
    ],
    ['an ArrayBuffer', () => new Uint8Array(bytes).buffer],
    ['a Blob', () => new Blob([new Uint8Array(bytes)])],
  ])('from %s', async (_, input) => {
    const source = await openWeights(input());
    try {
      expect([...(source?.entries.keys() ?? [])]).toEqual(Object.keys(expected.tensors));
      for (const [key, tensor] of Object.entries(expected.tensors)) {
        expect(await source?.read(key)).toEqual(expectedValues(tensor));
      }
    } finally {
      await source?.close();
    }
  });
});

test('synthetic ones are not read from anywhere', async () => {
  expect(await openWeights('synthetic')).toBeUndefined();
});

test('an opened source is taken as it is', async () => {
  const source = await openWeights(bytes);
  if (source === undefined) throw new Error('Nothing was opened.');
  expect(await openWeights(source)).toBe(source);
  await source.close();
});

test('a part of a checkpoint', async () => {
  const several = LOADED.find(({ expected: { ema } }) => ema !== undefined);
  if (several === undefined) throw new Error('There is no fixture with several networks.');
  const subtree = several.expected.subtrees.find((each) => each.includes('ema')) ?? '';
  const source = await openWeights(fixtureBytes(several.name), { subtree });
  for (const [key, tensor] of Object.entries(several.expected.ema ?? {})) {
    expect(await source?.read(key)).toEqual(expectedValues(tensor));
  }
  await expect(openWeights(fixtureBytes(several.name), { subtree: 'none' })).rejects.toThrow(
    'no subtree "none"',
  );
});

describe('one sentence, with a code', () => {
  test.each<[string, () => unknown, string, string]>([
    ['a file that is missing', () => '/nowhere/weights.pth', 'io', '/nowhere/weights.pth cannot be read'],
    ['an address that is missing', () => `${address}/other.pth`, 'io', 'the server answers 404 Not Found'],
    ['a port that fetch refuses', () => 'http://127.0.0.1:1/weights.pth', 'io', 'fetch failed (bad port).'],
    [
      'bytes of something else',
      () => new TextEncoder().encode('hello'),
      'invalid-argument',
      'is not a checkpoint',
    ],
    ['no bytes', () => new Uint8Array(), 'invalid-argument', 'is empty'],
    ['a number', () => 17, 'invalid-argument', 'The weights must be a path'],
    ['an object', () => ({ weight: [1] }), 'invalid-argument', 'The weights must be a path'],
    ['nothing', () => undefined, 'invalid-argument', 'The weights must be a path'],
    ['null', () => null, 'invalid-argument', 'The weights must be a path'],
  ])('for %s', async (_, input, code, message) => {
    await expect(openWeights(input() as WeightsInput)).rejects.toMatchObject({
      name: 'WidefieldError',
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  test('for a download that is cancelled', async () => {
    const cancelled = openWeights(`${address}/weights.pth`, { signal: AbortSignal.abort() });
    await expect(cancelled).rejects.toMatchObject({ name: 'WidefieldError', code: 'aborted' });
  });
});
