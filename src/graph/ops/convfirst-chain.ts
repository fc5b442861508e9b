import { blockOfChain } from '../../kernels/problem.ts';
import type { ConvFirstChainProblem } from '../../kernels/problem.ts';
import type { ConvFirstChainOp, OpDefinition } from '../op.ts';
import { tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';
import { convFirst, convFirstDefinition } from './convfirst.ts';

/** Blocks one after the other, each with its own weights and its own input as residual. */
export function convFirstChain(
  problem: ConvFirstChainProblem,
  inputs: Tensors,
  weights: Tensors,
): Float64Array {
  let x: Float32Array | Float64Array = tensorNamed(inputs, 'x');
  for (let block = 0; block < problem.blocks; block++) {
    x = convFirst(blockOfChain(problem), { x, residual: x }, weightsOfBlock(weights, block));
  }
  return Float64Array.from(x);
}

/** Those whose names end in the block's number, without it. */
function weightsOfBlock(weights: Tensors, block: number): Tensors {
  return Object.fromEntries(
    Object.entries(weights).flatMap(([name, values]) => {
      const [, ofBlock = '', number] = /^(.*?)(\d+)$/.exec(name) ?? [];
      return Number(number) === block ? [[ofBlock, values] as const] : [];
    }),
  );
}

/** What `chainBlocks` makes of several `convfirst`. */
export const convFirstChainDefinition: OpDefinition<ConvFirstChainOp> = {
  shape({ blocks: _, ...op }, inputs) {
    const block = { ...op, type: 'convfirst', stride: 1, outputs: inputs[0]?.[3] ?? 0 } as const;
    const residual = op.epilogue.residual ? inputs : [];
    return convFirstDefinition.shape(block, [...inputs, ...residual]);
  },
  lower({ type, ...op }, { output, pitch }) {
    const [batch, height, width, channels] = output;
    return {
      problem: { op: type, batch, height, width, channels, pitch: pitch(channels), ...op },
      inputs: ['x'],
    };
  },
};
