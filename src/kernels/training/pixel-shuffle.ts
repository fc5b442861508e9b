import { KernelBuilder } from '../../codegen/builder.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import type { Emission, KernelFamily } from '../family.ts';
import { estimateTraffic, spanFor, storeZeros } from '../spans.ts';
import type { Span } from '../spans.ts';
import type { PixelShuffleProblem } from './problems.ts';

/** Spreads channels over the pixels of a finer map, float by float; a task is one row of pixels of x. */
export const pixelShuffle: KernelFamily<PixelShuffleProblem, Span> = {
  name: 'pixel-shuffle',
  op: 'pixel-shuffle',
  configs: (problem: PixelShuffleProblem, caps: DeviceCaps) => [spanFor(caps, problem.outputPitch)],
  estimate(problem: PixelShuffleProblem, span: Span, caps: DeviceCaps): number {
    const { batch, height, width, factor, outputPitch } = problem;
    const floats = batch * height * width * factor ** 2 * outputPitch * span.lanes;
    return estimateTraffic(span, caps, {
      loads: floats,
      stores: floats,
      operations: 0,
      tasks: batch * height,
    });
  },
  emit(problem: PixelShuffleProblem, span: Span): Emission {
    const { batch, height, width, factor, channels, inputPitch, outputPitch } = problem;
    const b = new KernelBuilder({
      name: kernelName(
        'pixel_shuffle',
        `${batch}x${height}x${width}x${channels}`,
        factor,
        inputPitch,
        outputPitch,
      ),
      description: `${height}×${width} pixels of ${channels}·${factor}² channels become ${factor} times as many each way`,
      lanes: span.lanes,
      tasks: batch * height,
    });
    const x = b.input('x');
    const y = b.output('y');
    b.for(0, width, 1, (column) => {
      const from = b.mul(b.add(b.mul(b.task, width), column), inputPitch);
      for (let row = 0; row < factor; row++) {
        const line = b.add(b.mul(b.task, factor), row);
        const to = b.mul(b.add(b.mul(line, width), column), factor * outputPitch);
        b.for(0, channels, 1, (c) => {
          const source = b.add(from, b.mul(c, factor ** 2));
          const target = b.add(to, c);
          for (let i = 0; i < factor; i++) {
            b.store(y, target, b.loadScalar(x, source, row * factor + i), i * outputPitch);
          }
        });
        for (let i = 0; i < factor; i++) {
          storeZeros(b, span, y, b.add(to, i * outputPitch), channels, outputPitch);
        }
      }
    });
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
