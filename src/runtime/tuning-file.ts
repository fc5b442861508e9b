import type { DeviceCaps } from '../core/caps.ts';
import { invalidArgument } from '../core/errors.ts';
import type { Candidate, Config } from '../kernels/family.ts';

/** The winner of one measurement. Plain data: it only ever selects among candidates that the kernels offer. */
export interface TuningRecord {
  /** `DeviceCaps.fingerprint` of the machine. */
  readonly machine: string;
  /** `encode(problem)`. */
  readonly problem: string;
  readonly family: string;
  readonly config: Config;
  readonly medianMs: number;
}

/** Measured winners, by machine and problem. */
export type TuningRecords = ReadonlyMap<string, TuningRecord>;

const FORMAT = 'widefield-tuning-1';
/** A file larger than this was not written by us. */
const MAX_CHARACTERS = 2 ** 26;

export function recordKey(machine: string, problem: string): string {
  return `${machine}\n${problem}`;
}

/** The candidate that was measured to be the fastest, if it still exists. */
export function findTuned(
  records: TuningRecords,
  caps: DeviceCaps,
  problem: string,
  candidates: readonly Candidate[],
): Candidate | undefined {
  const record = records.get(recordKey(caps.fingerprint, problem));
  if (record === undefined) return undefined;
  return candidates.find(
    (candidate) => candidate.family === record.family && sameConfig(candidate.config, record.config),
  );
}

export function formatTuning(records: TuningRecords): string {
  return `${JSON.stringify({ format: FORMAT, records: [...records.values()] }, undefined, 1)}\n`;
}

/** Parses a tuning file. Throws `invalid-argument` if it is not one; records that make no sense are left out. */
export function parseTuning(text: string): Map<string, TuningRecord> {
  const complaint = 'This is not a tuning file: delete it, and tune again.';
  if (text.length > MAX_CHARACTERS) throw invalidArgument(complaint);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`${complaint} (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!isObject(parsed) || parsed.format !== FORMAT || !Array.isArray(parsed.records)) {
    throw invalidArgument(complaint);
  }
  const records = new Map<string, TuningRecord>();
  for (const entry of parsed.records as unknown[]) {
    if (isRecord(entry)) records.set(recordKey(entry.machine, entry.problem), entry);
  }
  return records;
}

function isRecord(value: unknown): value is TuningRecord {
  return (
    isObject(value) &&
    typeof value.machine === 'string' &&
    typeof value.problem === 'string' &&
    typeof value.family === 'string' &&
    typeof value.medianMs === 'number' &&
    isObject(value.config) &&
    Object.values(value.config).every((entry) => ['number', 'string', 'boolean'].includes(typeof entry))
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sameConfig(a: Config, b: Config): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
