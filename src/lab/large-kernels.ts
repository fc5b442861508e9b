import { DTYPE_BYTES, defaultDtype } from './devices.ts';
import type { DeviceRecord, Dtype } from './devices.ts';
import { attainable, ridge, rooflineOf, rooflinePoint } from './roofline.ts';
import type { Roofline, RooflinePoint } from './roofline.ts';

/*
 * MegEngine's study: why the time of a depthwise convolution should hardly depend on its kernel size, and why matrix
 * products do not get there. Bytes are those that a block of threads fetches from the second-level cache.
 */

/** What a block computes, and the bytes that it fetches for that. */
export interface Work {
  readonly ops: number;
  readonly bytes: number;
}

/**
 * One step of a dense convolution as implicit matrix product, M = outputs, N = pixels, K = inputs · taps, cut into blocks:
 * work 2·BM·BN·BK, traffic BM·BK + BK·BN elements. Its intensity does not depend on BK.
 */
export function denseBlock(m: number, n: number, k: number, elementBytes: number = DTYPE_BYTES.f32): Work {
  return { ops: 2 * m * n * k, bytes: elementBytes * (m * k + k * n) };
}

/** A depthwise convolution as im2col: a matrix product for each channel whose matrix of weights has one row, BM = 1. */
export function im2colBlock(n: number, k: number, elementBytes: number = DTYPE_BYTES.f32): Work {
  return denseBlock(1, n, k, elementBytes);
}

/** What is convolved in training. */
export type ConvPass = 'forward' | 'input-gradient' | 'weight-gradient';

export const CONV_PASSES: readonly ConvPass[] = ['forward', 'input-gradient', 'weight-gradient'];

export interface Tile {
  readonly height: number;
  readonly width: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
}

/**
 * A depthwise convolution done directly, one warp a tile of one channel: work 2·oh·ow·kh·kw, traffic
 * kh·kw + (oh + kh − 1)·(ow + kw − 1) elements. The gradient to the input is such a convolution, with the kernel turned;
 * the gradient to the weights reads tiles of input and output gradient and sums to kh·kw values.
 */
export function directTile(
  tile: Tile,
  pass: ConvPass = 'forward',
  elementBytes: number = DTYPE_BYTES.f32,
): Work {
  const { height, width, kernelHeight, kernelWidth } = tile;
  const taps = kernelHeight * kernelWidth;
  const halo = (height + kernelHeight - 1) * (width + kernelWidth - 1);
  const second = pass === 'weight-gradient' ? height * width : taps;
  return { ops: 2 * height * width * taps, bytes: elementBytes * (second + halo) };
}

export interface LargeKernelOptions {
  /** Kernel sizes to sweep; default 3, 5, … 31. */
  readonly kernels?: readonly number[];
  /** Output rows and columns of a warp; default 4×32. */
  readonly tile?: readonly [height: number, width: number];
  /** Rows and columns of a block of the matrix product; default 32. */
  readonly block?: number;
  /** [N, C, H, W] of the sweep's map; default the study's (64, 384, 32, 32). */
  readonly map?: readonly [batch: number, channels: number, height: number, width: number];
  /** Default f32 where it is on record, as in the study. */
  readonly dtype?: Dtype;
  /** Which bandwidth counts; default L2 where it is on record, else DRAM. */
  readonly memory?: string;
}

/** One kernel size of the sweep: the direct algorithm, and im2col. */
export interface KernelSweepPoint extends RooflinePoint {
  readonly kernel: number;
  readonly pass: ConvPass;
  /** Least time of the whole layer with this algorithm. */
  readonly timeUs: number;
  /** The same with im2col, at its best intensity of half an operation a byte: grows with the kernel's area. */
  readonly im2colUs: number;
}

export interface LargeKernelStudy extends Roofline {
  readonly memory: string;
  readonly dtype: Dtype;
  readonly ridge: number;
  readonly dense: RooflinePoint;
  /** At BN = 1, at the block's width, and as BN grows without end. */
  readonly im2col: readonly RooflinePoint[];
  readonly direct: readonly KernelSweepPoint[];
  /** The first kernel size of the sweep that computing bounds; undefined if none. */
  readonly computeBoundFrom?: number;
}

/** The study of dense and depthwise convolutions, for any device. */
export function largeKernelStudy(device: DeviceRecord, options: LargeKernelOptions = {}): LargeKernelStudy {
  const { kernels = oddSizes(3, 31), tile: [height, width] = [4, 32], block = 32 } = options;
  const { dtype = device.peak.f32 === undefined ? defaultDtype(device) : 'f32' } = options;
  const { map: [batch, channels, rows, columns] = [64, 384, 32, 32] } = options;
  const hasL2 =
    device.caches?.some(({ name, bandwidth }) => name === 'L2' && bandwidth !== undefined) ?? false;
  const memory = options.memory ?? (hasL2 ? 'L2' : 'DRAM');
  const roofline = rooflineOf(device, { dtype, memory });
  const size = DTYPE_BYTES[dtype];
  const point = (name: string, { ops, bytes }: Work): RooflinePoint =>
    rooflinePoint(roofline, name, ops, bytes);
  const tiles = batch * channels * Math.ceil(rows / height) * Math.ceil(columns / width);
  const im2colLimit = 2 / size;
  const direct = CONV_PASSES.flatMap((pass) =>
    kernels.map((kernel): KernelSweepPoint => {
      const work = directTile({ height, width, kernelHeight: kernel, kernelWidth: kernel }, pass, size);
      const at = point(`depthwise ${kernel}×${kernel}, direct, ${pass}`, work);
      const layerOps = 2 * batch * channels * rows * columns * kernel ** 2;
      return {
        ...at,
        kernel,
        pass,
        timeUs: (1e6 * tiles * at.ops) / at.attainable,
        im2colUs: (1e6 * layerOps) / attainable(roofline, im2colLimit),
      };
    }),
  );
  const computeBoundFrom = direct.find(
    ({ pass, bound }) => pass === 'forward' && bound === 'compute',
  )?.kernel;
  return {
    ...roofline,
    memory,
    dtype,
    ridge: ridge(roofline),
    dense: point(`dense, ${block}×${block} blocks`, denseBlock(block, block, block, size)),
    im2col: [
      point('depthwise as im2col, BN = 1', im2colBlock(1, 1, size)),
      point(`depthwise as im2col, BN = ${block}`, im2colBlock(block, 1, size)),
      point('depthwise as im2col, BN → ∞', { ops: 2, bytes: size }),
    ],
    direct,
    ...(computeBoundFrom !== undefined && { computeBoundFrom }),
  };
}

function oddSizes(first: number, last: number): number[] {
  return Array.from({ length: (last - first) / 2 + 1 }, (_, i) => first + 2 * i);
}
