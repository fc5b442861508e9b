import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { channelsHere } from '../training/store-taps.ts';
import { meetingTaps, realFrequencies, twiddleTable } from './axis.ts';
import type { AxisPlan } from './axis.ts';
import { conjugate } from './complex.ts';
import { forEachTap } from './tap-range.ts';
import { parkingPlace } from './parking.ts';
import { loadTapRow } from './tap-rows.ts';
import { TileTransforms } from './transforms.ts';

/**
 * Emits the spectra of one block of channels, for `packed[block][column][row frequency][re, im][lane]`:
 *
 *     S[fy, fx] = 1/(ny·nx) · Σ_{ky,kx} w[ky, kx] · e^{2πi(fy(ky·d − shift_y)/ny + fx(kx·d − shift_x)/nx)}
 *
 * the conjugate spectrum, because convolution layers correlate. The kernel is transformed as maps are, with its taps
 * where the sum has them: before the first pixel means at the end. Taps that meet no pixel are left out.
 *
 * @param reversed whether taps are read in reverse, for an adjoint
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
  const columns = realFrequencies(horizontal).length;
  const [v, h] = [withTaps(vertical), withTaps(horizontal)];
  const planeRows = v.loads | 1;
  const planeFloats = 2 * columns * planeRows * lanes;
  const plane = b.scratch('plane', planeFloats);
  const line = b.scratch('line', 2 * Math.max(v.n, (Math.floor(h.p / 2) + 1) * h.q) * lanes);
  const tapRow = b.scratch('tap_row', h.loads * lanes);
  const memory = { plane, planeRows, line, parked: parkingPlace(b) };
  const horizontalTwiddles = b.table('horizontal_twiddles', twiddleTable(h));
  const isSquare = v.p === h.p && v.q === h.q;
  const verticalTwiddles = isSquare ? horizontalTwiddles : b.table('vertical_twiddles', twiddleTable(v));
  const rows = new TileTransforms(b, memory, h, horizontalTwiddles);
  const columnTransforms = new TileTransforms(b, memory, v, verticalTwiddles);
  const scale = b.vec(1 / (v.n * h.n));

  b.comment('zeros between and beside the taps');
  b.for(0, planeFloats, lanes, (i) => b.store(plane, i, b.vec(0)));
  b.for(0, h.loads * lanes, lanes, (i) => b.store(tapRow, i, b.vec(0)));
  const channel = b.mul(b.task, lanes);
  const count = channelsHere(b, channels, channel);
  const isFull = channels % lanes === 0;
  forEachTap(b, v, (ky, row) => {
    const before = b.mul(ky, horizontal.kernel);
    const start = (lane: Value): Value => {
      const kernel = b.mul(b.add(channel, lane), taps);
      return reversed ? b.sub(b.add(kernel, taps - 1), before) : b.add(kernel, before);
    };
    loadTapRow(b, h, { buffer: weight, start, count, isFull }, tapRow, reversed);
    rows.forwardRow((j, i) => b.mul(b.loadVec(tapRow, b.mul(j, lanes), i * lanes), scale), row);
  });
  b.for(0, columns, 1, (column) => {
    const columnBase = b.mul(b.add(b.mul(b.task, columns), column), 2 * v.n * lanes);
    columnTransforms.forwardColumn(column, (k1, values) => {
      const to = b.add(columnBase, b.mul(k1, 2 * v.q * lanes));
      values.forEach((value, k2) => columnTransforms.store(packed, to, 2 * k2 * lanes, conjugate(value)));
    });
  });
}

/** The axis as the kernel's own transform sees it: loaded as far as there are taps. */
function withTaps(axis: AxisPlan): AxisPlan {
  const meeting = meetingTaps(axis);
  const last = meeting ? (meeting.first + meeting.axis.kernel - 1) * axis.dilation - axis.shift : 0;
  const wraps = meeting !== undefined && meeting.first * axis.dilation < axis.shift;
  return { ...axis, loads: wraps ? axis.n : last + 1 };
}
