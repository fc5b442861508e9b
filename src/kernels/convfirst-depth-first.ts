import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { bestOfEachKind, kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { chainPlan, emitChain } from './ffn/chain.ts';
import type { ChainConfig } from './ffn/chain.ts';
import { packBlock } from './ffn/plan.ts';
import { chunkSizes, rereadBytes, tileRowCycles } from './ffn/search.ts';
import { packSpatial, spatialCycles } from './ffn/spatial.ts';
import { makespan } from './gemm/partition.ts';
import { tileShapes, unrollFor } from './gemm/shapes.ts';
import type { TileShape } from './gemm/shapes.ts';
import { suitsGroups } from './group-broadcast.ts';
import type { ConvFirstChainProblem } from './problem.ts';

/**
 * ConvFirst blocks one behind the other, depth first: a task sweeps over a part of an image, from above, a few rows at a time,
 * and takes them through all blocks before it goes on. Each block keeps the last rows of its input, which its convolution
 * needs again, so that nothing is computed twice within a part; what parts need of each other is computed by both.
 * Between the blocks nothing reaches memory.
 */
export const convFirstDepthFirst: KernelFamily<ConvFirstChainProblem, ChainConfig> = {
  name: 'convfirst-depth-first',
  op: 'convfirst-chain',
  configs,
  estimate,
  emit,
};

/** Candidates a lane count. */
const OFFERED = 6;

function configs(problem: ConvFirstChainProblem, caps: DeviceCaps): ChainConfig[] {
  const { channels, groups, pitch } = problem;
  const lanes = caps.lanes.filter(
    (count) => suitsGroups(count, channels / groups) && [channels, pitch].every((size) => size % count === 0),
  );
  return lanes.flatMap((count) =>
    bestOfEachKind(
      tilings(problem, count, caps),
      OFFERED,
      (config) => estimate(problem, config, caps),
      (config) => `${config.tileRows} ${config.tileVectors} ${config.parts}`,
    ),
  );
}

function tilings(problem: ConvFirstChainProblem, lanes: number, caps: DeviceCaps): ChainConfig[] {
  const { height, width, hidden, pitch, kernelWidth } = problem;
  const found: ChainConfig[] = [];
  // As for a block by itself: narrow vectors leave no room for a broadcast within an instruction.
  const fits = ({ rows, vectors }: TileShape): boolean => rows * vectors + vectors < caps.vectorRegisters;
  const hiddenVectors = Math.ceil(hidden / lanes);
  const pixels = Math.max(1, Math.min(width, 16, caps.vectorRegisters - kernelWidth - 3));
  for (const { rows, vectors } of tileShapes(caps.vectorRegisters, caps.fma).filter(fits)) {
    // Steps may be a single row of the map.
    const tileRows = Math.min(rows, width);
    const tileVectors = Math.min(vectors, Math.max(hiddenVectors, pitch / lanes));
    for (const chunkPanels of chunkSizes(Math.ceil(hiddenVectors / tileVectors), tileVectors * lanes)) {
      for (const parts of [1, 2, 4, 8].filter((count) => count <= height)) {
        for (const stepRows of [1, 2, 4, 8, 16].filter((count) => count <= Math.ceil(height / parts))) {
          const tile = { lanes, tileRows, tileVectors, chunkPanels, unroll: unrollFor(caps) };
          const config = { ...tile, parts, stepRows, pixels };
          const { mapFloats, otherFloats } = chainPlan(problem, config);
          const bytes = 4 * (problem.blocks * mapFloats + otherFloats);
          if (bytes <= caps.l2Bytes / 2) found.push(config);
        }
      }
    }
  }
  return found;
}

function estimate(problem: ConvFirstChainProblem, config: ChainConfig, caps: DeviceCaps): number {
  const { blocks, batch, height, width, pitch } = problem;
  const { lanes, tileRows, stepRows, parts } = config;
  const { block, products, plan, blockFloats, margin, partRows, steps } = chainPlan(problem, config);
  const { up, down } = tileRowCycles(products, plan, config, caps, tileRows);
  const step = Math.ceil((stepRows * width) / tileRows) * (up + down);
  // A row is put where the next block reads it, and those that it needs again are moved.
  const moved = ((2 + (2 * margin) / stepRows) * width * pitch) / lanes;
  const row = step / stepRows + spatialCycles(block, width, config, caps) + moved;
  // What a part computes beyond its rows, above and below, for its other blocks.
  const beyond = parts > 1 ? margin * blocks * (blocks - 1) : 0;
  const rows = blocks * partRows + beyond;
  const weightBytes = 4 * blocks * blockFloats;
  const grid = {
    rowTiles: batch * parts,
    panels: 1,
    cycles: () => rows * row,
    rowBytes: 8 * partRows * width * pitch,
    rowBlockBytes: 0,
    panelBytes: steps * rereadBytes(weightBytes, caps),
  };
  const shares = height / (partRows * parts);
  return (
    caps.threads * makespan(grid, { rowTiles: 1, panels: 1 }, caps) * Math.min(1, shares) + weightBytes / 8
  );
}

function emit(problem: ConvFirstChainProblem, config: ChainConfig): Emission {
  const { block, products, plan, layout, blockFloats } = chainPlan(problem, config);
  const places = Array.from({ length: problem.blocks }, (_, i) => ({
    names: String(i),
    start: i * blockFloats,
  }));
  return {
    main: [emitMain(problem, config)],
    prepare: places.flatMap((place) => [
      packSpatial(block, layout, config.lanes, place),
      ...packBlock(products, plan, place),
    ]),
    packedFloats: problem.blocks * blockFloats,
    tempFloats: 0,
  };
}

function emitMain(problem: ConvFirstChainProblem, config: ChainConfig): Kernel {
  const { blocks, batch, height, width, channels, hidden } = problem;
  const { lanes, tileRows, tileVectors, stepRows, parts } = config;
  const b = new KernelBuilder({
    name: kernelName(
      `convfirst_chain${blocks}_${batch}x${height}x${width}x${channels}_${hidden}`,
      `t${tileRows}x${tileVectors}`,
      `l${lanes}`,
    ),
    description: `${blocks} times ${problem.kernelHeight}×${problem.kernelWidth} in ${problem.groups} groups, ${channels} → ${hidden}, ${problem.activation} → ${channels}, ${stepRows} rows at a time in ${parts} parts`,
    lanes,
    tasks: batch * parts,
  });
  emitChain(b, problem, config, { x: b.input('x'), packed: b.input('packed'), y: b.output('y') });
  return b.build();
}
