import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import type { ConvProblem } from '../problem.ts';
import type { ConvPlan } from './plan.ts';

/** The pixels that a task copies. */
export interface Band {
  readonly image: Value;
  /** The map's row and column at the band's upper left corner; may be outside of the map. */
  readonly firstRow: Value;
  readonly firstColumn: Value;
  /** Rows that are needed. */
  readonly rows: Value;
  /** The first channel. */
  readonly channel: Value;
}

type BandSource = Pick<ConvProblem, 'height' | 'width' | 'inputs' | 'inputPitch'>;
type BandLayout = Pick<
  ConvPlan,
  'groups' | 'groupInputs' | 'bandWidth' | 'pixelPitch' | 'rowPitch' | 'planeFloats'
>;

/**
 * Copies a band of the map to `band`, zeros where the map ends.
 *
 * With one group, pixels keep their pitch and rows are copied as they are. Otherwise each group gets a plane
 * [bandHeight][bandWidth][groupInputs]: pixels of a wide map are so far apart that they would evict each other
 * from the first-level cache.
 */
export function emitBandCopy(
  b: KernelBuilder,
  problem: BandSource,
  plan: BandLayout,
  planes: number,
  x: Buffer,
  band: Buffer,
  place: Band,
): void {
  const { height, width, inputPitch } = problem;
  const { bandWidth, pixelPitch, rowPitch, planeFloats } = plan;
  // Columns [low, high) of the band lie on the map.
  const low = b.min(b.max(b.sub(0, place.firstColumn), 0), bandWidth);
  const high = b.max(b.min(b.sub(width, place.firstColumn), bandWidth), low);
  b.for(0, place.rows, 1, (i) => {
    const row = b.add(place.firstRow, i);
    const to = b.mul(i, rowPitch);
    const clear = (from: Value, end: Value): void => {
      for (let plane = 0; plane < planes; plane++) {
        const start = b.add(b.add(to, plane * planeFloats), b.mul(from, pixelPitch));
        clearFloats(b, band, start, b.mul(b.sub(end, from), pixelPitch), pixelPitch);
      }
    };
    b.if(
      b.and(b.le(0, row), b.lt(row, height)),
      () => {
        clear(b.i32(0), low);
        const pixel = b.add(b.mul(b.add(b.mul(place.image, height), row), width), place.firstColumn);
        if (plan.groups === 1) {
          const from = b.mul(b.add(pixel, low), inputPitch);
          const count = b.mul(b.sub(high, low), inputPitch);
          copyFloats(b, x, from, band, b.add(to, b.mul(low, inputPitch)), count, inputPitch);
        } else {
          b.for(low, high, 1, (column) => {
            const from = b.add(b.mul(b.add(pixel, column), inputPitch), place.channel);
            copyPixel(
              b,
              problem,
              plan,
              planes,
              x,
              from,
              place.channel,
              band,
              b.add(to, b.mul(column, pixelPitch)),
            );
          });
        }
        clear(high, b.i32(bandWidth));
      },
      () => clear(b.i32(0), b.i32(bandWidth)),
    );
  });
}

/** Copies the channels of one pixel to the planes of their groups. */
function copyPixel(
  b: KernelBuilder,
  problem: BandSource,
  plan: BandLayout,
  planes: number,
  x: Buffer,
  from: Value,
  channel: Value,
  band: Buffer,
  to: Value,
): void {
  const { groups, groupInputs, planeFloats } = plan;
  for (let plane = 0; plane < planes; plane++) {
    const source = b.add(from, plane * groupInputs);
    const target = b.add(to, plane * planeFloats);
    if (groups * groupInputs <= problem.inputs) {
      copyFloats(b, x, source, band, target, b.i32(groupInputs), groupInputs);
      continue;
    }
    // The last merged group has fewer channels.
    const count = b.sub(problem.inputs, b.add(channel, plane * groupInputs));
    b.for(0, groupInputs, 1, (c) => {
      b.if(
        b.lt(c, count),
        () => b.store(band, b.add(target, c), b.loadScalar(x, b.add(source, c))),
        () => b.store(band, b.add(target, c), b.f32(0)),
      );
    });
  }
}

/** Copies `count` floats, a multiple of `unit`: vectors, then what is left one by one. */
function copyFloats(
  b: KernelBuilder,
  source: Buffer,
  from: Value,
  target: Buffer,
  to: Value,
  count: Value,
  unit: number,
): void {
  forFloats(
    b,
    count,
    unit,
    (i) => b.store(target, b.add(to, i), b.loadVec(source, b.add(from, i))),
    (i) => b.store(target, b.add(to, i), b.loadScalar(source, b.add(from, i))),
  );
}

function clearFloats(b: KernelBuilder, target: Buffer, from: Value, count: Value, unit: number): void {
  forFloats(
    b,
    count,
    unit,
    (i) => b.store(target, b.add(from, i), b.vec(0)),
    (i) => b.store(target, b.add(from, i), b.f32(0)),
  );
}

function forFloats(
  b: KernelBuilder,
  count: Value,
  unit: number,
  vector: (i: Value) => void,
  scalar: (i: Value) => void,
): void {
  if (unit % b.lanes === 0) {
    b.for(0, count, b.lanes, vector);
    return;
  }
  const whole = b.mul(b.div(count, b.lanes), b.lanes);
  b.for(0, whole, b.lanes, vector);
  b.for(whole, count, 1, scalar);
}
