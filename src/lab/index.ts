/**
 * The lab (`widefield/lab`): why a network is fast or slow on a device, and what would help. Pure analyses, at home in
 * browsers too; drawing, and measuring and keeping the record of a machine, are in `widefield/lab/node`.
 *
 * {@link kernelCosts} of a graph and a record from {@link findDevice} or {@link parseDevice} give a {@link waterline};
 * {@link amdahl}, {@link mediantCurve} and {@link efficiencyGap} start from these.
 */
export { amdahl, amdahlByKind } from './amdahl.ts';
export type { AmdahlStep } from './amdahl.ts';
export { BLOCK_KINDS, blockGraph, blockName } from './block-case.ts';
export type { BlockCase, BlockKind } from './block-case.ts';
export { blockCost, costsOfOptimized, intensityOf, kernelCosts, totalCost } from './costs.ts';
export type { CostOptions, KernelCost } from './costs.ts';
export { deviceRecords } from './device-records.ts';
export { DTYPES, DTYPE_BYTES, deviceNames, findDevice, opByteRatio, parseDevice, peakOf } from './devices.ts';
export type { CacheRecord, DeviceMeasurement, DeviceRecord, Dtype } from './devices.ts';
export { efficiencyGap, efficiencyOf, publishedGapInputs } from './efficiency.ts';
export type { Efficiency, GapInput, GapPoint } from './efficiency.ts';
export { ERF_THRESHOLDS, analyseErf, areaRatios, logScores, squareShares } from './erf.ts';
export type { AreaRatio, Erf, ScoreMap } from './erf.ts';
export type { SqueezeExcite } from './gates.ts';
export { checkHonesty } from './honesty.ts';
export type { Honesty } from './honesty.ts';
export type { KernelKind } from './kernel-kind.ts';
export { denseBlock, directTile, im2colBlock, largeKernelStudy } from './large-kernels.ts';
export type {
  ConvPass,
  KernelSweepPoint,
  LargeKernelOptions,
  LargeKernelStudy,
  Tile,
  Work,
} from './large-kernels.ts';
export { measureModel } from './measure-model.ts';
export type { MeasureModelOptions, MeasuredModel } from './measure-model.ts';
export { measuredGap } from './measured.ts';
export type { MeasuredGap } from './measured.ts';
export { efficiencyAt, mediantCurve } from './mediant.ts';
export type { EfficiencyAtRatio } from './mediant.ts';
export { projectLatency } from './project.ts';
export type { EfficiencySource, ProjectOptions, ProjectedLayer, Projection } from './project.ts';
// Not as a namespace: bundlers give those a helper that imports Node modules.
export {
  accuracies,
  blockBounds,
  blockLatencies,
  convfirstSizes,
  depthwiseLatencies,
  imageNetLatencies,
  largeKernelFigures,
  maxEfficiencies,
  picoLayers,
  projections,
  replknetSizes,
  slakSizes,
  throughputs,
} from './published.ts';
export type {
  Published,
  PublishedAccuracy,
  PublishedBlock,
  PublishedBlockBound,
  PublishedDepthwise,
  PublishedEfficiency,
  PublishedFigure,
  PublishedLatency,
  PublishedLayer,
  PublishedProjection,
  PublishedSize,
  PublishedThroughput,
} from './published.ts';
export { attainable, ridge, rooflineOf, rooflinePoint } from './roofline.ts';
export type { Roofline, RooflinePoint } from './roofline.ts';
export { kernelScaling, slakTables, sparseSize } from './scaling.ts';
export type { ScalingPoint, Size, SizeCase, SizeComparison } from './scaling.ts';
export { countMachine, minimumSeconds } from './tensor-machine/count.ts';
export type { KernelCount, MachineCount, Rates, Tally } from './tensor-machine/count.ts';
export { drawMachine } from './tensor-machine/draw.ts';
export type {
  Axis as MachineAxis,
  Barrier as MachineBarrier,
  Kernel as MachineKernel,
  Loop as MachineLoop,
  Machine,
  Memory as MachineMemory,
  Operation as MachineOperation,
  Operator as MachineOperator,
  Step as MachineStep,
  Tensor as MachineTensor,
} from './tensor-machine/machine.ts';
export { MACHINE_NAMES, describeMachine } from './tensor-machine/machines.ts';
export type { MachineName } from './tensor-machine/machines.ts';
export { runMachine } from './tensor-machine/run.ts';
export type { KernelRun, MachineRun } from './tensor-machine/run.ts';
export type { BlockSizes, TileSizes } from './tensor-machine/sizes.ts';
export { depthwiseBounds, throughputBounds } from './throughput.ts';
export type { DepthwiseBound, ThroughputBound } from './throughput.ts';
export { attainableSeconds, movingSeconds, waterline } from './waterline.ts';
export type { MemoryModel, Waterline, WaterlineKernel, WaterlineOptions } from './waterline.ts';
