import type { KernelBuilder } from '../../codegen/builder.ts';
import type { Value } from '../../codegen/ir.ts';

/** A real vector known up to its sign, so that negations cost nothing; `undefined` is exactly zero. */
export type Term = { readonly value: Value; readonly negative: boolean } | undefined;

export interface Complex {
  readonly re: Term;
  readonly im: Term;
}

export const ZERO: Complex = { re: undefined, im: undefined };

export function term(value: Value): Term {
  return { value, negative: false };
}

/** Arithmetic that leaves out what zeros and signs make unnecessary. */
export class ComplexAlgebra {
  readonly #b: KernelBuilder;

  constructor(builder: KernelBuilder) {
    this.#b = builder;
  }

  /** The value of a term, as a vector. */
  value(a: Term): Value {
    if (a === undefined) return this.#b.vec(0);
    return a.negative ? this.#b.neg(a.value) : a.value;
  }

  addReal(a: Term, b: Term): Term {
    if (a === undefined) return b;
    if (b === undefined) return a;
    if (a.negative === b.negative) return { value: this.#b.add(a.value, b.value), negative: a.negative };
    return a.negative ? term(this.#b.sub(b.value, a.value)) : term(this.#b.sub(a.value, b.value));
  }

  subReal(a: Term, b: Term): Term {
    return this.addReal(a, negate(b));
  }

  /** factor · a */
  scaleReal(a: Term, factor: number): Term {
    if (a === undefined || factor === 0) return undefined;
    const negative = a.negative !== factor < 0;
    const size = Math.abs(factor);
    return { value: size === 1 ? a.value : this.#b.mul(a.value, size), negative };
  }

  /** factor · a + c */
  multiplyAddReal(a: Term, factor: number, c: Term): Term {
    if (a === undefined || factor === 0) return c;
    if (c === undefined || Math.abs(factor) === 1) return this.addReal(this.scaleReal(a, factor), c);
    const signed = a.negative === c.negative ? factor : -factor;
    return { value: this.#b.fma(a.value, this.#b.vec(signed), c.value), negative: c.negative };
  }

  add(a: Complex, b: Complex): Complex {
    return { re: this.addReal(a.re, b.re), im: this.addReal(a.im, b.im) };
  }

  sub(a: Complex, b: Complex): Complex {
    return { re: this.subReal(a.re, b.re), im: this.subReal(a.im, b.im) };
  }

  multiplyAdd(a: Complex, factor: number, c: Complex): Complex {
    return {
      re: this.multiplyAddReal(a.re, factor, c.re),
      im: this.multiplyAddReal(a.im, factor, c.im),
    };
  }

  /** a · e^{2πi·turns}, for a constant angle. */
  rotate(a: Complex, turns: number): Complex {
    const eighths = (((turns * 8) % 8) + 8) % 8;
    if (eighths % 2 === 0) return rotateQuarters(a, eighths / 2);
    if (Number.isInteger(eighths)) {
      // e^{iπ/4}·a = √½·((re − im) + i(re + im)), then whole quarters.
      const turned = { re: this.subReal(a.re, a.im), im: this.addReal(a.re, a.im) };
      const scaled = {
        re: this.scaleReal(turned.re, Math.SQRT1_2),
        im: this.scaleReal(turned.im, Math.SQRT1_2),
      };
      return rotateQuarters(scaled, (eighths - 1) / 2);
    }
    const cos = Math.cos(2 * Math.PI * turns);
    const sin = Math.sin(2 * Math.PI * turns);
    return {
      re: this.multiplyAddReal(a.im, -sin, this.scaleReal(a.re, cos)),
      im: this.multiplyAddReal(a.im, cos, this.scaleReal(a.re, sin)),
    };
  }

  /** a · (re + i·im), or a · (re − i·im) if `conjugate`, for a factor that is only known when running. */
  multiply(a: Complex, re: Value, im: Value, conjugate = false): Complex {
    const b = this.#b;
    const times = (x: Term, factor: Value): Term =>
      x && { value: b.mul(x.value, factor), negative: x.negative };
    const cross = conjugate ? negate(a.im) : a.im;
    const crossRe = conjugate ? negate(a.re) : a.re;
    return {
      re: this.subReal(times(a.re, re), times(cross, im)),
      im: this.addReal(times(a.im, re), times(crossRe, im)),
    };
  }
}

function negate(a: Term): Term {
  return a && { value: a.value, negative: !a.negative };
}

export function conjugate(a: Complex): Complex {
  return { re: a.re, im: negate(a.im) };
}

/** a · i^quarters */
function rotateQuarters(a: Complex, quarters: number): Complex {
  switch (quarters) {
    case 0:
      return a;
    case 1:
      return { re: negate(a.im), im: a.re };
    case 2:
      return { re: negate(a.re), im: negate(a.im) };
    default:
      return { re: a.im, im: negate(a.re) };
  }
}
