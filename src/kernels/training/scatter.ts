import { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import type { DeviceCaps } from '../../core/caps.ts';
import { kernelName } from '../family.ts';
import { estimateTraffic, fillSpan, loadSpan, spanFloats } from '../spans.ts';
import type { Span } from '../spans.ts';

/*
 * Gradients that outputs give to several, overlapping inputs: pools, blurs, resizes. A task owns some channels of one
 * image, clears them and adds to them, so that tasks never meet.
 */

export interface Scatter {
  readonly name: string;
  readonly description: string;
  readonly batch: number;
  /** Map that is added to. */
  readonly height: number;
  readonly width: number;
  /** Map of `dy`. */
  readonly outHeight: number;
  readonly outWidth: number;
  readonly channels: number;
  readonly pitch: number;
}

/** One output pixel, as the body of a scatter sees it. */
export interface ScatterPixel {
  readonly oy: Value;
  readonly ox: Value;
  /** The span of `dy` there. */
  readonly slope: Value;
  /** Floats before the span of channels in the pixel at (row, column) of the map. */
  readonly at: (row: Value, column: Value) => Value;
  /** Adds to the map. */
  readonly add: (at: Value, value: Value) => void;
}

/** @param body declares further buffers when called, and returns what is called once for each output pixel */
export function emitScatter(
  scatter: Scatter,
  span: Span,
  body: (b: KernelBuilder) => (pixel: ScatterPixel) => void,
): Kernel {
  const { batch, height, width, outHeight, outWidth, channels, pitch } = scatter;
  const blocks = pitch / spanFloats(span);
  const b = new KernelBuilder({
    name: kernelName(
      scatter.name,
      `${batch}x${height}x${width}x${channels}`,
      pitch,
      `${outHeight}x${outWidth}`,
    ),
    description: scatter.description,
    lanes: span.lanes,
    tasks: batch * blocks,
  });
  const dy = b.input('dy');
  const visit = body(b);
  const y: Buffer = b.inout('y');
  const image = b.div(b.task, blocks);
  const c = b.mul(b.rem(b.task, blocks), spanFloats(span));
  const first = b.add(b.mul(image, height * width * pitch), c);
  b.for(0, height * width, 1, (pixel) => b.store(y, b.add(first, b.mul(pixel, pitch)), fillSpan(b, span, 0)));
  b.for(0, outHeight, 1, (oy) => {
    b.for(0, outWidth, 1, (ox) => {
      const row = b.add(b.mul(image, outHeight), oy);
      const slope = loadSpan(b, span, dy, b.add(b.mul(b.add(b.mul(row, outWidth), ox), pitch), c));
      visit({
        oy,
        ox,
        slope,
        at: (mapRow, column) => b.add(first, b.mul(b.add(b.mul(mapRow, width), column), pitch)),
        add: (at, value) => b.store(y, at, b.add(loadSpan(b, span, y, at), value)),
      });
    });
  });
  return b.build();
}

/** Cycles of a scatter that adds `taps` times an output. */
export function estimateScatter(
  { batch, height, width, outHeight, outWidth, pitch }: Omit<Scatter, 'name' | 'description'>,
  taps: number,
  span: Span,
  caps: DeviceCaps,
): number {
  const outputs = batch * outHeight * outWidth * pitch;
  return estimateTraffic(span, caps, {
    loads: outputs * (1 + 2 * taps),
    stores: batch * height * width * pitch + outputs * taps,
    operations: outputs * 3 * taps,
    tasks: (batch * pitch) / spanFloats(span),
  });
}
