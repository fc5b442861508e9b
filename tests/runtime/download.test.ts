import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { Random } from '../../src/core/random.ts';
import { describeDownload, download } from '../../src/runtime/download.ts';
import type { DownloadProgress } from '../../src/runtime/download.ts';

const MIB = 2 ** 20;
const content = new Uint8Array(new Random('a checkpoint').array(MIB).buffer);

const servers: Server[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** The address of a server that answers so. */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights.pth`;
}

function expectContent(bytes: Uint8Array): void {
  expect(Buffer.compare(bytes, content), 'not the bytes that were sent').toBe(0);
}

/** Checks what every row of reports is: it grows, and ends with all. */
function expectReports(reports: readonly DownloadProgress[], bytes: number): void {
  expect(reports.length).toBeGreaterThan(1);
  expect(reports.length).toBeLessThanOrEqual(bytes / 2 ** 18 + 2);
  reports.forEach(({ phase, done, total }, i) => {
    expect(phase).toBe('download');
    expect(done).toBeGreaterThan(0);
    expect(done).toBeGreaterThanOrEqual(reports[i - 1]?.done ?? 0);
    expect({ phase, done, total }, 'nothing is said twice').not.toEqual(reports[i - 1]);
    expect(total).toBeGreaterThanOrEqual(done);
  });
  expect(reports.at(-1)).toEqual({ phase: 'download', done: bytes, total: bytes });
}

describe('all bytes, and reports of them', () => {
  const reports: DownloadProgress[] = [];
  const onProgress = (step: DownloadProgress): number => reports.push(step);
  afterEach(() => {
    reports.length = 0;
  });

  test('where the server tells the length', async () => {
    const url = await serve((_, response) =>
      response.setHeader('content-length', content.length).end(content),
    );
    expectContent(await download(url, { onProgress }));
    expectReports(reports, content.length);
    expect(new Set(reports.map(({ total }) => total))).toEqual(new Set([content.length]));
  });

  test('where it does not', async () => {
    const url = await serve((_, response) => {
      response.write(content.subarray(0, MIB));
      response.end(content.subarray(MIB));
    });
    expectContent(await download(url, { onProgress }));
    expectReports(reports, content.length);
    expect(reports.every(({ done, total }) => done === total)).toBe(true);
  });

  test('where it tells that of the compressed bytes', async () => {
    const zeros = new Uint8Array(4 * MIB);
    const packed = gzipSync(zeros);
    const url = await serve((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length }).end(packed),
    );
    const bytes = await download(url, { onProgress });
    expect(bytes).toHaveLength(zeros.length);
    expectReports(reports, zeros.length);
  });

  test.each(['1', '3000000', '999999999999999', '-5', '1e400', 'much'])(
    'where it says that there are %s',
    async (length) => {
      const pieces = Array.from({ length: 64 }, (_, i) =>
        content.slice((i * MIB) / 16, ((i + 1) * MIB) / 16),
      );
      const body = new ReadableStream({
        pull(controller) {
          const piece = pieces.shift();
          if (piece === undefined) controller.close();
          else controller.enqueue(piece);
        },
      });
      const response = new Response(body, { headers: { 'content-length': length } });
      vi.spyOn(globalThis, 'fetch').mockResolvedValue(response);
      expectContent(await download('https://example.org/weights.pth', { onProgress }));
      expectReports(reports, content.length);
    },
  );

  test('where there are none', async () => {
    const url = await serve((_, response) => response.end());
    expect(await download(url, { onProgress })).toEqual(new Uint8Array());
    expect(reports).toEqual([]);
  });
});

describe('the connection ends', () => {
  /** A server that sends a beginning and then nothing, and when its client has gone. */
  async function stalling(): Promise<{ readonly url: string; readonly gone: Promise<void> }> {
    let leave = (): void => undefined;
    const gone = new Promise<void>((resolve) => (leave = resolve));
    const url = await serve((_, response) => {
      response.on('close', leave);
      response.setHeader('content-length', content.length).write(content.subarray(0, MIB));
    });
    return { url, gone };
  }

  test('when the signal fires', async () => {
    const { url, gone } = await stalling();
    const controller = new AbortController();
    const { signal } = controller;
    const stopped = download(url, { signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toMatchObject({ name: 'WidefieldError', code: 'aborted' });
    await gone;
  });

  test('when whoever is told of the progress throws, whose error stays as it is', async () => {
    const { url, gone } = await stalling();
    const error = new Error('no screen');
    const onProgress = (): never => {
      throw error;
    };
    await expect(download(url, { onProgress })).rejects.toBe(error);
    await gone;
  });
});

describe('failures tell their cause', () => {
  const fails = (url: string, message: RegExp): Promise<void> =>
    expect(download(url)).rejects.toMatchObject({
      name: 'WidefieldError',
      code: 'io',
      message: expect.stringMatching(message) as string,
    });

  test('nobody listens', async () => {
    const url = await serve(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    await fails(url, /^http:.* cannot be downloaded: fetch failed \(.*ECONNREFUSED.*\)\.$/);
    // Of a name with several addresses each is tried.
    await fails(url.replace('127.0.0.1', 'localhost'), /fetch failed \(.*ECONNREFUSED.*\)\.$/);
  });

  test('the connection breaks', async () => {
    const url = await serve((_, response) => {
      response.setHeader('content-length', content.length).write(content.subarray(0, MIB), () => {
        response.destroy();
      });
    });
    await fails(url, /cannot be downloaded: terminated \(.+\)\.$/);
  });

  test('the server refuses', async () => {
    const url = await serve((_, response) => response.writeHead(403).end('no'));
    await fails(url, /the server answers 403 Forbidden\.$/);
  });
});

test.each([
  [3 * MIB, 8 * MIB, 'downloading weights, 3.0 of 8.0 MiB'],
  [12.3 * MIB, 50 * MIB, 'downloading weights, 12 of 50 MiB'],
  [12.3 * MIB, 12.3 * MIB, 'downloading weights, 12.3 MiB'],
])('%i of %i bytes, for people', (done, total, text) => {
  expect(describeDownload({ phase: 'download', done, total })).toBe(text);
});
