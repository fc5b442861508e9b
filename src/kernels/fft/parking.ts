import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer } from '../../codegen/ir.ts';
import type { Complex, ComplexAlgebra, Term } from './complex.ts';
import { CODELET_LENGTHS, dft, stagedDft } from './dft.ts';
import type { Sink, Source } from './dft.ts';

/** The longest codelet. */
export const LONGEST = Math.max(...CODELET_LENGTHS);
/** The longest codelet that 16 registers hold, nearly. */
const FITTING_LENGTH = 7;

/**
 * A place for values that wait, of two codelets, where vectors have 4 lanes; undefined elsewhere. That is WebAssembly, whose
 * engines put most values of a codelet aside themselves and fetch them again: they load all its inputs first, store all its
 * outputs last, and have 16 registers. On ARM, with 4 lanes and 32 registers, compilers might do without (not measured).
 */
export function parkingPlace(b: KernelBuilder): Buffer | undefined {
  return b.lanes <= 4 ? b.scratch('parked', 4 * LONGEST * b.lanes) : undefined;
}

/** A codelet; one that does not fit the registers in two stages, where there is a place between them. */
export function parkedDft(
  b: KernelBuilder,
  algebra: ComplexAlgebra,
  x: readonly Source[],
  sign: 1 | -1,
  sink: Sink,
  place: Buffer | undefined,
): void {
  if (place !== undefined && x.length > FITTING_LENGTH) {
    stagedDft(algebra, x, sign, sink, (value, slot) => park(b, value, slot, place));
    return;
  }
  const values = x.map((read) => read());
  dft(algebra, values, sign).forEach(sink);
}

/** Puts a value aside, if there is a place for that: slots 0 to 2 · LONGEST − 1. */
export function park(b: KernelBuilder, value: Complex, slot: number, place: Buffer | undefined): Source {
  if (place === undefined) return () => value;
  const put = (part: Term, offset: number): (() => Term) => {
    if (part === undefined) return () => undefined;
    b.store(place, 0, part.value, offset);
    return () => ({ value: b.loadVec(place, 0, offset), negative: part.negative });
  };
  const [re, im] = [put(value.re, 2 * slot * b.lanes), put(value.im, (2 * slot + 1) * b.lanes)];
  return () => ({ re: re(), im: im() });
}
