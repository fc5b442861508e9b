import { invalidArgument } from '../core/errors.ts';

/** Shares of the score that RepLKNet's and SLaK's papers ask about. */
export const ERF_THRESHOLDS: readonly number[] = [0.2, 0.3, 0.5, 0.99];

/** Scores of pixels, [height, width], none negative. */
export interface ScoreMap {
  readonly height: number;
  readonly width: number;
  readonly scores: ArrayLike<number>;
}

/** The smallest centred square that holds a share of the score. */
export interface AreaRatio {
  readonly threshold: number;
  /** Pixels of its side: odd, since it has a pixel in its centre. */
  readonly side: number;
  /** Its share of the map's area: (side / height) · (side / width). */
  readonly ratio: number;
}

/** An effective receptive field. */
export interface Erf {
  readonly height: number;
  readonly width: number;
  /** [height, width], log₁₀(score + 1), 1 at its largest. */
  readonly heat: Float64Array;
  readonly ratios: readonly AreaRatio[];
  /** Share of the heat in the centred square of each side 1, 3, 5, …: what the ratios are read from. */
  readonly shares: Float64Array;
}

/**
 * The effective receptive field of contribution scores (RepLKNet, Ding et al. 2022, appendix): their logarithm, rescaled,
 * and the shares of the area that hold given shares of it.
 *
 * Throws `invalid-argument` for maps of another size than they say, scores that are negative or not finite, maps without any
 * score, and thresholds outside of (0, 1].
 */
export function analyseErf(map: ScoreMap, thresholds: readonly number[] = ERF_THRESHOLDS): Erf {
  const { height, width } = map;
  const heat = logScores(map);
  const shares = squareShares({ height, width, scores: heat });
  return { height, width, heat, shares, ratios: areaRatios(map, shares, thresholds) };
}

/** A = log₁₀(score + 1), divided by its largest value. Throws like {@link analyseErf}. */
export function logScores({ height, width, scores }: ScoreMap): Float64Array {
  if (scores.length !== height * width) {
    throw invalidArgument(
      `A map of ${height}×${width} has ${height * width} scores, but ${scores.length} are given.`,
    );
  }
  let largest = 0;
  const heat = Float64Array.from(scores, (score) => {
    if (!(score >= 0) || score === Infinity) {
      throw invalidArgument(`Contribution scores must be finite and not negative, got ${score}.`);
    }
    const value = Math.log1p(score) / Math.LN10;
    largest = Math.max(largest, value);
    return value;
  });
  if (largest === 0) throw invalidArgument('No pixel contributes anything: there is no receptive field.');
  return heat.map((value) => value / largest);
}

/**
 * Share of the whole score in centred squares: entry i is of the square of side 2i + 1 around (⌊h/2⌋, ⌊w/2⌋). The last
 * one holds the whole map: where a square sticks out, its part within counts.
 */
export function squareShares({ height, width, scores }: ScoreMap): Float64Array {
  const [top, left] = [Math.floor(height / 2), Math.floor(width / 2)];
  const shares = new Float64Array(Math.max(top, left) + 1);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      // The ring of the square at whose edge the pixel lies.
      const ring = Math.max(Math.abs(y - top), Math.abs(x - left));
      shares[ring] = (shares[ring] ?? 0) + (scores[i] ?? 0);
    }
  }
  for (let i = 1; i < shares.length; i++) shares[i] = (shares[i] ?? 0) + (shares[i - 1] ?? 0);
  const total = shares.at(-1) ?? 0;
  return shares.map((sum) => sum / total);
}

/** The smallest squares that hold the shares asked for. The ratio of a square that sticks out is that of its part within. */
export function areaRatios(
  { height, width }: Pick<ScoreMap, 'height' | 'width'>,
  shares: Float64Array,
  thresholds: readonly number[] = ERF_THRESHOLDS,
): readonly AreaRatio[] {
  return thresholds.map((threshold) => {
    if (!(threshold > 0 && threshold <= 1)) {
      throw invalidArgument(`A threshold is a share of the score above 0 and up to 1, not ${threshold}.`);
    }
    const ring = shares.findIndex((share) => share >= threshold - Number.EPSILON);
    const side = 2 * (ring < 0 ? shares.length - 1 : ring) + 1;
    return { threshold, side, ratio: (Math.min(side, height) / height) * (Math.min(side, width) / width) };
  });
}
