import type { DeviceCaps } from '../core/caps.ts';
import { WidefieldError } from '../core/errors.ts';
import type { Candidate } from '../kernels/family.ts';
import { candidates } from '../kernels/index.ts';
import type { Problem } from '../kernels/problem.ts';
import { encode } from '../kernels/signature.ts';
import { findTuned } from './tuning-file.ts';
import type { TuningRecords } from './tuning-file.ts';

/**
 * The best known way to compute a problem: the measured winner if there is one, else the candidate with
 * the lowest estimate. Throws `unsupported`, naming the node whose problem it is, if no kernel can.
 */
export function chooseCandidate(
  problem: Problem,
  caps: DeviceCaps,
  tuning?: TuningRecords,
  node?: string,
): Candidate {
  const all = candidates(problem, caps);
  const best = (tuning && findTuned(tuning, caps, encode(problem), all)) ?? all[0];
  if (best === undefined) {
    throw new WidefieldError(
      'unsupported',
      `${node === undefined ? '' : `${node}: `}No kernel on ${caps.name} computes ${encode(problem)}.`,
    );
  }
  return best;
}
