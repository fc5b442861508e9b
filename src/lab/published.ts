/*
 * What papers measured, as data: accuracies, latencies and throughputs that no computation here can give, and the
 * figures that analyses are compared with. Nothing here enters a computation but as what it is, a measurement.
 */

/** A network's published evaluation on one device. */
export interface PublishedLatency {
  readonly title: string;
  /** Its name in the zoo, if it is there. */
  readonly model: string;
  readonly resolution: number;
  readonly parametersM: number;
  readonly gmacs: number;
  readonly latencyMs: number;
  /** Share of the peak rate, in percent. */
  readonly percentOfPeak: number;
  /** Top-1 accuracy on ImageNet, in percent. */
  readonly top1: number;
}

/** Title, model, resolution, parameters, GMAC, latency, percent of peak, top-1. */
type LatencyRow = readonly [string, string, number, number, number, number, number, number];

// Resolutions are stated for the ConvNeXts of 288 only. The others are those at which the networks have the GMAC of the table.
// prettier-ignore
const latencyRows: readonly LatencyRow[] = [
  ['ConvNeXt-Femto', 'convnext-femto', 288, 5.2, 1.3, 23.4, 18.6, 78.7],
  ['EfficientNet-B1', 'efficientnet-b1', 256, 7.8, 0.8, 49.9, 5.2, 79.1],
  ['ConvFirst-Pico', 'convfirst-pico', 256, 5.9, 0.9, 6.1, 47.2, 79.9],
  ['EfficientNet-B2', 'efficientnet-b2', 288, 9.1, 1.1, 66.1, 5.7, 80.1],
  ['ConvNeXt-Pico', 'convnext-pico', 288, 9.1, 2.3, 31.7, 23.9, 80.4],
  ['ConvNeXt-Nano', 'convnext-nano', 288, 15.6, 4.1, 46.7, 29.0, 81.5],
  ['EfficientNet-B3', 'efficientnet-b3', 320, 12.2, 2.0, 107.5, 6.2, 81.6],
  ['ConvFirst-Nano', 'convfirst-nano', 256, 10.2, 1.8, 13.5, 44.6, 81.8],
  ['ConvNeXt-Tiny', 'convnext-tiny', 288, 28.6, 7.4, 80.6, 30.6, 82.7],
  ['ConvFirst-Tiny', 'convfirst-tiny', 256, 17.2, 3.2, 24.1, 44.7, 82.8],
  ['EfficientNet-B4', 'efficientnet-b4', 384, 19.3, 4.5, 203.7, 7.4, 82.9],
  ['ConvFirst-Small', 'convfirst-small', 256, 28.6, 5.5, 33.2, 55.2, 83.3],
  ['EfficientNet-B5', 'efficientnet-b5', 448, 30.4, 9.6, 385.1, 8.3, 83.6],
  ['ConvNeXt-Small', 'convnext-small', 288, 50.2, 14.4, 138.4, 34.7, 83.7],
  ['EfficientNetV2-S', 'efficientnet-v2-s', 384, 21.5, 8.4, 146.0, 19.3, 83.9],
];

/** A set of figures and where they are printed. */
export interface Published<T> {
  readonly source: string;
  /** Under which conditions. */
  readonly setting: string;
  readonly rows: readonly T[];
}

const LAVIN = 'Lavin, On the Efficiency of Convolutional Neural Networks, arXiv 2404.03617';
const SLAK =
  'Liu et al., More ConvNets in the 2020s: Scaling up Kernels Beyond 51x51 using Sparsity, ICLR 2023';
const CONVNEXT = 'Liu et al., A ConvNet for the 2020s, CVPR 2022';
const MEGENGINE = 'MegEngine team, How to speed up 31×31 conv 10 times, 2022';
const REPLKNET = 'Ding et al., Scaling Up Your Kernels to 31x31, CVPR 2022';

export const imageNetLatencies: Published<PublishedLatency> = {
  source: `${LAVIN}, Table 4`,
  setting: 'RTX A5000 at 1.17 GHz, batch 128, f16; TorchInductor, fused kernels for ConvFirst (projected)',
  rows: latencyRows.map(
    ([title, model, resolution, parametersM, gmacs, latencyMs, percentOfPeak, top1]): PublishedLatency => ({
      ...{ title, model, resolution, parametersM, gmacs, latencyMs, percentOfPeak, top1 },
    }),
  ),
};

