import { throwIfAborted } from '../core/errors.ts';
import { compare } from './compare.ts';
import type { ModelEngine } from './engine.ts';
import { closeEngines, machineFacts, openEngines } from './engines.ts';
import type { BenchOptions, Opened } from './engines.ts';
import { openModelCase } from './model-case.ts';
import type { ModelCase, ModelRequest } from './model-case.ts';
import { MODEL_PEER_NAMES } from './peers/index.ts';
import { profileModel } from './profile.ts';
import type { ModelProfile } from './profile.ts';
import { modelRow } from './report.ts';
import type { ModelReport, ModelRow, Skipped } from './report.ts';
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
  const { signal, onProgress, onWarning, peers = MODEL_PEER_NAMES } = options;
  const results: ModelResult[] = [];
  const opened: Opened[] = [];
  const skipped: Skipped[] = peers
    .filter((name) => !MODEL_PEER_NAMES.includes(name))
    .map((engine) => ({ engine, reason: 'it has no way to take a whole network' }));
  try {
    onProgress?.('opening engines', 0);
    const able = peers.filter((name) => MODEL_PEER_NAMES.includes(name));
    await openEngines({ ...options, peers: able }, opened, skipped);
    for (const [done, request] of requests.entries()) {
      throwIfAborted(signal);
      const test = await openModelCase(request, {
        ...(signal && { signal }),
        ...(onWarning && { onWarning }),
      });
      try {
        test.warnings.forEach((warning) => onWarning?.(warning));
        const report = (activity: string, part: number): void =>
          onProgress?.(`${request.model}: ${activity}`, (done + part) / requests.length);
        results.push(await benchModel(test, opened, options, report));
      } finally {
        await test.dispose();
      }
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

/** Times opened engines on one network, compares their logits, and disposes of what it made. */
export async function benchModel(
  test: ModelCase,
  opened: readonly Opened[],
  { seconds, signal, profile = false }: Pick<ModelBenchOptions, 'seconds' | 'signal' | 'profile'>,
  onProgress: (activity: string, part: number) => void = () => undefined,
): Promise<ModelResult> {
  const engines: ModelEngine[] = [];
  const skipped: Skipped[] = [];
  try {
    for (const { name, peer } of opened) {
      onProgress(`preparing ${name}`, 0);
      throwIfAborted(signal);
      try {
        if (peer.prepareModel === undefined) throw new Error('it has no way to take a whole network');
        engines.push(...(await peer.prepareModel(test, signal)));
      } catch (error) {
        throwIfAborted(signal);
        const reason = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
        skipped.push({ engine: name, model: test.model, shape: test.shape, reason });
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
    const outputs = [];
    for (const engine of engines) {
      const { name, precision = 'float32' } = engine;
      outputs.push({ engine: name, output: await engine.output(), precision });
    }
    const verdicts = judge(outputs);
    const profiles: ModelProfile[] = [];
    for (const engine of profile ? engines : []) {
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
  } finally {
    await Promise.all(engines.map((engine) => engine.dispose()));
  }
}
