import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';

/**
 * The right-hand side of a matrix product, packed for register tiles of `vectors` vectors: panel after
 * panel, each [depth][width] with width = vectors · lanes. The last panel may be narrower.
 */
export interface Panels {
  readonly depth: number;
  readonly lanes: number;
  /** Vectors across a full panel. */
  readonly vectors: number;
  readonly fullPanels: number;
  /** Vectors across the last, narrower panel; 0 if there is none. */
  readonly lastVectors: number;
}

/** Panels for `depth` × `pitch` weights. */
export function panelsOf(depth: number, pitch: number, lanes: number, vectors: number): Panels {
  const total = pitch / lanes;
  return { depth, lanes, vectors, fullPanels: Math.floor(total / vectors), lastVectors: total % vectors };
}

/** Depths are multiples of this where the input's padding allows it, so that the innermost loop unrolls. */
export const DEPTH_UNIT = 4;

/** Products behind an output of `inputs` inputs, those with the padding included that rounds them up. */
export function paddedDepth(inputs: number, inputPitch: number): number {
  return Math.min(inputPitch, Math.ceil(inputs / DEPTH_UNIT) * DEPTH_UNIT);
}

export function panelCount(panels: Panels): number {
  return panels.fullPanels + (panels.lastVectors > 0 ? 1 : 0);
}

export function panelFloats(panels: Panels): number {
  return panels.depth * panels.lanes * (panels.fullPanels * panels.vectors + panels.lastVectors);
}

/** Floats from one full panel to the next. */
export function panelStride(panels: Panels): number {
  return panels.depth * panels.vectors * panels.lanes;
}

/** Steps of the depth that are copied together: loads of neighbours, stores to as many rows of the panel. */
const COPIED_DEPTH = 8;
/** Outputs between the one at hand and the one that is hinted at; they lie too far apart for prefetchers. */
const OUTPUTS_AHEAD = 8;

/**
 * Emits the packing of one panel (task) from `weight[output][depth]`, padding left zero.
 *
 * @param source the index in `weight` of element (output, k); by default output · inputs + k
 * @param inputs rows of the panels that have weights; those beyond stay zero
 * @param offset where the panels begin in `packed`
 */
export function emitPacking(
  b: KernelBuilder,
  weight: Buffer,
  packed: Buffer,
  panels: Panels,
  outputs: number,
  source: (output: Value, k: Value) => Value = (output, k) => b.add(b.mul(output, inputs), k),
  inputs = panels.depth,
  offset = 0,
): void {
  const { lanes, vectors, fullPanels, lastVectors } = panels;
  const width = vectors * lanes;
  const isFull = b.lt(b.task, fullPanels);
  const thisWidth = b.select(isFull, width, lastVectors * lanes);
  const base = b.mul(b.task, panelStride(panels));
  const firstOutput = b.mul(b.task, width);
  const count = b.min(thisWidth, b.sub(outputs, firstOutput));
  const copy = (k0: Value, depth: number): void => {
    b.for(0, count, 1, (j) => {
      const output = b.add(firstOutput, j);
      b.prefetch(weight, source(b.add(output, OUTPUTS_AHEAD), k0));
      const ks = Array.from({ length: depth }, (_, i) => b.add(k0, i));
      const values = ks.map((k) => b.loadScalar(weight, source(output, k)));
      const column = b.add(base, j);
      values.forEach((value, i) => {
        b.store(packed, b.add(column, b.mul(ks[i] ?? k0, thisWidth)), value, offset);
      });
    });
  };
  const rest = inputs % COPIED_DEPTH;
  b.for(0, inputs - rest, COPIED_DEPTH, (k0) => copy(k0, COPIED_DEPTH));
  if (rest > 0) copy(b.i32(inputs - rest), rest);
}

/** Emits the packing of one panel (task) from `weight[k][output]`: rows of the panel are copied as they are. */
export function emitTransposedPacking(
  b: KernelBuilder,
  weight: Buffer,
  packed: Buffer,
  panels: Panels,
  inputs: number,
  outputs: number,
): void {
  const { lanes, vectors, fullPanels, lastVectors } = panels;
  const width = vectors * lanes;
  const thisWidth = b.select(b.lt(b.task, fullPanels), width, lastVectors * lanes);
  const base = b.mul(b.task, panelStride(panels));
  const firstOutput = b.mul(b.task, width);
  const count = b.min(thisWidth, b.sub(outputs, firstOutput));
  const forRows = (copy: (from: Value, to: Value) => void): void => {
    b.for(0, inputs, 1, (k) => {
      copy(b.add(b.mul(k, outputs), firstOutput), b.add(base, b.mul(k, thisWidth)));
    });
  };
  b.if(
    b.eq(count, width),
    () => {
      forRows((from, to) => {
        for (let v = 0; v < vectors; v++) b.store(packed, to, b.loadVec(weight, from, v * lanes), v * lanes);
      });
    },
    () => {
      forRows((from, to) => {
        b.for(0, count, 1, (j) => b.store(packed, b.add(to, j), b.loadScalar(weight, b.add(from, j))));
      });
    },
  );
}
