/**
 * Widefield: large-kernel ConvNets at hardware speed. Importing does nothing; devices are opened explicitly.
 *
 * For those who run networks: {@link createModel}. For those who load and save weights: {@link loadCheckpoint},
 * {@link writeSafetensors}. For those who make networks: the functions of the families, {@link GraphBuilder}, and
 * {@link createSession}. For those who run kernels: {@link openDevice}, {@link createOp}, {@link tune} and the problems. For those who
 * write kernels: {@link KernelBuilder}, {@link emitC}, {@link emitWasm} and {@link interpret}.
 */

// Networks by name, with weights, on images.
export { createModel } from './runtime/model.ts';
export type {
  ClassifyOptions,
  CreateModelOptions,
  FeatureMap,
  Model,
  ModelProgress,
} from './runtime/model.ts';
export type { Classification } from './runtime/classification.ts';
export type { WeightsInput } from './runtime/weights.ts';
export { decodeImage } from './runtime/image/image.ts';
export type {
  BrowserBitmap,
  DecodeOptions,
  ImageInput,
  RgbImage,
  RgbaPixels,
} from './runtime/image/image.ts';
export { applyTransform, evalTransform } from './runtime/image/transform.ts';
export type { EvalTransform, EvalTransformOptions, Rgb } from './runtime/image/transform.ts';
export type { Interpolation } from './runtime/image/resize.ts';
export { transformFor } from './runtime/image/presets.ts';
export { labelsFor } from './runtime/labels.ts';
export { modelFromFile } from './runtime/model-file.ts';
export type { ModelFile } from './runtime/model-file.ts';
export type { OwnModel } from './models/own.ts';

// The zoo.
export { buildModel, findModel, modelNames } from './models/zoo.ts';
export { FEATURES } from './models/model.ts';
export type { KeySet, ModelOptions, ModelVariant, Paper, PhotoTransform } from './models/model.ts';
export { convfirst } from './models/convfirst.ts';
export type { ConvFirstConfig } from './models/convfirst.ts';
export { convnext } from './models/convnext.ts';
export type { ConvNeXtConfig } from './models/convnext.ts';
export { efficientnet } from './models/efficientnet.ts';
export type { EfficientNetConfig, EfficientNetStage } from './models/efficientnet.ts';
export { mobilenetV2 } from './models/mobilenet.ts';
export type { MobileNetConfig } from './models/mobilenet.ts';
export { replknet } from './models/replknet.ts';
export type { RepLKNetConfig } from './models/replknet.ts';
export { resnet } from './models/resnet.ts';
export type { ResNetConfig } from './models/resnet.ts';
export { slak } from './models/slak.ts';
export type { Decomposition, SlakConfig } from './models/slak.ts';

// Weights. Files and folders are in `widefield/node`.
export { loadCheckpoint } from './checkpoints/load.ts';
export type { CheckpointOptions } from './checkpoints/load.ts';
export type { Checkpoint, KeyedShape, TensorEntry, WeightSource } from './checkpoints/source.ts';
export type { DType } from './checkpoints/dtype.ts';
export { blobSource, bytesSource } from './checkpoints/byte-source.ts';
export type { ByteSource } from './checkpoints/byte-source.ts';
export { writeSafetensors } from './checkpoints/safetensors-writer.ts';
export type { TensorToWrite, WriteOptions } from './checkpoints/safetensors-writer.ts';
export { memorySink } from './checkpoints/byte-sink.ts';
export type { ByteSink, MemorySink } from './checkpoints/byte-sink.ts';
export { syntheticInput, syntheticWeights } from './checkpoints/synthetic.ts';
export { describeMatch, matchWeights } from './checkpoints/match.ts';
export type { MismatchedShape, WeightMatch } from './checkpoints/match.ts';

// Graphs: networks as data.
export { GraphBuilder } from './graph/builder.ts';
export type { ConvOptions, PoolOptions } from './graph/builder.ts';
export type { Derivation, Graph, Node, Parameter, Shape } from './graph/graph.ts';
export { nodesOf, parametersOf, selectOutputs } from './graph/graph.ts';
export type {
  BatchNormOp,
  BlurPoolOp,
  ChannelScaleOp,
  ConcatOp,
  ConvFirstChainOp,
  ConvFirstOp,
  ConvOp,
  ElementwiseOp,
  FfnOp,
  GlobalPoolOp,
  InputOp,
  LayerNormOp,
  LayerScaleOp,
  LinearOp,
  MBConvOp,
  Op,
  PoolOp,
  ResizeOp,
  SoftmaxOp,
} from './graph/op.ts';
export { costOf, macsOf } from './graph/lower.ts';
export { dump } from './graph/dump.ts';
export { evaluate } from './graph/evaluate.ts';
export type { Floats, Tensors } from './graph/tensors.ts';
export { optimize } from './graph/passes/index.ts';
export type { OptimizeOptions } from './graph/passes/index.ts';
export type { FuseBlocksOptions } from './graph/passes/fuse-blocks.ts';
export { reparameterize } from './graph/passes/reparameterize.ts';
export type { ReparameterizeOptions } from './graph/passes/reparameterize.ts';
export { createSession } from './runtime/session.ts';
export type { Session, SessionOptions } from './runtime/session.ts';
export { planGraph } from './runtime/plan.ts';
export type { PlacedTensor, Plan, PlanOptions, PlannedNode, Precision } from './runtime/plan.ts';

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

