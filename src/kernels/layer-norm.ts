import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel, Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { kernelName } from './family.ts';
import type { Emission, KernelFamily } from './family.ts';
import type { LayerNormProblem } from './problem.ts';
import { estimateTraffic, fillSpan, forSpans, forTaskRows, loadSpan, rowsPerTask } from './spans.ts';
import { spanFloats, spanFor, storeZeros, sumSpan } from './spans.ts';
import type { Span } from './spans.ts';

/** `held`: a row stays in registers between its three passes, instead of being read again. */
export type LayerNormConfig = Span & { readonly held: boolean };

/**
 * Layer norm in two passes over a row, the mean and then the variance from the differences, so that
 * nothing cancels; the rows of a task one after the other.
 */
export const layerNorm: KernelFamily<LayerNormProblem, LayerNormConfig> = {
  name: 'layer-norm',
  op: 'layer-norm',

  configs(problem: LayerNormProblem, caps: DeviceCaps): readonly LayerNormConfig[] {
    const span = spanFor(caps, problem.pitch);
    return (canHold(problem.channels, span, caps) ? [true, false] : [false]).map((held) => ({
      ...span,
      held,
    }));
  },

  estimate(problem: LayerNormProblem, config: LayerNormConfig, caps: DeviceCaps): number {
    const { rows, pitch, affine } = problem;
    const floats = rows * pitch;
    return estimateTraffic(config, caps, {
      loads: floats * ((config.held ? 1 : 3) + (affine ? 2 : 0)),
      stores: floats,
      // And for each row two horizontal sums, a root and two divisions, one after the other.
      operations: floats * 6 + rows * 40 * spanFloats(config),
      tasks: Math.ceil(rows / rowsPerTask(rows, pitch)),
    });
  },

  emit(problem: LayerNormProblem, config: LayerNormConfig): Emission {
    return {
      main: [emitMain(problem, config)],
      prepare: problem.affine ? [emitPrepare(problem)] : [],
      packedFloats: problem.affine ? 2 * problem.pitch : 0,
      tempFloats: 0,
    };
  },
};

/** Whether a row fits into registers beside what is computed with it. */
export function canHold(channels: number, span: Span, caps: DeviceCaps): boolean {
  return Math.ceil(channels / spanFloats(span)) <= caps.vectorRegisters - 6;
}

/** Fills `packed`, zeroed before, with weight [pitch] and bias [pitch]. */
function emitPrepare({ channels, pitch }: LayerNormProblem): Kernel {
  const b = new KernelBuilder({
    name: kernelName('layer_norm_pack', channels, pitch),
    description: `copies weight and bias [${channels}]`,
    lanes: 4,
    tasks: 1,
  });
  const weight = b.input('weight');
  const bias = b.input('bias');
  const packed = b.output('packed');
  b.for(0, channels, 1, (c) => {
    b.store(packed, c, b.loadScalar(weight, c));
    b.store(packed, c, b.loadScalar(bias, c), pitch);
  });
  return b.build();
}

function emitMain(problem: LayerNormProblem, config: LayerNormConfig): Kernel {
  const { rows, channels, pitch, affine, epsilon } = problem;
  const perTask = rowsPerTask(rows, pitch);
  const b = new KernelBuilder({
    name: kernelName(
      'layer_norm',
      `${rows}x${channels}`,
      pitch,
      affine ? 'affine' : 'plain',
      config.held ? 'held' : 'reread',
    ),
    description: `layer norm of ${rows} rows of ${channels} channels, epsilon ${epsilon}`,
    lanes: config.lanes,
    tasks: Math.ceil(rows / perTask),
  });
  const x = b.input('x');
  const packed = affine ? b.input('packed') : undefined;
  const y = b.output('y');
  const normalize = rowNormalizer(b, problem, config);

  forTaskRows(b, b.task, rows, perTask, (row) => {
    const index = b.mul(row, pitch);
    const load = (c: Value, offset: number): Value => loadSpan(b, config, x, b.add(index, c), offset);
    normalize(load, (normal, c, offset) => {
      const result = packed
        ? b.fma(
            normal,
            loadSpan(b, config, packed, c, offset),
            loadSpan(b, config, packed, c, offset + pitch),
          )
        : normal;
      b.store(y, b.add(index, c), result, offset);
    });
    storeZeros(b, config, y, index, Math.ceil(channels / spanFloats(config)) * spanFloats(config), pitch);
  });
  return b.build();
}

