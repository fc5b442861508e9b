import { kernelIdentity } from '../codegen/identity.ts';
import { WidefieldError, throwIfAborted } from '../core/errors.ts';
import { Random } from '../core/random.ts';
import type { Device } from '../devices/device.ts';
import type { Candidate } from '../kernels/family.ts';
import { candidates } from '../kernels/index.ts';
import type { Problem } from '../kernels/problem.ts';
import { signature as signatureOf } from '../kernels/signature.ts';
import { createOp, describeConfig } from './op.ts';
import type { OpSession } from './op.ts';
import type { TuningRecord } from './tuning-file.ts';

export interface TuneOptions {
  readonly signal?: AbortSignal;
  /** Called after each candidate, with its median time. */
  readonly onProgress?: (progress: TuneProgress) => void;
  /** Milliseconds spent on timing one candidate; default 60. */
  readonly budgetMs?: number;
}

export interface TuneProgress {
  readonly done: number;
  readonly total: number;
  readonly candidate: string;
  /** Undefined if the candidate is the same code as one measured before. */
  readonly medianMs: number | undefined;
}

/** A candidate that is this much slower than the best is not measured to the end. */
const GIVE_UP_RATIO = 2;
/** How many of the quickest are timed again, in turns, so that noise does not choose. */
const FINALISTS = 3;
const FINAL_ROUNDS = 15;

/**
 * Measures all candidates for a problem on a device and returns the winner.
 * Throws `aborted` if the signal fires, `unsupported` if there is no candidate.
 */
export async function tune(
  device: Device,
  problem: Problem,
  options: TuneOptions = {},
): Promise<TuningRecord> {
  const signature = signatureOf(problem);
  const all = candidates(problem, device.caps);
  const weights = Object.fromEntries(
    signature.weights.map(({ name, shape }) => [
      name,
      new Random(name).array(
        shape.reduce((a, b) => a * b, 1),
        0.1,
      ),
    ]),
  );
  const seen = new Set<string>();
  const timed: { readonly candidate: Candidate; readonly medianMs: number }[] = [];
  let done = 0;
  for (const candidate of all) {
    throwIfAborted(options.signal);
    const code = candidate.emit().main.map(kernelIdentity).join('\n');
    const isNew = !seen.has(code);
    seen.add(code);
    const best = Math.min(...timed.map((entry) => entry.medianMs));
    const medianMs = isNew
      ? await withOp(device, problem, weights, candidate, options.signal, (op) =>
          timeOne(op, options.budgetMs ?? 60, best, options.signal),
        )
      : undefined;
    if (medianMs !== undefined) timed.push({ candidate, medianMs });
    done++;
    options.onProgress?.({
      done,
      total: all.length,
      candidate: `${candidate.family} ${describeConfig(candidate)}`,
      medianMs,
    });
  }
  timed.sort((a, b) => a.medianMs - b.medianMs);
  const winner = await playOff(device, problem, weights, timed.slice(0, FINALISTS), options.signal);
  return {
    machine: device.caps.fingerprint,
    problem: signature.key,
    family: winner.candidate.family,
    config: winner.candidate.config,
    medianMs: winner.medianMs,
  };
}

type Weights = Readonly<Record<string, Float32Array>>;
type Timed = { readonly candidate: Candidate; readonly medianMs: number };

/** Times the quickest candidates again, interleaved. */
async function playOff(
  device: Device,
  problem: Problem,
  weights: Weights,
  finalists: readonly Timed[],
  signal: AbortSignal | undefined,
): Promise<Timed> {
  const [first] = finalists;
  if (first === undefined) {
    throw new WidefieldError('unsupported', `No kernel on ${device.caps.name} computes this ${problem.op}.`);
  }
  if (finalists.length === 1) return first;
  const ops: OpSession[] = [];
  try {
    for (const { candidate } of finalists)
      ops.push(await openOp(device, problem, weights, candidate, signal));
    const times: number[][] = ops.map(() => []);
    for (let round = 0; round < FINAL_ROUNDS; round++) {
      throwIfAborted(signal);
      for (const [i, op] of ops.entries()) times[i]?.push(await timeRun(op));
    }
    const medians = times.map(median);
    const fastest = medians.indexOf(Math.min(...medians));
    return {
      candidate: (finalists[fastest] ?? first).candidate,
      medianMs: medians[fastest] ?? first.medianMs,
    };
  } finally {
    await Promise.all(ops.map((op) => op.dispose()));
  }
}

async function timeOne(
  op: OpSession,
  budgetMs: number,
  best: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (let warmUp = 0; warmUp < 3; warmUp++) await op.run();
  const times: number[] = [];
  let spent = 0;
  while (times.length < 5 || (spent < budgetMs && times.length < 200)) {
    throwIfAborted(signal);
    const time = await timeRun(op);
    times.push(time);
    spent += time;
    if (times.length >= 3 && Math.min(...times) > GIVE_UP_RATIO * best) break;
  }
  return median(times);
}

async function timeRun(op: OpSession): Promise<number> {
  const begin = performance.now();
  await op.run();
  return performance.now() - begin;
}

async function withOp<T>(
  device: Device,
  problem: Problem,
  weights: Weights,
  candidate: Candidate,
  signal: AbortSignal | undefined,
  use: (op: OpSession) => Promise<T>,
): Promise<T> {
  const op = await openOp(device, problem, weights, candidate, signal);
  try {
    return await use(op);
  } finally {
    await op.dispose();
  }
}

async function openOp(
  device: Device,
  problem: Problem,
  weights: Weights,
  candidate: Candidate,
  signal: AbortSignal | undefined,
): Promise<OpSession> {
  const op = await createOp(device, problem, weights, { candidate, ...(signal && { signal }) });
  for (const { name } of op.signature.inputs) {
    const input = op.input(name);
    input.set(new Random(name).array(input.length));
  }
  return op;
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Infinity;
}
