import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';
import type { DepthwiseProblem } from '../problem.ts';
import type { DepthwiseSparseConfig, SparsePlan } from './plan.ts';

/**
 * Where a channel's taps lie in `packed`: first a table of where each line of taps starts in the list, and the end; then
 * the list of (offset, weight) of taps that are not zero. The offset is that of the vector a tap meets from the one that
 * the first tap meets. Integers are kept as bits: to convert one would cost more than the multiply-adds of some tiles.
 */
export interface TapLists {
  /** Floats of a channel. */
  readonly channelFloats: number;
  readonly listOffset: number;
}

export function tapLists({ along, lines }: SparsePlan): TapLists {
  const listOffset = lines.taps + 1;
  return { listOffset, channelFloats: listOffset + 2 * along.taps * lines.taps };
}

/** weight [C][tap] → the lists, whatever is zero: masks may change without compiling anything. */
export function emitTapLists(
  problem: DepthwiseProblem,
  config: DepthwiseSparseConfig,
  plan: SparsePlan,
  suffix: string,
): Kernel {
  const { along, lines, tapPitch } = plan;
  const { channels, dilation, adjoint } = problem;
  const taps = along.taps * lines.taps;
  const { channelFloats, listOffset } = tapLists(plan);
  const b = new KernelBuilder({
    name: kernelName(adjoint ? 'depthwise_taps_adjoint' : 'depthwise_taps', suffix),
    description: `depthwise weights [${channels}, ${taps}] to lists of taps that are not zero`,
    lanes: 4,
    tasks: channels,
  });
  const weight = b.input('weight');
  const packed = b.output('packed');
  const table = b.mul(b.task, channelFloats);
  const from = b.mul(b.task, taps);
  const count = b.variable(b.i32(0), 'count');
  b.for(0, lines.taps, 1, (line) => {
    b.store(packed, b.add(table, line), b.asF32(count.get()));
    b.for(0, along.taps, 1, (position) => {
      const tap = b.add(b.mul(line, lines.tapStride), b.mul(position, along.tapStride));
      const w = b.loadScalar(weight, b.add(from, adjoint ? b.sub(taps - 1, tap) : tap));
      b.if(b.ne(w, 0), () => {
        const offset = b.add(b.mul(line, dilation * tapPitch), b.mul(position, dilation * config.lanes));
        const entry = b.add(table, b.add(b.mul(count.get(), 2), listOffset));
        b.store(packed, entry, b.asF32(offset));
        b.store(packed, entry, w, 1);
        count.set(b.add(count.get(), 1));
      });
    });
  });
  b.store(packed, table, b.asF32(count.get()), lines.taps);
  return b.build();
}
