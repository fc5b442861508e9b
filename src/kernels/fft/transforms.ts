import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Value } from '../../codegen/ir.ts';
import { positionGroups } from './axis.ts';
import type { AxisPlan } from './axis.ts';
import { ComplexAlgebra, ZERO, conjugate, term } from './complex.ts';
import type { Complex, Term } from './complex.ts';
import { dft } from './dft.ts';
import type { Sink, Source } from './dft.ts';
import { LONGEST, park, parkedDft } from './parking.ts';

/** Where one tile's data are while it is transformed. All lengths count vectors of `lanes` floats. */
export interface TileMemory {
  /** [column frequency][row][re, im]: rows after their transform, then results of the columns. */
  readonly plane: Buffer;
  /** Rows that a column of the plane has room for. */
  readonly planeRows: number;
  /** [k1][j][re, im]: one line between its two passes. */
  readonly line: Buffer;
  /** For values that wait between the stages of a codelet; undefined: registers hold them. */
  readonly parked: Buffer | undefined;
}

/** Reads pixel `j + constant` of the row at hand, j being a running value. */
export type PixelSource = (j: Value, constant: number) => Value;
/** Takes the finished pixel `j + constant` of the row at hand. */
export type PixelSink = (j: Value, constant: number, pixel: Value) => void;

/** Emits the passes of a two-dimensional convolution by Fourier transforms, one line at a time. */
export class TileTransforms {
  readonly #b: KernelBuilder;
  readonly #algebra: ComplexAlgebra;
  readonly #memory: TileMemory;
  readonly #twiddles: Buffer;
  readonly #plan: AxisPlan;

  /** @param twiddles `twiddleTable(plan)` */
  constructor(b: KernelBuilder, memory: TileMemory, plan: AxisPlan, twiddles: Buffer) {
    this.#b = b;
    this.#algebra = new ComplexAlgebra(b);
    this.#memory = memory;
    this.#plan = plan;
    this.#twiddles = twiddles;
  }

