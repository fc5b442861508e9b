import { throwIfAborted } from '../core/errors.ts';
import type { BenchCase } from './case.ts';
import { compare } from './compare.ts';
import type { Engine } from './engine.ts';
import { closeEngines, machineFacts, openEngines } from './engines.ts';
import type { BenchOptions, Opened } from './engines.ts';
import { opRow } from './report.ts';
import type { BenchReport, OpRow, Skipped } from './report.ts';
import { MAX_RELATIVE_ERROR, expectation, maxRelativeError } from './verify.ts';

/** Times all engines on all cases, one case after the other, and checks every result. */
export async function runBench(
  cases: Iterable<BenchCase>,
  total: number,
  options: BenchOptions,
): Promise<BenchReport> {
  const { signal, onProgress } = options;
  const rows: OpRow[] = [];
  const skipped: Skipped[] = [];
  const opened: Opened[] = [];
  try {
    onProgress?.('opening engines', 0);
    await openEngines(options, opened, skipped);
    let done = 0;
    for (const test of cases) {
      throwIfAborted(signal);
      const label = `${test.problem.op} ${test.shape} kernel ${test.kernel}`;
      rows.push(
        ...(await runCase(test, opened, skipped, options, (activity, part) =>
          onProgress?.(`${label}: ${activity}`, (done + part) / total),
        )),
      );
      done++;
    }
  } finally {
    await closeEngines(opened);
  }
  return { machine: await machineFacts(options, opened), rows, skipped };
}

async function runCase(
  test: BenchCase,
  opened: readonly Opened[],
  skipped: Skipped[],
  { seconds, signal }: BenchOptions,
  onProgress: (activity: string, part: number) => void,
): Promise<OpRow[]> {
  const engines: Engine[] = [];
  try {
    for (const { name, peer } of opened) {
      onProgress(`preparing ${name}`, 0);
      throwIfAborted(signal);
      try {
        engines.push(...(await peer.prepare(test, signal)));
      } catch (error) {
        throwIfAborted(signal);
        const reason = error instanceof Error ? error.message : String(error);
        skipped.push({ engine: name, shape: test.shape, kernel: test.kernel, reason });
      }
    }
    onProgress('warming up', 0);
    const timings = await compare(engines, {
      seconds,
      onProgress: (part) => {
        onProgress('timing', part);
      },
      ...(signal && { signal }),
    });
    const expected = expectation(test);
    const rows: OpRow[] = [];
    for (const timing of timings) {
      const error = maxRelativeError(await timing.engine.output(), expected);
      rows.push(opRow(test, timing, error, MAX_RELATIVE_ERROR));
    }
    return rows;
  } finally {
    await Promise.all(engines.map((engine) => engine.dispose()));
  }
}
