/** What only Node can do, beside the library proper: the file of measurements. */
export { defaultTuningFile, loadTuning, saveTuning } from './runtime/tuning-store.ts';
