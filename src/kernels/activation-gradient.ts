import type { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import { emitChannelMap, mapRows } from './channel-map.ts';
import type { KernelFamily } from './family.ts';
import { activationDerivative, activationOperations } from './math.ts';
import { estimateTraffic, loadSpan, spanFor } from './spans.ts';
import type { Span } from './spans.ts';
import type { ActivationGradientProblem } from './training-problems.ts';

/** dy · φ′(x). */
export const activationGradient: KernelFamily<ActivationGradientProblem, Span> = {
  name: 'activation-gradient',
  op: 'activation-gradient',
  configs: (problem: ActivationGradientProblem, caps: DeviceCaps) => [spanFor(caps, problem.pitch)],
  estimate({ rows, pitch, activation }: ActivationGradientProblem, span: Span, caps: DeviceCaps): number {
    const floats = rows * pitch;
    return estimateTraffic(span, caps, {
      loads: 2 * floats,
      stores: floats,
      operations: (2 + 2 * activationOperations(activation)) * floats,
      tasks: Math.ceil(rows / mapRows(rows, pitch)),
    });
  },
  emit({ rows, channels, pitch, activation }: ActivationGradientProblem, span: Span) {
    const prepare = (b: KernelBuilder): ((c: Value, offset: number) => (index: Value) => Value) => {
      const x = b.input('x');
      const dy = b.input('dy');
      return (_c, offset) => (index) => {
        const slope = activationDerivative(b, activation, loadSpan(b, span, x, index, offset));
        return b.mul(loadSpan(b, span, dy, index, offset), slope);
      };
    };
    const map = {
      ...{ rows, channels, pitch, prepare },
      name: `${activation}_gradient`,
      description: `gradient of ${activation} on ${rows} rows of ${channels} channels`,
    };
    return { main: [emitChannelMap(map, span)], prepare: [], packedFloats: 0, tempFloats: 0 };
  },
};