/** A block measured by itself. */
export interface PublishedBlock {
  readonly kind: 'convfirst' | 'mbconv';
  readonly channels: number;
  readonly expansion: number;
  readonly size: number;
  /** How many blocks the times are for. */
  readonly blocks: number;
  readonly inductorMs: number;
  readonly fusedMs: number;
  readonly percentOfPeak: number;
}

// prettier-ignore
const blockRows: readonly (readonly [PublishedBlock['kind'], number, number, number, number, number, number, number])[] = [
  ['convfirst', 16, 3, 128, 1, 5.88, 0.42, 35.1],
  ['convfirst', 32, 3, 128, 1, 9.89, 0.99, 46.6],
  ['convfirst', 32, 6, 64, 1, 3.94, 0.3, 66.9],
  ['convfirst', 48, 6, 64, 1, 5.06, 0.59, 71.6],
  ['convfirst', 64, 6, 64, 1, 6.75, 0.96, 76.2],
  ['convfirst', 48, 6, 32, 1, 1.33, 0.16, 67.0],
  ['convfirst', 64, 6, 32, 1, 1.7, 0.25, 74.0],
  ['convfirst', 96, 6, 32, 1, 2.6, 0.58, 68.7],
  ['mbconv', 128, 4, 16, 8, 11.46, 2.48, 46.2],
  ['mbconv', 256, 4, 16, 8, 24.3, 8.01, 51.0],
  ['mbconv', 128, 4, 8, 8, 3.43, 0.64, 45.0],
  ['mbconv', 256, 4, 8, 8, 7.56, 1.99, 51.4],
];

export const blockLatencies: Published<PublishedBlock> = {
  source: `${LAVIN}, Tables 1 and 2`,
  setting: 'RTX A5000 at 1.17 GHz, batch 128, f16, measured',
  rows: blockRows.map(
    ([kind, channels, expansion, size, blocks, inductorMs, fusedMs, percentOfPeak]): PublishedBlock => ({
      ...{ kind, channels, expansion, size, blocks, inductorMs, fusedMs, percentOfPeak },
    }),
  ),
};

/** Least latencies of a block by itself, in microseconds. */
export interface PublishedBlockBound extends Pick<
  PublishedBlock,
  'kind' | 'channels' | 'expansion' | 'size'
> {
  readonly layerWiseUs: number;
  readonly fusedUs: number;
}

export const blockBounds: Published<PublishedBlockBound> = {
  source: `${LAVIN}, Figures 8 and 12`,
  setting: 'RTX A5000 at 1.17 GHz, batch 128, f16, computed by the waterline',
  rows: [
    { kind: 'convfirst', channels: 16, expansion: 3, size: 128, layerWiseUs: 1538, fusedUs: 280 },
    { kind: 'convfirst', channels: 32, expansion: 3, size: 128, layerWiseUs: 3076, fusedUs: 559 },
    { kind: 'convfirst', channels: 48, expansion: 6, size: 64, layerWiseUs: 1783, fusedUs: 425 },
    { kind: 'convfirst', channels: 64, expansion: 6, size: 32, layerWiseUs: 594, fusedUs: 184 },
    { kind: 'mbconv', channels: 128, expansion: 4, size: 16, layerWiseUs: 544, fusedUs: 144 },
    { kind: 'mbconv', channels: 256, expansion: 4, size: 16, layerWiseUs: 1150, fusedUs: 512 },
    { kind: 'mbconv', channels: 144, expansion: 4, size: 8, layerWiseUs: 155, fusedUs: 45 },
    { kind: 'mbconv', channels: 192, expansion: 4, size: 8, layerWiseUs: 207, fusedUs: 75 },
  ],
};

/** Maximum efficiency of a network, in percent. */
export interface PublishedEfficiency {
  readonly model: string;
  readonly resolution: number;
  readonly fused: boolean;
  readonly percent: number;
}

