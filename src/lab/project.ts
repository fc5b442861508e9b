import { invalidArgument } from '../core/errors.ts';
import { nodesOf } from '../graph/graph.ts';
import type { Node } from '../graph/graph.ts';
import type { ModelVariant } from '../models/model.ts';
import { findModel } from '../models/zoo.ts';
import { kernelCosts } from './costs.ts';
import type { KernelCost } from './costs.ts';
import { peakOf } from './devices.ts';
import type { DeviceRecord, Dtype } from './devices.ts';
import { blockLatencies } from './published.ts';
import type { PublishedBlock } from './published.ts';

/*
 * Speed projection (Lavin 2024, Tables 5 to 9): the latency of a network that nobody has run as a whole, from the
 * efficiencies of its blocks, each measured by itself: time = operations / (R · efficiency).
 */

/** Why a block is given its efficiency. */
export type EfficiencySource = 'measured' | 'estimated' | 'inferred' | 'given';

export interface ProjectedLayer {
  readonly name: string;
  /** For the whole batch. */
  readonly ops: number;
  /** Operations of one image, in millions, as the paper's tables state them. */
  readonly megaOpsPerImage: number;
  readonly efficiency: number;
  readonly source: EfficiencySource;
  readonly timeMs: number;
}

export interface Projection {
  readonly layers: readonly ProjectedLayer[];
  readonly latencyMs: number;
  /** Of the whole network. */
  readonly efficiency: number;
}

export interface ProjectOptions {
  readonly batch?: number;
  readonly dtype?: Dtype;
  readonly resolution?: number;
  /** Efficiencies of stem and blocks in network order, above 0 and at most 1, in place of measured and estimated ones. */
  readonly efficiencies?: readonly number[];
}

// The paper's estimates for layers that it has not measured.
const STEM = 0.75;
const STRIDE_2 = 0.8; // of the stage's other blocks
const ESTIMATES = [
  { kind: 'convfirst', channels: 24, efficiency: 0.4, source: 'estimated' },
  // Not printed. 39% for both widths, together with the rule for 72 channels below, gives the printed latencies and
  // percentages of both networks that have them, Nano and Tiny; so these two totals check nothing.
  { kind: 'mbconv', channels: 160, efficiency: 0.39, source: 'inferred' },
  { kind: 'mbconv', channels: 192, efficiency: 0.39, source: 'inferred' },
] as const;

/**
 * Projects the latency of a ConvFirstNet. Blocks take the published efficiency of their kind, channels and map; blocks
 * that are not published take the paper's estimates, and where it states none, the efficiency of the next wider block that
 * is published for the same map. The head takes the mean of the rest.
 * Throws `invalid-argument` for other networks, and for efficiencies that are none.
 */
export function projectLatency(
  model: string | ModelVariant,
  device: DeviceRecord,
  options: ProjectOptions = {},
): Projection {
  const { batch = 128, dtype = 'f16', resolution, efficiencies } = options;
  const variant = typeof model === 'string' ? findModel(model) : model;
  const graph = variant.build({ batch, ...(resolution !== undefined && { resolution }) });
  const kernels = kernelCosts(graph, { dtype, fused: true }).filter(({ ops }) => ops > 0);
  const isHead = ({ name }: KernelCost): boolean => /^(head|classifier)\b/.test(name);
  const body = kernels.filter((kernel) => !isHead(kernel));
  if (
    !body.some(({ name }) => name.startsWith('stages.1.')) ||
    !kernels.some(({ name }) => name === 'head.conv')
  ) {
    throw invalidArgument(
      `The speed projection knows the blocks of ConvFirst networks only: use convfirst-pico, not ${variant.name}.`,
    );
  }
  if (efficiencies !== undefined && efficiencies.length !== body.length) {
    throw invalidArgument(
      `${variant.name} has ${body.length} layers before its head, but ${efficiencies.length} efficiencies are given.`,
    );
  }
  const impossible = efficiencies?.find((efficiency) => !(efficiency > 0 && efficiency <= 1));
  if (impossible !== undefined) {
    throw invalidArgument(
      `Efficiencies must be above 0 and at most 1, got ${impossible}: divide percentages by 100.`,
    );
  }
  const rate = peakOf(device, dtype);
  const layer = ({ name, ops }: KernelCost, known: Known): ProjectedLayer => ({
    name,
    ops,
    megaOpsPerImage: ops / batch / 1e6,
    ...known,
    timeMs: (1e3 * ops) / (rate * known.efficiency),
  });
  const nodes = new Map(nodesOf(graph).map((node) => [node.name, node]));
  const layers = body.map((kernel, i) => {
    const given = efficiencies?.[i];
    return layer(
      kernel,
      given === undefined ? efficiencyOfLayer(kernel.name, nodes) : { efficiency: given, source: 'given' },
    );
  });
  const rest = totals(layers, rate);
  const head = kernels
    .filter(isHead)
    .map((kernel) => layer(kernel, { efficiency: rest.efficiency, source: 'estimated' }));
  const all = [...layers, ...head];
  return { layers: all, ...totals(all, rate) };
}

interface Known {
  readonly efficiency: number;
  readonly source: EfficiencySource;
}

function totals(layers: readonly ProjectedLayer[], rate: number): { latencyMs: number; efficiency: number } {
  const latencyMs = layers.reduce((sum, { timeMs }) => sum + timeMs, 0);
  const ops = layers.reduce((sum, layer) => sum + layer.ops, 0);
  return { latencyMs, efficiency: (1e3 * ops) / (rate * latencyMs) };
}

/** Of the stem, or of a block, whose layers say what it is. */
function efficiencyOfLayer(name: string, nodes: ReadonlyMap<string, Node>): Known {
  const input = nodes.get(`${name}.spatial.conv`)?.inputs[0] ?? nodes.get(`${name}.expand.conv`)?.inputs[0];
  const output = nodes.get(`${name}.project.conv`);
  if (input === undefined || output === undefined) return { efficiency: STEM, source: 'estimated' };
  const kind = nodes.has(`${name}.se.fc1`) ? 'mbconv' : 'convfirst';
  const [, size, , channels] = output.shape;
  const twin = stride1Efficiency(kind, channels, size);
  return input.shape[1] === size
    ? twin
    : {
        efficiency: STRIDE_2 * twin.efficiency,
        source: twin.source === 'measured' ? 'estimated' : twin.source,
      };
}

function stride1Efficiency(kind: PublishedBlock['kind'], channels: number, size: number): Known {
  const measured = blockLatencies.rows
    .filter((row) => row.kind === kind && row.size === size)
    .map((row) => ({ channels: row.channels, efficiency: row.percentOfPeak / 100 }))
    .sort((a, b) => a.channels - b.channels);
  const exact = measured.find((row) => row.channels === channels);
  if (exact !== undefined) return { efficiency: exact.efficiency, source: 'measured' };
  const estimate = ESTIMATES.find((row) => row.kind === kind && row.channels === channels);
  if (estimate !== undefined) return { efficiency: estimate.efficiency, source: estimate.source };
  const nearest = measured.find((row) => row.channels > channels) ?? measured.at(-1);
  if (nearest === undefined) {
    throw invalidArgument(
      `There is no published efficiency of ${kind} blocks on maps of ${size}×${size}: use a resolution of 256.`,
    );
  }
  return { efficiency: nearest.efficiency, source: 'estimated' };
}
