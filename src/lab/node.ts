/**
 * What the lab does under Node alone (`widefield/lab/node`): drawing, as standalone SVG documents, and measuring and keeping
 * the record of this machine.
 */
export { defaultDeviceFile, loadThisDevice, readDeviceFile, saveThisDevice } from './device-store.ts';
export { THIS_DEVICE, measureDevice, thisDevice } from './measure-device.ts';
export type { MeasureOptions } from './measure-device.ts';
export { plotAmdahl } from './plots/amdahl.ts';
export { plotBlocks } from './plots/blocks.ts';
export type { BlockTimes } from './plots/blocks.ts';
export { plotConfusion } from './plots/confusion.ts';
export type { ConfusionCell } from './plots/confusion.ts';
export { plotDevice, plotDevices } from './plots/devices.ts';
export { plotErfs } from './plots/erf.ts';
export type { TitledErf } from './plots/erf.ts';
export type { FigureText } from './plots/figure.ts';
export { plotGap } from './plots/gap.ts';
export { plotMediant } from './plots/mediant.ts';
export type { MediantCurve } from './plots/mediant.ts';
export { plotProjections } from './plots/projection.ts';
export type { TitledProjection } from './plots/projection.ts';
export { plotLargeKernels } from './plots/roofline.ts';
export { plotScaling } from './plots/scaling.ts';
export { plotDepthwise, plotThroughput } from './plots/throughput.ts';
export { plotWaterlines } from './plots/waterline.ts';
export type { TitledWaterline, WaterlinePlotOptions } from './plots/waterline.ts';
