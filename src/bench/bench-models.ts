import { throwIfAborted } from '../core/errors.ts';
import { describeDownload } from '../runtime/download.ts';
import type { ModelEngine } from './engine.ts';
import { eachInTurn, withEngines } from './engines.ts';
import type { Ability, BenchOptions, EngineWork, Opened } from './engines.ts';
import { openModelCase } from './model-case.ts';
import type { ModelCase, ModelRequest } from './model-case.ts';
import { MODEL_PEER_NAMES } from './peers/index.ts';
import { profileModel } from './profile.ts';
import type { ModelProfile } from './profile.ts';
import { modelRow } from './report.ts';
import type { ModelReport, ModelRow, Skipped } from './report.ts';
import { timeEngines } from './time-engines.ts';
import { judge } from './verify-model.ts';

export interface ModelBenchOptions extends BenchOptions {
  /** Also measure each kernel of ours; default false. */
  readonly profile?: boolean;
}

/** What was found out about one network. */
export interface ModelResult {
  readonly rows: readonly ModelRow[];
  readonly profiles: readonly ModelProfile[];
  readonly skipped: readonly Skipped[];
}

/**
 * Times all engines on whole networks, one network after the other, so that only one is in memory, and compares
 * their logits.
 * Throws what {@link openModelCase} throws.
 */
export async function runModelBench(
  requests: readonly ModelRequest[],
  options: ModelBenchOptions,
): Promise<ModelReport> {
  const { signal, onWarning } = options;
  const opening = { ...(signal && { signal }), ...(onWarning && { onWarning }) };
  const ability: Ability = { peers: MODEL_PEER_NAMES, lack: 'it has no way to take a whole network' };
  return modelReport(
    await withEngines(options, ability, (opened) =>
      eachInTurn(requests, requests.length, options, async (request, report) => {
        const { model } = request;
        const name = typeof model === 'string' ? model : model.name;
        const test = await openModelCase(request, {
          ...opening,
          onProgress: (step) => report(`${name}: ${describeDownload(step)}`, 0),
        });
        try {
          test.warnings.forEach((warning) => onWarning?.(warning));
          return await benchModel(test, opened, options, report);
        } finally {
          await test.dispose();
        }
      }),
    ),
  );
}

/** All results as one report. */
export function modelReport({ machine, skipped, result }: EngineWork<readonly ModelResult[]>): ModelReport {
  return {
    machine,
    rows: result.flatMap(({ rows }) => rows),
    skipped: [...skipped, ...result.flatMap((each) => each.skipped)],
    profiles: result.flatMap(({ profiles }) => profiles),
  };
}

/** Times opened engines on one network, compares their logits, and disposes of what it made. */
export async function benchModel(
  test: ModelCase,
  opened: readonly Opened[],
  options: Pick<ModelBenchOptions, 'seconds' | 'signal' | 'profile'>,
  report: (activity: string, part: number) => void = () => undefined,
): Promise<ModelResult> {
  const { signal, profile = false } = options;
  const skipped: Skipped[] = [];
  const onProgress = (activity: string, part: number): void => {
    report(`${test.model}: ${activity}`, part);
  };
  return timeEngines<ModelEngine, ModelResult>(opened, options, {
    prepare: async (peer) => {
      if (peer.prepareModel === undefined) throw new Error('it has no way to take a whole network');
      return peer.prepareModel(test, signal);
    },
    onSkip: (engine, reason) => {
      skipped.push({ engine, model: test.model, shape: test.shape, reason });
    },
    judge: async (timings) => {
      const outputs = [];
      for (const { engine } of timings) {
        const { name, precision = 'float32' } = engine;
        outputs.push({ engine: name, output: await engine.output(), precision });
      }
      const verdicts = judge(outputs);
      const profiles: ModelProfile[] = [];
      for (const { engine } of profile ? timings : []) {
        throwIfAborted(signal);
        onProgress(`profiling ${engine.name}`, 1);
        const measured = await profileModel(test, engine);
        if (measured !== undefined) profiles.push(measured);
      }
      const rows = timings.flatMap((timing, i) => {
        const verdict = verdicts[i];
        return verdict === undefined ? [] : [modelRow(test, timing, verdict)];
      });
      return { rows, profiles, skipped };
    },
    onProgress,
  });
}
