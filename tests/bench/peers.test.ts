import { afterAll, describe, expect, test } from 'vitest';

import { depthwiseCase, pointwiseCase } from '../../src/bench/case.ts';
import type { Peer } from '../../src/bench/engine.ts';
import { PEER_NAMES, openPeer } from '../../src/bench/peers/index.ts';
import { expectation, maxRelativeError } from '../../src/bench/verify.ts';
import { tolerance } from '../support/tolerance.ts';

const opened: Peer[] = [];
afterAll(async () => {
  await Promise.all(opened.map((peer) => peer.dispose()));
});

const CASES = [
  depthwiseCase([2, 9, 7, 5], { height: 5, width: 5 }),
  depthwiseCase([1, 6, 11, 8], { height: 7, width: 3 }),
  depthwiseCase([1, 8, 8, 4], { height: 4, width: 4 }),
  pointwiseCase(11, 6, 9),
];

// All in one process and one after the other, as in the benchmark: they must not disturb each other.
describe.each(PEER_NAMES)('%s', (name) => {
  test('computes every case', async (context) => {
    const peer = await openPeer(name, { threads: 2 });
    if ('absent' in peer) {
      // Python is not ours to install; the others are development dependencies.
      if (name === 'pytorch') return context.skip(`PyTorch: ${peer.absent}`);
      throw new Error(`${name}: ${peer.absent}`);
    }
    opened.push(peer);
    expect(peer.version).toMatch(/^\d+\.\d+/);
    for (const each of CASES) {
      const expected = expectation(each);
      const { problem, input: x, weight } = each;
      const allowed = tolerance(problem, { x }, { weight }) / Math.max(...expected.values.map(Math.abs));
      for (const engine of await peer.prepare(each)) {
        const times = await engine.time(3);
        expect(times).toHaveLength(3);
        expect(Math.min(...times)).toBeGreaterThan(0);
        expect(maxRelativeError(await engine.output(), expected)).toBeLessThan(allowed);
        expect(engine.threads).toBeGreaterThanOrEqual(1);
        expect(engine.timingIncludes).not.toBe('');
        await engine.dispose();
      }
    }
  });
});

test('PyTorch in an interpreter that does not exist or fails is absent', async () => {
  const missing = await openPeer('pytorch', { threads: 1, python: '/nowhere/python' });
  expect(missing).toEqual({ absent: expect.stringContaining('/nowhere/python') as string });
  const failing = await openPeer('pytorch', { threads: 1, python: process.execPath });
  expect(failing).toEqual({ absent: expect.stringMatching(/./) as string });
});
