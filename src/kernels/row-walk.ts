import type { KernelBuilder } from '../codegen/builder.ts';
import type { Buffer, Value } from '../codegen/ir.ts';
import { fillSpan, forSpans, loadSpan, spanFloats, sumSpan } from './spans.ts';
import type { Span } from './spans.ts';
import { LOWEST } from './math.ts';

/** Some neighbouring channels of a row: a span, or one channel where the last ones fill none. */
export interface Lanes {
  /** What lies there in a row that starts at `row`. */
  load(buffer: Buffer, row: Value): Value;
  store(buffer: Buffer, row: Value, value: Value): void;
  /** An f32 in all lanes. */
  fill(value: Value): Value;
}

/** Passes over the channels of a row, whose padding takes no part. */
export interface ChannelWalk {
  each(body: (lanes: Lanes) => void): void;
  /** Σ of a term over all channels, f32. */
  sum(term: (lanes: Lanes) => Value): Value;
  /** The largest term, f32. */
  max(term: (lanes: Lanes) => Value): Value;
}

/** Spans of a loop body. */
const UNROLL = 4;

export function walkChannels(b: KernelBuilder, span: Span, channels: number): ChannelWalk {
  const whole = Math.floor(channels / spanFloats(span)) * spanFloats(span);
  const spanAt = (c: Value, offset: number): Lanes => ({
    load: (buffer, row) => loadSpan(b, span, buffer, b.add(row, c), offset),
    store: (buffer, row, value) => b.store(buffer, b.add(row, c), value, offset),
    fill: (value) => fillSpan(b, span, value),
  });
  const channelAt = (c: number): Lanes => ({
    load: (buffer, row) => b.loadScalar(buffer, row, c),
    store: (buffer, row, value) => b.store(buffer, row, value, c),
    fill: (value) => value,
  });
  const rest = Array.from({ length: channels - whole }, (_, i) => channelAt(whole + i));
  const reduce = (
    initial: number,
    join: (a: Value, c: Value) => Value,
    lanes: (value: Value) => Value,
    term: (lanes: Lanes) => Value,
  ): Value => {
    const total = b.variable(fillSpan(b, span, initial), 'total');
    forSpans(b, span, whole, UNROLL, (c, offset) => total.set(join(total.get(), term(spanAt(c, offset)))));
    return rest.reduce((value, channel) => join(value, term(channel)), lanes(total.get()));
  };
  return {
    each(body) {
      forSpans(b, span, whole, UNROLL, (c, offset) => body(spanAt(c, offset)));
      rest.forEach(body);
    },
    sum: (term) =>
      reduce(
        0,
        (a, c) => b.add(a, c),
        (value) => sumSpan(b, span, value),
        term,
      ),
    max: (term) =>
      reduce(
        LOWEST,
        (a, c) => b.max(c, a),
        (value) => (span.vector ? b.maxLanes(value) : value),
        term,
      ),
  };
}
