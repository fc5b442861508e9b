import type { DeviceCaps } from '../core/caps.ts';
import type { Candidate } from './family.ts';
import type { TrainingProblem } from './training-problems.ts';

/** All ways to compute a problem of training; none if no kernel supports it. */
export function trainingCandidates(problem: TrainingProblem, caps: DeviceCaps): Candidate[] {
  void problem;
  void caps;
  return [];
}
