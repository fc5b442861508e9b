import { benchModel, modelReport } from './bench-models.ts';
import type { ModelBenchOptions } from './bench-models.ts';
import { openBlockCase } from './block-case.ts';
import type { BlockCase, BlockRequest } from './block-case.ts';
import { eachInTurn, withEngines } from './engines.ts';
import type { Opened } from './engines.ts';
import { MODEL_PEER_NAMES } from './peers/index.ts';
import type { BenchReport, ModelReport, ModelRow } from './report.ts';
import { BLOCK_FORMS, NOT_FUSED } from './widefield-block.ts';
import type { BlockForm } from './widefield-block.ts';

/** One engine's result for one block. */
export interface BlockRow extends ModelRow {
  /** How Widefield ran it; null for other projects' engines. */
  readonly form: BlockForm | null;
  /** `gflops` over the multiply-add peak of the machine, as native code or as WebAssembly reaches it; null if unknown. */
  readonly ofPeak: number | null;
  /** Times quicker than Widefield's layer-wise form on the same device; null for other rows than the fused one, and where nothing was fused: both are the same then. */
  readonly overLayerWise: number | null;
}

export interface BlockReport extends BenchReport<BlockRow> {
  readonly profiles: ModelReport['profiles'];
}

/**
 * Times blocks by themselves on all engines, Widefield's in two forms, fused and layer by layer, and compares their
 * outputs. Engines take turns, block after block.
 * Throws what {@link openBlockCase} throws.
 */
export async function runBlockBench(
  requests: readonly BlockRequest[],
  options: ModelBenchOptions,
): Promise<BlockReport> {
  const ability = { peers: MODEL_PEER_NAMES, lack: 'it has no way to take a whole block' };
  const work = await withEngines(options, ability, (opened) =>
    eachInTurn(requests, requests.length, options, (request, report) => {
      const test = openBlockCase(request);
      const engines = opened.map((engine) => forBlocks(engine, test));
      return benchModel(test, engines, options, report);
    }),
  );
  const peaks = bestPeaks(work.result.flatMap(({ rows }) => rows));
  return {
    ...modelReport(work),
    rows: work.result.flatMap(({ rows }) => rows.map((row) => blockRow(row, rows, peaks))),
  };
}

/** The best that was measured of each device, at any time: that is what it can do. */
function bestPeaks(rows: readonly ModelRow[]): ReadonlyMap<string, number> {
  const peaks = new Map<string, number>();
  for (const { device, peakGflops } of rows) {
    if (peakGflops !== null) peaks.set(device, Math.max(peakGflops, peaks.get(device) ?? 0));
  }
  return peaks;
}

/** An engine whose way to take a network is its way to take this block. */
function forBlocks({ name, peer }: Opened, test: BlockCase): Opened {
  if (peer.prepareBlock === undefined) return { name, peer };
  const prepare = peer.prepareBlock.bind(peer);
  return { name, peer: { ...peer, prepareModel: (_, signal) => prepare(test, signal) } };
}

function blockRow(row: ModelRow, rows: readonly ModelRow[], peaks: ReadonlyMap<string, number>): BlockRow {
  const form = BLOCK_FORMS.find((one) => row.engine.endsWith(`-${one}`)) ?? null;
  const peak = peaks.get(row.device);
  const other =
    form === 'fused' && !row.config.startsWith(NOT_FUSED)
      ? rows.find(({ engine }) => engine === row.engine.replace(/fused$/, 'layer-wise'))
      : undefined;
  return {
    ...row,
    form,
    peakGflops: form === null ? null : (peak ?? null),
    ofPeak: peak === undefined ? null : row.gflops / peak,
    overLayerWise: other === undefined ? null : other.medianMs / row.medianMs,
  };
}