// Training: gradients, and steps on a device. Whole runs, with data and checkpoints, are in `widefield/node`.
export { differentiate } from './graph/passes/differentiate.ts';
export type { DifferentiateOptions } from './graph/passes/differentiate.ts';
export { recompute } from './graph/passes/recompute.ts';
export { trainingForm } from './graph/passes/training-form.ts';
export type {
  KeepInput,
  NormStatistics,
  TrainingFormOptions,
  TrainingGraph,
} from './graph/passes/training-form.ts';
export type {
  ActivationGradientOp,
  BatchNormGradientOp,
  BatchNormSumsOp,
  BatchNormalizeOp,
  BatchStatisticsOp,
  BlurPoolGradientOp,
  ChannelSliceOp,
  ConvWeightGradientOp,
  CrossEntropyGradientOp,
  CrossEntropyOp,
  DepthwiseWeightGradientOp,
  LayerNormGradientOp,
  LayerNormSumsOp,
  PixelBroadcastOp,
  PixelShuffleOp,
  PixelSumOp,
  PointwiseWeightGradientOp,
  PoolGradientOp,
  ResizeGradientOp,
  RowSliceOp,
  SampleScaleOp,
  SoftmaxGradientOp,
  TrainingOp,
  ZeroInsertOp,
} from './graph/training-ops.ts';
export { createTrainingNetwork } from './train/network.ts';
export type { StepResult, TrainingNetwork, TrainingNetworkOptions } from './train/network.ts';
export type { InitialOptions, InitialScheme } from './train/initialise.ts';
export { createOptimizer } from './train/optimizer.ts';
export type { Optimizer, OptimizerOptions } from './train/optimizer.ts';
export { createTrainingSession } from './train/training-session.ts';
export type { TrainingSession, TrainingSessionOptions } from './train/training-session.ts';
export type { ParameterGroup, ParameterLayout, PlacedParameter } from './train/parameter-layout.ts';
export type { State, UpdateOptions } from './train/update-steps.ts';
export type { Hyperparameters, OptimizerRule } from './kernels/training/optimizer.ts';
export { drawMix, mixImages, targetsOf } from './train/mix.ts';
export type { Box, Mix, MixOptions } from './train/mix.ts';
export { scheduleOf } from './train/schedule.ts';
export type { ScheduleFacts, ScheduleOptions } from './train/schedule.ts';

// Ops: what is computed.
export { createOp } from './runtime/op.ts';
export type { OpOptions, OpSession } from './runtime/op.ts';
// Types are listed: of `export type *` the bundled declarations would make values.
export {
  ACTIVATIONS,
  NO_EPILOGUE,
  channelPitch,
  outputMap,
  outputSize,
  samePadding,
} from './kernels/problem.ts';
export type {
  Activation,
  BatchNormProblem,
  BlurPoolProblem,
  ChannelScaleProblem,
  ConcatProblem,
  ConvFirstChainProblem,
  ConvFirstProblem,
  ConvProblem,
  DepthwiseProblem,
  ElementwiseProblem,
  ElementwiseStep,
  Epilogue,
  FfnProblem,
  GlobalPoolProblem,
  LayerNormProblem,
  MBConvProblem,
  Padding,
  PointwiseProblem,
  PoolProblem,
  Problem,
  ResizeProblem,
  SoftmaxProblem,
  Window,
} from './kernels/problem.ts';
export type {
  ActivationGradientProblem,
  BatchNormGradientProblem,
  BatchNormSumsProblem,
  BatchNormalizeProblem,
  BatchStatisticsProblem,
  BlurPoolGradientProblem,
  ChannelSliceProblem,
  ConvWeightGradientProblem,
  CrossEntropyGradientProblem,
  CrossEntropyProblem,
  DepthwiseWeightGradientProblem,
  LayerNormGradientProblem,
  LayerNormSumsProblem,
  PixelBroadcastProblem,
  PixelShuffleProblem,
  PixelSumProblem,
  PointwiseWeightGradientProblem,
  PoolGradientProblem,
  ResizeGradientProblem,
  SampleScaleProblem,
  SoftmaxGradientProblem,
  TrainingProblem,
  ZeroInsertProblem,
} from './kernels/training/problems.ts';
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
export type {
  ArithmeticNode,
  ArithmeticOp,
  BinaryOp,
  Buffer,
  BufferSpace,
  ConstNode,
  GetNode,
  Kernel,
  LoadNode,
  Local,
  Statement,
  Table,
  TaskNode,
  TernaryOp,
  Type,
  UnaryOp,
  Value,
} from './codegen/ir.ts';
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
export { Random, RandomStream } from './core/random.ts';
