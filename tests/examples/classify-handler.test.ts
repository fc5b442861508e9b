import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { createModel } from '../../src/index.ts';
import type { ClassifyOptions, Model } from '../../src/index.ts';

interface Limits {
  readonly maxBytes?: number;
  readonly maxPixels?: number;
  readonly maxWaiting?: number;
  readonly maxUploads?: number;
}

interface Answer {
  readonly model?: string;
  readonly classes?: readonly { readonly label: string; readonly probability: number }[];
  readonly error?: string;
}

const examples = new URL('../../examples/', import.meta.url);
const cat = readFileSync(new URL('photos/chelsea.jpg', examples));

let classifyHandler: (model: Pick<Model, 'classify' | 'variant'>, limits?: Limits) => RequestListener;
let model: Model;
const servers: Server[] = [];

beforeAll(async () => {
  ({ classifyHandler } = (await import(new URL('classify-handler.js', examples).href)) as {
    classifyHandler: typeof classifyHandler;
  });
  model = await createModel('mobilenet-v2', { weights: 'synthetic', device: 'wasm', resolution: 64 });
});

afterAll(() => model.dispose());

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Serves the handler; returns its address. */
async function serve(limits?: Limits, served: Pick<Model, 'classify' | 'variant'> = model): Promise<string> {
  const server = createServer(classifyHandler(served, limits));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return `http://localhost:${(server.address() as AddressInfo).port}/`;
}

async function post(address: string, body: BodyInit): Promise<{ status: number } & Answer> {
  const response = await fetch(address, { method: 'POST', body });
  expect(response.headers.get('content-type')).toBe('application/json');
  return { status: response.status, ...((await response.json()) as Answer) };
}

/** A model whose answers wait for `release`. */
function slowModel(): {
  readonly slow: Pick<Model, 'classify' | 'variant'>;
  readonly signals: AbortSignal[];
  readonly release: () => void;
} {
  const signals: AbortSignal[] = [];
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const classify = async (_image: unknown, { signal }: ClassifyOptions = {}): Promise<[]> => {
    if (signal) signals.push(signal);
    await released;
    return [];
  };
  return { slow: { variant: model.variant, classify }, signals, release: () => release() };
}

test('answers with the classes of the image, as many as asked for', async () => {
  const address = await serve();
  const expected = await model.classify(cat, { top: 2 });
  const { status, ...answer } = await post(`${address}?top=2`, cat);
  expect(status).toBe(200);
  expect(answer).toEqual({ model: 'mobilenet-v2', classes: expected });
});

test('serves requests that come together', async () => {
  const address = await serve();
  const expected = await model.classify(cat);
  const answers = await Promise.all(Array.from({ length: 8 }, () => post(address, cat)));
  for (const { classes } of answers) expect(classes).toEqual(expected);
});

test.each([
  ['a body that is no image', '', 'not an image', {}, 400, /^The image /],
  ['an empty body', '', '', {}, 400, /empty/],
  ['an image of too many pixels', '', cat, { maxPixels: 1000 }, 400, /pixels/],
  ['a number of classes that is none', '?top=many', cat, {}, 400, /classes/],
  ['a body that is announced as too large', '', cat, { maxBytes: 1000 }, 413, /1000 bytes/],
])('%s is refused', async (_, query, body, limits, status, error) => {
  const answer = await post((await serve(limits)) + query, body);
  expect(answer.status).toBe(status);
  expect(answer.error).toMatch(error);
});

test('a body of unknown length is read no further than the limit', async () => {
  const address = await serve({ maxBytes: 10_000 });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const upload = request(address, { method: 'POST' }, (response) => {
      response.resume();
      clearInterval(timer);
      upload.destroy();
      resolve(response.statusCode);
    });
    upload.on('error', reject);
    // An upload that never ends.
    const timer = setInterval(() => upload.write(Buffer.alloc(4000)), 5);
  });
  expect(status).toBe(413);
});

test('other methods are refused', async () => {
  const response = await fetch(await serve());
  expect(response.status).toBe(405);
});

test('a client that goes takes its request along', async () => {
  const { slow, signals, release } = slowModel();
  const address = await serve({}, slow);
  const client = new AbortController();
  const response = fetch(address, { method: 'POST', body: cat, signal: client.signal });
  await expect.poll(() => signals.length).toBe(1);
  expect(signals[0]?.aborted).toBe(false);
  client.abort();
  await expect(response).rejects.toThrow();
  await expect.poll(() => signals[0]?.aborted).toBe(true);
  release();
});

test('when too many wait, others are told to come back, and may later', async () => {
  const { slow, signals, release } = slowModel();
  const address = await serve({ maxWaiting: 2 }, slow);
  const first = [post(address, cat), post(address, cat)];
  await expect.poll(() => signals.length).toBe(2);
  expect((await post(address, cat)).status).toBe(503);
  release();
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
  expect((await post(address, cat)).status).toBe(200);
});

test('slow uploads keep nobody out, and have a limit of their own', async () => {
  const address = await serve({ maxWaiting: 1, maxUploads: 2 });
  const start = async (): Promise<ReturnType<typeof request>> => {
    const upload = request(address, { method: 'POST' });
    upload.on('error', () => undefined);
    await new Promise((resolve) => upload.write(cat.subarray(0, 1000), resolve));
    return upload;
  };
  const first = await start();
  expect((await post(address, cat)).status).toBe(200);
  const second = await start();
  await expect.poll(async () => (await post(address, cat)).status).toBe(503);
  first.destroy();
  await expect.poll(async () => (await post(address, cat)).status).toBe(200);
  second.destroy();
});
