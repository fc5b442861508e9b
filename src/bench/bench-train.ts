import { throwIfAborted } from '../core/errors.ts';
import { benchModel } from './bench-models.ts';
import type { ModelBenchOptions, ModelResult } from './bench-models.ts';
import { closeEngines, machineFacts, openEngines } from './engines.ts';
import type { Opened } from './engines.ts';
import type { PeerName } from './peers/index.ts';
import type { ModelReport, Skipped } from './report.ts';
import { openTrainCase } from './train-case.ts';
import type { TrainCase, TrainRequest } from './train-case.ts';

/** Runtimes that can train networks; not each of them every one. */
export const TRAIN_PEER_NAMES: readonly PeerName[] = ['pytorch', 'tfjs'];

/**
 * Times whole steps of training on all engines, one network after the other, and compares the losses of the first steps.
 * Throws what {@link openTrainCase} throws.
 */
export async function runTrainBench(
  requests: readonly TrainRequest[],
  options: ModelBenchOptions,
): Promise<ModelReport> {
  const { signal, onProgress, peers = TRAIN_PEER_NAMES } = options;
  const able = peers.filter((name) => TRAIN_PEER_NAMES.includes(name));
  const skipped: Skipped[] = peers
    .filter((name) => !able.includes(name))
    .map((engine) => ({ engine, reason: 'it cannot train' }));
  const opened: Opened[] = [];
  const results: ModelResult[] = [];
  try {
    onProgress?.('opening engines', 0);
    await openEngines({ ...options, peers: able }, opened, skipped);
    for (const [done, request] of requests.entries()) {
      throwIfAborted(signal);
      const test = openTrainCase(request);
      const report = (activity: string, part: number): void =>
        onProgress?.(`${request.name}: ${activity}`, (done + part) / requests.length);
      const engines = opened.map((engine) => forTraining(engine, test));
      results.push(await benchModel(test, engines, options, report));
    }
  } finally {
    await closeEngines(opened);
  }
  return {
    machine: await machineFacts(options, opened),
    rows: results.flatMap(({ rows }) => rows),
    skipped: [...skipped, ...results.flatMap((result) => result.skipped)],
    profiles: results.flatMap(({ profiles }) => profiles),
  };
}

/** An engine whose way to take a network is its way to train this one. */
function forTraining({ name, peer }: Opened, test: TrainCase): Opened {
  const prepareModel = async (
    _: unknown,
    signal?: AbortSignal,
  ): ReturnType<NonNullable<typeof peer.prepareModel>> => {
    if (peer.prepareTraining === undefined) throw new Error('it cannot train');
    return peer.prepareTraining(test, signal);
  };
  return { name, peer: { ...peer, prepareModel } };
}