export const maxEfficiencies: Published<PublishedEfficiency> = {
  source: `${LAVIN}, figures of the waterline analysis`,
  setting: 'RTX A5000 at 1.17 GHz, batch 128, f16',
  rows: [
    { model: 'resnet-101', resolution: 224, fused: false, percent: 76 },
    { model: 'efficientnet-b5', resolution: 456, fused: false, percent: 30 },
    { model: 'convfirst-small', resolution: 256, fused: false, percent: 36 },
    { model: 'convfirst-small', resolution: 256, fused: true, percent: 97 },
  ],
};

/** A speed projection's total, and the efficiencies in network order that it used, the head left out. */
export interface PublishedProjection {
  readonly model: string;
  readonly latencyMs: number;
  readonly percentOfPeak: number;
  /** Percent; given for two networks. */
  readonly efficiencies?: readonly number[];
}

const times = (percent: number, count: number): number[] => Array.from({ length: count }, () => percent);

export const projections: Published<PublishedProjection> = {
  source: `${LAVIN}, Tables 4 to 9`,
  setting: 'RTX A5000 at 1.17 GHz, batch 128, f16',
  rows: [
    {
      model: 'convfirst-pico',
      latencyMs: 6.08,
      percentOfPeak: 47.2,
      // prettier-ignore
      efficiencies: [75, 35.1, 53.5, 66.9, 53.6, ...times(67, 2), 37, ...times(46.2, 10), 36, ...times(45, 10)],
    },
    { model: 'convfirst-nano', latencyMs: 13.5, percentOfPeak: 44.6 },
    { model: 'convfirst-tiny', latencyMs: 24.1, percentOfPeak: 44.7 },
    {
      model: 'convfirst-small',
      latencyMs: 33.2,
      percentOfPeak: 55.2,
      // prettier-ignore
      efficiencies: [
        75, ...times(46.6, 2), 61, ...times(76.2, 4), 55, ...times(68.7, 5),
        40.8, ...times(51, 17), 41.1, ...times(51.4, 17),
      ],
    },
  ],
};

/** A network's size as a table prints it. */
export interface PublishedSize {
  /** As {@link SizeCase.name} in scaling.ts. */
  readonly name: string;
  readonly parametersM: number;
  readonly gmacs: number;
}

export const slakSizes: Published<PublishedSize> = {
  source: `${SLAK}, Tables 1, 2, 3 and 8`,
  setting: 'one image of 224×224',
  rows: [
    { name: 'ConvNeXt-T 7-7-7-7', parametersM: 29, gmacs: 4.5 },
    { name: 'full 31-29-27-13', parametersM: 32, gmacs: 6.5 },
    { name: 'full 51-49-47-13', parametersM: 38, gmacs: 9.4 },
    { name: 'full 61-59-57-13', parametersM: 43, gmacs: 11.6 },
    { name: 'decomposed 31-29-27-13', parametersM: 30, gmacs: 5.0 },
    { name: 'decomposed 51-49-47-13', parametersM: 31, gmacs: 5.4 },
    { name: 'decomposed 61-59-57-13', parametersM: 31, gmacs: 5.6 },
    { name: 'decomposed 31-29-27-13, sparse 0.40', parametersM: 18, gmacs: 2.9 },
    { name: 'decomposed 51-49-47-13, sparse 0.40', parametersM: 18, gmacs: 3.1 },
    { name: 'decomposed 61-59-57-13, sparse 0.40', parametersM: 19, gmacs: 3.2 },
    { name: 'decomposed 31-29-27-13, sparse 0.40, ×1.3', parametersM: 30, gmacs: 4.8 },
    { name: 'decomposed 51-49-47-13, sparse 0.40, ×1.3', parametersM: 30, gmacs: 5.0 },
    { name: 'decomposed 61-59-57-13, sparse 0.40, ×1.3', parametersM: 31, gmacs: 5.2 },
    { name: 'SLaK-T', parametersM: 50, gmacs: 8.7 },
    { name: 'SLaK-T, sparse 0.40', parametersM: 30, gmacs: 5.0 },
    { name: 'SLaK-S', parametersM: 91, gmacs: 16.7 },
    { name: 'SLaK-S, sparse 0.40', parametersM: 55, gmacs: 9.8 },
    { name: 'SLaK-B', parametersM: 158, gmacs: 28.5 },
    { name: 'SLaK-B, sparse 0.40', parametersM: 95, gmacs: 17.1 },
    { name: 'SLaK-T, sparse 0.20, ×1.1', parametersM: 29, gmacs: 5.0 },
    { name: 'SLaK-T, sparse 0.40, ×1.3', parametersM: 30, gmacs: 5.0 },
    { name: 'SLaK-T, sparse 0.55, ×1.5', parametersM: 30, gmacs: 4.9 },
    { name: 'SLaK-T, sparse 0.70, ×1.9', parametersM: 32, gmacs: 5.0 },
    { name: 'SLaK-T, sparse 0.82, ×2.5', parametersM: 32, gmacs: 5.1 },
  ],
};

