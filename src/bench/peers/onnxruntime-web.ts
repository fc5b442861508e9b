import type { Peer, PeerOptions } from '../engine.ts';
import { quickest } from '../engine.ts';
import { ortModelEngines } from './ort-model.ts';
import { ortEngine, ortForms } from './ort.ts';

/** ONNX Runtime's WebAssembly provider. Its thread count is fixed for the process by the first session. */
export async function openOnnxruntimeWeb({ threads }: PeerOptions): Promise<Peer> {
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  const options = {
    name: 'onnxruntime-web',
    device: 'wasm',
    threads,
    session: { executionProviders: ['wasm'], graphOptimizationLevel: 'all' },
    // It takes output tensors in ordinary memory, but leaves them as they are.
    preallocate: false,
    timingIncludes:
      'one session.run, which copies input and output to and from WebAssembly memory; layout conversion is outside',
  } as const;
  return {
    version: ort.env.versions.web ?? ort.env.versions.common,
    prepare: async (test, signal) => [
      await quickest(
        ortForms(test).map((form) => () => withoutTraces(() => ortEngine(ort, form, options))),
        signal,
      ),
    ],
    prepareModel: (test, signal) => ortModelEngines(ort, test, options, signal, withoutTraces),
    dispose: () => Promise.resolve(),
  };
}

/**
 * Under Node the first session leaves a global `Worker` behind, which makes jax-js believe that it runs in a
 * browser and fail. Its threads have been started by then.
 */
async function withoutTraces<T>(create: () => Promise<T>): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'Worker');
  try {
    return await create();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'Worker');
    else Object.defineProperty(globalThis, 'Worker', before);
  }
}
