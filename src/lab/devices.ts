import { invalidArgument, shortened } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { deviceRecords } from './device-records.ts';

/** Bytes of one element. */
export const DTYPE_BYTES = { f64: 8, f32: 4, tf32: 4, f16: 2, bf16: 2, f8: 1, i8: 1 } as const;

export type Dtype = keyof typeof DTYPE_BYTES;

export const DTYPES = Object.keys(DTYPE_BYTES) as readonly Dtype[];

/** One level of cache, all its instances together. */
export interface CacheRecord {
  /** `L2`, `L3`. */
  readonly name: string;
  readonly bytes: number;
  /** Bytes a second, where somebody measured it. */
  readonly bandwidth?: number;
}

/** What was measured with one number of threads. */
export interface DeviceMeasurement {
  readonly threads: number;
  /** Multiply-adds in registers, FLOP/s in float32. */
  readonly peak: number;
  /** Bytes a second over arrays that no cache holds: a sum; y = x; y = x + a·z. Every element counts once. */
  readonly readBandwidth: number;
  readonly copyBandwidth: number;
  readonly triadBandwidth: number;
  /** Reading what lies in the first-level caches, of all threads together. */
  readonly cacheBandwidth?: number;
  /** More than all caches hold: the least array, in bytes, that is read no faster than memory. */
  readonly cacheBytes?: number;
}

/** A machine as the analyses see it: how fast it computes, and how fast it reaches its memory. */
export interface DeviceRecord {
  /** As on the command line: `a5000`. */
  readonly name: string;
  readonly title: string;
  readonly type: 'gpu' | 'cpu';
  /** Peak rate for each data type, in operations a second; a multiply-add is two. Dense, without structured sparsity. */
  readonly peak: Readonly<Partial<Record<Dtype, number>>>;
  /** Bytes a second to and from DRAM. */
  readonly bandwidth: number;
  /** Multiprocessors of a GPU, cores of a CPU. */
  readonly units?: number;
  /** The clock that `peak` assumes, in hertz. */
  readonly clock?: number;
  readonly caches?: readonly CacheRecord[];
  /** Where each figure comes from, by its name: `peak`, `bandwidth`, `caches`, … */
  readonly sources: Readonly<Record<string, string>>;
  /** Figures that nobody could compare with their source, such as `peak.f16` or `caches`. */
  readonly unconfirmed?: readonly string[];
  /** For the record of this machine: what it was made of. */
  readonly measurements?: readonly DeviceMeasurement[];
}

/** The names of all devices on record. */
export function deviceNames(): readonly string[] {
  return deviceRecords.map(({ name }) => name);
}

/** The device of that name. Throws `invalid-argument`, with the nearest names, if there is none. */
export function findDevice(name: string): DeviceRecord {
  const found = deviceRecords.find((device) => device.name === name);
  if (found !== undefined) return found;
  const nearest = nearestNames(name, deviceNames()).join(' or ');
  throw invalidArgument(
    `There is no device "${shortened(name)}": did you mean ${nearest}? ("this" is the machine at hand, and a .json file may describe any other.)`,
  );
}

/** Operations a second at a data type. Throws `invalid-argument` if the record lacks it. */
export function peakOf(device: DeviceRecord, dtype: Dtype): number {
  const peak = device.peak[dtype];
  if (peak !== undefined) return peak;
  throw invalidArgument(
    `The record of ${device.name} has no peak rate for ${dtype}: use ${Object.keys(device.peak).join(' or ')}.`,
  );
}

/** The data type that analyses take by default: f16 as in the papers, or else the one that the record has. */
export function defaultDtype(device: DeviceRecord): Dtype {
  return (['f16', 'bf16', 'f32'] as const).find((dtype) => device.peak[dtype] !== undefined) ?? 'f32';
}

/** Operations that the device can do in the time of moving one byte: R / B. */
export function opByteRatio(device: DeviceRecord, dtype: Dtype): number {
  return peakOf(device, dtype) / device.bandwidth;
}

/**
 * A record from parsed JSON, with the fields of {@link DeviceRecord}; `name`, `peak` and `bandwidth` must be there.
 * Throws `invalid-argument`, naming the field, for figures that are missing, not numbers, or not above zero.
 */
