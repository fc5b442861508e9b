import { invalidArgument } from '../../core/errors.ts';
import { RandomStream, hashText } from '../../core/random.ts';
import type { OptimizerRule } from '../../kernels/training/optimizer.ts';
import type { TrainingSession } from '../training-session.ts';
import type { State } from '../update-steps.ts';
import { packBits, unpackBits } from './bits.ts';
import type { DensityRule } from './density.ts';
import { exchange, exchangeOfficial } from './exchange.ts';
import type { Growth } from './exchange.ts';
import { firstMasks, firstMasksOfficial } from './masks.ts';
import type { MaskedLayer } from './masks.ts';
import { pruneRate } from './rate.ts';
import { maskedParameters } from './scope.ts';
import type { SparsityScope } from './scope.ts';
import { onesOf } from './select.ts';
import type { Uniform } from './select.ts';

export interface SparsityOptions {
  /** Share of the masked weights that are zero. Default 0.4. */
  readonly sparsity?: number;
  /** How the others are distributed over layers. Default `snip`. */
  readonly density?: DensityRule;
  /** Which weights are masked. Default `all`. */
  readonly scope?: SparsityScope;
  /** Share of a layer's weights that the first exchange replaces; it falls by a cosine. Default 0.3. */
  readonly prune?: number;
  /** Optimizer steps between exchanges. Default 100. */
  readonly every?: number;
  /** Default `random`. */
  readonly growth?: Growth;
  /** Keeps the first masks. */
  readonly static?: boolean;
  /** Does as the official SLaK code does, not as its paper says: see docs/ARCHITECTURE.md. */
  readonly official?: boolean;
}

/** What is meant where an option is not given. */
export const SPARSITY_DEFAULTS = {
  sparsity: 0.4,
  density: 'snip',
  scope: 'all',
  prune: 0.3,
  every: 100,
  growth: 'random',
  static: false,
  official: false,
} as const satisfies SparsityOptions;

/** What the run around it fixes. */
export interface SparsityRun {
  readonly seed: number;
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  /** The optimizer, whose moments new weights start with. */
  readonly rule: OptimizerRule;
}

/** What a checkpoint holds beside the masks. */
export interface SparsityRecord {
  readonly options: Required<SparsityOptions>;
  readonly run: SparsityRun;
  /** Layers that lost their mask (`official`). */
  readonly dense: readonly string[];
}

/** What an exchange of weights did, over all layers. */
export interface Adaptation {
  /** Share of each layer's weights that was exchanged. */
  readonly rate: number;
  readonly pruned: number;
  readonly grown: number;
}

/** The part of a training session that masks concern; it must be `masked`. */
export type MaskedSession = Pick<TrainingSession, 'layout' | 'state'>;

/**
 * Dynamic sparsity of a training session (SLaK, Algorithm 1). The optimizer multiplies weights by their mask in every
 * step; this writes the masks: first ones, then an exchange of weights every so many steps.
 *
 * All randomness follows from (seed, step, layer), so that a run resumed from `toJSON` and `save` goes on bit for bit.
 */
export class SparsityController {
  readonly options: Required<SparsityOptions>;
  readonly #run: SparsityRun;
  #dense: ReadonlySet<string> = new Set();

  /** Throws `invalid-argument` for options out of range. */
  constructor(options: SparsityOptions, run: SparsityRun) {
    this.options = checked(options);
    this.#run = run;
  }

  /** As it was when `toJSON` was called. */
  static restore({ options, run, dense }: SparsityRecord): SparsityController {
    const controller = new SparsityController(options, run);
    controller.#dense = new Set(dense);
    return controller;
  }