export const convfirstSizes: Published<PublishedSize> = {
  source: `${LAVIN}, Table 3 and its description`,
  setting: 'one image of 256×256',
  rows: [
    { name: 'convfirst-pico', parametersM: 5.91, gmacs: 0.86 },
    { name: 'convfirst-nano', parametersM: 10.17, gmacs: 1.812 },
    { name: 'convfirst-tiny', parametersM: 17.24, gmacs: 3.227 },
    { name: 'convfirst-small', parametersM: 28.55, gmacs: 5.493 },
  ],
};

/** Operations of one layer of a network for one image. */
export interface PublishedLayer {
  /** Names of a layer and of the blocks after it that are like it. */
  readonly layers: readonly string[];
  readonly what: string;
  readonly megaOps: number;
}

export const picoLayers: Published<PublishedLayer> & { readonly bodyMegaOps: number } = {
  source: `${LAVIN}, speed projection of ConvFirst-Pico, Tables 5 to 9`,
  setting: 'ConvFirst-Pico, one image of 256×256, each layer; the head is not in the sum',
  rows: [
    { layers: ['stem.conv'], what: 'stem', megaOps: 14.16 },
    { layers: ['stages.1.0'], what: 'ConvFirst 16c3', megaOps: 88.08 },
    { layers: ['stages.2.0'], what: 'ConvFirst 16→32 stride 2', megaOps: 88.08 },
    { layers: ['stages.2.1'], what: 'ConvFirst 32c6', megaOps: 119.54 },
    { layers: ['stages.4.0'], what: 'MBConv 48→128 stride 2', megaOps: 59.87 },
    { layers: ['stages.4.1'], what: 'MBConv 128c at 16×16', megaOps: 86.05 },
    { layers: ['stages.5.1'], what: 'MBConv 128c at 8×8', megaOps: 21.56 },
  ],
  bodyMegaOps: 1696.9,
};

/** A network at a resolution, and what larger kernels add to it. */
export const replknetSizes: Published<
  PublishedSize & { readonly model: string; readonly resolution: number }
> & {
  readonly growth: {
    readonly from: string;
    readonly to: string;
    readonly macs: number;
    readonly parameters: number;
  };
} = {
  source: `${REPLKNET}, comparison on ImageNet; growth: Guideline 1`,
  setting: 'one image, small kernels merged into large ones',
  rows: [
    { name: 'RepLKNet-31B at 224', model: 'replknet-31b', resolution: 224, parametersM: 79, gmacs: 15.3 },
    { name: 'RepLKNet-31B at 384', model: 'replknet-31b', resolution: 384, parametersM: 79, gmacs: 45.1 },
  ],
  // Percent, for kernels of 31-29-27-13 instead of 3-3-3-3.
  growth: { from: 'replknet-3b', to: 'replknet-31b', macs: 18.6, parameters: 10.4 },
};

/** One figure by itself. */
export interface PublishedFigure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** Digits after the point that are printed. */
  readonly decimals: number;
}

