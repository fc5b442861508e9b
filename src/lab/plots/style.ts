import type { KernelKind } from '../kernel-kind.ts';

/** The colours of Okabe and Ito (2008), which people with any colour vision can tell apart, in the order of use. */
export const PALETTE = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
  '#8A8A8A',
] as const;

/** Below the waterline. */
export const WATER = '#56B4E9';

const KIND_COLOURS: Readonly<Record<KernelKind, string>> = {
  conv: '#0072B2',
  grouped: '#56B4E9',
  depthwise: '#D55E00',
  pointwise: '#009E73',
  fused: '#CC79A7',
  pool: '#E69F00',
  multiply: '#B8A800',
  cat: '#8A8A8A',
  norm: '#000000',
  elementwise: '#5A4FCF',
  resize: '#5E3C1E',
};

/** The scale of kernels' colours; names of kinds stand beside them as well. */
export const KIND_SCALE = { domain: Object.keys(KIND_COLOURS), range: Object.values(KIND_COLOURS) };

/** Colours for so many series, from the first on. */
export function seriesScale(names: readonly string[]): { domain: string[]; range: string[] } {
  return {
    domain: [...names],
    range: names.map((_, i) => PALETTE[i % PALETTE.length] ?? PALETTE[0]),
  };
}

/** Three significant digits, without an exponent: `0.0123`, `7.68`, `112`. */
export function digits(value: number): string {
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** A share as `31.4%`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/**
 * Positions of labels at values along an axis, at least `gap` apart and within [from, to] if they fit, in the order of the values:
 * each as near to its value as its neighbours let it be.
 */
export function spread(
  values: readonly number[],
  gap: number,
  [from, to]: readonly [number, number],
): number[] {
  const order = values.map((value, i) => ({ value, i })).sort((a, b) => a.value - b.value);
  const placed = order.map(({ value }) => value);
  // Clusters of labels that touch are centred on the mean of their values.
  interface Cluster {
    readonly values: readonly number[];
    readonly start: number;
  }
  const extent = (count: number): number => (count - 1) * gap;
  const place = (members: readonly number[]): Cluster => {
    const centre = members.reduce((sum, value) => sum + value, 0) / members.length;
    const start = centre - extent(members.length) / 2;
    return { values: members, start: Math.max(from, Math.min(start, to - extent(members.length))) };
  };
  const clusters: Cluster[] = [];
  for (const value of placed) {
    let cluster = place([value]);
    for (
      let last = clusters.at(-1);
      last && last.start + extent(last.values.length) + gap > cluster.start;
      last = clusters.at(-1)
    ) {
      clusters.pop();
      cluster = place([...last.values, ...cluster.values]);
    }
    clusters.push(cluster);
  }
  const positions = clusters.flatMap(({ values: members, start }) => members.map((_, k) => start + k * gap));
  const result = new Array<number>(values.length).fill(0);
  order.forEach(({ i }, k) => (result[i] = positions[k] ?? 0));
  return result;
}

/** 1, 2 and 5 times powers of ten between two values; powers alone if they span many. */
export function logTicks(from: number, to: number): number[] {
  const [first, last] = [Math.floor(Math.log10(from)), Math.ceil(Math.log10(to))];
  const steps = last - first > 4 ? [1] : [1, 2, 5];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    .flatMap((power) => steps.map((step) => Number(`${step}e${power}`)))
    .filter((tick) => tick >= from * (1 - 1e-9) && tick <= to * (1 + 1e-9));
}

/** About the most pixels that the longest of these texts takes at 12 pixels, in a wide font. */
export function labelWidth(texts: readonly string[], weight: 'normal' | 'bold' = 'normal'): number {
  const longest = Math.max(0, ...texts.map((text) => text.length));
  return Math.ceil(longest * (weight === 'bold' ? 7.9 : 7.1));
}
