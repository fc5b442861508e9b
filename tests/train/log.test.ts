import { appendFile, readFile } from 'node:fs/promises';

import { expect, it } from 'vitest';

import { appendLog, endLog, readLog } from '../../src/train/log.ts';
import type { EpochLine, StepLine } from '../../src/train/log.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

const step = (number: number, loss: number): StepLine => ({
  ...{ type: 'step', step: number, steps: 8, epoch: Math.floor((number - 1) / 4) },
  ...{ loss, accuracy: 0.5, rate: 1e-3, imagesPerSecond: 10 },
});
const epoch = (number: number): EpochLine => ({
  ...{ type: 'epoch', epoch: number, step: 4 * (number + 1) },
  ...{ loss: 1, accuracy: 0.5, seconds: 2, elapsed: 3 * (number + 1) },
});

it('what was done again after a checkpoint stands there once, as it was done last', async () => {
  const file = at('log.jsonl');
  appendLog(file, [{ type: 'config' }, step(2, 9), step(4, 8), epoch(0), step(6, 7)]);
  appendLog(file, [{ type: 'resume', elapsed: 3 }, step(3, 6), step(4, 5), epoch(0)]);
  // The machine stopped in the middle of a line.
  await appendFile(file, '{"type":"step","st');
  const { steps, epochs, events, elapsed } = await readLog(file);
  expect(steps.map((line) => [line.step, line.loss])).toEqual([
    [2, 9],
    [3, 6],
    [4, 5],
  ]);
  expect(epochs).toHaveLength(1);
  expect(events.map(({ type }) => type)).toEqual(['config', 'resume']);
  expect(elapsed).toBe(3);
});

it('a run that is begun anew leaves nothing of the one before', async () => {
  const file = at('anew.jsonl');
  appendLog(file, [{ type: 'config', config: 1 }, step(2, 9), step(4, 8), epoch(0), step(6, 7)]);
  appendLog(file, [{ type: 'config', config: 2 }, step(3, 6)]);
  const { steps, epochs, events, elapsed } = await readLog(file);
  expect(steps.map((line) => line.step)).toEqual([3]);
  expect(epochs).toEqual([]);
  expect(events).toEqual([{ type: 'config', config: 2 }]);
  expect(elapsed).toBe(0);
});

it('a line that is not whole takes no other one with it', async () => {
  const file = at('broken.jsonl');
  endLog(file);
  appendLog(file, [{ type: 'config' }]);
  await appendFile(file, '{"type":"step","st');
  endLog(file);
  appendLog(file, [step(1, 5)]);
  endLog(file);
  expect((await readLog(file)).steps.map((line) => line.step)).toEqual([1]);
  expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(4);
});

it('other files are refused', async () => {
  await appendFile(at('other.txt'), 'no log\n');
  await expect(readLog(at('other.txt'))).rejects.toThrow(/is no log of a training run/);
  await expect(readLog(at('missing'))).rejects.toThrow(/There is no log/);
});
