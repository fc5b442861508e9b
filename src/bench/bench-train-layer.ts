import { throwIfAborted } from '../core/errors.ts';
import { compare } from './compare.ts';
import type { LayerEngine } from './engine.ts';
import { closeEngines, machineFacts, openEngines } from './engines.ts';
import type { BenchOptions, Opened } from './engines.ts';
import type { PeerName } from './peers/index.ts';
import { opRow } from './report.ts';
import type { BenchReport, OpRow, Skipped } from './report.ts';
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
  const { signal, onProgress, peers = LAYER_PEER_NAMES } = options;
  const able = peers.filter((name) => LAYER_PEER_NAMES.includes(name));
  const skipped: Skipped[] = peers
    .filter((name) => !able.includes(name))
    .map((engine) => ({ engine, reason: 'it has no gradients of depthwise convolutions' }));
  const rows: LayerRow[] = [];
  const opened: Opened[] = [];
  try {
    onProgress?.('opening engines', 0);
    await openEngines({ ...options, peers: able }, opened, skipped);
    let done = 0;
    for (const test of cases) {
      throwIfAborted(signal);
      const label = `depthwise layer ${test.shape} kernel ${test.kernel}`;
      const report = (activity: string, part: number): void =>
        onProgress?.(`${label}: ${activity}`, (done + part) / total);
      rows.push(...(await runCase(test, opened, skipped, options, report)));
      done++;
    }
  } finally {
    await closeEngines(opened);
  }
  return { machine: await machineFacts(options, opened), rows, skipped };
}

async function runCase(
  test: LayerCase,
  opened: readonly Opened[],
  skipped: Skipped[],
  { seconds, signal }: BenchOptions,
  onProgress: (activity: string, part: number) => void,
): Promise<LayerRow[]> {
  const engines: LayerEngine[] = [];
  try {
    for (const { name, peer } of opened) {
      onProgress(`preparing ${name}`, 0);
      throwIfAborted(signal);
      try {
        engines.push(...((await peer.prepareLayer?.(test, signal)) ?? []));
      } catch (error) {
        throwIfAborted(signal);
        const reason = error instanceof Error ? error.message : String(error);
        skipped.push({ engine: name, shape: test.shape, kernel: test.kernel, reason });
      }
    }
    onProgress('warming up', 0);
    const timings = await compare(engines, {
      seconds,
      onProgress: (part) => {
        onProgress('timing', part);
      },
      ...(signal && { signal }),
    });
    const peers = new Map<LayerPart, { readonly engine: LayerEngine; readonly output: Float32Array }>();
    for (const engine of engines) {
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
  } finally {
    await Promise.all(engines.map((engine) => engine.dispose()));
  }
}
