import { access, realpath } from 'node:fs/promises';
import path from 'node:path';

import { Command } from 'commander';

import { invalidArgument } from '../core/errors.ts';
import { LOG_FILE, readLog } from '../train/log.ts';
import { groupRuns } from '../train/run-groups.ts';
import type { RunGroup, RunRecord, RunResult, Spread } from '../train/run-groups.ts';
import type { CommandContext } from './context.ts';
import { present, withOutputOptions } from './lab/present.ts';
import type { LabTable, OutputOptions } from './lab/present.ts';
import { readJson } from './model-file.ts';
import { formatNumber, right } from './table.ts';
import { isRecord } from './train/config.ts';
import { RESULT_FILE } from './train/outputs.ts';
import { CONFIG_FILE } from './train/prepare.ts';

/** `widefield runs`: training runs side by side. */
export function runsCommand(context: CommandContext): Command {
  const command = new Command('runs')
    .description(
      'compare training runs: accuracies, with mean and deviation over runs that differ in their seed',
    )
    .argument('<folders...>', 'folders that `widefield train` has written');
  return withOutputOptions(command)
    .addHelpText(
      'after',
      `
Example:
  for seed in 1 2 3; do widefield train --config dense.json --seed $seed --folder runs/dense-$seed; done
  widefield runs runs/* --out curves.svg`,
    )
    .action(async (folders: readonly string[], options: OutputOptions) => {
      const runs: RunRecord[] = [];
      for (const folder of await distinct(folders)) runs.push(await readRun(folder));
      const groups = groupRuns(runs);
      for (const group of groups) warnOfSeeds(group, context);
      await present(context, options, {
        json: groups.map(groupFacts),
        tables: [tableOf(groups)],
        plot: async () => {
          const { plotRuns } = await import('../lab/plots/runs.ts');
          return plotRuns(groups, { title: 'Training runs', subtitle: subtitle(groups) });
        },
      });
    });
}

/** Each folder once, whatever its names; what is not there is told when it is read. */
async function distinct(folders: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    const real = await realpath(folder).catch(() => folder);
    if (!found.has(real)) found.set(real, folder);
  }
  return [...found.values()];
}

/** Runs with one seed are one run: their deviation says nothing. */
function warnOfSeeds({ runs }: RunGroup, context: CommandContext): void {
  const names = new Map<unknown, string>();
  for (const { name, config } of runs) {
    const other = names.get(config.seed);
    if (other === undefined) names.set(config.seed, name);
    else context.warn(`${other} and ${name} have the same seed: means count what is one run twice.`);
  }
}

/** A run's files. Throws `io`, `invalid-argument`. */
async function readRun(folder: string): Promise<RunRecord> {
  const config = readJson(path.join(folder, CONFIG_FILE));
  if (!isRecord(config)) throw invalidArgument(`${path.join(folder, CONFIG_FILE)} is no config of a run.`);
  const { epochs } = await readLog(path.join(folder, LOG_FILE));
  return { name: path.basename(path.resolve(folder)), config, epochs, result: await readResult(folder) };
}

async function readResult(folder: string): Promise<RunResult | undefined> {
  const file = path.join(folder, RESULT_FILE);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (!there) return undefined;
  const result = readJson(file);
  if (!isRecord(result)) throw invalidArgument(`${file} is no result of a run.`);
  const number = (name: string): number | undefined => {
    const value = result[name];
    return typeof value === 'number' ? value : undefined;
  };
  return {
    top1: number('top1'),
    parameters: number('parameters') ?? 0,
    macs: number('macs'),
    remaining: number('remaining'),
    remainingMacs: number('remainingMacs'),
    seconds: number('seconds') ?? 0,
  };
}

function groupFacts({ name, runs, top1, curve }: RunGroup) {
  return {
    name,
    ...(top1 && { top1 }),
    runs: runs.map((run) => ({ name: run.name, seed: run.config.seed, result: run.result })),
    curve: curve.map(([epochs, accuracy]) => ({ epochs, top1: accuracy })),
  };
}

function tableOf(groups: readonly RunGroup[]): LabTable {
  const unfinished = groups
    .flatMap(({ runs }) => runs)
    .filter(({ result }) => result === undefined)
    .map(({ name }) => name);
  return {
    columns: [
      { title: 'run' },
      ...['runs', 'top-1', '± one run', 'lowest', 'highest', 'weights', 'million MACs', 'minutes'].map(right),
    ],
    rows: groups.map(({ name, runs, top1 }) => [
      name,
      String(runs.length),
      ...accuracies(top1),
      ...costs(runs.flatMap(({ result }) => result ?? [])),
    ]),
    notes: [
      'Weights and MACs that are not masked away; means of the runs.',
      ...(unfinished.length > 0 ? [`Not finished: ${unfinished.join(', ')}.`] : []),
    ],
  };
}

function accuracies(top1: Spread | undefined): readonly string[] {
  if (top1 === undefined) return ['', '', '', ''];
  const { mean, deviation, least, most } = top1;
  const spread = deviation === undefined ? '' : percent(deviation);
  return [percent(mean), spread, percent(least), percent(most)];
}

/** Seeds differ by tenths of a percent. */
function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}

function costs(results: readonly RunResult[]): readonly string[] {
  const mean = (value: (result: RunResult) => number | undefined): number | undefined => {
    const values = results.flatMap((result) => value(result) ?? []);
    return values.length === 0 ? undefined : values.reduce((a, b) => a + b, 0) / values.length;
  };
  const weights = mean(({ remaining, parameters }) => remaining ?? parameters);
  const macs = mean((result) => result.remainingMacs ?? result.macs);
  const seconds = mean((result) => result.seconds);
  return [
    weights === undefined ? '' : String(Math.round(weights)),
    macs === undefined ? '' : formatNumber(macs / 1e6),
    seconds === undefined ? '' : formatNumber(seconds / 60),
  ];
}

function subtitle(groups: readonly RunGroup[]): readonly string[] {
  const most = Math.max(...groups.map(({ runs }) => runs.length));
  return [most > 1 ? `means of up to ${most} runs with other seeds` : 'one run each'];
}
