import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { realFrequencies } from './axis.ts';
import type { AxisPlan } from './axis.ts';

/**
 * Emits the spectra of one block of channels, for `packed[block][column][row frequency][re, im][lane]`:
 *
 *     S[fy, fx] = 1/(ny·nx) · Σ_{ky,kx} w[ky, kx] · e^{2πi(fy(ky·d − shift_y)/ny + fx(kx·d − shift_x)/nx)}
 *
 * the conjugate spectrum, because convolution layers correlate. Plain sums: this runs once.
 */
export function emitSpectra(
  b: KernelBuilder,
  weight: Buffer,
  packed: Buffer,
  channels: number,
  vertical: AxisPlan,
  horizontal: AxisPlan,
  reversed = false,
): void {
  const { lanes } = b;
  const taps = vertical.kernel * horizontal.kernel;
  const transposed = b.scratch('taps', taps * lanes);
  const rows = b.scratch('rows', 2 * vertical.kernel * lanes);
  const columns = realFrequencies(horizontal);
  const rowFrequencies = frequencyOrder(vertical);
  const columnTable = b.table('column_frequency', Float32Array.from(columns));
  const rowTable = b.table('row_frequency', Float32Array.from(rowFrequencies));
  const horizontalRoots = b.table('horizontal_roots', roots(horizontal.n, 1 / (horizontal.n * vertical.n)));
  const verticalRoots = b.table('vertical_roots', roots(vertical.n, 1));

  b.comment('taps to [tap][lane]');
  b.for(0, lanes, 1, (lane) => {
    const channel = b.add(b.mul(b.task, lanes), lane);
    b.for(0, taps, 1, (tap) => {
      const to = b.add(b.mul(tap, lanes), lane);
      const first = b.mul(channel, taps);
      const source = reversed ? b.sub(b.add(first, taps - 1), tap) : b.add(first, tap);
      b.if(
        b.lt(channel, channels),
        () => b.store(transposed, to, b.loadScalar(weight, source)),
        () => b.store(transposed, to, b.f32(0)),
      );
    });
  });

  b.for(0, columns.length, 1, (column) => {
    const fx = b.toI32(b.loadScalar(columnTable, column));
    b.comment('rows of taps at this column frequency');
    b.for(0, vertical.kernel, 1, (ky) => {
      const re = b.variable(b.vec(0), 're');
      const im = b.variable(b.vec(0), 'im');
      const tapRow = b.mul(ky, horizontal.kernel * lanes);
      forEachPhase(b, horizontal, fx, horizontal.kernel, (kx, phase) => {
        const w = b.loadVec(transposed, b.add(tapRow, b.mul(kx, lanes)));
        re.set(b.fma(w, b.loadBroadcast(horizontalRoots, phase), re.get()));
        im.set(b.fma(w, b.loadBroadcast(horizontalRoots, phase, 1), im.get()));
      });
      const to = b.mul(ky, 2 * lanes);
      b.store(rows, to, re.get());
      b.store(rows, to, im.get(), lanes);
    });
    const columnBase = b.mul(b.add(b.mul(b.task, columns.length), column), 2 * vertical.n * lanes);
    b.for(0, vertical.n, 1, (position) => {
      const fy = b.toI32(b.loadScalar(rowTable, position));
      const re = b.variable(b.vec(0), 're');
      const im = b.variable(b.vec(0), 'im');
      forEachPhase(b, vertical, fy, vertical.kernel, (ky, phase) => {
        const from = b.mul(ky, 2 * lanes);
        const x = b.loadVec(rows, from);
        const y = b.loadVec(rows, from, lanes);
        const cos = b.loadBroadcast(verticalRoots, phase);
        const sin = b.loadBroadcast(verticalRoots, phase, 1);
        re.set(b.fma(b.neg(y), sin, b.fma(x, cos, re.get())));
        im.set(b.fma(x, sin, b.fma(y, cos, im.get())));
      });
      const to = b.add(columnBase, b.mul(position, 2 * lanes));
      b.store(packed, to, re.get());
      b.store(packed, to, im.get(), lanes);
    });
  });
}

/** Calls `body(k, 2·phase)` for each tap, phase = frequency·(k·dilation − shift) mod n. */
function forEachPhase(
  b: KernelBuilder,
  axis: AxisPlan,
  frequency: Value,
  kernel: number,
  body: (k: Value, doublePhase: Value) => void,
): void {
  const { n, dilation, shift } = axis;
  const step = b.rem(b.mul(frequency, dilation % n), n);
  const phase = b.variable(b.rem(b.mul(frequency, (n - (shift % n)) % n), n), 'phase');
  b.for(0, kernel, 1, (k) => {
    body(k, b.mul(phase.get(), 2));
    const next = b.add(phase.get(), step);
    phase.set(b.select(b.lt(next, n), next, b.sub(next, n)));
  });
}

/** The frequencies of a complex transform in stored order, k1 then k2. */
function frequencyOrder({ p, q }: AxisPlan): number[] {
  const order: number[] = [];
  for (let k1 = 0; k1 < p; k1++) for (let k2 = 0; k2 < q; k2++) order.push(k1 + p * k2);
  return order;
}

/** scale · e^{2πij/n} as [cos, sin] pairs. */
function roots(n: number, scale: number): Float32Array {
  const table = new Float32Array(2 * n);
  for (let j = 0; j < n; j++) {
    table[2 * j] = scale * Math.cos((2 * Math.PI * j) / n);
    table[2 * j + 1] = scale * Math.sin((2 * Math.PI * j) / n);
  }
  return table;
}
