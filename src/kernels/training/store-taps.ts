import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import type { DepthwiseWeightGradientProblem } from './problems.ts';

/** Floats of a depthwise kernel's gradient. */
function tapFloats({ channels, kernelHeight, kernelWidth }: DepthwiseWeightGradientProblem): number {
  return channels * kernelHeight * kernelWidth;
}

/** The channels from `channel` on that a vector holds: fewer than `lanes` in the last one. */
export function channelsHere(b: KernelBuilder, channels: number, channel: Value): Value {
  return channels % b.lanes === 0 ? b.i32(b.lanes) : b.min(b.sub(channels, channel), b.lanes);
}

/** Zeros behind the last tap, written by the task of the last channels. */
export function clearBehindTaps(
  b: KernelBuilder,
  problem: DepthwiseWeightGradientProblem,
  target: Buffer,
  part: Value,
  channel: Value,
): void {
  const floats = tapFloats(problem);
  if (problem.gradientPitch === floats) return;
  const lastChannel = Math.floor((problem.channels - 1) / b.lanes) * b.lanes;
  b.if(b.eq(channel, lastChannel), () =>
    b.for(floats, problem.gradientPitch, 1, (i) => b.store(target, b.add(part, i), b.f32(0))),
  );
}
