import type { KernelBuilder, Operand } from '../codegen/builder.ts';
import type { Buffer, Value } from '../codegen/ir.ts';

/** Whether a vector's lanes are outputs of one group, or of whole groups. */
export function suitsGroups(lanes: number, groupWidth: number): boolean {
  return groupWidth % lanes === 0 || lanes % groupWidth === 0;
}

/** Loads what the outputs of a vector take of their groups' inputs. */
export type GroupBroadcast = (buffer: Buffer, index: Operand, offset: number) => Value;

/**
 * A function that puts `buffer[index + offset]` into the lanes of the vector's first group, what lies `groupWidth`
 * floats behind it into those of the next, and so on: one channel of each group. Call it outside of loops.
 */
export function groupBroadcast(b: KernelBuilder, groupWidth: number): GroupBroadcast {
  const groups = Math.max(1, b.lanes / groupWidth);
  if (groups === 1) return (buffer, index, offset) => b.loadBroadcast(buffer, index, offset);
  const numbers = Float32Array.from({ length: b.lanes }, (_, lane) => Math.floor(lane / groupWidth));
  const group = b.loadVec(b.table('group_of_lane', numbers), 0);
  const before = Array.from({ length: groups - 1 }, (_, g) => b.lt(group, g + 1));
  return (buffer, index, offset) =>
    before.reduceRight<Value>(
      (behind, mask, g) => b.select(mask, b.loadBroadcast(buffer, index, offset + g * groupWidth), behind),
      b.loadBroadcast(buffer, index, offset + (groups - 1) * groupWidth),
    );
}
