import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { transpose } from '../transpose.ts';
import { meetingTaps } from './axis.ts';
import type { AxisPlan } from './axis.ts';
import { forEachTap, tapPosition } from './tap-range.ts';

/** A row of taps of a vector's channels, as PyTorch has them: one channel's taps after the other's. */
export interface TapRow {
  readonly buffer: Buffer;
  /** Where the row's tap 0 lies for the channel of a lane. */
  readonly start: (lane: Value) => Value;
  /** How many lanes have a channel, and whether all of them do for sure. */
  readonly count: Value;
  readonly isFull: boolean;
}

/**
 * Reads those taps of a row that meet pixels into `line`, a vector of channels for each position along the axis. Lanes
 * without a channel stay as they are.
 *
 * @param reversed whether the row's tap k lies k floats before `start`, and not behind
 */
export function loadTapRow(
  b: KernelBuilder,
  axis: AxisPlan,
  row: TapRow,
  line: Buffer,
  reversed: boolean,
): void {
  const { lanes } = b;
  const byChunks = (): void =>
    forEachChunk(b, axis, (first) => {
      const offset = reversed ? b.sub(1 - lanes, first) : first;
      const rows = lanesOf(b).map((lane) => b.loadVec(row.buffer, b.add(row.start(b.i32(lane)), offset)));
      const taps = transpose(b, rows);
      (reversed ? taps.reverse() : taps).forEach((tap, i) =>
        b.store(line, b.mul(tapPosition(b, axis, b.add(first, i)), lanes), tap),
      );
    });
  const byTaps = (): void =>
    b.for(0, row.count, 1, (lane) => {
      const start = row.start(lane);
      forEachTap(b, axis, (k, position) => {
        const tap = b.loadScalar(row.buffer, reversed ? b.sub(start, k) : b.add(start, k));
        b.store(line, b.add(b.mul(position, lanes), lane), tap);
      });
    });
  chooseWay(b, axis, row, byChunks, byTaps);
}

/** Writes the vectors of `line`, one for each position along the axis, to those taps of a row that meet pixels. */
export function storeTapRow(b: KernelBuilder, axis: AxisPlan, row: TapRow, line: Buffer): void {
  const { lanes } = b;
  const byChunks = (): void =>
    forEachChunk(b, axis, (first) => {
      const taps = lanesOf(b).map((i) =>
        b.loadVec(line, b.mul(tapPosition(b, axis, b.add(first, i)), lanes)),
      );
      transpose(b, taps).forEach((channel, lane) =>
        b.store(row.buffer, b.add(row.start(b.i32(lane)), first), channel),
      );
    });
  const byTaps = (): void =>
    b.for(0, row.count, 1, (lane) => {
      const start = row.start(lane);
      forEachTap(b, axis, (k, position) => {
        const tap = b.loadScalar(line, b.add(b.mul(position, lanes), lane));
        b.store(row.buffer, b.add(start, k), tap);
      });
    });
  chooseWay(b, axis, row, byChunks, byTaps);
}

/** As many taps of as many channels at once as a vector has lanes, where there are so many; else one by one. */
function chooseWay(
  b: KernelBuilder,
  axis: AxisPlan,
  { count, isFull }: TapRow,
  byChunks: () => void,
  byTaps: () => void,
): void {
  const taps = meetingTaps(axis)?.axis.kernel ?? 0;
  if (taps < b.lanes) byTaps();
  else if (isFull) byChunks();
  else b.if(b.eq(count, b.lanes), byChunks, byTaps);
}

/** The first taps of chunks of `lanes` taps, the last of which overlaps the one before. */
function forEachChunk(b: KernelBuilder, axis: AxisPlan, body: (first: Value) => void): void {
  const meeting = meetingTaps(axis);
  if (meeting === undefined) return;
  const last = meeting.first + meeting.axis.kernel - b.lanes;
  b.for(meeting.first, last + b.lanes, b.lanes, (k) => body(b.min(k, last)));
}

function lanesOf(b: KernelBuilder): number[] {
  return Array.from({ length: b.lanes }, (_, lane) => lane);
}
