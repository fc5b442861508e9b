import type { KernelBuilder } from '../codegen/builder.ts';
import type { Value } from '../codegen/ir.ts';
import type { Activation } from './problem.ts';

/*
 * Elementary functions as branch-free polynomials and rationals, for values of type f32 and vec.
 *
 * The same operations run on every target, so results differ between targets only by how `fma` rounds.
 * Errors are the largest found over dense sweeps of float32 inputs with both roundings of `fma`
 * (tests/kernels/math.test.ts). NaN gives NaN. Operation counts take `fma` as one.
 */

/** The value after an activation. */
export function activate(b: KernelBuilder, activation: Activation, x: Value): Value {
  switch (activation) {
    case 'none':
      return x;
    case 'relu':
      return relu(b, x);
    case 'relu6':
      return relu6(b, x);
    case 'gelu':
      return gelu(b, x);
    case 'silu':
      return silu(b, x);
    case 'sigmoid':
      return sigmoid(b, x);
    case 'tanh':
      return tanh(b, x);
  }
}

/** How many vector operations an activation takes, for estimates; a division counts as 5. */
export function activationOperations(activation: Activation): number {
  return { none: 0, relu: 1, relu6: 2, gelu: 15, silu: 18, sigmoid: 17, tanh: 17 }[activation];
}

/** Whether activation(0) is 0, so that padding stays zero. */
export function keepsZero(activation: Activation): boolean {
  return activation !== 'sigmoid';
}

/** max(x, 0). */
export function relu(b: KernelBuilder, x: Value): Value {
  return b.max(x, 0);
}

/** min(max(x, 0), 6). */
export function relu6(b: KernelBuilder, x: Value): Value {
  return b.min(b.max(x, 0), 6);
}

/**
 * e^x with a relative error of at most 1.6e-7 in [-87, 88]; beyond, the value at −87.3 or 88.3.
 *
 * x = n · ln 2 + r with |r| ≤ ln 2 / 2; e^x = 2ⁿ · e^r. ln 2 is split in two so that n · LN2_HIGH is exact.
 */
export function exp(b: KernelBuilder, x: Value): Value {
  const inside = b.max(b.min(x, 88.3), -87.3);
  const n = roundedLog2(b, inside);
  const r = b.fma(n, -LN2_LOW, b.fma(n, -LN2_HIGH, inside));
  return b.mul(polynomial(b, r, EXP), b.pow2(n));
}

/**
 * ln x for an f32 x from 1 to 2³², with an absolute error of at most 2e-7 · max(1, ln x): halvings until x is below 2, then
 * 2 · artanh((x − 1) / (x + 1)).
 */
export function logFromOne(b: KernelBuilder, x: Value): Value {
  let rest = x;
  let halvings: Value = b.f32(0);
  for (const power of [16, 8, 4, 2, 1]) {
    const above = b.le(2 ** power, rest);
    rest = b.select(above, b.mul(rest, 2 ** -power), rest);
    halvings = b.select(above, b.add(halvings, power), halvings);
  }
  const z = b.div(b.sub(rest, 1), b.add(rest, 1));
  const series = polynomial(b, b.mul(z, z), [2, 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11, 2 / 13]);
  return b.fma(halvings, Math.LN2, b.mul(z, series));
}

/**
 * 1 / (1 + e^−x) with an absolute error of at most 1.2e-7, and a relative one of at most 4e-6 down to −87.
 *
 * With n = round(x · log2 e) it is 2ⁿ / (2ⁿ + 2^(n − x·log2 e)), and the last exponent is at most ½: 12 operations
 * and a division.
 */
export function sigmoid(b: KernelBuilder, x: Value): Value {
  const inside = b.max(b.min(x, 87), -87);
  const n = roundedLog2(b, inside);
  const rest = polynomial(b, b.fma(inside, -LOG2_E, n), EXP2);
  const scale = b.pow2(n);
  return b.div(scale, b.add(scale, rest));
}

/** x · sigmoid(x) with an absolute error of at most 2e-7 · max(1, |x|). */
export function silu(b: KernelBuilder, x: Value): Value {
  return b.mul(x, sigmoid(b, x));
}

/** tanh x with a relative error of at most 4e-7: x · P(x²) / Q(x²), and ±1 from ±8.7 on; 12 operations and a division. */
export function tanh(b: KernelBuilder, x: Value): Value {
  const inside = b.max(b.min(x, 8.7), -8.7);
  const square = b.mul(inside, inside);
  return b.div(b.mul(inside, polynomial(b, square, TANH_P)), polynomial(b, square, TANH_Q));
}

/**
 * GELU with the exact normal distribution, x · Φ(x), for finite x, with an absolute error of at most
 * 4e-7 · max(1, |x|); exactly 0 from −7.5 down. 15 operations, none of them a division.
 *
 * x · Φ(x) = max(x, 0) − |x| · Φ(−|x|), and the 16th root of Φ(−|x|) is almost a polynomial: smooth as
 * e^(−x²/32). The fitted one is negative beyond |x| = 7.5, where Φ vanishes in float32, and is cut there.
 * Its coefficients minimise the largest error of the result (not of the root) relative to max(1, |x|).
 */
