import type { LayerRow } from '../bench/bench-train-layer.ts';
import type { PeerName } from '../bench/peers/index.ts';
import type { BenchReport } from '../bench/report.ts';
import { LAYER_PARTS } from '../bench/train-layer-case.ts';
import type { LayerPart } from '../bench/train-layer-case.ts';
import { machineLines, skippedLines, timingLines } from './bench-table.ts';
import { formatNumber, formatTable, right, withoutRepeats } from './table.ts';
import type { Column } from './table.ts';

/** All parts of one layer on one engine. */
interface LayerSum {
  readonly shape: string;
  readonly kernel: LayerRow['kernel'];
  readonly engine: string;
  readonly parts: ReadonlyMap<LayerPart, LayerRow>;
  /** Sum of the medians. */
  readonly milliseconds: number;
  readonly correct: boolean;
}

/**
 * A table for each shape, in it a line for each kernel and engine; then how flat times are, and the machine.
 *
 * @param asked peers that the user named: the absence of others is only mentioned in passing
 */
export function formatLayerReport(report: BenchReport<LayerRow>, asked?: readonly PeerName[]): string {
  const sums = sumsOf(report.rows);
  const shapes = [...new Set(sums.map(({ shape }) => shape))];
  return [
    ...shapes.map((shape) => shapeTable(sums.filter((sum) => sum.shape === shape))),
    footer(report, sums, asked),
  ].join('\n\n');
}

function sumsOf(rows: readonly LayerRow[]): LayerSum[] {
  const groups = new Map<string, LayerRow[]>();
  for (const row of rows) {
    const key = `${row.shape}|${row.kernel}|${row.engine}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { shape, kernel, engine } = first;
    return {
      ...{ shape, kernel, engine },
      parts: new Map(group.map((row) => [row.part, row])),
      milliseconds: group.reduce((total, { medianMs }) => total + medianMs, 0),
      correct: group.every(({ correct }) => correct),
    };
  });
}

function shapeTable(sums: readonly LayerSum[]): string {
  const peers = [...new Set(sums.map(({ engine }) => engine))].filter((name) => !isOurs(name));
  const columns: Column[] = [
    right('kernel'),
    { title: 'engine' },
    ...[...LAYER_PARTS.map((part) => `${part} ms`), 'sum', 'runs', 'error', 'of peer’s'].map(right),
    ...peers.map((peer) => right(`× ${peer}`)),
    { title: 'configurations' },
  ];
  const cells = sums.map((sum) => {
    const rows = [...sum.parts.values()];
    const errors = rows.map(({ maxRelError }) => maxRelError ?? NaN);
    const peerErrors = rows.flatMap(({ peerError }) => peerError ?? []);
    return [
      String(sum.kernel),
      sum.engine,
      ...LAYER_PARTS.map((part) => formatNumber(sum.parts.get(part)?.medianMs ?? NaN)),
      formatNumber(sum.milliseconds),
      String(Math.min(...rows.map(({ runs }) => runs))),
      sum.correct ? Math.max(...errors).toExponential(0) : 'WRONG',
      peerErrors.length > 0 ? Math.max(...peerErrors).toExponential(0) : '',
      ...peers.map((peer) => speedUp(sum, peer, sums)),
      [...new Set(rows.map(({ config }) => config))].join('; '),
    ];
  });
  return `depthwise layer ${sums[0]?.shape ?? ''} in training\n${formatTable(columns, withoutRepeats(cells))}`;
}

function isOurs(engine: string): boolean {
  return engine.startsWith('widefield-');
}

/** How many times quicker than a peer all parts together are. */
function speedUp(sum: LayerSum, peer: string, sums: readonly LayerSum[]): string {
  const other = sums.find(({ engine, kernel }) => engine === peer && kernel === sum.kernel);
  if (other === undefined || !other.correct || !sum.correct) return '';
  return formatNumber(other.milliseconds / sum.milliseconds);
}

function footer(
  report: BenchReport<LayerRow>,
  sums: readonly LayerSum[],
  asked: readonly PeerName[] | undefined,
): string {
  return [
    ...flatness(sums),
    'Times are medians, the sum that of the medians; error is max |y − reference| / max |reference| against float64 at',
    'some 4,000 positions, the largest of all parts; so is that against the first other engine, everywhere.',
    'A column × gives how many times quicker the sum is than that engine’s.',
    ...timingLines(report.rows),
    ...machineLines(report.machine),
    ...skippedLines(report.skipped, asked),
  ].join('\n');
}

/** How much longer the largest kernel takes than the smallest, which has far fewer taps. */
function flatness(sums: readonly LayerSum[]): string[] {
  const kinds = new Set(sums.map(({ shape, engine }) => `${shape}|${engine}`));
  return [...kinds].flatMap((kind) => {
    const own = sums.filter((sum) => `${sum.shape}|${sum.engine}` === kind && typeof sum.kernel === 'number');
    const sorted = own.toSorted((a, b) => Number(a.kernel) - Number(b.kernel));
    const [first] = sorted;
    const last = sorted.at(-1);
    if (first === undefined || last === undefined || first === last) return [];
    const ratio = last.milliseconds / first.milliseconds;
    return `${first.engine}, ${first.shape}: t(${last.kernel}) / t(${first.kernel}) = ${formatNumber(ratio)}`;
  });
}
