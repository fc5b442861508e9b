import type { Kernel } from '../codegen/ir.ts';
import type { DeviceCaps } from '../core/caps.ts';
import type { Problem } from './problem.ts';

/** Frozen choices of an algorithm: tile sizes, lanes, factors. Plain data, comparable as JSON. */
export type Config = Readonly<Record<string, number | string | boolean>>;

/** What a problem costs by definition, whatever the algorithm. */
export interface Cost {
  /** Multiply-accumulates, taps on padding included, as papers count them. */
  readonly macs: number;
  /**
   * Bytes that must cross memory: every input, weight and output element once, 4 bytes each. A residual is one more input;
   * whether it is a block's input again, only its node knows (`costOf`).
   */
  readonly bytes: number;
  /** Additions behind one output element; error bounds grow with it. */
  readonly depth: number;
}

/**
 * Generated code for one problem.
 *
 * Buffers are bound by name. In `main`: inputs and the output `y` as the signature names them, `packed` the prepared
 * weights, `temp` intermediate memory. In `prepare`, which runs once, or in training before every run: `weight`,
 * `bias`, … are the weights in PyTorch's order, `packed` is written. `packed` is zero before it runs first.
 */
export interface Emission {
  readonly main: readonly Kernel[];
  readonly prepare: readonly Kernel[];
  /** Floats of `packed`. */
  readonly packedFloats: number;
  /** Floats of `temp`. */
  readonly tempFloats: number;
}

/**
 * One algorithm for one kind of problem: five pure things, consumed alike by planner, tuner, tests,
 * benchmarks and profiles. (`Problem` and `Cost` are shared by all algorithms of an op.)
 */
export interface KernelFamily<P extends Problem, C extends Config> {
  /** The file's name, e.g. `depthwise-fft`. */
  readonly name: string;
  readonly op: P['op'];
  /** The configurations worth measuring for the problem on such a device; none if the problem is not supported. */
  configs(problem: P, caps: DeviceCaps): readonly C[];
  /** Expected time in cycles of one core, all threads together: only for comparing candidates. */
  estimate(problem: P, config: C, caps: DeviceCaps): number;
  /** Builds the code. Decides nothing: everything follows from problem and config. */
  emit(problem: P, config: C): Emission;
}

/** A family bound to a problem and a configuration: what the planner chooses among. */
export interface Candidate {
  readonly problem: Problem;
  readonly family: string;
  readonly config: Config;
  readonly estimate: number;
  emit(): Emission;
}

/** All candidates of one family. */
export function candidatesOf<P extends Problem, C extends Config>(
  family: KernelFamily<P, C>,
  problem: P,
  caps: DeviceCaps,
): Candidate[] {
  return family.configs(problem, caps).map((config) => ({
    problem,
    family: family.name,
    config,
    estimate: family.estimate(problem, config, caps),
    emit: () => family.emit(problem, config),
  }));
}

/**
 * The configurations of the lowest estimates, one of each kind and at most `most`: without kinds, all that is measured
 * would be one tile with slightly different tasks.
 */
export function bestOfEachKind<C extends Config>(
  configs: readonly C[],
  most: number,
  estimate: (config: C) => number,
  kindOf: (config: C) => string,
): C[] {
  const ranked = configs.map((config) => ({ config, cost: estimate(config) }));
  ranked.sort((a, b) => a.cost - b.cost);
  const kinds = new Map<string, C>();
  for (const { config } of ranked) {
    const kind = kindOf(config);
    if (!kinds.has(kind)) kinds.set(kind, config);
  }
  return [...kinds.values()].slice(0, most);
}

/** A readable C identifier from parts, for kernel names: `depthwise_fft_56x56x128_k31x31`. */
export function kernelName(...parts: readonly (string | number)[]): string {
  return parts.join('_').replace(/\W+/g, '_');
}