export const largeKernelFigures = {
  source: `${MEGENGINE}, roofline analysis`,
  setting: 'RTX 2080 Ti, f32, bandwidth of L2',
  rows: [
    { name: 'peak', unit: 'TFLOP/s', value: 13.447, decimals: 3 },
    { name: 'ridge', unit: 'FLOP/byte', value: 6.225, decimals: 3 },
    { name: 'dense, 32×32 blocks', unit: 'FLOP/byte', value: 8, decimals: 0 },
    { name: 'im2col, BN = 1', unit: 'FLOP/byte', value: 0.25, decimals: 2 },
    { name: 'im2col, at most', unit: 'FLOP/byte', value: 0.5, decimals: 1 },
    { name: 'direct 3×3, tile of 4×32', unit: 'FLOP/byte', value: 2.7, decimals: 2 },
    { name: 'direct 3×3, tile of 4×32, at most', unit: 'TFLOP/s', value: 5.84, decimals: 2 },
  ],
} as const satisfies Published<PublishedFigure>;

/** One depthwise layer's time for a square map, in milliseconds. */
export interface PublishedDepthwise {
  readonly size: number;
  readonly fullMs: number;
  readonly decomposedMs: number;
}

export const depthwiseLatencies: Published<PublishedDepthwise> = {
  source: `${SLAK}, Figure 4`,
  setting: 'A100, f32, cuDNN, (64, 384, R, R): 51×51, and 51×5 + 5×51',
  rows: [
    { size: 16, fullMs: 13.8, decomposedMs: 3.9 },
    { size: 32, fullMs: 58.7, decomposedMs: 14.3 },
    { size: 64, fullMs: 243, decomposedMs: 58.1 },
    { size: 128, fullMs: 990, decomposedMs: 234 },
  ],
};

/** Images a second, measured. */
export interface PublishedThroughput {
  /** As in throughput.ts. */
  readonly title: string;
  readonly imagesPerSecond: number;
}

export const throughputs: Published<PublishedThroughput> = {
  source: `${SLAK}, Tables 11 and 12`,
  setting: 'A100, f32',
  rows: [
    { title: 'ConvNeXt-T', imagesPerSecond: 1779 },
    { title: 'SLaK-T', imagesPerSecond: 709 },
    { title: 'ConvNeXt-B, full 51-49-47-13', imagesPerSecond: 96 },
    { title: 'ConvNeXt-B, decomposed', imagesPerSecond: 283 },
    { title: 'ConvNeXt-B, decomposed, sparse', imagesPerSecond: 282 },
    { title: 'ConvNeXt-B, decomposed, sparse, ×1.3 (SLaK-B)', imagesPerSecond: 198 },
  ],
};

/** Top-1 accuracy on ImageNet, in percent, of a network of the zoo at a resolution. */
export interface PublishedAccuracy {
  readonly model: string;
  readonly resolution: number;
  readonly top1: number;
  readonly source: string;
}

const TORCHVISION = "torchvision's table of models, weights IMAGENET1K_V1";

/** Networks trained on ImageNet-1K alone, beside those of {@link imageNetLatencies}. */
export const accuracies: readonly PublishedAccuracy[] = [
  ...imageNetLatencies.rows.map(({ model, resolution, top1 }) => ({
    ...{ model, resolution, top1 },
    source: imageNetLatencies.source,
  })),
  { model: 'replknet-31b', resolution: 224, top1: 83.5, source: `${REPLKNET}, comparison on ImageNet` },
  { model: 'replknet-31b', resolution: 384, top1: 84.8, source: `${REPLKNET}, comparison on ImageNet` },
  { model: 'slak-tiny', resolution: 224, top1: 82.5, source: `${SLAK}, Table 3` },
  { model: 'slak-small', resolution: 224, top1: 83.8, source: `${SLAK}, Table 3` },
  { model: 'slak-base', resolution: 224, top1: 84.0, source: `${SLAK}, Table 3` },
  { model: 'convnext-tiny', resolution: 224, top1: 82.1, source: `${CONVNEXT}, Table 1` },
  { model: 'convnext-small', resolution: 224, top1: 83.1, source: `${CONVNEXT}, Table 1` },
  { model: 'convnext-base', resolution: 224, top1: 83.8, source: `${CONVNEXT}, Table 1` },
  { model: 'resnet-50', resolution: 224, top1: 76.1, source: TORCHVISION },
  { model: 'resnet-101', resolution: 224, top1: 77.4, source: TORCHVISION },
  { model: 'mobilenet-v2', resolution: 224, top1: 71.9, source: TORCHVISION },
];
