import type { DeviceRecord } from './devices.ts';

/*
 * Machines on record. Rates are dense (no structured sparsity) and, for tensor cores, with float32 accumulation. Every
 * figure names its source; sums are written out, so that they can be checked. Vendors' figures were compared with copies
 * of the documents named, or with tables that quote them; those for which none was found are listed as `unconfirmed`.
 */

const LAVIN =
  'Lavin, On the Efficiency of Convolutional Neural Networks, arXiv 2404.03617, waterline analysis';
const MEGENGINE = 'MegEngine team, How to speed up 31×31 conv 10 times, 2022';
const AMPERE = 'NVIDIA A100 Tensor Core GPU Architecture whitepaper';
const GA102 = 'NVIDIA Ampere GA102 GPU Architecture whitepaper';
const TURING = 'NVIDIA Turing GPU Architecture whitepaper';
const HOPPER = 'NVIDIA H100 Tensor Core GPU Architecture whitepaper, H100 SXM5';
const ADA = 'NVIDIA Ada GPU Architecture whitepaper, appendix on the GeForce RTX 4090';

const MIB = 2 ** 20;

/** What records of one chip have in common: everything but its memory. */
type Chip = Pick<DeviceRecord, 'type' | 'peak' | 'units' | 'clock' | 'caches'>;

const a100: Chip = {
  type: 'gpu',
  peak: { f64: 19.5e12, f32: 19.5e12, tf32: 156e12, f16: 312e12, bf16: 312e12, i8: 624e12 },
  units: 108,
  clock: 1.41e9,
  caches: [{ name: 'L2', bytes: 40 * MIB }],
};

const h100: Chip = {
  type: 'gpu',
  peak: {
    ...{ f64: 66.9e12, f32: 66.9e12, tf32: 494.7e12, f16: 989.4e12 },
    ...{ bf16: 989.4e12, f8: 1978.9e12, i8: 1978.9e12 },
  },
  units: 132,
  clock: 1.83e9,
  caches: [{ name: 'L2', bytes: 50 * MIB }],
};

/** All figures of a chip from one document, the bandwidth of its memory from another. */
const from = (document: string, bandwidth: string): DeviceRecord['sources'] => ({
  peak: document,
  bandwidth,
  units: document,
  clock: document,
  caches: document,
});

const h100Sources = (bandwidth: string): DeviceRecord['sources'] => ({
  ...from(HOPPER, bandwidth),
  clock: `${HOPPER}: tensor cores; f32 and f64 assume 1.98 GHz`,
});

/** Apple states GPUs' float32 rates; their shader units run float16 at the same one. */
const apple = (
  name: string,
  title: string,
  [teraflops, gigabytes, units]: readonly [teraflops: number, gigabytes: number, units: number],
  source: string,
): DeviceRecord => ({
  name,
  title,
  type: 'gpu',
  peak: { f32: teraflops * 1e12, f16: teraflops * 1e12 },
  bandwidth: gigabytes * 1e9,
  units,
  sources: { peak: `${source}; f16 as f32`, bandwidth: source, units: source },
});

