import type { Timing } from './compare.ts';
import type { LayerEngine } from './engine.ts';
import { eachInTurn, withEngines } from './engines.ts';
import type { BenchOptions } from './engines.ts';
import type { PeerName } from './peers/index.ts';
import { opRow } from './report.ts';
import type { BenchReport, OpRow, Skipped } from './report.ts';
import { timeEngines } from './time-engines.ts';
import { LAYER_PARTS } from './train-layer-case.ts';
import type { LayerCase, LayerPart } from './train-layer-case.ts';
import { MAX_RELATIVE_ERROR, maxRelativeError } from './verify.ts';
import { relativeError } from './verify-model.ts';
import { layerExpectation } from './verify-train-layer.ts';

/** Runtimes with gradients of depthwise convolutions. */
export const LAYER_PEER_NAMES: readonly PeerName[] = ['pytorch'];

/** One engine's result for one part of a layer. */
export interface LayerRow extends OpRow {
  readonly part: LayerPart;
  /** max |y − y′| / max |y′| over all elements, y′ of the first engine of another project; null for that engine, and without one. */
  readonly peerError: number | null;
}

/**
 * Times all parts of depthwise layers in training on all engines, one case after the other, and checks every result
 * against float64 at some 4,000 positions and against PyTorch everywhere.
 */
export async function runLayerBench(
  cases: Iterable<LayerCase>,
  total: number,
  options: BenchOptions,
): Promise<BenchReport<LayerRow>> {
  const failed: Skipped[] = [];
  const ability = { peers: LAYER_PEER_NAMES, lack: 'it has no gradients of depthwise convolutions' };
  const { machine, skipped, result } = await withEngines(options, ability, (opened) =>
    eachInTurn(cases, total, options, (test, report) =>
      timeEngines<LayerEngine, LayerRow[]>(opened, options, {
        prepare: async (peer) => (await peer.prepareLayer?.(test, options.signal)) ?? [],
        onSkip: (engine, reason) => {
          failed.push({ engine, shape: test.shape, kernel: test.kernel, reason });
        },
        judge: (timings) => judge(test, timings),
        onProgress: (activity, part) => {
          report(`depthwise layer ${test.shape} kernel ${test.kernel}: ${activity}`, part);
        },
      }),
    ),
  );
  return { machine, rows: result.flat(), skipped: [...skipped, ...failed] };
}

async function judge(test: LayerCase, timings: readonly Timing<LayerEngine>[]): Promise<LayerRow[]> {
  const peers = new Map<LayerPart, { readonly engine: LayerEngine; readonly output: Float32Array }>();
  for (const { engine } of timings) {
    if (engine.name.startsWith('widefield-') || peers.has(engine.part)) continue;
    peers.set(engine.part, { engine, output: await engine.output() });
  }
  const expected = new Map(LAYER_PARTS.map((part) => [part, layerExpectation(test, part)]));
  const rows: LayerRow[] = [];
  for (const timing of timings) {
    const { engine } = timing;
    const { part } = engine;
    const output = await engine.output();
    const peer = peers.get(part);
    const exact = expected.get(part);
    const error = exact === undefined ? NaN : maxRelativeError(output, exact);
    const peerError =
      peer === undefined || peer.engine === engine ? null : relativeError(output, peer.output);
    const worst = Math.max(error, peerError ?? 0);
    rows.push({
      ...opRow(test, timing, error, MAX_RELATIVE_ERROR),
      part,
      peerError: peerError !== null && Number.isFinite(peerError) ? peerError : null,
      correct: worst <= MAX_RELATIVE_ERROR,
    });
  }
  return rows;
}
