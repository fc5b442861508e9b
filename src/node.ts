/** What is for Node, beside the library proper: files of measurements and of weights, ONNX, datasets, and training. */
export { defaultTuningFile, loadTuning, saveTuning } from './runtime/tuning-store.ts';
export { openCheckpoint } from './checkpoints/open.ts';
export { openFileSource } from './checkpoints/file-source.ts';
export { openFileSink } from './checkpoints/file-sink.ts';
export { exportOnnx, exportOnnxBytes } from './checkpoints/onnx/export.ts';
export type { OnnxOptions } from './checkpoints/onnx/export.ts';
export type { LinearForm } from './checkpoints/onnx/emitter.ts';
export type { TranslateOptions } from './checkpoints/onnx/translate.ts';
export { countClasses } from './data/dataset.ts';
export type {
  Batch,
  Dataset,
  EncodedImage,
  PixelImage,
  ReadOptions,
  Sample,
  SampleGroup,
  StrayFile,
} from './data/dataset.ts';
export { createAugmentation } from './data/augmentation.ts';
export type { Augmentation } from './data/augmentation.ts';
export { openCifar } from './data/cifar.ts';
export type { CifarKind } from './data/cifar.ts';
export { FASHION_MNIST_CLASSES, findFashionMnist, openFashionMnist } from './data/fashion-mnist.ts';
export type { IdxSplit } from './data/fashion-mnist.ts';
export { openIdx } from './data/idx.ts';
export type { IdxFiles } from './data/idx.ts';
export { openImageFolder } from './data/image-folder.ts';
export type { ImageFolderOptions } from './data/image-folder.ts';
export { countBatches, loadBatches } from './data/loader.ts';
export type { CorruptSample, LoadOptions } from './data/loader.ts';
export { findDataset, openDataset } from './data/open.ts';
export type { DatasetKind, DatasetLocation, OpenDatasetOptions } from './data/open.ts';
export { openParquet } from './data/parquet.ts';
export type { ParquetOptions } from './data/parquet.ts';
export type { CompleteTransform, CropOptions, TransformOptions } from './data/transform-options.ts';
export type { ColourJitterOptions } from './data/augment/colour-jitter.ts';
export type { PaddingFill } from './data/augment/crop.ts';
export type { EraseOptions } from './data/augment/erase.ts';
export type { RandAugmentOptions } from './data/augment/rand-augment.ts';
export type { Range } from './data/augment/random-resized-crop.ts';
export { openWebDataset } from './data/webdataset.ts';
export type { WebDatasetOptions } from './data/webdataset.ts';
export { openDataWorkers } from './data/workers.ts';
export type { DataWorkers } from './data/workers.ts';
export type { Failure, PrepareOptions, PreparedBatch, ReadResult, Seeds } from './data/prepare.ts';
export { importOnnx } from './checkpoints/onnx/import.ts';
export type { ImportOnnxOptions, ImportedOnnx } from './checkpoints/onnx/import.ts';
export type { ReadExternal } from './checkpoints/onnx/import-tensor.ts';
export { openOnnx } from './checkpoints/onnx/import-file.ts';
export { packagedModel } from './runtime/packaged-model.ts';
export type { PackagedModel } from './runtime/packaged-model.ts';
export { train } from './train/train.ts';
export type { EpochReport, StepReport, TrainData, TrainOptions, TrainResult } from './train/options.ts';
export type { CompleteSettings, TrainSettings } from './train/settings.ts';
export type {
  Adaptation,
  DensityRule,
  Growth,
  SparsityOptions,
  SparsityScope,
} from './train/sparsity/index.ts';
export { evaluate as evaluateClassifier } from './train/evaluate.ts';
export type { EvaluateOptions, Evaluation } from './train/evaluate.ts';
export { ensemble } from './train/teacher.ts';
export type { DistillationOptions, Teacher } from './train/teacher.ts';
