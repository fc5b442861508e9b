import { getEventListeners } from 'node:events';

import { describe, expect, test } from 'vitest';

import { SerialQueue } from '../../src/devices/queue.ts';

/** Work that takes until it is told to end, and what has happened so far. */
class SlowWork {
  readonly events: string[] = [];
  readonly #ends = new Map<string, () => void>();

  begin(name: string): () => Promise<string> {
    return async () => {
      this.events.push(`${name} begins`);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      this.events.push(`${name} ends`);
      return name;
    };
  }

  end(name: string): void {
    this.#ends.get(name)?.();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const aborted = { name: 'WidefieldError', code: 'aborted' };

describe('work that waits behind slow work', () => {
  test('rejects as soon as its signal fires, is left out, and does not let others in early', async () => {
    const queue = new SerialQueue();
    const work = new SlowWork();
    const controller = new AbortController();
    const first = queue.add(work.begin('first'));
    const second = queue.add(work.begin('second'), controller.signal);
    const third = queue.add(work.begin('third'), new AbortController().signal);
    await turn();
    const reason = new Error('nobody waits for it');
    controller.abort(reason);
    await expect(second).rejects.toMatchObject({ ...aborted, cause: reason });
    await turn();
    expect(work.events).toEqual(['first begins']);
    work.end('first');
    expect(await first).toBe('first');
    await turn();
    work.end('third');
    expect(await third).toBe('third');
    expect(work.events).toEqual(['first begins', 'first ends', 'third begins', 'third ends']);
  });

  test('does not begin where its signal has fired before, even if nothing is before it', async () => {
    const queue = new SerialQueue();
    const work = new SlowWork();
    await expect(queue.add(work.begin('late'), AbortSignal.abort())).rejects.toMatchObject(aborted);
    await turn();
    expect(work.events).toEqual([]);
  });

  test('all of one signal goes, with one listener', async () => {
    const queue = new SerialQueue();
    const work = new SlowWork();
    const controller = new AbortController();
    const { signal } = controller;
    const before = queue.add(work.begin('before'), signal);
    const waiting = Array.from({ length: 20 }, () => queue.add(work.begin('waiting'), signal));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await turn();
    controller.abort();
    const results = await Promise.allSettled(waiting);
    expect(results.map(({ status }) => status)).toEqual(Array(20).fill('rejected'));
    work.end('before');
    expect(await before, 'what has begun goes on').toBe('before');
    await queue.add(() => Promise.resolve());
    expect(work.events).toEqual(['before begins', 'before ends']);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

test('failures go to who asked, and the next work begins', async () => {
  const queue = new SerialQueue();
  const { signal } = new AbortController();
  const fail = (): Promise<never> => Promise.reject(new Error('broken'));
  const failAtOnce = (): Promise<never> => {
    throw new Error('broken at once');
  };
  const failures = [queue.add(fail), queue.add(fail, signal), queue.add(failAtOnce, signal)];
  const next = queue.add(() => Promise.resolve('next'), signal);
  expect((await Promise.allSettled(failures)).map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
  expect(await next).toBe('next');
});
