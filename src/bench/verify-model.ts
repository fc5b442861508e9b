import type { Precision } from '../runtime/plan.ts';

/** Beyond these relative errors logits count as wrong. */
export const MAX_LOGIT_ERROR: Readonly<Record<Precision, number>> = { float32: 1e-4, bf16: 5e-2 };

/** Whose logits the others are compared with: independent projects first. */
const REFERENCES = ['onnxruntime-node', 'pytorch', 'pytorch-channels-last', 'onnxruntime-web'];

/** An engine's logits. */
export interface EngineOutput {
  readonly engine: string;
  readonly output: Float32Array;
  /** Arithmetic of its matrix products. */
  readonly precision: Precision;
}

export interface Verdict {
  /** The engine with the reference output; null for that engine itself, and if there is no other. */
  readonly comparedWith: string | null;
  /** max |y − reference| / max |reference|; null without a reference, and for outputs that are not numbers. */
  readonly maxRelError: number | null;
  readonly correct: boolean;
}

/**
 * Compares every engine's logits with those of an independent one, because float64 would take minutes for a large
 * network: ONNX Runtime, else PyTorch, else another of the engines. An engine whose output holds something that is
 * not a number is no reference, and wrong.
 */
export function judge(outputs: readonly EngineOutput[]): Verdict[] {
  const usable = outputs.filter(({ output }) => output.length > 0 && output.every(Number.isFinite));
  const rank = ({ engine }: EngineOutput): number => {
    const index = REFERENCES.indexOf(engine);
    return index < 0 ? REFERENCES.length : index;
  };
  const [reference] = usable.toSorted((a, b) => rank(a) - rank(b));
  return outputs.map((own) => {
    if (reference === undefined) return { comparedWith: null, maxRelError: null, correct: false };
    if (own === reference) return { comparedWith: null, maxRelError: null, correct: true };
    const error = relativeError(own.output, reference.output);
    return {
      comparedWith: reference.engine,
      maxRelError: Number.isFinite(error) ? error : null,
      correct: error <= Math.max(MAX_LOGIT_ERROR[own.precision], MAX_LOGIT_ERROR[reference.precision]),
    };
  });
}

/** max |y − reference| / max |reference|; infinite if the lengths differ or any element is not a number. */
export function relativeError<T extends Float32Array | Float64Array>(output: T, reference: T): number {
  if (output.length !== reference.length) return Infinity;
  let error = 0;
  let scale = 0;
  reference.forEach((wanted, i) => {
    const difference = Math.abs((output[i] ?? NaN) - wanted);
    error = Number.isFinite(difference) ? Math.max(error, difference) : Infinity;
    scale = Math.max(scale, Math.abs(wanted));
  });
  return error === 0 ? 0 : error / scale;
}
