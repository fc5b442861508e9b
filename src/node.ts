/** What only Node can do, beside the library proper: files of measurements and of weights. */
export { defaultTuningFile, loadTuning, saveTuning } from './runtime/tuning-store.ts';
export { openCheckpoint } from './checkpoints/open.ts';
export { openFileSource } from './checkpoints/file-source.ts';
export { openFileSink } from './checkpoints/file-sink.ts';
