/**
 * Widefield: large-kernel ConvNets at hardware speed. Importing does nothing; devices are opened explicitly.
 *
 * For those who run kernels: {@link openDevice}, {@link createOp}, {@link tune} and the problems. For those who
 * write kernels: {@link KernelBuilder}, {@link emitC}, {@link emitWasm} and {@link interpret}.
 */

// Devices: what runs programs.
export { DEVICE_NAMES, openDevice } from './runtime/open.ts';
export type { DeviceName, OpenOptions } from './runtime/open.ts';
export type { DeviceCaps } from './core/caps.ts';
export type {
  CompileOptions,
  Device,
  Executable,
  Program,
  Region,
  RunOptions,
  Slot,
  Step,
  StepTime,
} from './devices/device.ts';

// Ops: what is computed.
export { createOp } from './runtime/op.ts';
export type { OpOptions, OpSession } from './runtime/op.ts';
export { NO_EPILOGUE, channelPitch, outputMap, outputSize, samePadding } from './kernels/problem.ts';
export type * from './kernels/problem.ts';
export { signature } from './kernels/signature.ts';
export type { Signature, TensorSpec } from './kernels/signature.ts';

// Choices: how it is computed. The file of measurements is in `widefield/node`.
export { candidates } from './kernels/index.ts';
export type { Candidate, Config, Cost, Emission } from './kernels/family.ts';
export { chooseCandidate } from './runtime/planner.ts';
export { tune } from './runtime/tune.ts';
export type { TuneOptions, TuneProgress } from './runtime/tune.ts';
export { formatTuning, parseTuning } from './runtime/tuning-file.ts';
export type { TuningRecord, TuningRecords } from './runtime/tuning-file.ts';

// The kernel language.
export { KernelBuilder } from './codegen/builder.ts';
export type { KernelOptions, Operand, Variable } from './codegen/builder.ts';
export type { Buffer, Kernel, Local, Statement, Table, Type, Value } from './codegen/ir.ts';
export { interpret } from './codegen/interpret.ts';
export type { InterpretOptions } from './codegen/interpret.ts';
export { emitC } from './codegen/c.ts';
export { emitWasm } from './codegen/wasm/emit.ts';
export type { EmitWasmOptions } from './codegen/wasm/emit.ts';
export type { WasmProgram, WasmStep } from './codegen/wasm/program.ts';
export type { MemoryImport } from './codegen/wasm/module.ts';

// What everything uses.
export { WidefieldError } from './core/errors.ts';
export type { ErrorCode } from './core/errors.ts';
export { Random } from './core/random.ts';
