import { Argument, Command, InvalidArgumentError, Option } from 'commander';

import { runBlockBench } from '../bench/bench-blocks.ts';
import type { BlockReport } from '../bench/bench-blocks.ts';
import type { FuseChoice } from '../bench/block-case.ts';
import { MODEL_PEER_NAMES } from '../bench/peers/index.ts';
import { nearestNames } from '../core/nearest.ts';
import { BLOCK_KINDS, blockGraph, blockName } from '../lab/block-case.ts';
import type { BlockCase, BlockKind } from '../lab/block-case.ts';
import { blockLatencies } from '../lab/published.ts';
import { formatBlockReport } from './bench-block-table.ts';
import { parsePlotName, presentReport, withCommonOptions, withProgress } from './bench-options.ts';
import type { CommonOptions } from './bench-options.ts';
import type { CommandContext } from './context.ts';
import { parseBatch, parseCount, parseCounts } from './options.ts';

interface BlockBenchOptions extends CommonOptions {
  readonly all?: boolean;
  readonly channels?: number[];
  readonly expansion?: number;
  readonly size?: number;
  readonly stride: number;
  readonly outputs?: number;
  readonly batch?: number;
  readonly fuse: FuseChoice;
  readonly profile?: boolean;
  readonly out?: string;
}

/** Where the options leave a choice: the paper's most usual block, and a batch that a CPU has patience for. */
const DEFAULTS: Readonly<Record<BlockKind, { expansion: number; size: number; batch: number }>> = {
  convfirst: { expansion: 6, size: 64, batch: 16 },
  mbconv: { expansion: 4, size: 16, batch: 8 },
};

/** `widefield bench block`: fused blocks beside their layers and other runtimes. */
export function blockCommand(context: CommandContext): Command {
  const extent = (text: string): number => parseCount(text, 2 ** 14);
  const command = new Command('block')
    .description('blocks of ConvFirstNet: fused, layer by layer, and in other runtimes')
    .addArgument(new Argument('<kind>', BLOCK_KINDS.join(' or ')).argParser(parseKind))
    .option('--all', "the blocks of the paper's table; so it is without --channels")
    .option('--channels <counts>', "of the block's input, multiples of 8, such as 32 or 16,32", parseCounts)
    .option('--expansion <factor>', 'hidden channels for each channel (default: 6, mbconv 4)', extent)
    .option('--size <pixels>', "height and width of the block's input (default: 64, mbconv 16)", extent)
    .option('--stride <pixels>', '1, or 2 without a shortcut', (text) => parseCount(text, 2), 1)
    .option('--outputs <count>', 'output channels (default: as many as input channels)', extent)
    .addOption(
      new Option('--batch <count>', 'images in one run (default: 16, mbconv 8)').argParser(parseBatch),
    )
    .addOption(
      new Option('--fuse <when>', 'in the fused row: where the planner expects a gain, or wherever it can be')
        .choices(['planner', 'always'])
        .default('planner'),
    )
    .option('--profile', "time of each of Widefield's kernels")
    .option('--plot, --out <file.svg>', 'draw the times as bars', parsePlotName);
  return withCommonOptions(command, MODEL_PEER_NAMES)
    .addHelpText(
      'after',
      '\nExamples:\n  widefield bench block convfirst --channels 32 --expansion 6 --size 64 --peers onnxruntime-node\n  widefield bench block mbconv --all --devices native',
    )
    .action(async (kind: BlockKind, options: BlockBenchOptions) => {
      const blocks = new Map(blocksOf(kind, options).map((block) => [`${kind} ${labelOf(block)}`, block]));
      const requests = [...blocks].map(([name, block]) => ({
        name,
        graph: blockGraph(block),
        fuse: options.fuse,
      }));
      const report = await withProgress(options, context, (bench) =>
        runBlockBench(requests, { ...bench, profile: options.profile === true }),
      );
      await presentReport(report, context, {
        json: options.json,
        data: withBlocks(report, blocks),
        table: () => formatBlockReport(report, options.peers),
        plot: {
          file: options.out,
          draw: async () => (await import('../bench/plot-models.ts')).plotModels(report),
        },
      });
    });
}

/** The blocks that the options name: with channels one for each count, else those of the paper's table. */
function blocksOf(kind: BlockKind, options: BlockBenchOptions): BlockCase[] {
  const { all = false, channels, expansion, size, stride, outputs } = options;
  const defaults = DEFAULTS[kind];
  const { batch = defaults.batch } = options;
  const common = { kind, stride, batch, ...(outputs !== undefined && { outputs }) };
  if (channels !== undefined && !all) {
    const sizes = { expansion: expansion ?? defaults.expansion, size: size ?? defaults.size };
    return [...new Set(channels)].map((count) => ({ ...common, ...sizes, channels: count }));
  }
  return blockLatencies.rows
    .filter((row) => row.kind === kind)
    .map((row) => ({
      ...common,
      channels: row.channels,
      expansion: expansion ?? row.expansion,
      size: size ?? row.size,
    }));
}

/** `32c6α64hw`, and what differs from the paper's blocks. */
function labelOf(block: BlockCase): string {
  const { channels, stride = 1, outputs = channels } = block;
  return [
    blockName(block),
    ...(stride === 1 ? [] : [`stride ${stride}`]),
    ...(outputs === channels ? [] : [`to ${outputs}c`]),
  ].join(' ');
}

/** The report with each row's block as numbers. */
function withBlocks(report: BlockReport, blocks: ReadonlyMap<string, BlockCase>): object {
  return { ...report, rows: report.rows.map((row) => ({ ...blocks.get(row.model), ...row })) };
}

function parseKind(text: string): BlockKind {
  const kind = BLOCK_KINDS.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw new InvalidArgumentError(
    `There is no block ${text}: did you mean ${nearestNames(text, BLOCK_KINDS).join(' or ')}?`,
  );
}
