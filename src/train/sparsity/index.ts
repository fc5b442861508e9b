export { SparsityController } from './controller.ts';
export type {
  Adaptation,
  MaskedSession,
  SparsityOptions,
  SparsityRecord,
  SparsityRun,
} from './controller.ts';
export { sparseCounts, uniformCounts } from './counts.ts';
export type { SparseCounts } from './counts.ts';
export type { DensityRule } from './density.ts';
export type { Growth } from './exchange.ts';
export { exportMasks } from './export-masks.ts';
export type { SparsityScope } from './scope.ts';
