import type { Activation } from '../kernels/problem.ts';

/** The meaning of each activation, in float64. */
export function activate(activation: Activation, x: number): number {
  switch (activation) {
    case 'none':
      return x;
    case 'relu':
      return relu(x);
    case 'relu6':
      return relu6(x);
    case 'gelu':
      return gelu(x);
    case 'silu':
      return silu(x);
    case 'sigmoid':
      return sigmoid(x);
    case 'tanh':
      return Math.tanh(x);
  }
}

/** The derivative φ′(x) of each activation; 0 where relu and relu6 have corners, as PyTorch takes it. */
export function activationDerivative(activation: Activation, x: number): number {
  switch (activation) {
    case 'none':
      return 1;
    case 'relu':
      return x > 0 ? 1 : 0;
    case 'relu6':
      return x > 0 && x < 6 ? 1 : 0;
    case 'gelu':
      return 0.5 * erfc(-x * Math.SQRT1_2) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
    case 'silu':
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case 'sigmoid':
      return sigmoid(x) * (1 - sigmoid(x));
    case 'tanh':
      return 1 - Math.tanh(x) ** 2;
  }
}

export function relu(x: number): number {
  return Math.max(x, 0);
}

export function relu6(x: number): number {
  return Math.min(Math.max(x, 0), 6);
}

/** x · Φ(x) with the exact normal distribution Φ(x) = erfc(−x/√2) / 2 (Hendrycks & Gimpel 2016). */
export function gelu(x: number): number {
  return 0.5 * x * erfc(-x * Math.SQRT1_2);
}

/** x · sigmoid(x). */
export function silu(x: number): number {
  return x * sigmoid(x);
}

export function sigmoid(x: number): number {
  return x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
}

/** The error function to double precision: its series up to 2.5, the complement beyond. */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  const value = magnitude < SERIES_END ? erfSeries(magnitude) : 1 - erfcFraction(magnitude);
  return x < 0 ? -value : value;
}

/** 1 − erf(x) without cancellation for large positive x. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  return x < SERIES_END ? 1 - erfSeries(x) : erfcFraction(x);
}

const SERIES_END = 2.5;

/** erf(x) = 2/√π · e^(−x²) · Σ x · (2x²)ⁿ / (1·3·5 ⋯ (2n+1)): every term is positive (Abramowitz & Stegun 7.1.6). */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 1½/(x + …)))) for x > 0 (Abramowitz & Stegun 7.1.14). */
function erfcFraction(x: number): number {
  if (x > 30) return 0;
  let tail = x;
  for (let n = 100; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}
