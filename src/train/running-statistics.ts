/** One batch norm's running statistics, kept on the host, and what a batch says of them. */
export interface BatchStatistics {
  /** Rows that the statistics are of: N·H·W. */
  readonly rows: number;
  readonly runningMean: Float32Array;
  readonly runningVariance: Float32Array;
}

/** PyTorch's default. */
const NORM_MOMENTUM = 0.1;

/**
 * running ← (1 − momentum) · running + momentum · batch, with the unbiased variance, as PyTorch has it.
 *
 * @param batch two rows of C: means and biased variances
 */
export function updateRunning(
  { rows, runningMean, runningVariance }: BatchStatistics,
  batch: Float32Array,
  momentum = NORM_MOMENTUM,
): void {
  const channels = runningMean.length;
  const unbias = rows > 1 ? rows / (rows - 1) : 1;
  for (let c = 0; c < channels; c++) {
    runningMean[c] = (1 - momentum) * (runningMean[c] ?? 0) + momentum * (batch[c] ?? 0);
    runningVariance[c] =
      (1 - momentum) * (runningVariance[c] ?? 0) + momentum * unbias * (batch[channels + c] ?? 0);
  }
}
