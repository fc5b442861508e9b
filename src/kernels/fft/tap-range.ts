import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Value } from '../../codegen/ir.ts';
import type { AxisPlan, AxisProblem } from './axis.ts';

/** An axis with only the taps that meet a pixel anywhere: `first` to `first + kernel − 1` of the original ones. */
export interface MeetingTaps {
  readonly axis: AxisProblem;
  readonly first: number;
}

/**
 * Leaves out taps that lie beyond the map for all outputs, as most of a kernel that is wider than its map: 0 ≤
 * o·stride + k·dilation − padding < size for no output o. Undefined if none is left.
 */
export function meetingTaps(axis: AxisProblem): MeetingTaps | undefined {
  const { size, outputs, kernel, stride, dilation, padding } = axis;
  const reach = (outputs - 1) * stride;
  const first = Math.max(0, Math.ceil((padding - reach) / dilation));
  const end = Math.min(kernel, Math.floor((size - 1 + padding) / dilation) + 1);
  if (end <= first) return undefined;
  return { axis: { ...axis, kernel: end - first, padding: padding - first * dilation }, first };
}

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
  const { dilation, shift, n } = axis;
  b.for(meeting.first, meeting.first + meeting.axis.kernel, 1, (k) => {
    const position = b.sub(b.mul(k, dilation), shift);
    body(k, shift > 0 ? b.select(b.lt(position, 0), b.add(position, n), position) : position);
  });
}
