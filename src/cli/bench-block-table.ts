import type { BlockReport, BlockRow } from '../bench/bench-blocks.ts';
import type { PeerName } from '../bench/peers/index.ts';
import { errorOf, formatProfile, speedUp } from './bench-model-table.ts';
import { machineLines, skippedLines, timingLines } from './bench-table.ts';
import { formatNumber, formatTable, right, withoutRepeats } from './table.ts';
import type { Column } from './table.ts';

/**
 * One table of all blocks, the profiles, then what the numbers mean and the machine they come from.
 *
 * @param asked peers that the user named: the absence of others is only mentioned in passing
 */
export function formatBlockReport(report: BlockReport, asked?: readonly PeerName[]): string {
  const { rows, profiles } = report;
  return [
    ...(rows.length > 0 ? [blockTable(rows)] : []),
    ...profiles.map(formatProfile),
    footer(report, asked),
  ].join('\n\n');
}

function blockTable(rows: readonly BlockRow[]): string {
  const peers = [...new Set(rows.filter(({ form }) => form === null).map(({ engine }) => engine))];
  const columns: Column[] = [
    { title: 'block' },
    { title: 'engine' },
    ...['median ms', 'min', 'spread', 'runs', 'GFLOP/s', 'of peak', 'error'].map(right),
    ...['layer-wise', ...peers].map((engine) => right(`× ${engine}`)),
    { title: 'configuration' },
  ];
  const cells = rows.map((row) => [
    `${row.model}, batch ${row.shape.split(',', 1).join()}`,
    row.engine,
    formatNumber(row.medianMs),
    formatNumber(row.minMs),
    formatNumber(row.spreadMs),
    String(row.runs),
    formatNumber(row.gflops),
    row.ofPeak === null ? '' : `${Math.round(100 * row.ofPeak)}%`,
    errorOf(row, rows),
    row.overLayerWise === null || !row.correct ? '' : formatNumber(row.overLayerWise),
    ...peers.map((peer) => speedUp(row, peer, rows)),
    row.config,
  ]);
  return formatTable(columns, withoutRepeats(cells));
}

function footer({ rows, skipped, machine }: BlockReport, asked: readonly PeerName[] | undefined): string {
  const peaks = new Map(
    rows.flatMap(({ device, peakGflops }) => (peakGflops === null ? [] : [[device, peakGflops] as const])),
  );
  return [
    'Spread is the interquartile range; GFLOP/s count multiplications and additions as papers do; a column × gives how',
    'many times quicker a row is; error is max |y − reference| / max |reference|.',
    ...[...peaks].map(
      ([device, peak]) => `Peak is that of multiply-adds, measured: ${device} ${formatNumber(peak)} GFLOP/s.`,
    ),
    ...timingLines(rows),
    ...machineLines(machine),
    ...skippedLines(skipped, asked),
  ].join('\n');
}
