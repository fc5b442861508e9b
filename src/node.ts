/** What is for Node, beside the library proper: files of measurements and of weights, and ONNX. */
export { defaultTuningFile, loadTuning, saveTuning } from './runtime/tuning-store.ts';
export { openCheckpoint } from './checkpoints/open.ts';
export { openFileSource } from './checkpoints/file-source.ts';
export { openFileSink } from './checkpoints/file-sink.ts';
export { exportOnnx, exportOnnxBytes } from './checkpoints/onnx/export.ts';
export type { OnnxOptions } from './checkpoints/onnx/export.ts';