  /** Real transform of one row of pixels into row `row` of the plane. */
  forwardRow(source: PixelSource, row: Value): void {
    const b = this.#b;
    const { p, q, loads } = this.#plan;
    b.comment(`row: ${loads} real pixels to ${p}×${q} frequencies`);
    for (const group of positionGroups(this.#plan, loads)) {
      b.for(group.from, group.to, 1, (j) => {
        const x = indices(p).map((i) => () => (i < group.count ? real(source(j, q * i)) : ZERO));
        this.#dft(x, -1, (value, k1) => {
          if (k1 <= p / 2) this.#storeLine(k1, j, k1 === 0 ? value : this.#twiddle(value, j, k1));
        });
      });
    }
    const active = Math.min(q, loads);
    const firstFull = Math.floor(q / 2) + 1;
    const readLine = (k1: number): Complex[] =>
      indices(q).map((j) => (j < active ? this.#loadLine(k1, j, k1 === 0) : ZERO));
    dft(this.#algebra, readLine(0), -1)
      .slice(0, firstFull)
      .forEach((value, k2) => this.#storePlane(k2, 0, row, value));
    b.for(1, Math.ceil(p / 2), 1, (k1) => {
      const column = b.mul(b.sub(k1, 1), q);
      const x = indices(q).map((j) => () => (j < active ? this.#loadLine(k1, j, false) : ZERO));
      this.#dft(x, -1, (value, k2) => this.#storePlane(column, firstFull + k2, row, value));
    });
    if (p % 2 === 0) {
      const half = firstFull + (p / 2 - 1) * q;
      dft(this.#algebra, readLine(p / 2), -1)
        .slice(0, Math.ceil(q / 2))
        .forEach((value, k2) => this.#storePlane(half + k2, 0, row, value));
    }
  }

  /** The inverse of `forwardRow` (times n), of which only the first `tile` pixels are wanted. */
  inverseRow(row: Value, sink: PixelSink): void {
    const b = this.#b;
    const { p, q, tile } = this.#plan;
    b.comment(`row: ${p}×${q} frequencies to ${tile} real pixels`);
    const firstFull = Math.floor(q / 2) + 1;
    const hermitian = indices(q).map((k2) => {
      if (k2 >= firstFull) return ZERO;
      const value = this.#loadPlane(k2, 0, row);
      return k2 === 0 || 2 * k2 === q ? { re: value.re, im: undefined } : value;
    });
    for (let k2 = firstFull; k2 < q; k2++) hermitian[k2] = conjugate(at(hermitian, q - k2));
    dft(this.#algebra, hermitian, 1).forEach((value, j) =>
      this.#storeLine(0, j, real(this.#algebra.value(value.re))),
    );
    b.for(1, Math.ceil(p / 2), 1, (k1) => {
      const column = b.mul(b.sub(k1, 1), q);
      const x = indices(q).map((k2) => () => this.#loadPlane(column, firstFull + k2, row));
      this.#dft(x, 1, (value, j) => this.#storeLine(k1, j, this.#untwiddle(value, j, k1)));
    });
    if (p % 2 === 0) this.#inverseMiddle(row, firstFull + (p / 2 - 1) * q);
    for (const group of positionGroups(this.#plan, tile)) {
      b.for(group.from, group.to, 1, (j) => {
        const x: Complex[] = indices(p).map((k1) =>
          k1 <= p / 2 ? this.#loadLine(k1, j, k1 === 0 || 2 * k1 === p) : ZERO,
        );
        for (let k1 = Math.floor(p / 2) + 1; k1 < p; k1++) x[k1] = conjugate(at(x, p - k1));
        const y = dft(this.#algebra, x, 1);
        for (let i = 0; i < group.count; i++) sink(j, q * i, this.#algebra.value(at(y, i).re));
      });
    }
  }

  /** k1 = p/2 of an even p, whose frequencies are each other's conjugates: k2 ↔ q − 1 − k2. */
  #inverseMiddle(row: Value, firstColumn: number): void {
    const { p, q } = this.#plan;
    const known = Math.ceil(q / 2);
    const x: Complex[] = indices(q).map((k2) => {
      if (k2 >= known) return ZERO;
      const value = this.#loadPlane(firstColumn + k2, 0, row);
      return 2 * k2 + 1 === q ? { re: value.re, im: undefined } : value;
    });
    for (let k2 = known; k2 < q; k2++) x[k2] = conjugate(at(x, q - 1 - k2));
    dft(this.#algebra, x, 1).forEach((value, j) => {
      const turned = this.#untwiddle(value, j, this.#b.i32(p / 2));
      this.#storeLine(p / 2, j, real(this.#algebra.value(turned.re)));
    });
  }

  /**
   * Circular convolution of one column of the plane with a kernel's spectrum, in place.
   *
   * @param spectrum the float index in `spectra` of this column's spectrum [k1][k2][re, im]
   * @param meanwhile emits what else is to be done at each step 0 … `columnSteps(plan)` − 1
   */
  convolveColumn(column: Value, spectra: Buffer, spectrum: Value, meanwhile?: (step: Value) => void): void {
    const b = this.#b;
    const { p, q, loads, tile } = this.#plan;
    const active = Math.min(q, loads);
    const columnBase = this.#columnBase(column);
    this.#columnCodelets(columnBase, meanwhile);
    b.for(0, p, 1, (k1) => {
      meanwhile?.(b.add(k1, active));
      const x = indices(q).map((j) => () => (j < active ? this.#loadLine(k1, j, false) : ZERO));
      const factors = b.add(spectrum, b.mul(k1, 2 * q * b.lanes));
      const products: Source[] = [];
      this.#dft(x, -1, (value, k2) => {
        const re = b.loadVec(spectra, factors, 2 * k2 * b.lanes);
        const im = b.loadVec(spectra, factors, (2 * k2 + 1) * b.lanes);
        products[k2] = park(b, this.#algebra.multiply(value, re, im), LONGEST + k2, this.#memory.parked);
      });
      this.#dft(products, 1, (value, j) => {
        if (j < Math.min(q, tile)) this.#storeLine(k1, j, value);
      });
    });
    this.#inverseCodelets(columnBase, meanwhile && ((j) => meanwhile(b.add(j, active + p))));
  }

  /**
   * Adds this column's spectrum times the conjugate one of `other`'s to `sums`, [k1][k2][re, im] from float index
   * `at` on. Both planes stay as they are.
   */
  correlateColumn(
    column: Value,
    other: TileTransforms,
    sums: Buffer,
    at: Value,
    meanwhile?: (step: Value) => void,
  ): void {
    const b = this.#b;
    const { p, q } = this.#plan;
    const [first, second] = [other.#activePositions(), this.#activePositions()];
    const later = (steps: number): ((step: Value) => void) | undefined =>
      meanwhile && ((step) => meanwhile(b.add(step, steps)));
    other.#columnCodelets(other.#columnBase(column), meanwhile);
    this.#columnCodelets(this.#columnBase(column), later(first));
    b.for(0, p, 1, (k1) => {
      later(first + second)?.(k1);
      other.#lineFrequencies(k1).forEach((value, k2) => other.#storeLine(k1, k2, value));
      const to = b.add(at, b.mul(k1, 2 * q * b.lanes));
      this.#lineFrequencies(k1).forEach((value, k2) => {
        const { re, im } = this.#algebra.multiply(value, ...other.#linePair(k1, k2), true);
        const sum = this.#loadComplex(sums, to, 2 * k2 * b.lanes);
        const added = this.#algebra.add(sum, { re, im });
        this.#storeComplex(sums, to, 2 * k2 * b.lanes, added);
      });
    });
  }

  /** The inverse transform (times n) of a column of the plane, [k1][k2] → [row], of which the first `tile` rows are wanted. */
  inverseColumn(column: Value): void {
    const b = this.#b;
    const { p, q, tile } = this.#plan;
    b.for(0, p, 1, (k1) => {
      const x = indices(q).map((k2) => this.#loadPlane(column, 0, b.add(b.mul(k1, q), k2)));
      dft(this.#algebra, x, 1)
        .slice(0, Math.min(q, tile))
        .forEach((value, j) => this.#storeLine(k1, j, value));
    });
    this.#inverseCodelets(this.#columnBase(column));
  }

  /** The transform of a column of the plane: gives each k1 with its frequencies k2 to `sink`. */
  forwardColumn(column: Value, sink: (k1: Value, values: readonly Complex[]) => void): void {
    this.#columnCodelets(this.#columnBase(column));
    this.#b.for(0, this.#plan.p, 1, (k1) => sink(k1, this.#lineFrequencies(k1)));
  }

  /** Stores a frequency as [re, im]. */
  store(buffer: Buffer, index: Value, offset: number, value: Complex): void {
    this.#storeComplex(buffer, index, offset, value);
  }

  /** First half of a column's transform: p-point codelets and twiddles, from the plane to the line. */
  #columnCodelets(columnBase: Value, meanwhile?: (step: Value) => void): void {
    const b = this.#b;
    const { p, q, loads } = this.#plan;
    for (const group of positionGroups(this.#plan, loads)) {
      b.for(group.from, group.to, 1, (j) => {
        meanwhile?.(j);
        const from = b.add(columnBase, b.mul(j, 2 * b.lanes));
        const x = indices(p).map(
          (i) => () =>
            i < group.count ? this.#loadComplex(this.#memory.plane, from, 2 * q * i * b.lanes) : ZERO,
        );
        this.#dft(x, -1, (value, k1) =>
          this.#storeLine(k1, j, k1 === 0 ? value : this.#twiddle(value, j, k1)),
        );
      });
    }
  }

  /** A codelet, through the parking place if it needs one. */
  #dft(x: readonly Source[], sign: 1 | -1, sink: Sink): void {
    parkedDft(this.#b, this.#algebra, x, sign, sink, this.#memory.parked);
  }

  /** Second half: the q-point codelet of one k1. */
  #lineFrequencies(k1: Value): Complex[] {
    return dft(this.#algebra, this.#loadActive(k1), -1);
  }

  #loadActive(k1: Value): Complex[] {
    const { q } = this.#plan;
    const active = this.#activePositions();
    return indices(q).map((j) => (j < active ? this.#loadLine(k1, j, false) : ZERO));
  }

  #activePositions(): number {
    return Math.min(this.#plan.q, this.#plan.loads);
  }

  /** Where a column of the plane starts. */
  #columnBase(column: Value): Value {
    return this.#b.mul(column, 2 * this.#memory.planeRows * this.#b.lanes);
  }

  /** Second half of a column's inverse: twiddles and p-point codelets, from the line to the plane. */
  #inverseCodelets(columnBase: Value, meanwhile?: (step: Value) => void): void {
    const b = this.#b;
    const { p, q, tile } = this.#plan;
    for (const group of positionGroups(this.#plan, tile)) {
      b.for(group.from, group.to, 1, (j) => {
        meanwhile?.(j);
        const x = indices(p).map((k1) => () => {
          const value = this.#loadLine(k1, j, false);
          return k1 === 0 ? value : this.#twiddle(value, j, k1, true);
        });
        const to = b.add(columnBase, b.mul(j, 2 * b.lanes));
        this.#dft(x, 1, (value, i) => {
          if (i < group.count) this.#storeComplex(this.#memory.plane, to, 2 * q * i * b.lanes, value);
        });
      });
    }
  }

  /** value · e^{∓2πi·j·k1/n} for a running j. */
  #twiddle(value: Complex, j: Value, k1: number, inverse = false): Complex {
    const b = this.#b;
    const index = b.mul(j, 2 * this.#plan.p);
    const cos = b.loadBroadcast(this.#twiddles, index, 2 * k1);
    const sin = b.loadBroadcast(this.#twiddles, index, 2 * k1 + 1);
    return this.#algebra.multiply(value, cos, sin, inverse);
  }

  /** value · e^{2πi·j·k1/n} for a running k1. */
  #untwiddle(value: Complex, j: number, k1: Value): Complex {
    if (j === 0) return value;
    const b = this.#b;
    const index = b.mul(k1, 2);
    const cos = b.loadBroadcast(this.#twiddles, index, 2 * j * this.#plan.p);
    const sin = b.loadBroadcast(this.#twiddles, index, 2 * j * this.#plan.p + 1);
    return this.#algebra.multiply(value, cos, sin, true);
  }

  #linePair(k1: Value, j: number): readonly [re: Value, im: Value] {
    const { index, offset } = this.#lineIndex(k1, j);
    const { line } = this.#memory;
    return [this.#b.loadVec(line, index, offset), this.#b.loadVec(line, index, offset + this.#b.lanes)];
  }

  #loadLine(k1: Value | number, j: Value | number, realOnly: boolean): Complex {
    const b = this.#b;
    const { index, offset } = this.#lineIndex(k1, j);
    const value = this.#loadComplex(this.#memory.line, index, offset);
    return realOnly ? real(b.loadVec(this.#memory.line, index, offset)) : value;
  }

  /** Stores a complex value; the imaginary part of a real one is left undefined. */
  #storeLine(k1: Value | number, j: Value | number, value: Complex): void {
    const b = this.#b;
    const { index, offset } = this.#lineIndex(k1, j);
    b.store(this.#memory.line, index, this.#algebra.value(value.re), offset);
    const isReal = k1 === 0 && value.im === undefined;
    if (!isReal) b.store(this.#memory.line, index, this.#algebra.value(value.im), offset + b.lanes);
  }

  #lineIndex(k1: Value | number, j: Value | number): { readonly index: Value; readonly offset: number } {
    const b = this.#b;
    const rowFloats = 2 * this.#plan.q * b.lanes;
    const constant =
      (typeof k1 === 'number' ? k1 * rowFloats : 0) + (typeof j === 'number' ? 2 * j * b.lanes : 0);
    const k1Part = typeof k1 === 'number' ? b.i32(0) : b.mul(k1, rowFloats);
    const jPart = typeof j === 'number' ? b.i32(0) : b.mul(j, 2 * b.lanes);
    return { index: b.add(k1Part, jPart), offset: constant };
  }

  #planeIndex(column: Value | number, row: Value): Value {
    const b = this.#b;
    const perColumn = 2 * this.#memory.planeRows * b.lanes;
    return b.add(b.mul(column, perColumn), b.mul(row, 2 * b.lanes));
  }

  #loadPlane(column: Value | number, moreColumns: number, row: Value): Complex {
    const lifted = typeof column === 'number' ? this.#b.i32(column) : column;
    const offset = moreColumns * 2 * this.#memory.planeRows * this.#b.lanes;
    return this.#loadComplex(this.#memory.plane, this.#planeIndex(lifted, row), offset);
  }

  #storePlane(column: Value | number, moreColumns: number, row: Value, value: Complex): void {
    const lifted = typeof column === 'number' ? this.#b.i32(column) : column;
    const offset = moreColumns * 2 * this.#memory.planeRows * this.#b.lanes;
    this.#storeComplex(this.#memory.plane, this.#planeIndex(lifted, row), offset, value);
  }

  #loadComplex(buffer: Buffer, index: Value, offset: number): Complex {
    const b = this.#b;
    return {
      re: term(b.loadVec(buffer, index, offset)),
      im: term(b.loadVec(buffer, index, offset + b.lanes)),
    };
  }

  #storeComplex(buffer: Buffer, index: Value, offset: number, value: Complex): void {
    const b = this.#b;
    b.store(buffer, index, this.#algebra.value(value.re), offset);
    b.store(buffer, index, this.#algebra.value(value.im), offset + b.lanes);
  }
}

/** How many steps `correlateColumn` takes. */
export function correlationSteps({ p, q, loads }: AxisPlan, other: AxisPlan): number {
  return Math.min(q, loads) + Math.min(other.q, other.loads) + p;
}

/** How many steps `convolveColumn` takes, as equal as may be. */
export function columnSteps({ p, q, loads, tile }: AxisPlan): number {
  return Math.min(q, loads) + p + Math.min(q, tile);
}

function real(value: Value): Complex {
  const re: Term = term(value);
  return { re, im: undefined };
}

function indices(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`index ${index} of ${items.length}`);
  return item;
}