export const deviceRecords: readonly DeviceRecord[] = [
  {
    name: 'a5000',
    title: 'NVIDIA RTX A5000, clocks locked at 1.17 GHz',
    type: 'gpu',
    peak: { f32: 64 * 256 * 1.17e9, f16: 64 * 1024 * 1.17e9, bf16: 64 * 1024 * 1.17e9 },
    bandwidth: (768e9 * 1.25) / 2,
    units: 64,
    clock: 1.17e9,
    caches: [{ name: 'L2', bytes: 6 * MIB }],
    sources: {
      peak: `${LAVIN}: 64 SMs × 1024 FLOP × 1.17 GHz in f16; ${GA102}: bf16 as f16, 256 FLOP in f32`,
      bandwidth: `${LAVIN}: 768 GB/s × 1.25 GHz / 2.0 GHz`,
      units: LAVIN,
      clock: LAVIN,
      caches: GA102,
    },
  },
  {
    name: 'rtx-2080-ti',
    title: 'NVIDIA GeForce RTX 2080 Ti',
    type: 'gpu',
    peak: { f32: 4352 * 1.545e9 * 2, f16: 53.8e12 },
    bandwidth: 616e9,
    units: 68,
    clock: 1.545e9,
    caches: [{ name: 'L2', bytes: 5.5 * MIB, bandwidth: 2.16e12 }],
    sources: {
      peak: `${MEGENGINE}: 4352 × 1.545 GHz × 2 in f32; ${TURING}: tensor cores in f16`,
      bandwidth: TURING,
      units: `${TURING}: 4352 units, 64 in each SM`,
      clock: MEGENGINE,
      caches: `${TURING}; bandwidth of L2 as measured in ${MEGENGINE}`,
    },
    unconfirmed: ['peak.f16', 'caches'],
  },
  {
    ...a100,
    name: 'a100',
    title: 'NVIDIA A100 SXM4 40 GB',
    bandwidth: 1555e9,
    sources: from(AMPERE, AMPERE),
  },
  {
    ...a100,
    name: 'a100-80gb',
    title: 'NVIDIA A100 SXM4 80 GB',
    bandwidth: 2039e9,
    sources: from(AMPERE, 'NVIDIA A100 datasheet'),
  },
  {
    ...h100,
    name: 'h100',
    title: 'NVIDIA H100 SXM5 80 GB',
    bandwidth: 3.35e12,
    sources: h100Sources('NVIDIA H100 datasheet'),
  },
  {
    ...h100,
    name: 'h200',
    title: 'NVIDIA H200 SXM 141 GB, whose chip is that of the H100',
    bandwidth: 4.8e12,
    sources: h100Sources('NVIDIA H200 datasheet'),
  },
  {
    name: 'rtx-4090',
    title: 'NVIDIA GeForce RTX 4090',
    type: 'gpu',
    peak: { f32: 82.6e12, tf32: 82.6e12, f16: 165.2e12, bf16: 165.2e12, f8: 330.3e12, i8: 660.6e12 },
    bandwidth: 1008e9,
    units: 128,
    clock: 2.52e9,
    caches: [{ name: 'L2', bytes: 72 * MIB }],
    sources: from(ADA, ADA),
  },
  apple(
    'm1',
    'Apple M1, GPU with 8 cores',
    [2.6, 68.25, 8],
    'Apple newsroom, 10 November 2020; memory LPDDR4X-4266 × 128 bit',
  ),
  apple('m1-pro', 'Apple M1 Pro, GPU with 16 cores', [5.2, 200, 16], 'Apple event, 18 October 2021'),
  apple('m1-max', 'Apple M1 Max, GPU with 32 cores', [10.4, 400, 32], 'Apple event, 18 October 2021'),
  apple('m1-ultra', 'Apple M1 Ultra, GPU with 64 cores', [21, 800, 64], 'Apple event, 8 March 2022'),
  apple('m2', 'Apple M2, GPU with 10 cores', [3.6, 100, 10], 'Apple event, 6 June 2022'),
  {
    name: 'epyc-9654',
    title: 'AMD EPYC 9654, one socket',
    type: 'cpu',
    peak: { f64: 96 * 16 * 2.4e9, f32: 96 * 32 * 2.4e9, bf16: 96 * 64 * 2.4e9 },
    bandwidth: 460.8e9,
    units: 96,
    clock: 2.4e9,
    caches: [
      { name: 'L2', bytes: 96 * MIB },
      { name: 'L3', bytes: 384 * MIB },
    ],
    sources: {
      ...from('AMD product page', 'AMD product page: twelve channels of DDR5-4800'),
      peak: 'AMD EPYC 9004 architecture overview: 96 cores × two 256-bit FMA a cycle × base clock 2.4 GHz',
    },
    unconfirmed: ['peak.bf16'],
  },
  {
    name: 'xeon-8480',
    title: 'Intel Xeon Platinum 8480+, one socket, AVX-512 without AMX',
    type: 'cpu',
    peak: { f64: 56 * 32 * 2.0e9, f32: 56 * 64 * 2.0e9 },
    bandwidth: 307.2e9,
    units: 56,
    clock: 2.0e9,
    caches: [
      { name: 'L2', bytes: 112 * MIB },
      { name: 'L3', bytes: 105 * MIB },
    ],
    sources: {
      ...from('Intel ARK', 'Intel ARK: eight channels of DDR5-4800'),
      peak: 'Intel ARK: 56 cores × two 512-bit FMA a cycle × base clock 2.0 GHz',
    },
    unconfirmed: ['peak.f64', 'peak.f32'],
  },
];
