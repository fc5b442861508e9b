import type { DeviceCaps } from '../core/caps.ts';
import type { CompileOptions, Device, Executable, Program } from '../devices/device.ts';
import { selectOutputs } from '../graph/graph.ts';
import { optimize } from '../graph/passes/index.ts';
import { candidates } from '../kernels/index.ts';
import { pointwiseBf16 } from '../kernels/pointwise-bf16.ts';
import type { Problem } from '../kernels/problem.ts';
import { encode } from '../kernels/signature.ts';
import { createModel } from '../runtime/model.ts';
import type { Model } from '../runtime/model.ts';
import { optimizeFor, planGraph } from '../runtime/plan.ts';
import type { Plan } from '../runtime/plan.ts';
import { recordKey } from '../runtime/tuning-file.ts';
import type { TuningRecord } from '../runtime/tuning-file.ts';
import { timer } from './engine.ts';
import type { ModelEngine, Setup } from './engine.ts';
import type { ModelCase } from './model-case.ts';
import { measurePeak } from './peak.ts';
import { kernelTimes } from './profile.ts';
import { tuneProblem } from './tuning.ts';
import type { TuningOptions } from './tuning.ts';
import type { WidefieldDevice } from './widefield.ts';

/** An opened device, and what is known of it. */
export interface OpenedDevice {
  readonly device: Device;
  readonly name: WidefieldDevice;
  readonly peakGflops: number;
  readonly tuning: Map<string, TuningRecord>;
}

/** A network on one of our devices, made as users make it: by `createModel`. */
export async function prepareModel(
  { device, name, peakGflops, tuning }: OpenedDevice,
  test: ModelCase,
  options: TuningOptions,
): Promise<ModelEngine> {
  const { signal, onActivity } = options;
  const { request } = test;
  const { deploy = true } = request;
  if (options.tune) await tuneModel(device, test, tuning, options);
  const clock = new SetupClock();
  const model = await createModel(request.model, {
    ...request,
    weights: test.source ?? request.weights,
    device: clock.watch(device),
    tuning,
    ...(signal && { signal }),
    onProgress: ({ phase, done, total }) =>
      onActivity?.(
        `${name}: ${phase === 'compile' ? 'compiling kernel' : 'packing weights of layer'} ${done} of ${total}`,
      ),
  });
  const setup = clock.stop();
  // Whether bfloat16 was asked for does not matter where the device has no instructions for it.
  const rounds = model.plan.nodes.some(({ candidate }) => candidate.family === pointwiseBf16.name);
  const precision = rounds ? 'bf16' : 'float32';
  let logits: Float32Array = new Float32Array();
  return {
    name: `widefield-${name}`,
    device: name,
    threads: device.caps.threads,
    config: `${precision}, ${deploy ? 'branches merged where quicker' : 'training form'}, ${model.plan.nodes.length} layers`,
    precision,
    timingIncludes: 'one model.run, which copies the input to the device’s memory and the logits from it',
    setupMs: setup.planMs + setup.compileMs + setup.weightsMs,
    setup,
    bytes: model.bytes,
    peakGflops,
    time: timer(async () => {
      logits = await model.run(test.input);
    }),
    output: () => Promise.resolve(logits),
    profile: () => profile(model, signal),
    measurePeak: () => measurePeak(device),
    dispose: () => model.dispose(),
  };
}

async function profile(
  model: Model,
  signal: AbortSignal | undefined,
): Promise<ReturnType<typeof kernelTimes>> {
  return kernelTimes(model.plan, await model.profile(signal ? { signal } : {}));
}

/** Tunes every distinct problem of the network's plan that leaves a choice. */
async function tuneModel(
  device: Device,
  test: ModelCase,
  tuning: Map<string, TuningRecord>,
  options: TuningOptions,
): Promise<void> {
  // Measurements may change what is worth merging, and so the plan.
  for (let open = untuned(device, test, tuning); open.length > 0; open = untuned(device, test, tuning)) {
    for (const [i, problem] of open.entries()) {
      await tuneProblem(device, problem, tuning, options, ` ${i + 1} of ${open.length}: ${problem.op}`);
    }
  }
}

function untuned(
  { caps }: Device,
  { graph, request }: ModelCase,
  tuning: ReadonlyMap<string, TuningRecord>,
): Problem[] {
  const { precision, deploy = true } = request;
  const optimized = optimize(selectOutputs(graph, ['logits']), {
    deploy,
    ...optimizeFor(caps, { tuning, ...(precision && { precision }) }),
  });
  return untunedProblems(
    planGraph(optimized, caps, { tuning, ...(precision && { precision }) }),
    caps,
    tuning,
  );
}

/** The distinct problems of a plan that leave a choice and have not been measured. */
export function untunedProblems(
  { nodes }: Plan,
  caps: DeviceCaps,
  tuning: ReadonlyMap<string, TuningRecord>,
): Problem[] {
  const problems = new Map(nodes.map(({ problem }) => [encode(problem), problem]));
  return [...problems]
    .filter(([key]) => !tuning.has(recordKey(caps.fingerprint, key)))
    .map(([, problem]) => problem)
    .filter((problem) => candidates(problem, caps).length > 1);
}

/** Tells planning, compiling and weights apart: compiling is what the device does first. */
class SetupClock {
  readonly #begin = performance.now();
  #compileMs = 0;
  #beforeMs = 0;

  /** The same device; its `compile` is timed. */
  watch(device: Device): Device {
    return {
      caps: device.caps,
      note: device.note,
      compile: async (program: Program, options?: CompileOptions): Promise<Executable> => {
        const begin = performance.now();
        this.#beforeMs = begin - this.#begin;
        const executable = await device.compile(program, options);
        this.#compileMs = performance.now() - begin;
        return executable;
      },
      dispose: () => device.dispose(),
      [Symbol.asyncDispose]: () => device.dispose(),
    };
  }

  stop(): Setup {
    const total = performance.now() - this.#begin;
    return {
      planMs: this.#beforeMs,
      compileMs: this.#compileMs,
      weightsMs: total - this.#beforeMs - this.#compileMs,
    };
  }
}
