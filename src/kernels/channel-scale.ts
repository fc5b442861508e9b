import { KernelBuilder } from '../codegen/builder.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { ChannelScaleProblem } from './problem.ts';
import { estimateTraffic, forSpanBlocks, forTaskRows, loadSpan, rowsPerTask, spanFor } from './spans.ts';
import type { Span } from './spans.ts';

export type ChannelScaleConfig = Span;

/** y = x · gate, the gate one factor a channel and image; a task is some pixels of one image. */
export const channelScale: KernelFamily<ChannelScaleProblem, ChannelScaleConfig> = {
  name: 'channel-scale',
  op: 'channel-scale',

  configs: (problem: ChannelScaleProblem, caps: DeviceCaps): readonly ChannelScaleConfig[] => [
    spanFor(caps, problem.pitch),
  ],

  estimate(
    { batch, pixels, pitch }: ChannelScaleProblem,
    config: ChannelScaleConfig,
    caps: DeviceCaps,
  ): number {
    const floats = batch * pixels * pitch;
    const tasks = batch * Math.ceil(pixels / rowsPerTask(pixels, pitch));
    return estimateTraffic(config, caps, { loads: floats, stores: floats, operations: floats, tasks });
  },

  emit({ batch, pixels, channels, pitch }: ChannelScaleProblem, config: ChannelScaleConfig): Emission {
    const perTask = rowsPerTask(pixels, pitch);
    const tasksPerImage = Math.ceil(pixels / perTask);
    const b = new KernelBuilder({
      name: kernelName('channel_scale', `${batch}x${pixels}x${channels}`, pitch),
      description: `${batch} images of ${pixels} pixels of ${channels} channels times a gate [C]`,
      lanes: config.lanes,
      tasks: batch * tasksPerImage,
    });
    const x = b.input('x');
    const gate = b.input('gate');
    const y = b.output('y');
    const image = b.div(b.task, tasksPerImage);
    forSpanBlocks(b, config, pitch, 4, (c, offsets) => {
      const gateIndex = b.add(b.mul(image, pitch), c);
      const gates = offsets.map((offset) => loadSpan(b, config, gate, gateIndex, offset));
      forTaskRows(b, b.rem(b.task, tasksPerImage), pixels, perTask, (pixel) => {
        const index = b.add(b.mul(b.add(b.mul(image, pixels), pixel), pitch), c);
        offsets.forEach((offset, i) => {
          const factor = gates[i];
          if (factor) b.store(y, index, b.mul(loadSpan(b, config, x, index, offset), factor), offset);
        });
      });
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
