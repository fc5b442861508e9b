import { parametersOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';

/** A parameter's depth from 0, and how many depths there are. */
export interface LayerDepth {
  readonly layer: number;
  readonly layers: number;
}

/**
 * How deep parameters lie, block by block, for layer-wise decay of the learning rate. A block is what official names
 * number: `stages.2.5`, `layer1.0`, `downsample_layers.1.0`; what has no number is a block of its own.
 */
export function layerOf(graph: Graph): (key: string) => LayerDepth {
  const blocks = [...new Set(parametersOf(graph).map(({ key }) => blockOf(key)))];
  return (key) => ({ layer: Math.max(blocks.indexOf(blockOf(key)), 0), layers: blocks.length });
}

/** The name up to the numbers that follow its first part, and RepLKNet's `blocks.5` behind them; else without the parameter's own name. */
function blockOf(key: string): string {
  return /^\w+(\.\d+)+(\.blocks\.\d+)?/.exec(key)?.[0] ?? key.slice(0, key.lastIndexOf('.'));
}
