import { invalidArgument } from '../core/errors.ts';
import { defaultDtype, peakOf } from './devices.ts';
import type { DeviceRecord, Dtype } from './devices.ts';

/** A machine with one memory: how fast it computes, and how fast that memory feeds it. */
export interface Roofline {
  /** Operations a second. */
  readonly peak: number;
  /** Bytes a second. */
  readonly bandwidth: number;
}

/** Something with so many operations for so many bytes, under a roofline. */
export interface RooflinePoint {
  readonly name: string;
  readonly ops: number;
  readonly bytes: number;
  readonly intensity: number;
  /** min(peak, bandwidth × intensity), in operations a second. */
  readonly attainable: number;
  readonly bound: 'compute' | 'memory';
}

/** min(peak, bandwidth × intensity), in operations a second (Williams et al. 2009). */
export function attainable({ peak, bandwidth }: Roofline, intensity: number): number {
  return Math.min(peak, bandwidth * intensity);
}

/** The intensity from which on the peak is within reach. */
export function ridge({ peak, bandwidth }: Roofline): number {
  return peak / bandwidth;
}

export function rooflinePoint(roofline: Roofline, name: string, ops: number, bytes: number): RooflinePoint {
  const intensity = ops / bytes;
  const bound = intensity < ridge(roofline) ? 'memory' : 'compute';
  return { name, ops, bytes, intensity, attainable: attainable(roofline, intensity), bound };
}

/** A device under its DRAM, or under a cache whose bandwidth is on record. Throws `invalid-argument` if it is not. */
export function rooflineOf(
  device: DeviceRecord,
  {
    dtype = defaultDtype(device),
    memory = 'DRAM',
  }: { readonly dtype?: Dtype; readonly memory?: string } = {},
): Roofline {
  const peak = peakOf(device, dtype);
  if (memory === 'DRAM') return { peak, bandwidth: device.bandwidth };
  const bandwidth = device.caches?.find(({ name }) => name === memory)?.bandwidth;
  if (bandwidth === undefined) {
    throw invalidArgument(
      `The record of ${device.name} has no bandwidth for ${memory}: use DRAM, or add it to the record.`,
    );
  }
  return { peak, bandwidth };
}
