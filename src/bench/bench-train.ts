import { benchModel, modelReport } from './bench-models.ts';
import type { ModelBenchOptions } from './bench-models.ts';
import { eachInTurn, withEngines } from './engines.ts';
import type { Opened } from './engines.ts';
import type { PeerName } from './peers/index.ts';
import type { ModelReport } from './report.ts';
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
  const ability = { peers: TRAIN_PEER_NAMES, lack: 'it cannot train' };
  return modelReport(
    await withEngines(options, ability, (opened) =>
      eachInTurn(requests, requests.length, options, (request, report) => {
        const test = openTrainCase(request);
        const engines = opened.map((engine) => forTraining(engine, test));
        return benchModel(test, engines, options, report);
      }),
    ),
  );
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