export function parseDevice(json: unknown): DeviceRecord {
  const fields = asObject(json, 'A device record', 'with at least "name", "peak" and "bandwidth"');
  const { name, title, type } = fields;
  if (typeof name !== 'string' || name === '') {
    throw invalidArgument('A device record needs a "name", such as "my-gpu".');
  }
  const who = `The device record ${name}`;
  const rates = Object.entries(asObject(fields.peak, `"peak" of ${who}`, 'such as {"f16": 76.7e12}'));
  const peak: Partial<Record<Dtype, number>> = {};
  for (const [key, value] of rates) {
    const dtype = DTYPES.find((known) => known === key);
    if (dtype === undefined) {
      throw invalidArgument(`${who} has a peak rate for "${key}": use ${DTYPES.join(', ')}.`);
    }
    peak[dtype] = positive(value, `peak.${key}`, 'operations a second', who);
  }
  if (rates.length === 0) throw invalidArgument(`${who} needs at least one "peak" rate, such as "f16".`);
  return {
    name,
    title: typeof title === 'string' ? title : name,
    type: type === 'cpu' ? 'cpu' : 'gpu',
    peak,
    bandwidth: positive(fields.bandwidth, 'bandwidth', 'bytes a second', who),
    ...(fields.units !== undefined && { units: positive(fields.units, 'units', 'multiprocessors', who) }),
    ...(fields.clock !== undefined && { clock: positive(fields.clock, 'clock', 'hertz', who) }),
    ...(fields.caches !== undefined && { caches: parseCaches(fields.caches, who) }),
    sources: parseSources(fields.sources),
    ...(fields.unconfirmed !== undefined && {
      unconfirmed: asList(fields.unconfirmed, `"unconfirmed" of ${who}`).map(String),
    }),
    ...(fields.measurements !== undefined && {
      measurements: asList(fields.measurements, `"measurements" of ${who}`).map((item) =>
        parseMeasurement(item, who),
      ),
    }),
  };
}

function parseCaches(json: unknown, who: string): CacheRecord[] {
  return asList(json, `"caches" of ${who}`).map((item) => {
    const { name, bytes, bandwidth } = asObject(item, `A cache of ${who}`, 'with "name" and "bytes"');
    return {
      name: String(name),
      bytes: positive(bytes, 'caches.bytes', 'bytes', who),
      ...(bandwidth !== undefined && {
        bandwidth: positive(bandwidth, 'caches.bandwidth', 'bytes a second', who),
      }),
    };
  });
}

function parseMeasurement(json: unknown, who: string): DeviceMeasurement {
  const fields = asObject(json, `A measurement of ${who}`, 'with "threads", "peak" and bandwidths');
  const figure = (key: string, unit: string): number =>
    positive(fields[key], `measurements.${key}`, unit, who);
  return {
    threads: figure('threads', 'threads'),
    peak: figure('peak', 'operations a second'),
    readBandwidth: figure('readBandwidth', 'bytes a second'),
    copyBandwidth: figure('copyBandwidth', 'bytes a second'),
    triadBandwidth: figure('triadBandwidth', 'bytes a second'),
    ...(fields.cacheBandwidth !== undefined && {
      cacheBandwidth: figure('cacheBandwidth', 'bytes a second'),
    }),
    ...(fields.cacheBytes !== undefined && { cacheBytes: figure('cacheBytes', 'bytes') }),
  };
}

function parseSources(json: unknown): Record<string, string> {
  if (json === undefined) return {};
  const sources = asObject(json, 'The "sources" of a device record', 'from figures to texts');
  return Object.fromEntries(Object.entries(sources).map(([figure, source]) => [figure, String(source)]));
}

function positive(value: unknown, field: string, unit: string, who: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  // JSON.stringify would write NaN and infinities as null.
  const shown = typeof value === 'number' ? String(value) : JSON.stringify(value);
  const got = value === undefined ? 'which is missing' : `got ${shown}`;
  throw invalidArgument(`${who} needs a positive number "${field}" in ${unit}, ${got}.`);
}

function asObject(json: unknown, what: string, like: string): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalidArgument(`${what} must be an object ${like}.`);
  }
  return json as Readonly<Record<string, unknown>>;
}

function asList(json: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(json)) throw invalidArgument(`${what} must be a list.`);
  return json;
}
