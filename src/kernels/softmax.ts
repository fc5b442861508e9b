import { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import { exp } from './math.ts';
import type { SoftmaxProblem } from './problem.ts';
import { estimateTraffic, fillSpan, forSpans, forTaskRows, loadSpan, rowsPerTask } from './spans.ts';
import { spanFloats, spanFor, storeZeros, sumSpan } from './spans.ts';
import type { Span } from './spans.ts';

export type SoftmaxConfig = Span;

/** Operations of one exponential and what is around it. */
const OPERATIONS = 20;

/** Softmax in three passes over a row: its maximum, the exponentials and their sum, the division. */
export const softmax: KernelFamily<SoftmaxProblem, SoftmaxConfig> = {
  name: 'softmax',
  op: 'softmax',

  configs: (problem: SoftmaxProblem, caps: DeviceCaps): readonly SoftmaxConfig[] => [
    spanFor(caps, problem.pitch),
  ],

  estimate({ rows, pitch }: SoftmaxProblem, config: SoftmaxConfig, caps: DeviceCaps): number {
    const floats = rows * pitch;
    return estimateTraffic(config, caps, {
      loads: 3 * floats,
      stores: 2 * floats,
      operations: OPERATIONS * floats,
      tasks: Math.ceil(rows / rowsPerTask(rows, pitch * OPERATIONS)),
    });
  },

  emit({ rows, channels, pitch }: SoftmaxProblem, config: SoftmaxConfig): Emission {
    const perTask = rowsPerTask(rows, pitch * OPERATIONS);
    const b = new KernelBuilder({
      name: kernelName('softmax', rows, channels, pitch),
      description: `softmax of ${rows} rows of ${channels} channels`,
      lanes: config.lanes,
      tasks: Math.ceil(rows / perTask),
    });
    const x = b.input('x');
    const y = b.inout('y');
    forTaskRows(b, b.task, rows, perTask, (row) =>
      softmaxRow(b, config, x, y, b.mul(row, pitch), channels, pitch),
    );
    return { main: [b.build()], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};

/** Channels that fill no whole span are taken one by one, so that padding takes no part. */
function softmaxRow(
  b: KernelBuilder,
  config: SoftmaxConfig,
  x: ReturnType<KernelBuilder['input']>,
  y: ReturnType<KernelBuilder['inout']>,
  row: Value,
  channels: number,
  pitch: number,
): void {
  const whole = Math.floor(channels / spanFloats(config)) * spanFloats(config);
  const rest = Array.from({ length: channels - whole }, (_, i) => whole + i);

  const largestSpan = b.variable(fillSpan(b, config, LOWEST), 'largest');
  forSpans(b, config, whole, 4, (c, offset) => {
    largestSpan.set(b.max(loadSpan(b, config, x, b.add(row, c), offset), largestSpan.get()));
  });
  const spanMaximum = config.vector ? b.maxLanes(largestSpan.get()) : largestSpan.get();
  const largest = rest.reduce((max, c) => b.max(b.loadScalar(x, row, c), max), spanMaximum);

  const totalSpan = b.variable(fillSpan(b, config, 0), 'total');
  const shift = fillSpan(b, config, largest);
  forSpans(b, config, whole, 1, (c, offset) => {
    const index = b.add(row, c);
    const power = exp(b, b.sub(loadSpan(b, config, x, index, offset), shift));
    b.store(y, index, power, offset);
    totalSpan.set(b.add(totalSpan.get(), power));
  });
  const powers = rest.map((c) => exp(b, b.sub(b.loadScalar(x, row, c), largest)));
  const total = powers.reduce((sum, power) => b.add(sum, power), sumSpan(b, config, totalSpan.get()));

  const factor = b.div(b.f32(1), total);
  const factorSpan = fillSpan(b, config, factor);
  forSpans(b, config, whole, 4, (c, offset) => {
    const index = b.add(row, c);
    b.store(y, index, b.mul(loadSpan(b, config, y, index, offset), factorSpan), offset);
  });
  powers.forEach((power, i) => b.store(y, row, b.mul(power, factor), whole + i));
  storeZeros(b, config, y, row, channels, pitch);
}

/** The smallest finite float32. */
const LOWEST = -3.4028234663852886e38;