  toJSON(): SparsityRecord {
    return { options: this.options, run: this.#run, dense: [...this.#dense] };
  }

  /**
   * Writes the first masks and multiplies values by them; averages too, if they are kept. For `snip` the session's gradients must be
   * those of one batch. Throws `invalid-argument` if there is nothing to mask.
   */
  initialise(session: MaskedSession): void {
    const { density: rule, sparsity, official } = this.options;
    const layers = layersOf(session, this.options.scope);
    if (layers.length === 0) {
      throw invalidArgument(
        `The network has no weights that the scope '${this.options.scope}' masks: choose another scope.`,
      );
    }
    const options = { rule, density: 1 - sparsity, uniformOf: (key: string) => this.#uniform(0, key) };
    if (official) this.#dense = new Set(firstMasksOfficial(layers, options));
    else firstMasks(layers, options);
    applyMasks(session, layers, ['values', 'average']);
  }

  /** Whether the optimizer step number `step`, counted from 1, is followed by an exchange. */
  adaptsAfter(step: number): boolean {
    const { static: fixed, every, official } = this.options;
    // Weights that came in after the last step would stay zeros.
    return !fixed && step % every === 0 && (official || step < this.#run.steps);
  }

  /**
   * To be called after each update of the optimizer, the gradients that it took still in place: where the session keeps
   * sums of them, those.
   *
   * @param step optimizer steps done, this one included
   * @returns what was exchanged; undefined after most steps
   */
  afterStep(step: number, session: MaskedSession): Adaptation | undefined {
    const { official, scope, prune, growth } = this.options;
    const adapts = this.adaptsAfter(step);
    const masksMomentum = official && (this.#run.rule === 'sgd' || this.#run.rule === 'nesterov');
    if (!adapts && !masksMomentum) return undefined;
    const taken = session.state('accumulated') === undefined ? 'gradients' : 'accumulated';
    const layers = layersOf(session, scope, taken).filter(({ key }) => !this.#dense.has(key));
    if (masksMomentum) applyMasks(session, layers, ['moment1']);
    if (!adapts) return undefined;
    const rate = pruneRate(prune, step, this.#run.steps);
    const counts = layers.map((layer) => {
      const uniform = this.#uniform(step, layer.key);
      if (official) return exchangeOfficial(layer, { rate, uniform });
      return exchange(layer, { rate, growth, uniform }, this.#starter(session, layer.offset));
    });
    applyMasks(session, layers, ['average']);
    return {
      rate,
      pruned: counts.reduce((sum, { pruned }) => sum + pruned, 0),
      grown: counts.reduce((sum, { grown }) => sum + grown, 0),
    };
  }

  /** Share of weights that remain: of all masked layers together, and of each. */
  densities(session: MaskedSession): {
    readonly overall: number;
    readonly layers: ReadonlyMap<string, number>;
  } {
    const layers = layersOf(session, this.options.scope);
    const total = layers.reduce((sum, { mask }) => sum + mask.length, 0);
    const ones = layers.map(({ mask }) => onesOf(mask));
    return {
      overall: ones.reduce((a, b) => a + b, 0) / Math.max(total, 1),
      layers: new Map(layers.map(({ key, mask }, i) => [key, (ones[i] ?? 0) / mask.length])),
    };
  }

  /** The masks as bits, by key, for a checkpoint. */
  save(session: MaskedSession): Map<string, Uint8Array> {
    return new Map(layersOf(session, this.options.scope).map(({ key, mask }) => [key, packBits(mask)]));
  }

  /** Writes masks that `save` returned. Throws `invalid-argument` if they are not those of this network. */
  load(masks: ReadonlyMap<string, Uint8Array>, session: MaskedSession): void {
    const layers = layersOf(session, this.options.scope);
    for (const { key, mask } of layers) {
      const bits = masks.get(key);
      if (bits === undefined) {
        throw invalidArgument(
          `The checkpoint has no mask for ${key}: resume with the sparsity that was trained.`,
        );
      }
      unpackBits(bits, mask, key);
    }
  }

  #uniform(step: number, key: string): Uniform {
    const random = new RandomStream(this.#run.seed ^ STREAM, step, hashText(key));
    return () => random.uniform();
  }

  /** Lets a weight's moments start anew: rmsprop's second ones start at 1. */
  #starter(session: MaskedSession, offset: number): (index: number) => void {
    const first = session.state('moment1');
    const second = session.state('moment2');
    const average = session.state('average');
    const start = this.#run.rule === 'rmsprop' ? 1 : 0;
    return (index) => {
      if (first) first[offset + index] = 0;
      if (second) second[offset + index] = start;
      if (average) average[offset + index] = 0;
    };
  }
}

/** Keeps these random numbers apart from others with the same seed. */
const STREAM = hashText('sparsity');

interface SessionLayer extends MaskedLayer {
  /** Where it starts in each state. */
  readonly offset: number;
}

function layersOf(
  session: MaskedSession,
  scope: SparsityScope,
  from: 'gradients' | 'accumulated' = 'gradients',
): SessionLayer[] {
  const state = (name: State): Float32Array => {
    const numbers = session.state(name);
    if (numbers === undefined) throw invalidArgument('Sparse training needs a session that is masked.');
    return numbers;
  };
  const [values, mask, gradients] = [state('values'), state('mask'), state(from)];
  return maskedParameters(session.layout, scope).map(({ parameter: { key, shape }, offset, length }) => {
    const own = (numbers: Float32Array): Float32Array => numbers.subarray(offset, offset + length);
    return { key, shape, offset, values: own(values), mask: own(mask), gradients: own(gradients) };
  });
}

function applyMasks(session: MaskedSession, layers: readonly SessionLayer[], states: readonly State[]): void {
  for (const name of states) {
    const numbers = session.state(name);
    if (numbers === undefined) continue;
    for (const { offset, mask } of layers) {
      for (let i = 0; i < mask.length; i++) numbers[offset + i] = (numbers[offset + i] ?? 0) * (mask[i] ?? 0);
    }
  }
}

function checked(options: SparsityOptions): Required<SparsityOptions> {
  const full: Required<SparsityOptions> = { ...SPARSITY_DEFAULTS, ...options };
  if (!(full.sparsity >= 0 && full.sparsity < 1)) {
    throw invalidArgument(`The sparsity must be at least 0 and below 1, got ${full.sparsity}.`);
  }
  if (!(full.prune >= 0 && full.prune <= 1)) {
    throw invalidArgument(`The share of pruned weights must be from 0 to 1, got ${full.prune}.`);
  }
  if (!Number.isSafeInteger(full.every) || full.every < 1) {
    throw invalidArgument(
      `The steps between exchanges of weights must be a positive integer, got ${full.every}.`,
    );
  }
  if (full.official && full.growth !== 'random') {
    throw invalidArgument(`The official code grows weights at random: leave out growth '${full.growth}'.`);
  }
  return full;
}
