import type { PeerName } from '../bench/peers/index.ts';
import type { LeakReport } from '../bench/leak-check.ts';
import type { ModelReport, ModelRow } from '../bench/report.ts';
import { LOSS_STEPS } from '../bench/train-case.ts';
import { errorOf, formatProfile, speedUp } from './bench-model-table.ts';
import { machineLines, skippedLines, timingLines } from './bench-table.ts';
import { MEASURED_COLUMNS, measuredCells } from './measured-columns.ts';
import { formatNumber, formatTable, right, withoutRepeats } from './table.ts';
import type { Column } from './table.ts';

/**
 * One table of all steps of training, the profiles, then what the numbers mean and the machine they come from.
 *
 * @param asked peers that the user named: the absence of others is only mentioned in passing
 */
export function formatTrainReport(report: ModelReport, asked?: readonly PeerName[]): string {
  const { rows, profiles } = report;
  return [
    ...(rows.length > 0 ? [stepTable(rows)] : []),
    ...profiles.map(formatProfile),
    footer(report, asked),
  ].join('\n\n');
}

function stepTable(rows: readonly ModelRow[]): string {
  const peers = [...new Set(rows.map(({ engine }) => engine))].filter(
    (name) => !name.startsWith('widefield-'),
  );
  const columns: Column[] = [
    { title: 'step of' },
    ...MEASURED_COLUMNS,
    right('of peak'),
    right('loss error'),
    ...peers.map((peer) => right(`× ${peer}`)),
    { title: 'configuration' },
  ];
  const cells = rows.map((row) => [
    `${row.model} ${row.shape}`,
    ...measuredCells(row),
    row.peakGflops === null ? '' : `${Math.round((100 * row.gflops) / row.peakGflops)}%`,
    errorOf(row, rows),
    ...peers.map((peer) => speedUp(row, peer, rows)),
    row.config,
  ]);
  return formatTable(columns, withoutRepeats(cells));
}

function footer(
  { rows, profiles, machine, skipped }: ModelReport,
  asked: readonly PeerName[] | undefined,
): string {
  const references = [...new Set(rows.flatMap(({ comparedWith }) => comparedWith ?? []))];
  return [
    'Spread is the interquartile range; GFLOP/s count multiplications and additions of layers and gradients, in the direct form.',
    'A column × gives how many times quicker a row is than that engine.',
    references.length > 0
      ? `Loss error is max |loss − reference| / max |reference| over the first ${LOSS_STEPS} steps; the reference is ${references.join(' or ')}.`
      : 'Losses were not compared: fewer than two engines ran.',
    ...(profiles.length > 0
      ? ['Profiles: GB/s count each input, weight and output once; "of peak" is of the multiply-add peak.']
      : []),
    ...timingLines(rows),
    ...memoryLines(rows),
    ...machineLines(machine),
    ...skippedLines(skipped, asked),
  ].join('\n');
}

function memoryLines(rows: readonly ModelRow[]): string[] {
  return rows.flatMap(({ model, engine, bytes, setupMs, peakGflops }) => {
    if (bytes === null) return [];
    const mebibytes = (count: number): string => formatNumber(count / 2 ** 20);
    return `${model} on ${engine}: set-up took ${formatNumber(setupMs ?? NaN)} ms; ${mebibytes(bytes.weights)} MiB of weights, gradients, moments and packed weights, ${mebibytes(bytes.arena)} MiB of activations and their gradients; multiply-add peak ${formatNumber(peakGflops ?? NaN)} GFLOP/s`;
  });
}

/** Resident memory beside what was planned, a line for each network and device. */
export function formatLeakReports(reports: readonly LeakReport[]): string {
  const mebibytes = (bytes: number): string => formatNumber(bytes / 2 ** 20);
  const columns: Column[] = [
    { title: 'step of' },
    { title: 'engine' },
    ...['steps', 'planned MiB', 'resident MiB', 'of planned', 'growth MiB'].map(right),
  ];
  const cells = reports.map((report) => [
    `${report.model} ${report.shape}`,
    report.engine,
    String(report.steps),
    mebibytes(report.plannedBytes),
    mebibytes(report.residentBytes),
    formatNumber(report.residentBytes / report.plannedBytes),
    mebibytes(report.growthBytes),
  ]);
  return [
    formatTable(columns, cells),
    '',
    'Resident is what the process has more than before the network was made, its code and threads included; growth is from',
    'the second tenth of the steps to the last, garbage collected before both.',
  ].join('\n');
}
