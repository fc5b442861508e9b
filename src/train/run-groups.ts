import type { EpochLine } from './log.ts';

/** What is known of a run that has been trained. */
export interface RunRecord {
  /** Of its folder. */
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly epochs: readonly EpochLine[];
  /** After the last epoch; undefined while it goes on. */
  readonly result: RunResult | undefined;
}

export interface RunResult {
  /** Share of the images held back; undefined if none were. */
  readonly top1: number | undefined;
  readonly parameters: number;
  readonly macs: number | undefined;
  /** Parameters and multiply-accumulates that are not masked away, of sparse networks. */
  readonly remaining: number | undefined;
  readonly remainingMacs: number | undefined;
  readonly seconds: number;
}

/** Runs that differ in their seed alone. */
export interface RunGroup {
  /** What the names of their folders have in common. */
  readonly name: string;
  readonly runs: readonly RunRecord[];
  readonly top1: Spread | undefined;
  /** Mean accuracy of the images held back, by epochs done. */
  readonly curve: readonly (readonly [epochs: number, top1: number])[];
}

export interface Spread {
  readonly mean: number;
  /** Deviation of one run, estimated from all (n − 1); undefined for one run. */
  readonly deviation: number | undefined;
  readonly least: number;
  readonly most: number;
}

/** What may differ within a group: chance, and how and where runs take place. */
const ASIDE = new Set([
  ...['seed', 'folder', 'saveEvery', 'evaluateEvery', 'logEvery', 'corruptLimit'],
  ...['plot', 'half', 'device', 'threads', 'workers'],
]);

/** Puts runs together that repeat one another with another seed, in the order in which they come. */
export function groupRuns(runs: readonly RunRecord[]): readonly RunGroup[] {
  const groups = new Map<string, RunRecord[]>();
  for (const run of runs) {
    const entries = Object.entries(run.config).filter(([name]) => !ASIDE.has(name));
    const key = JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
    const group = groups.get(key);
    if (group) group.push(run);
    else groups.set(key, [run]);
  }
  return [...groups.values()].map((members) => ({
    name: commonName(members.map(({ name }) => name)),
    runs: members,
    top1: spread(members.flatMap(({ result }) => result?.top1 ?? [])),
    curve: meanCurve(members),
  }));
}

/** `dense-1`, `dense-2` → `dense`; a single run keeps its name. */
function commonName(names: readonly string[]): string {
  const [first = '', ...others] = names;
  if (others.length === 0) return first;
  let length = first.length;
  for (const other of others) {
    while (!other.startsWith(first.slice(0, length))) length--;
  }
  // `dense-10` and `dense-11` have no part of their numbers in common.
  const isWithinNumber = names.some((name) => /^\d/.test(name.slice(length)));
  const common = first.slice(0, length).replace(isWithinNumber ? /\d+$/ : '', '');
  return common.replace(/[-_. ]*(seed)?[-_. ]*$/, '') || first;
}

/** Mean and deviation; undefined for no numbers. */
export function spread(values: readonly number[]): Spread | undefined {
  const n = values.length;
  if (n === 0) return undefined;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    deviation: n > 1 ? Math.sqrt(squares / (n - 1)) : undefined,
    least: Math.min(...values),
    most: Math.max(...values),
  };
}

/** At the epochs that all runs have been evaluated after. */
function meanCurve(runs: readonly RunRecord[]): RunGroup['curve'] {
  const curves = runs.map(
    ({ epochs }) =>
      new Map(
        epochs.flatMap(({ epoch, validation }) =>
          validation === undefined ? [] : [[epoch + 1, validation.top1] as const],
        ),
      ),
  );
  const [first = new Map<number, number>()] = curves;
  return [...first.keys()].flatMap((epoch) => {
    const values = curves.flatMap((curve) => curve.get(epoch) ?? []);
    return values.length === curves.length
      ? [[epoch, values.reduce((a, b) => a + b, 0) / values.length] as const]
      : [];
  });
}
