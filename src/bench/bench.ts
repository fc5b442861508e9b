import type { BenchCase } from './case.ts';
import type { Engine } from './engine.ts';
import { eachInTurn, withEngines } from './engines.ts';
import type { BenchOptions } from './engines.ts';
import { PEER_NAMES } from './peers/index.ts';
import { opRow } from './report.ts';
import type { BenchReport, OpRow, Skipped } from './report.ts';
import { timeEngines } from './time-engines.ts';
import { MAX_RELATIVE_ERROR, expectation, maxRelativeError } from './verify.ts';

/** Times all engines on all cases, one case after the other, and checks every result. */
export async function runBench(
  cases: Iterable<BenchCase>,
  total: number,
  options: BenchOptions,
): Promise<BenchReport> {
  const failed: Skipped[] = [];
  const ability = { peers: PEER_NAMES, lack: '' };
  const { machine, skipped, result } = await withEngines(options, ability, (opened) =>
    eachInTurn(cases, total, options, (test, report) =>
      timeEngines<Engine, OpRow[]>(opened, options, {
        prepare: (peer) => peer.prepare(test, options.signal),
        onSkip: (engine, reason) => {
          failed.push({ engine, shape: test.shape, kernel: test.kernel, reason });
        },
        judge: async (timings) => {
          const expected = expectation(test);
          const rows: OpRow[] = [];
          for (const timing of timings) {
            const error = maxRelativeError(await timing.engine.output(), expected);
            rows.push(opRow(test, timing, error, MAX_RELATIVE_ERROR));
          }
          return rows;
        },
        onProgress: (activity, part) => {
          report(`${test.problem.op} ${test.shape} kernel ${test.kernel}: ${activity}`, part);
        },
      }),
    ),
  );
  return { machine, rows: result.flat(), skipped: [...skipped, ...failed] };
}
