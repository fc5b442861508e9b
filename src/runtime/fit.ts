import { describeMatch, matchWeights, matches } from '../checkpoints/match.ts';
import type { WeightMatch } from '../checkpoints/match.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import { syntheticWeights } from '../checkpoints/synthetic.ts';
import { invalidArgument } from '../core/errors.ts';
import { elements, parametersOf } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import type { KeySet, ModelOptions, ModelVariant } from '../models/model.ts';
import { findModel, variants } from '../models/zoo.ts';

export interface FitOptions {
  readonly batch?: number;
  readonly resolution?: number | readonly [height: number, width: number];
  /** Default: as many as the checkpoint has. */
  readonly classes?: number;
  /** Default: found out from the checkpoint. */
  readonly keys?: KeySet;
  /** Refuse missing and unexpected tensors; default true. */
  readonly strict?: boolean;
}

/** A network and weights that fit it. */
export interface Fitted {
  readonly variant: ModelVariant;
  /** With all outputs, as built: nothing is merged or fused. */
  readonly graph: Graph;
  readonly weights: Pick<WeightSource, 'read'>;
  /** Which project's names the checkpoint uses. */
  readonly keys: KeySet;
  /** Whether the checkpoint holds the re-parameterized form. */
  readonly merged: boolean;
  /** What does not fit, where `strict: false` lets it pass. */
  readonly warnings: readonly string[];
}

/** A form in which checkpoints of one network come. */
interface Form {
  readonly keys: KeySet;
  readonly merged: boolean;
}

/**
 * Builds the network in the form that the checkpoint has: its number of classes, its key set, merged or not.
 *
 * @param model a name of the zoo, or a network of one's own
 * @param source undefined for synthetic weights, which always are those of the training form
 * Throws `invalid-argument` for unknown names, and for checkpoints that do not fit: the first keys and shapes
 * that disagree, and the network that fits.
 */
export function fitModel(
  model: string | ModelVariant,
  source: WeightSource | undefined,
  options: FitOptions = {},
): Fitted {
  const variant = variantOf(model);
  const { name } = variant;
  if (source === undefined) {
    const [firstKeys = 'official'] = variant.keySets;
    const { keys = firstKeys } = options;
    const graph = variant.build({ ...buildOptions(options), keys });
    return {
      variant,
      graph,
      weights: syntheticWeights(parametersOf(graph)),
      keys,
      merged: false,
      warnings: [],
    };
  }
  const best = bestForm(variant, source, options);
  const { graph, match, form } = best;
  const tolerable = options.strict === false && match.mismatched.length === 0;
  if (!matches(match) && !tolerable) {
    throw invalidArgument(`${describeMatch(source, name, match)}${advice(name, source, options)}.`);
  }
  return {
    variant,
    graph,
    weights: match.missing.length === 0 ? source : withZeros(source, match),
    ...form,
    warnings: matches(match) ? [] : [`${describeMatch(source, name, match)}; what is missing is zero.`],
  };
}

/**
 * The network as it would be without regard to a checkpoint.
 * Throws `invalid-argument` for unknown names, and for options with which no checkpoint would fit.
 */
export function draftModel(
  model: string | ModelVariant,
  options: FitOptions = {},
): { readonly variant: ModelVariant; readonly graph: Graph } {
  const variant = variantOf(model);
  const { keys } = options;
  return { variant, graph: variant.build({ ...buildOptions(options), ...(keys && { keys }) }) };
}

function variantOf(model: string | ModelVariant): ModelVariant {
  const variant = typeof model === 'string' ? findModel(model) : model;
  checkVariant(variant);
  return variant;
}

/** Callers without types may give the options of a network, or nothing. */
function checkVariant(variant: Partial<ModelVariant> | null | undefined): void {
  if (typeof variant?.build === 'function') return;
  throw invalidArgument(
    'A model is a name such as "slak-tiny", or what a function such as slak({ … }) gives: give one of them.',
  );
}

interface Candidate {
  readonly form: Form;
  readonly graph: Graph;
  readonly match: WeightMatch;
}

/** The form of a network that disagrees least with a checkpoint. */
function bestForm(variant: ModelVariant, source: WeightSource, options: FitOptions): Candidate {
  const keySets = options.keys === undefined ? variant.keySets : [options.keys];
  const candidates = keySets.flatMap((keys) =>
    [false, true].map((merged) => tryForm(variant, source, options, { keys, merged })),
  );
  const [first, ...others] = candidates;
  if (first === undefined) throw invalidArgument(`${variant.name} has no set of keys.`);
  return others.reduce(
    (best, candidate) => (disagreements(candidate.match) < disagreements(best.match) ? candidate : best),
    first,
  );
}

function tryForm(variant: ModelVariant, source: WeightSource, options: FitOptions, form: Form): Candidate {
  const build = (classes: number | undefined): Candidate => {
    const graph = variant.build({
      ...buildOptions(options),
      ...(classes !== undefined && { classes }),
      keys: form.keys,
      deploy: form.merged,
    });
    return { form, graph, match: matchWeights(source, parametersOf(graph)) };
  };
  const candidate = build(options.classes);
  const classes = options.classes ?? classesOf(source, candidate.graph);
  return classes === undefined ? candidate : build(classes);
}

/** How many classes a checkpoint has, if not as many as the graph: the length of the classifier's bias. */
function classesOf(source: WeightSource, graph: Graph): number | undefined {
  const bias = graph.outputs.get('logits')?.parameters.bias;
  const shape = bias && source.entries.get(bias.key)?.shape;
  const [classes] = shape ?? [];
  return shape?.length === 1 && classes !== undefined && classes > 0 && classes !== bias?.shape[0]
    ? classes
    : undefined;
}

/** What would fit, for error messages. */
function advice(name: string, source: WeightSource, options: FitOptions): string {
  const fitting = variants.filter(
    (variant) => variant.name !== name && matches(bestForm(variant, source, fitAnyClasses(options)).match),
  );
  if (fitting.length === 0) return '';
  return `; it fits ${fitting.map((variant) => variant.name).join(' and ')}`;
}

/** The options without those that another network need not share. */
function fitAnyClasses({ batch }: FitOptions): FitOptions {
  return batch === undefined ? {} : { batch };
}

function disagreements({ missing, unexpected, mismatched }: WeightMatch): number {
  return missing.length + unexpected.length + mismatched.length;
}

/** The checkpoint with zeros for what it lacks. */
function withZeros(source: WeightSource, match: WeightMatch): Pick<WeightSource, 'read'> {
  const shapes = new Map(match.missing.map(({ key, shape }) => [key, shape]));
  return {
    read: (key) => {
      const shape = shapes.get(key);
      return shape === undefined ? source.read(key) : Promise.resolve(new Float32Array(elements(shape)));
    },
  };
}

function buildOptions({ batch, resolution, classes }: FitOptions): ModelOptions {
  return {
    ...(batch !== undefined && { batch }),
    ...(resolution !== undefined && { resolution }),
    ...(classes !== undefined && { classes }),
  };
}
