import { Command } from 'commander';

import { parametersOf } from '../graph/graph.ts';
import type { ModelVariant } from '../models/model.ts';
import type { KeySet } from '../models/model.ts';
import { variants } from '../models/zoo.ts';
import type { CommandContext } from './context.ts';
import { countGraph, examineGraph } from './describe-facts.ts';
import type { GraphFacts, Totals } from './describe-facts.ts';
import { keysOption, resolutionOption } from './model-options.ts';
import { parseCount, parseModel } from './options.ts';
import type { Resolution } from './options.ts';
import { modelOf } from './model-file.ts';
import { formatNumber, formatTable, right } from './table.ts';
import type { Column } from './table.ts';

interface DescribeOptions {
  readonly resolution?: Resolution;
  readonly classes?: number;
  readonly layers?: boolean;
  readonly deploy?: boolean;
  readonly parameters?: boolean;
  readonly keys?: KeySet;
  readonly json?: boolean;
}

/** `widefield describe`: what networks consist of and cost. */
export function describeCommand({ print }: CommandContext): Command {
  return new Command('describe')
    .description('say what a network consists of and costs; without a name, list all networks')
    .argument('[model]', 'the network, such as replknet-31b', parseModel)
    .addOption(resolutionOption())
    .option(
      '--classes <count>',
      "outputs of the classifier (default: the network's own, else 1000)",
      (text) => parseCount(text),
    )
    .option('--deploy', 'the merged network instead of the training form, which papers count')
    .option('--layers', 'every layer')
    .option('--parameters', "every parameter's key and shape")
    .addOption(keysOption('whose names to show'))
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  widefield describe replknet-31b --resolution 384')
    .action((name: string | undefined, options: DescribeOptions) => {
      if (name === undefined) {
        const all = variants.map((variant) => summarise(variant, options));
        print(options.json === true ? JSON.stringify(all, undefined, 2) : formatSummaries(all));
        return;
      }
      const description = describe(modelOf(name), options);
      print(options.json === true ? JSON.stringify(description, undefined, 2) : format(description));
    });
}

interface Description extends Omit<GraphFacts, 'layers'> {
  readonly model: string;
  readonly title: string;
  readonly paper: string;
  readonly resolution: Resolution;
  readonly classes: number;
  readonly form: 'training' | 'merged';
  readonly layers?: GraphFacts['layers'];
  readonly parameters?: readonly {
    readonly key: string;
    readonly shape: readonly number[];
    readonly buffer: boolean;
  }[];
}

function describe(variant: ModelVariant, options: DescribeOptions): Description {
  const { resolution, classes, deploy } = sizes(variant, options);
  const graph = variant.build({ resolution, classes, deploy, ...(options.keys && { keys: options.keys }) });
  const { layers, ...facts } = examineGraph(graph);
  return {
    model: variant.name,
    title: variant.title,
    paper: paperOf(variant),
    resolution,
    classes,
    form: deploy ? 'merged' : 'training',
    ...facts,
    ...(options.layers === true && { layers }),
    ...(options.parameters === true && {
      parameters: parametersOf(graph).map(({ key, shape, buffer }) => ({ key, shape, buffer })),
    }),
  };
}

function sizes(variant: ModelVariant, options: DescribeOptions) {
  const {
    resolution = variant.resolution,
    classes = variant.labels?.length ?? 1000,
    deploy = false,
  } = options;
  return { resolution, classes, deploy };
}

function paperOf({ paper: { title, authors, venue, url } }: ModelVariant): string {
  return `${authors}: ${title}, ${venue}, ${url}`;
}

function format(description: Description): string {
  const { title, resolution, form, params, macs, macsByKind, memory, classes } = description;
  const parts = [
    [
      `${title} at ${formatResolution(resolution)}, ${classes} classes, ${form} form`,
      `${formatMillions(params)} parameters (${params}), ${formatBillions(macs)} MACs (${macs}): ` +
        KINDS.filter((kind) => macsByKind[kind] > 0)
          .map((kind) => `${kind} ${formatShare(macsByKind[kind], macs)}`)
          .join(', '),
      `Memory in float32: weights ${formatNumber(memory.weightsMiB)} MiB, ` +
        `activations of one image ${formatNumber(memory.activationsMiB)} MiB`,
      description.paper,
    ].join('\n'),
    formatStages(description),
    ...(description.layers === undefined ? [] : [formatLayers(description.layers)]),
    ...(description.parameters === undefined ? [] : [formatParameters(description.parameters)]),
  ];
  return parts.join('\n\n');
}

const KINDS = ['depthwise', 'grouped', 'pointwise', 'other', 'linear'] as const;

const COSTS: readonly Column[] = [right('params'), right('MACs')];

function formatStages({ stages, macs }: Description): string {
  return formatTable(
    [{ title: 'stage' }, { title: 'output' }, right('blocks'), ...COSTS, right('of MACs')],
    stages.map((stage) => [
      stage.name,
      stage.shape.slice(1).join('×'),
      stage.blocks === 0 ? '' : String(stage.blocks),
      formatMillions(stage.params),
      formatBillions(stage.macs),
      formatShare(stage.macs, macs),
    ]),
  );
}

function formatLayers(layers: GraphFacts['layers']): string {
  return formatTable(
    [{ title: 'layer' }, { title: 'operation' }, { title: 'output' }, ...COSTS],
    layers.map(({ name, op, shape, params, macs }) => [
      name,
      op,
      shape.slice(1).join('×'),
      params === 0 ? '' : String(params),
      formatBillions(macs),
    ]),
  );
}

function formatParameters(parameters: NonNullable<Description['parameters']>): string {
  return formatTable(
    [{ title: 'parameter' }, { title: 'shape' }, { title: '' }],
    parameters.map(({ key, shape, buffer }) => [key, `[${shape.join(', ')}]`, buffer ? 'buffer' : '']),
  );
}

interface Summary extends Totals {
  readonly model: string;
  readonly title: string;
  readonly resolution: Resolution;
  readonly paper: string;
  readonly venue: string;
}

function summarise(variant: ModelVariant, options: DescribeOptions): Summary {
  const { name, title, paper } = variant;
  const built = sizes(variant, options);
  return {
    model: name,
    title,
    resolution: built.resolution,
    ...countGraph(variant.build(built)),
    paper: paper.title,
    venue: paper.venue,
  };
}

function formatSummaries(summaries: readonly Summary[]): string {
  return formatTable(
    [{ title: 'model' }, ...COSTS, right('resolution'), { title: 'paper' }],
    summaries.map(({ model, params, macs, resolution, paper, venue }) => [
      model,
      formatMillions(params),
      formatBillions(macs),
      formatResolution(resolution),
      `${paper}, ${venue}`,
    ]),
  );
}

function formatResolution(resolution: Resolution): string {
  return (typeof resolution === 'number' ? [resolution, resolution] : resolution).join('×');
}

/** In columns of one unit; what has none stays empty. */
function formatMillions(value: number): string {
  return value === 0 ? '' : `${(value / 1e6).toFixed(3)} M`;
}

function formatBillions(value: number): string {
  return value === 0 ? '' : `${(value / 1e9).toFixed(3)} G`;
}

function formatShare(part: number, whole: number): string {
  return part === 0 ? '' : `${((100 * part) / whole).toFixed(1)} %`;
}
