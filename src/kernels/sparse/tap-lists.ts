import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';
import type { DepthwiseProblem } from '../problem.ts';
import type { DepthwiseSparseConfig, SparsePlan } from './plan.ts';

/**
 * Where a channel's taps lie in `packed`: first a table of where each line of taps starts in the list, then the list of
 * (offset, weight) of taps that are not zero. The offset is that of the pixel a tap meets from the one that the first tap
 * meets. Whole numbers below 2^24, as floats.
 *
 * With aligned loads there is a table for each tap along the line, and the list is ordered by it first, then by line.
 */
export interface TapLists {
  /** Tables of a channel, and the entries of each: one a line of taps, and the end. */
  readonly tables: number;
  readonly tableFloats: number;
  /** Floats of a channel. */
  readonly channelFloats: number;
  readonly listOffset: number;
}

export function tapLists({ along, lines }: SparsePlan, { aligned }: DepthwiseSparseConfig): TapLists {
  const tables = aligned ? along.taps : 1;
  const tableFloats = lines.taps + 1;
  const listOffset = tables * tableFloats;
  return { tables, tableFloats, listOffset, channelFloats: listOffset + 2 * along.taps * lines.taps };
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
  const { tables, tableFloats, channelFloats, listOffset } = tapLists(plan, config);
  const b = new KernelBuilder({
    name: kernelName(adjoint ? 'depthwise_taps_adjoint' : 'depthwise_taps', suffix),
    description: `depthwise weights [${channels}, ${taps}] to lists of taps that are not zero`,
    lanes: 4,
    tasks: channels,
  });
  const weight = b.input('weight');
  const packed = b.output('packed');
  const to = b.mul(b.task, channelFloats);
  const from = b.mul(b.task, taps);
  const count = b.variable(b.i32(0), 'count');
  const visit = (line: ReturnType<typeof b.i32>, position: ReturnType<typeof b.i32>): void => {
    const tap = b.add(b.mul(line, lines.tapStride), b.mul(position, along.tapStride));
    const w = b.loadScalar(weight, b.add(from, adjoint ? b.sub(taps - 1, tap) : tap));
    b.if(b.ne(w, 0), () => {
      const shift = config.aligned ? b.i32(0) : b.mul(position, dilation);
      const offset = b.add(b.mul(line, dilation * tapPitch), shift);
      const entry = b.add(to, b.add(b.mul(count.get(), 2), listOffset));
      b.store(packed, entry, b.toF32(offset));
      b.store(packed, entry, w, 1);
      count.set(b.add(count.get(), 1));
    });
  };
  b.for(0, tables, 1, (table) => {
    const entries = b.add(to, b.mul(table, tableFloats));
    b.for(0, lines.taps, 1, (line) => {
      b.store(packed, b.add(entries, line), b.toF32(count.get()));
      if (config.aligned) visit(line, table);
      else b.for(0, along.taps, 1, (position) => visit(line, position));
    });
    b.store(packed, entries, b.toF32(count.get()), lines.taps);
  });
  return b.build();
}
