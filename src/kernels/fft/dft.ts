import { ZERO } from './complex.ts';
import type { Complex, ComplexAlgebra } from './complex.ts';
import { gcd } from '../divide.ts';

/** Lengths that are worth one codelet: their data nearly fit the registers. */
export const CODELET_LENGTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16] as const;

/** A value of the input, read where it is needed. */
export type Source = () => Complex;
/** Takes y[k] as soon as it is there; not in the order of k. */
export type Sink = (value: Complex, k: number) => void;

/**
 * Straight-line discrete Fourier transform of `x`: y[k] = Σ_j x[j] · e^{sign·2πi·jk/n}.
 *
 * Zeros in the input and outputs that nobody uses cost nothing, so real input, padded input and pruned
 * output need no variants.
 */
export function dft(algebra: ComplexAlgebra, x: readonly Complex[], sign: 1 | -1): Complex[] {
  const y: Complex[] = new Array<Complex>(x.length).fill(ZERO);
  stagedDft(
    algebra,
    x.map((value) => () => value),
    sign,
    (value, k) => (y[k] = value),
    (value) => () => value,
  );
  return y;
}

/**
 * The same in two stages, where its data do not fit the registers: results of the first are put aside in memory, each input
 * is read and each output given away in its turn.
 *
 * @param park puts a value aside; `slot` counts from 0 to n − 1
 */
export function stagedDft(
  algebra: ComplexAlgebra,
  x: readonly Source[],
  sign: 1 | -1,
  sink: Sink,
  park: (value: Complex, slot: number) => Source,
): void {
  const n = x.length;
  const factors = split(n);
  if (factors === undefined) {
    const values = x.map((read) => read());
    (n === 1 ? values : primeDft(algebra, values, sign)).forEach(sink);
    return;
  }
  const [a, b] = factors;
  const { input, output, turns } = gcd(a, b) === 1 ? goodThomas(a, b) : cooleyTukey(a, b);
  const inner = range(b).map((j) => {
    const values = dft(
      algebra,
      range(a).map((i) => at(x, input(i, j))()),
      sign,
    );
    return values.map((value, i) => park(value, j * a + i));
  });
  for (const k1 of range(a)) {
    const column = range(b).map((j) => algebra.rotate(at(at(inner, j), k1)(), sign * turns(j, k1)));
    dft(algebra, column, sign).forEach((value, k2) => sink(value, output(k1, k2)));
  }
}

/** How a transform of length a·b is made of b transforms of length a, rotations, and a transforms of length b. */
interface Composition {
  readonly input: (i: number, j: number) => number;
  readonly output: (k1: number, k2: number) => number;
  readonly turns: (j: number, k1: number) => number;
}

function cooleyTukey(a: number, b: number): Composition {
  return {
    input: (i, j) => b * i + j,
    output: (k1, k2) => k1 + a * k2,
    turns: (j, k1) => (j * k1) / (a * b),
  };
}

/** For coprime factors: no rotations. */
function goodThomas(a: number, b: number): Composition {
  const n = a * b;
  return {
    input: (i, j) => (b * i + a * j) % n,
    output: (k1, k2) => range(n).find((k) => k % a === k1 && k % b === k2) ?? 0,
    turns: () => 0,
  };
}

/** Vector operations of `dft` on n complex values, for estimates. */
export function dftOperations(n: number): number {
  if (n === 1) return 0;
  if (n === 2) return 4;
  const factors = split(n);
  if (factors === undefined) {
    const half = (n - 1) / 2;
    return 10 * half + 4 * half * half;
  }
  const [a, b] = factors;
  const twiddles = gcd(a, b) === 1 ? 0 : 4 * (a - 1) * (b - 1);
  return b * dftOperations(a) + a * dftOperations(b) + twiddles;
}

/**
 * Odd prime n (and 2), by the symmetry of cosine and sine:
 * y[±k] = x[0] + Σ_j cos(2πjk/n)·(x[j] + x[n−j]) ± sign·i·Σ_j sin(2πjk/n)·(x[j] − x[n−j]).
 */
function primeDft(algebra: ComplexAlgebra, x: readonly Complex[], sign: 1 | -1): Complex[] {
  const n = x.length;
  const [first, second] = [at(x, 0), at(x, 1)];
  if (n === 2) return [algebra.add(first, second), algebra.sub(first, second)];
  const half = (n - 1) / 2;
  const sums = range(half).map((j) => algebra.add(at(x, j + 1), at(x, n - 1 - j)));
  const differences = range(half).map((j) => algebra.sub(at(x, j + 1), at(x, n - 1 - j)));
  const y: Complex[] = new Array<Complex>(n).fill(ZERO);
  y[0] = sums.reduce((total, sum) => algebra.add(total, sum), first);
  for (let k = 1; k <= half; k++) {
    let even = first;
    let odd = ZERO;
    for (let j = 1; j <= half; j++) {
      const angle = (2 * Math.PI * ((j * k) % n)) / n;
      even = algebra.multiplyAdd(at(sums, j - 1), Math.cos(angle), even);
      odd = algebra.multiplyAdd(at(differences, j - 1), Math.sin(angle), odd);
    }
    const turned = algebra.rotate(odd, sign / 4);
    y[k] = algebra.add(even, turned);
    y[n - k] = algebra.sub(even, turned);
  }
  return y;
}

/** Two factors of n, coprime ones if possible, else near the square root; undefined for primes. */
function split(n: number): readonly [number, number] | undefined {
  const pairs = range(n)
    .filter((a) => a > 1 && n % a === 0)
    .map((a) => [a, n / a] as const);
  const balanced = [...pairs].sort(([a, b], [c, d]) => Math.abs(a - b) - Math.abs(c - d));
  return balanced.find(([a, b]) => gcd(a, b) === 1) ?? balanced[0];
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`index ${index} of ${items.length}`);
  return item;
}