export function gelu(b: KernelBuilder, x: Value): Value {
  const magnitude = b.abs(x);
  let tail = b.max(polynomial(b, magnitude, NORMAL_TAIL_ROOT), 0);
  for (let i = 0; i < 4; i++) tail = b.mul(tail, tail);
  return b.sub(b.max(x, 0), b.mul(magnitude, tail));
}

/**
 * The derivative of an activation at x: of ReLU and ReLU6 as PyTorch has it, 0 at the corners.
 * Absolute errors: GELU 3e-7, sigmoid 1.2e-7, tanh 6e-7, SiLU 1.2e-7 · max(1, |x|).
 */
export function activationDerivative(b: KernelBuilder, activation: Activation, x: Value): Value {
  const constant = (value: number): Value => (x.type === 'vec' ? b.vec(value) : b.f32(value));
  switch (activation) {
    case 'none':
      return constant(1);
    case 'relu':
      return b.select(b.lt(0, x), constant(1), constant(0));
    case 'relu6':
      return b.select(b.and(b.lt(0, x), b.lt(x, 6)), constant(1), constant(0));
    case 'gelu':
      return geluDerivative(b, x);
    case 'silu': {
      const s = sigmoid(b, x);
      return b.mul(s, b.fma(x, b.sub(1, s), 1));
    }
    case 'sigmoid': {
      const s = sigmoid(b, x);
      return b.mul(s, b.sub(1, s));
    }
    case 'tanh': {
      const t = tanh(b, x);
      return b.sub(1, b.mul(t, t));
    }
  }
}

/**
 * Φ(x) + x · φ(x) with φ(x) = e^(−x²/2) / √(2π), and Φ(−|x|) = φ(x) · P(1 / (1 + 0.2316419 |x|)), off by 7.5e-8 at most
 * (Abramowitz & Stegun 26.2.17). The tail of {@link gelu} would not do: it is exact only once it is multiplied by |x|.
 */
function geluDerivative(b: KernelBuilder, x: Value): Value {
  // Beyond, φ vanishes.
  const inside = b.max(b.min(x, 13), -13);
  const density = b.mul(exp(b, b.mul(b.mul(inside, inside), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  const t = b.div(1, b.fma(b.abs(inside), 0.2316419, 1));
  const tail = b.mul(density, b.mul(t, polynomial(b, t, NORMAL_TAIL)));
  const cumulative = b.select(b.lt(x, 0), tail, b.sub(1, tail));
  return b.fma(inside, density, cumulative);
}

/**
 * round(x · log2 e) for results below 2²²: at 1.5 · 2²³ float32 has no room for a fraction. Cheaper than `floor`, which
 * vectors of C do not have.
 */
function roundedLog2(b: KernelBuilder, x: Value): Value {
  return b.sub(b.fma(x, LOG2_E, ROUNDING), ROUNDING);
}

/** The smallest finite float32: what maxima start from. */
export const LOWEST = -3.4028234663852886e38;

const LOG2_E = Math.LOG2E;
const ROUNDING = 1.5 * 2 ** 23;
/** The leading 9 bits of ln 2, and the rest. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = Math.LN2 - LN2_HIGH;

// Coefficients of 1, x, x², …, from linear programs that minimise the largest weighted error.

/** e^r for |r| ≤ ln 2 / 2. */
const EXP = [1, 1, 0.4999999334647, 0.166665191302, 0.0416684057159, 0.00836889866324, 0.00138142221598];
/** 2^f for |f| ≤ ½. */
const EXP2 = [1, 0.6931469727017, 0.2402223555802, 0.0555073891216, 0.00967193869078, 0.0013264182991];
const TANH_P = [0.9999999851562, 0.1340046751687, 0.003518745095044, 2.099385261769e-5, 1.389766187781e-8];
const TANH_Q = [1, 0.4673378774818, 0.02596489782921, 0.0003323649838853, 7.996539318197e-7];
/** Φ(−a) / (φ(a) · t) for 0 ≤ a, in t = 1 / (1 + 0.2316419 a). */
const NORMAL_TAIL = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
/** Φ(−a)^(1/16) for 0 ≤ a. */
const NORMAL_TAIL_ROOT = [
  0.9576039651510401, -0.04776257288627727, -0.0178213084814146, -0.0013224344456480908,
  0.0006439221597228432, -3.068153646440766e-5, -1.7059009561099855e-6,
];

/** c₀ + c₁x + c₂x² + … by Horner's rule. */
function polynomial(b: KernelBuilder, x: Value, coefficients: readonly number[]): Value {
  const [last = 0, next = 0, ...rest] = coefficients.toReversed();
  return rest.reduce<Value>((value, coefficient) => b.fma(value, x, coefficient), b.fma(x, last, next));
}
