/** What the share of pruned weights falls to. */
const FINAL_RATE = 0.005;

/**
 * The share of a layer's remaining weights that is exchanged at a step, falling by a cosine:
 * r(k) = f + (p − f)(1 + cos(πk/T)) / 2 with f = 0.005, as the official code has it.
 *
 * @param prune p, the share at the start
 * @param step k, optimizer steps done
 * @param steps T, optimizer steps of the whole run
 */
export function pruneRate(prune: number, step: number, steps: number): number {
  const final = Math.min(FINAL_RATE, prune);
  return final + ((prune - final) * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps))) / 2;
}
