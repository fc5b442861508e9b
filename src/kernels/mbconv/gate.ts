import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { panelStride } from '../gemm/panels.ts';
import type { Panels } from '../gemm/panels.ts';
import { activate, sigmoid } from '../math.ts';
import type { MBConvProblem } from '../problem.ts';
import type { MBConvPlan } from './plan.ts';

/** Where an image's sums over pixels are, and where its gate goes; both in the order of hidden channels. */
export interface GateStage {
  readonly packed: Buffer;
  readonly sums: { readonly buffer: Buffer; readonly at: Value };
  readonly gate: Buffer;
}

/** Emits gate = σ(φ(mean · squeeze + p) · excite + q): two products of a vector with a matrix. */
export function emitGate(
  b: KernelBuilder,
  { squeeze }: MBConvProblem,
  { layout, outPixels }: MBConvPlan,
  { packed, sums, gate }: GateStage,
): void {
  if (layout.gate === undefined || squeeze === undefined) return;
  const places = layout.gate;
  const squeezed = b.scratch('squeezed', panelWidth(places.squeeze));
  const mean = { buffer: sums.buffer, at: sums.at };
  emitVectorProduct(b, places.squeeze, mean, { packed, offset: places.squeezeOffset }, (sum, channel) => {
    const bias = b.loadVec(packed, channel, places.squeezeBias);
    const value = activate(b, squeeze.activation, b.fma(sum, 1 / outPixels, bias));
    b.store(squeezed, channel, value);
  });
  const squeezedAt = { buffer: squeezed, at: b.i32(0) };
  emitVectorProduct(b, places.excite, squeezedAt, { packed, offset: places.exciteOffset }, (sum, channel) => {
    b.store(gate, channel, sigmoid(b, b.add(sum, b.loadVec(packed, channel, places.exciteBias))));
  });
}

/** Floats of a row of panels. */
function panelWidth({ lanes, vectors, fullPanels, lastVectors }: Panels): number {
  return (fullPanels * vectors + lastVectors) * lanes;
}

/** Sums side by side, since each addition waits for the one before. */
const PARTS = 4;

/** Calls `finish` with each vector of left[depth] · right[depth, …]. */
function emitVectorProduct(
  b: KernelBuilder,
  panels: Panels,
  left: { readonly buffer: Buffer; readonly at: Value },
  right: { readonly packed: Buffer; readonly offset: number },
  finish: (sum: Value, channel: Value) => void,
): void {
  const { depth, vectors, fullPanels, lastVectors, lanes } = panels;
  const emitPanel = (panel: Value, count: number): void => {
    const base = b.mul(panel, panelStride(panels));
    const sums = Array.from({ length: PARTS }, () =>
      Array.from({ length: count }, () => b.variable(b.vec(0), 'sum')),
    );
    const step = (k: Value, ahead: number): void => {
      const from = b.add(base, b.mul(k, count * lanes));
      const factor = b.loadBroadcast(left.buffer, b.add(left.at, k), ahead);
      sums[ahead]?.forEach((sum, v) => {
        const weight = b.loadVec(right.packed, from, right.offset + (ahead * count + v) * lanes);
        sum.set(b.fma(factor, weight, sum.get()));
      });
    };
    const whole = depth - (depth % PARTS);
    b.for(0, whole, PARTS, (k) => {
      for (let ahead = 0; ahead < PARTS; ahead++) step(k, ahead);
    });
    for (let ahead = 0; ahead < depth - whole; ahead++) step(b.i32(whole), ahead);
    for (let v = 0; v < count; v++) {
      const total = sums.map((part) => part[v]?.get() ?? b.vec(0)).reduce((sum, part) => b.add(sum, part));
      finish(total, b.add(b.mul(panel, vectors * lanes), v * lanes));
    }
  };
  b.for(0, fullPanels, 1, (panel) => emitPanel(panel, vectors));
  if (lastVectors > 0) emitPanel(b.i32(fullPanels), lastVectors);
}
