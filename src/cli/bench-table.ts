import type { PeerName } from '../bench/peers/index.ts';
import type { BenchReport, Row } from '../bench/report.ts';
import { formatNumber, formatTable } from './table.ts';
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

function shapeTable(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const hasBaseline = rows.some((row) => row.engine === BASELINE);
  const isDepthwise = first.op === 'depthwise';
  const columns: Column[] = [
    ...(isDepthwise ? [{ title: 'kernel', align: 'right' } as const] : []),
    { title: 'engine' },
    { title: 'threads', align: 'right' },
    { title: 'median ms', align: 'right' },
    { title: 'min', align: 'right' },
    { title: 'spread', align: 'right' },
    { title: 'runs', align: 'right' },
    { title: 'GFLOP/s', align: 'right' },
    ...(isDepthwise ? [] : [{ title: 'of peak', align: 'right' } as const]),
    { title: 'error', align: 'right' },
    ...(hasBaseline ? [{ title: 'speed-up', align: 'right' } as const] : []),
    { title: 'configuration' },
  ];
  let previous: Row['kernel'] | undefined;
  const cells = rows.map((row) => {
    const kernel = row.kernel === previous ? '' : String(row.kernel);
    previous = row.kernel;
    return [
      ...(isDepthwise ? [kernel] : []),
      row.engine,
      String(row.threads),
      formatNumber(row.medianMs),
      formatNumber(row.minMs),
      formatNumber(row.spreadMs),
      String(row.runs),
      formatNumber(row.gflops),
      ...(isDepthwise ? [] : [partOfPeak(row)]),
      row.correct ? (row.maxRelError ?? NaN).toExponential(0) : 'WRONG',
      ...(hasBaseline ? [speedUp(row, rows)] : []),
      row.config,
    ];
  });
  return `${first.op} ${first.shape}\n${formatTable(columns, cells)}`;
}

function partOfPeak({ gflops, peakGflops }: Row): string {
  return peakGflops === null ? '' : `${Math.round((100 * gflops) / peakGflops)}%`;
}

/** How many times quicker than the baseline on the same case. */
function speedUp(row: Row, rows: readonly Row[]): string {
  const baseline = rows.find((other) => other.engine === BASELINE && other.kernel === row.kernel);
  return baseline === undefined || !row.correct ? '' : `${formatNumber(baseline.medianMs / row.medianMs)}×`;
}

function footer({ machine, rows, skipped }: BenchReport, asked: readonly PeerName[] | undefined): string {
  const included = new Map(rows.map((row) => [row.engine, row.timingIncludes]));
  const lines = [
    'Spread is the interquartile range; error is max |y − reference| / max |reference| against float64; GFLOP/s',
    `count the direct computation.${included.has(BASELINE) ? ` Speed-up is against ${BASELINE}.` : ''}`,
    'Time includes:',
    ...[...included].map(([engine, what]) => `  ${engine}: ${what}`),
    ...setUp(rows),
    `Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryMiB} MiB, ${machine.os}; ` +
      `Node ${machine.node}, Widefield ${machine.widefield}; ${machine.threads} threads asked for.`,
    ...Object.entries(machine.devices).map(([name, note]) => `  ${name}: ${note}`),
    ...Object.entries(machine.versions).map(([name, version]) => `  ${name} ${version}`),
  ];
  for (const { engine, shape, kernel, reason } of skipped) {
    const isAbsent = shape === undefined;
    if (isAbsent && asked === undefined) lines.push(`Not here: ${engine} (${reason})`);
    else lines.push(`Not measured: ${engine}${isAbsent ? '' : ` on ${shape} kernel ${kernel}`}: ${reason}`);
  }
  return lines.join('\n');
}

/** For each engine of ours: the longest set-up, and the multiply-add peak. */
function setUp(rows: readonly Row[]): string[] {
  const engines = [...new Set(rows.filter((row) => row.setupMs !== null).map((row) => row.engine))];
  return engines.map((engine) => {
    const own = rows.filter((row) => row.engine === engine);
    const longest = Math.max(...own.map((row) => row.setupMs ?? 0));
    const peak = own[0]?.peakGflops ?? NaN;
    return `${engine}: set-up took at most ${formatNumber(longest)} ms, not in the times; multiply-add peak ${formatNumber(peak)} GFLOP/s`;
  });
}
