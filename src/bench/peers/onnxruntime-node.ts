import type { Peer, PeerOptions } from '../engine.ts';
import { quickest } from '../engine.ts';
import { ortModelEngines } from './ort-model.ts';
import { ortEngine, ortForms } from './ort.ts';

/** ONNX Runtime's native CPU provider. */
export async function openOnnxruntimeNode({ threads }: PeerOptions): Promise<Peer> {
  const ort = await import('onnxruntime-node');
  const options = {
    name: 'onnxruntime-node',
    device: 'native',
    threads,
    session: {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    },
    preallocate: true,
    timingIncludes: 'one session.run into an output tensor allocated once; layout conversion is outside',
  } as const;
  return {
    version: ort.env.versions.node ?? ort.env.versions.common,
    prepare: async (test, signal) => [
      await quickest(
        ortForms(test).map((form) => () => ortEngine(ort, form, options)),
        signal,
      ),
    ],
    prepareModel: (test, signal) => ortModelEngines(ort, test, options, signal),
    dispose: () => Promise.resolve(),
  };
}
