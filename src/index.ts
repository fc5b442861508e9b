/**
 * Widefield: large-kernel ConvNets at hardware speed. Importing does nothing; devices are opened explicitly.
 */
export { WidefieldError } from './core/errors.ts';
export type { ErrorCode } from './core/errors.ts';
export type { DeviceCaps } from './core/caps.ts';
export type { CompileOptions, Device, RunOptions, StepTime } from './devices/device.ts';
export { NO_EPILOGUE, channelPitch, outputMap, samePadding } from './kernels/problem.ts';
export type * from './kernels/problem.ts';
export { signature } from './kernels/signature.ts';
export type { Signature, TensorSpec } from './kernels/signature.ts';
export { DEVICE_NAMES, openDevice } from './runtime/open.ts';
export type { DeviceName, OpenOptions } from './runtime/open.ts';
export { createOp } from './runtime/op.ts';
export type { OpOptions, OpSession } from './runtime/op.ts';
export { tune } from './runtime/tune.ts';
export type { TuneOptions, TuneProgress } from './runtime/tune.ts';
export { formatTuning, parseTuning } from './runtime/tuning-file.ts';
export type { TuningRecord, TuningRecords } from './runtime/tuning-file.ts';
