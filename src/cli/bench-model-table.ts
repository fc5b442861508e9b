import type { PeerName } from '../bench/peers/index.ts';
import type { ModelProfile, ProfileLine } from '../bench/profile.ts';
import type { ModelReport, ModelRow } from '../bench/report.ts';
import { machineLines, skippedLines, timingLines } from './bench-table.ts';
import { MEASURED_COLUMNS, measuredCells } from './measured-columns.ts';
import { formatNumber, formatTable, right, withoutRepeats } from './table.ts';
import type { Column } from './table.ts';

/** Kernels that a profile shows; the rest is summed up. */
const SHOWN_KERNELS = 24;

/**
 * One table of all networks, the profiles, then what the numbers mean and the machine they come from.
 *
 * @param asked peers that the user named: the absence of others is only mentioned in passing
 */
export function formatModelReport(report: ModelReport, asked?: readonly PeerName[]): string {
  const { rows, profiles } = report;
  return [
    ...(rows.length > 0 ? [modelTable(rows)] : []),
    ...profiles.map(formatProfile),
    footer(report, asked),
  ].join('\n\n');
}

function modelTable(rows: readonly ModelRow[]): string {
  const peers = [...new Set(rows.map((row) => row.engine))].filter((name) => !isOurs(name));
  const columns: Column[] = [
    { title: 'model' },
    ...MEASURED_COLUMNS,
    right('error'),
    ...peers.map((peer) => right(`× ${peer}`)),
    { title: 'configuration' },
  ];
  const cells = rows.map((row) => [
    `${row.model} ${row.shape}`,
    ...measuredCells(row),
    errorOf(row, rows),
    ...peers.map((peer) => speedUp(row, peer, rows)),
    row.config,
  ]);
  return formatTable(columns, withoutRepeats(cells));
}

function isOurs(engine: string): boolean {
  return engine.startsWith('widefield-');
}

/** The error of a row's output, `reference` where others are compared with it, or that it is wrong. */
export function errorOf(row: ModelRow, rows: readonly ModelRow[]): string {
  const { correct, maxRelError } = row;
  if (!correct) return maxRelError === null ? 'WRONG' : `WRONG ${maxRelError.toExponential(0)}`;
  if (maxRelError !== null) return maxRelError.toExponential(0);
  const others = rows.filter((other) => isSameCase(row, other));
  return others.some(({ comparedWith }) => comparedWith === row.engine) ? 'reference' : '';
}

function isSameCase(one: ModelRow, other: ModelRow): boolean {
  return one.model === other.model && one.shape === other.shape;
}

/** How many times quicker than a peer on the same network. */
export function speedUp(row: ModelRow, peer: string, rows: readonly ModelRow[]): string {
  const other = rows.find((one) => one.engine === peer && isSameCase(one, row));
  if (other === undefined || !other.correct || !row.correct) return '';
  return formatNumber(other.medianMs / row.medianMs);
}

/** Where the time goes, by kind and by kernel. */
export function formatProfile(profile: ModelProfile): string {
  const { kernels, dense } = profile;
  const shown = kernels.slice(0, SHOWN_KERNELS);
  const rest = kernels.slice(SHOWN_KERNELS);
  const restTime = rest.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const columns = (first: string): Column[] => [
    { title: first },
    ...['calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'of peak'].map(right),
  ];
  const kinds = [...profile.kinds, ...(dense.calls > 0 ? [dense] : [])];
  return [
    `${profile.model} ${profile.shape} on ${profile.engine}: ${formatNumber(profile.milliseconds)} ms in kernels, medians of ${profile.runs} runs; multiply-add peak ${formatNumber(profile.peakGflops ?? NaN)} GFLOP/s`,
    formatTable(columns('kind'), kinds.map(profileCells)),
    '',
    formatTable(columns('kernel'), shown.map(profileCells)),
    ...(rest.length > 0 ? [`and ${rest.length} kernels more, ${formatNumber(restTime)} ms`] : []),
  ].join('\n');
}

function profileCells({
  name,
  calls,
  milliseconds,
  share,
  gflops,
  gbPerSecond,
  ofPeak,
}: ProfileLine): string[] {
  return [
    name,
    String(calls),
    formatNumber(milliseconds),
    `${(100 * share).toFixed(1)}%`,
    formatNumber(gflops),
    formatNumber(gbPerSecond),
    ofPeak === null || gflops === 0 ? '' : `${Math.round(100 * ofPeak)}%`,
  ];
}

function footer(report: ModelReport, asked: readonly PeerName[] | undefined): string {
  const { rows, profiles } = report;
  const references = [...new Set(rows.flatMap(({ comparedWith }) => comparedWith ?? []))];
  return [
    'Spread is the interquartile range; GFLOP/s count multiplications and additions as papers do, in the direct form.',
    ...(rows.some(({ engine }) => !isOurs(engine))
      ? ['A column × gives how many times quicker a row is than that engine.']
      : []),
    references.length > 0
      ? `Error is max |y − reference| / max |reference| of the logits; the reference is ${references.join(' or ')}.`
      : 'Outputs were not compared: fewer than two engines ran.',
    ...(profiles.length > 0
      ? ['Profiles: GB/s count each input, weight and output once; "of peak" is of the multiply-add peak.']
      : []),
    ...timingLines(rows),
    ...startUpLines(rows),
    ...machineLines(report.machine),
    ...skippedLines(report.skipped, asked),
  ].join('\n');
}

/** Start-up and memory of our engines, network by network. */
function startUpLines(rows: readonly ModelRow[]): string[] {
  const own = rows.flatMap(({ model, engine, setup, bytes, peakGflops }) =>
    setup === null || bytes === null ? [] : [{ model, engine, setup, bytes, peakGflops }],
  );
  if (own.length === 0) return [];
  const peaks = new Map(own.map(({ engine, peakGflops }) => [engine, peakGflops ?? NaN]));
  return [
    'Start, not in the times, and memory:',
    ...own.map(({ model, engine, setup, bytes }) => {
      const { planMs, compileMs, weightsMs } = setup;
      const times = `planned in ${formatNumber(planMs)} ms, compiled or found in the cache in ${formatNumber(compileMs)} ms, weights read (or made up) and packed in ${formatNumber(weightsMs)} ms`;
      return `  ${model} on ${engine}: ${times}; ${mebibytes(bytes.weights)} MiB of weights, ${mebibytes(bytes.arena)} MiB for activations`;
    }),
    ...[...peaks].map(([engine, peak]) => `  ${engine}: multiply-add peak ${formatNumber(peak)} GFLOP/s`),
  ];
}

function mebibytes(bytes: number): string {
  return formatNumber(bytes / 2 ** 20);
}
