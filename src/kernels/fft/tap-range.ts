import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Value } from '../../codegen/ir.ts';
import { meetingTaps } from './axis.ts';
import type { AxisPlan } from './axis.ts';

/**
 * Calls `body(k, position)` for the taps k that meet pixels, position = k·dilation − shift, from the end of the
 * transform if negative.
 */
export function forEachTap(
  b: KernelBuilder,
  axis: AxisPlan,
  body: (k: Value, position: Value) => void,
): void {
  const meeting = meetingTaps(axis);
  if (meeting === undefined) return;
  b.for(meeting.first, meeting.first + meeting.axis.kernel, 1, (k) => body(k, tapPosition(b, axis, k)));
}

/** Where tap k lies along the axis. */
export function tapPosition(b: KernelBuilder, { dilation, shift, n }: AxisPlan, k: Value): Value {
  const position = b.sub(b.mul(k, dilation), shift);
  return shift > 0 ? b.select(b.lt(position, 0), b.add(position, n), position) : position;
}
