import { parametersOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';

/** A parameter's depth from 0, and how many depths there are. */
export interface LayerDepth {
  readonly layer: number;
  readonly layers: number;
}

/**
 * How deep parameters lie for layer-wise decay of the learning rate: stem, each block and each downsampling, and what is
 * behind the last block, as BEiT and ConvNeXt V2 count. Official names number blocks: `stages.2.5`, `layer1.0`,
 * `downsample_layers.1`; a RepLKNet block and the feed-forward block behind it are one, as for stochastic depth.
 */
export function layerOf(graph: Graph): (key: string) => LayerDepth {
  const depths = new Map<string, number>();
  const blocks: string[] = [];
  for (const { key } of parametersOf(graph)) {
    const block = blockOf(key) ?? (blocks.every((name) => name === 'stem') ? 'stem' : 'head');
    if (!blocks.includes(block)) blocks.push(block);
    depths.set(key, blocks.indexOf(block));
  }
  return (key) => ({ layer: depths.get(key) ?? 0, layers: blocks.length });
}

/** The name of the block that a parameter is part of; undefined where official names have no number. */
function blockOf(key: string): string | undefined {
  const pair = /^(stages\.\d+\.blocks)\.(\d+)\./.exec(key);
  if (pair !== null) return `${pair[1] ?? ''}.${Math.floor(Number(pair[2]) / 2)}`;
  if (key.startsWith('stem.')) return 'stem';
  // A transition's or a classifier's layers have numbers too, of which theirs is the first.
  const whole = /^(transitions\.\d+|classifier)\./.exec(key);
  if (whole !== null) return whole[1] === 'classifier' ? undefined : whole[1];
  const numbered = /^\w+(?:\.\d+)+/.exec(key)?.[0];
  if (numbered === undefined) return undefined;
  // Where what layers have follows at once, the last number is that of a layer within the block.
  const isLayer = OF_LAYERS.has(key.slice(numbered.length + 1)) && /\.\d+\.\d+$/.test(numbered);
  return isLayer ? numbered.slice(0, numbered.lastIndexOf('.')) : numbered;
}

const OF_LAYERS: ReadonlySet<string> = new Set([
  'weight',
  'bias',
  'running_mean',
  'running_var',
  'num_batches_tracked',
]);
