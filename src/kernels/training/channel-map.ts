import { KernelBuilder } from '../../codegen/builder.ts';
import type { Kernel, Value } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';
import { forSpanBlocks, forTaskRows } from '../spans.ts';
import type { Span } from '../spans.ts';

/** A map of every element by numbers that belong to its channel, which stay in registers over the rows of a task. */
export interface ChannelMap {
  /** Names the kernel, with the shape. */
  readonly name: string;
  readonly description: string;
  readonly rows: number;
  readonly channels: number;
  readonly pitch: number;
  /** Declares buffers. Returns what is called once a block of channels, and gives a function of an element's index. */
  prepare(b: KernelBuilder): (channel: Value, offset: number) => (index: Value) => Value;
}

/** Enough floats that computing a channel's numbers does not count, few enough for the second-level cache. */
const TASK_FLOATS = 16 * 1024;

/** Rows of a task. */
export function mapRows(rows: number, pitch: number): number {
  return Math.min(rows, Math.max(1, Math.floor(TASK_FLOATS / pitch)));
}

/** y[row, c] = value of the map. */
export function emitChannelMap(map: ChannelMap, span: Span): Kernel {
  const { rows, channels, pitch } = map;
  const perTask = mapRows(rows, pitch);
  const b = new KernelBuilder({
    name: kernelName(map.name, rows, channels, pitch),
    description: map.description,
    lanes: span.lanes,
    tasks: Math.ceil(rows / perTask),
  });
  const valueOf = map.prepare(b);
  const y = b.output('y');
  forSpanBlocks(b, span, pitch, 2, (c, offsets) => {
    const values = offsets.map((offset) => ({ offset, at: valueOf(c, offset) }));
    forTaskRows(b, b.task, rows, perTask, (row) => {
      const index = b.add(b.mul(row, pitch), c);
      for (const { offset, at } of values) b.store(y, index, at(index), offset);
    });
  });
  return b.build();
}

/** Fills `packed`, zeroed before, with a row of `pitch` floats of each of some vectors [channels]. */
export function emitPackVectors(channels: number, pitch: number, names: readonly string[]): Kernel {
  const b = new KernelBuilder({
    name: kernelName('pack_vectors', channels, pitch, ...names),
    description: `copies ${names.join(', ')} [${channels}]`,
    lanes: 4,
    tasks: 1,
  });
  const vectors = names.map((name) => b.input(name));
  const packed = b.output('packed');
  b.for(0, channels, 1, (c) => {
    vectors.forEach((vector, i) => b.store(packed, c, b.loadScalar(vector, c), i * pitch));
  });
  return b.build();
}
