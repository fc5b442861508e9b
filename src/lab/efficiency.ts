import { selectOutputs } from '../graph/graph.ts';
import { macsOf } from '../graph/lower.ts';
import { buildModel } from '../models/zoo.ts';
import { defaultDtype, peakOf } from './devices.ts';
import type { DeviceRecord, Dtype } from './devices.ts';
import { imageNetLatencies } from './published.ts';
import type { PublishedLatency } from './published.ts';

const PAPER_BATCH = 128;

/** How a measured latency relates to the peak rate (Lavin 2024, section on measures). */
export interface Efficiency {
  /** t_i = n / R. */
  readonly idealMs: number;
  /** t_a, as measured. */
  readonly actualMs: number;
  /** R_a = n / t_a, operations a second. */
  readonly actualRate: number;
  /** C = R_a / R = t_i / t_a. */
  readonly efficiency: number;
  /** −log₁₀ C: the width of the gap on a logarithmic axis, in decades. */
  readonly gap: number;
}

/**
 * Ideal and actual latency, actual rate and computational efficiency.
 *
 * @param ops operations, two for each multiply-accumulate, of the whole batch
 * @param actualMs measured latency in milliseconds
 * @param rate peak rate in operations a second
 */
export function efficiencyOf(ops: number, actualMs: number, rate: number): Efficiency {
  const idealMs = (1e3 * ops) / rate;
  const efficiency = idealMs / actualMs;
  return { idealMs, actualMs, actualRate: (1e3 * ops) / actualMs, efficiency, gap: -Math.log10(efficiency) };
}

/** One network of an efficiency-gap plot: points at t_i and t_a, at the height of its accuracy. */
export interface GapPoint extends Efficiency {
  readonly title: string;
  readonly model: string;
  readonly resolution: GapInput['resolution'];
  readonly batch: number;
  readonly gmacs: number;
  /** Top-1 accuracy in percent. */
  readonly accuracy: number;
}

/** What a gap point is made of: a network, its accuracy and its measured latency. */
export interface GapInput extends Pick<PublishedLatency, 'title' | 'model' | 'latencyMs' | 'top1'> {
  readonly resolution: number | readonly [height: number, width: number];
  /** Images that the latency is for. */
  readonly batch: number;
}

/** The papers' networks, with the latencies that they state for a batch of 128. */
export function publishedGapInputs(): GapInput[] {
  return imageNetLatencies.rows.map((row) => ({ ...row, batch: PAPER_BATCH }));
}

/** The efficiency gap of networks of the zoo: operations counted, latencies as given. */
export function efficiencyGap(
  networks: readonly GapInput[],
  device: DeviceRecord,
  dtype: Dtype = defaultDtype(device),
): GapPoint[] {
  return networks.map(({ title, model, resolution, batch, latencyMs, top1 }) => {
    const macs = macsOf(selectOutputs(buildModel(model, { resolution }), ['logits']));
    const efficiency = efficiencyOf(2 * macs * batch, latencyMs, peakOf(device, dtype));
    return { title, model, resolution, batch, gmacs: macs / 1e9, accuracy: top1, ...efficiency };
  });
}
