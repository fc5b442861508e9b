import { invalidArgument } from '../core/errors.ts';
import { elements, parametersOf, selectOutputs } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { macsOf } from '../graph/lower.ts';
import { convnext } from '../models/convnext.ts';
import { slak } from '../models/slak.ts';
import { slakSizes } from './published.ts';

/** Parameters and multiply-accumulates of one image. */
export interface Size {
  readonly parameters: number;
  readonly macs: number;
}

/** A network by a name, its size computed. */
export interface SizeCase extends Size {
  readonly name: string;
}

/** One kernel size of the sweep: full kernels against decomposed ones, and those sparse. */
export interface ScalingPoint {
  /** M of the first stage. */
  readonly kernel: number;
  readonly kernels: readonly number[];
  readonly full: Size;
  readonly decomposed: Size;
  readonly sparse: Size;
}

/** A computed size beside the printed one. */
export interface SizeComparison extends SizeCase {
  readonly published: { readonly parametersM: number; readonly gmacs: number };
  /** computed / printed − 1. */
  readonly difference: { readonly parameters: number; readonly macs: number };
}

const TINY = { depths: [3, 3, 9, 3], channels: [96, 192, 384, 768] };
const DEEP = [3, 3, 27, 3];
const SPARSITY = 0.4;

/**
 * Kernel sizes of the four stages, as the paper's tables have them: 51-49-47-13, and no less than 7 or more than the first.
 * Throws `invalid-argument` for kernels below 7.
 */
export function stageKernels(kernel: number): number[] {
  if (!(kernel >= 7)) throw invalidArgument(`Kernels grow from 7 on, ConvNeXt's own size, got ${kernel}.`);
  return [kernel, Math.max(7, kernel - 2), Math.max(7, kernel - 4), Math.min(kernel, 13)];
}

/**
 * A sparse network's size as the paper counts it: the share 1 − s of all parameters and of all multiply-accumulates.
 * The paper counts what its masks leave, whose densities differ from layer to layer with the gradients that SNIP saw, so
 * its multiply-accumulates are up to 7% below this; its parameters are these.
 */
export function sparseSize({ parameters, macs }: Size, sparsity: number): Size {
  return { parameters: (1 - sparsity) * parameters, macs: (1 - sparsity) * macs };
}

/** Parameters and multiply-accumulates of ConvNeXt-T as its kernels grow (SLaK, Fig. 4). */
export function kernelScaling(
  kernels: readonly number[] = [7, 13, 21, 31, 41, 51, 61, 81, 101, 121, 151],
): ScalingPoint[] {
  return kernels.map((kernel) => {
    const sizes = stageKernels(kernel);
    const decomposed = decomposedSize(sizes);
    return {
      kernel,
      kernels: sizes,
      full: fullSize(sizes),
      decomposed,
      sparse: sparseSize(decomposed, SPARSITY),
    };
  });
}

/** All sizes of SLaK's Tables 1, 2, 3 and 8, beside the printed ones. */
export function slakTables(): SizeComparison[] {
  const computed = new Map(slakCases().map((size) => [size.name, size]));
  return slakSizes.rows.flatMap(({ name, parametersM, gmacs }): SizeComparison[] => {
    const size = computed.get(name);
    if (size === undefined) return [];
    const difference = {
      parameters: size.parameters / 1e6 / parametersM - 1,
      macs: size.macs / 1e9 / gmacs - 1,
    };
    return [{ ...size, published: { parametersM, gmacs }, difference }];
  });
}

function slakCases(): SizeCase[] {
  const tables = [31, 51, 61].map(stageKernels);
  const named = (kernels: readonly number[]): string => kernels.join('-');
  const base = tables.flatMap((kernels): SizeCase[] => {
    const name = `decomposed ${named(kernels)}, sparse 0.40`;
    return [
      { name: `full ${named(kernels)}`, ...fullSize(kernels) },
      { name: `decomposed ${named(kernels)}`, ...decomposedSize(kernels) },
      { name, ...sparseSize(decomposedSize(kernels), SPARSITY) },
      { name: `${name}, ×1.3`, ...sparseSize(decomposedSize(kernels, 1.3), SPARSITY) },
    ];
  });
  const models = [
    { name: 'SLaK-T', variant: slak() },
    { name: 'SLaK-S', variant: slak({ depths: DEEP }) },
    { name: 'SLaK-B', variant: slak({ depths: DEEP, channels: [128, 256, 512, 1024] }) },
  ].flatMap(({ name, variant }): SizeCase[] => {
    const size = sizeOf(variant.build());
    return [
      { name, ...size },
      { name: `${name}, sparse 0.40`, ...sparseSize(size, SPARSITY) },
    ];
  });
  const widths = [
    [0.2, 1.1],
    [0.4, 1.3],
    [0.55, 1.5],
    [0.7, 1.9],
    [0.82, 2.5],
  ] as const;
  const wide = widths.map(([sparsity, width]): SizeCase => {
    const size = sizeOf(slak({ widthFactor: width }).build());
    return { name: `SLaK-T, sparse ${sparsity.toFixed(2)}, ×${width}`, ...sparseSize(size, sparsity) };
  });
  return [{ name: 'ConvNeXt-T 7-7-7-7', ...fullSize([7, 7, 7, 7]) }, ...base, ...models, ...wide];
}

/** With full K×K kernels, and the 5×5 beside them. ConvNeXt itself, at 7×7, has none beside. */
function fullSize(kernels: readonly number[]): Size {
  const isConvNeXt = kernels.every((kernel) => kernel === 7);
  const variant = isConvNeXt ? convnext(TINY) : slak({ widthFactor: 1, kernels, decomposition: 'full' });
  return sizeOf(variant.build());
}

/** With M×5 and 5×M in place of each large kernel. */
function decomposedSize(kernels: readonly number[], widthFactor = 1): Size {
  return sizeOf(slak({ widthFactor, kernels }).build());
}

/** Of a classifier: what is trained, and what one run multiplies. */
export function sizeOf(graph: Graph): Size {
  const classifier = selectOutputs(graph, ['logits']);
  const trained = parametersOf(classifier).filter(({ buffer }) => !buffer);
  return {
    parameters: trained.reduce((sum, { shape }) => sum + elements(shape), 0),
    macs: macsOf(classifier),
  };
}