/**
 * Reads a row, span by span, and gives out (x − mean) / √(variance + ε); what shares a span with padding is 0.
 * Returns 1 / √(variance + ε), as a span.
 */
type RowNormalizer = (
  load: (c: Value, offset: number) => Value,
  put: (normal: Value, c: Value, offset: number) => void,
) => Value;

/** What normalises rows of `channels` channels, whose padding is zero, one at a time. */
export function rowNormalizer(
  b: KernelBuilder,
  { channels, epsilon }: Pick<LayerNormProblem, 'channels' | 'epsilon'>,
  config: LayerNormConfig,
): RowNormalizer {
  const mask = partialMask(b, config, channels);
  return (load, put) => {
    const walk = rowWalk(b, channels, config, load);
    const sum = walk.sum((value, total) => b.add(total, value));
    const mean = fillSpan(b, config, b.div(sum, channels));
    // Padding is zero in x, so that the mean needs no mask; the differences do.
    const difference = (value: Value, isPartial: boolean): Value => {
      const centred = b.sub(value, mean);
      return mask && isPartial ? b.mul(centred, mask) : centred;
    };
    const squares = walk.sum((value, total, isPartial) => {
      const d = difference(value, isPartial);
      return b.fma(d, d, total);
    });
    const deviation = b.sqrt(b.add(b.div(squares, channels), epsilon));
    const inverse = fillSpan(b, config, b.div(b.f32(1), deviation));
    walk.each((value, c, offset, isPartial) => {
      put(b.mul(difference(value, isPartial), inverse), c, offset);
    });
    return inverse;
  };
}

/** Ones for the channels of the span that the last channel shares with padding, and zeros; undefined if there is none. */
function partialMask(b: KernelBuilder, span: Span, channels: number): Value | undefined {
  const used = channels % spanFloats(span);
  if (used === 0) return undefined;
  const ones = new Float32Array(span.lanes).fill(1, 0, used);
  return b.loadVec(b.table('partial', ones), 0);
}

/** Passes over the spans of one row; the span that holds the last channel and padding is partial. */
interface RowWalk {
  each(body: (value: Value, c: Value, offset: number, isPartial: boolean) => void): void;
  /** The sum over all lanes after `accumulate` has taken every span into one of a few totals, f32. */
  sum(accumulate: (value: Value, total: Value, isPartial: boolean) => Value): Value;
}

/** Independent totals hide the latency of additions, and shorten the chain of roundings. */
const TOTALS = 4;

function rowWalk(
  b: KernelBuilder,
  channels: number,
  config: LayerNormConfig,
  load: (c: Value, offset: number) => Value,
): RowWalk {
  const step = spanFloats(config);
  const whole = Math.floor(channels / step) * step;
  const unroll = config.held ? Math.max(1, whole / step) : TOTALS;
  const held = new Map<number, Value>();
  const read = (c: Value, offset: number): Value => {
    if (!config.held) return load(c, offset);
    const value = held.get(offset) ?? load(c, offset);
    held.set(offset, value);
    return value;
  };
  const walk = (body: (value: Value, c: Value, offset: number, count: number) => void): void => {
    forSpans(b, config, whole, unroll, (c, offset, count) => body(read(c, offset), c, offset, count));
    const start = b.i32(0);
    if (whole < channels) body(read(start, whole), start, whole, 0);
  };
  return {
    each: (body) => walk((value, c, offset) => body(value, c, offset, offset === whole)),
    sum: (accumulate) => {
      const totals = Array.from({ length: TOTALS }, () => b.variable(fillSpan(b, config, 0), 'total'));
      walk((value, _c, offset, count) => {
        const total = totals[count % TOTALS];
        total?.set(accumulate(value, total.get(), offset === whole));
      });
      const sum = totals.map((total) => total.get()).reduce((a, c) => b.add(a, c));
      return sumSpan(b, config, sum);
    },
  };
}
