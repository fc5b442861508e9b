import type { PeerName } from '../bench/peers/index.ts';
import type { BenchReport, Measured, OpRow } from '../bench/report.ts';
import { MEASURED_COLUMNS, measuredCells } from './measured-columns.ts';
import { formatNumber, formatTable, right, withoutRepeats } from './table.ts';
import type { Column } from './table.ts';

/** The engine that others are compared with. */
const BASELINE = 'onnxruntime-node';

/**
 * A table for each shape, then what the numbers mean and the machine they come from.
 *
 * @param asked peers that the user named: the absence of others is only mentioned in passing
 */
export function formatReport(report: BenchReport, asked?: readonly PeerName[]): string {
  const shapes = [...new Set(report.rows.map((row) => row.shape))];
  const tables = shapes.map((shape) => shapeTable(report.rows.filter((row) => row.shape === shape)));
  return [...tables, footer(report, asked)].join('\n\n');
}

function shapeTable(rows: readonly OpRow[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const hasBaseline = rows.some((row) => row.engine === BASELINE);
  const isDepthwise = first.op === 'depthwise';
  const columns: Column[] = [
    ...(isDepthwise ? [right('kernel')] : []),
    ...MEASURED_COLUMNS,
    ...(isDepthwise ? [] : [right('of peak')]),
    right('error'),
    ...(hasBaseline ? [right('speed-up')] : []),
    { title: 'configuration' },
  ];
  const cells = rows.map((row) => [
    ...(isDepthwise ? [String(row.kernel)] : []),
    ...measuredCells(row),
    ...(isDepthwise ? [] : [partOfPeak(row)]),
    row.correct ? (row.maxRelError ?? NaN).toExponential(0) : 'WRONG',
    ...(hasBaseline ? [speedUp(row, rows)] : []),
    row.config,
  ]);
  return `${first.op} ${first.shape}\n${formatTable(columns, isDepthwise ? withoutRepeats(cells) : cells)}`;
}

function partOfPeak({ gflops, peakGflops }: OpRow): string {
  return peakGflops === null ? '' : `${Math.round((100 * gflops) / peakGflops)}%`;
}

/** How many times quicker than the baseline on the same case. */
function speedUp(row: OpRow, rows: readonly OpRow[]): string {
  const baseline = rows.find((other) => other.engine === BASELINE && other.kernel === row.kernel);
  return baseline === undefined || !row.correct ? '' : `${formatNumber(baseline.medianMs / row.medianMs)}×`;
}

function footer(report: BenchReport, asked: readonly PeerName[] | undefined): string {
  const hasBaseline = report.rows.some((row) => row.engine === BASELINE);
  return [
    'Spread is the interquartile range; error is max |y − reference| / max |reference| against float64; GFLOP/s',
    `count the direct computation.${hasBaseline ? ` Speed-up is against ${BASELINE}.` : ''}`,
    ...timingLines(report.rows),
    ...setUp(report.rows),
    ...machineLines(report.machine),
    ...skippedLines(report.skipped, asked),
  ].join('\n');
}

/** What a time of each engine includes. */
export function timingLines(rows: readonly Measured[]): string[] {
  const included = new Map(rows.map((row) => [row.engine, row.timingIncludes]));
  return ['Time includes:', ...[...included].map(([engine, what]) => `  ${engine}: ${what}`)];
}

/** The machine, and the engines' versions. */
export function machineLines(machine: BenchReport['machine']): string[] {
  return [
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryMiB} MiB, ${machine.os}; ` +
      `Node ${machine.node}, Widefield ${machine.widefield}; ${machine.threads} threads asked for.`,
    ...Object.entries(machine.devices).map(([name, note]) => `  ${name}: ${note}`),
    ...Object.entries(machine.versions).map(([name, version]) => `  ${name} ${version}`),
  ];
}

/** @param asked peers that the user named: the absence of others is only mentioned in passing */
export function skippedLines(
  skipped: BenchReport['skipped'],
  asked: readonly PeerName[] | undefined,
): string[] {
  return skipped.map(({ engine, model, shape, kernel, reason }) => {
    const isAbsent = shape === undefined;
    if (isAbsent && asked === undefined) return `Not here: ${engine} (${reason})`;
    const what = model === undefined ? `${shape} kernel ${kernel}` : `${model} ${shape}`;
    return `Not measured: ${engine}${isAbsent ? '' : ` on ${what}`}: ${reason}`;
  });
}

/** For each engine of ours: the longest set-up, and the multiply-add peak. */
function setUp(rows: readonly OpRow[]): string[] {
  const engines = [...new Set(rows.filter((row) => row.setupMs !== null).map((row) => row.engine))];
  return engines.map((engine) => {
    const own = rows.filter((row) => row.engine === engine);
    const longest = Math.max(...own.map((row) => row.setupMs ?? 0));
    const peak = own[0]?.peakGflops ?? NaN;
    return `${engine}: set-up took at most ${formatNumber(longest)} ms, not in the times; multiply-add peak ${formatNumber(peak)} GFLOP/s`;
  });
}
