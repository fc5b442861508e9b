import { layerValues } from '../checkpoints/parameter-values.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import { makeNode } from '../graph/builder.ts';
import { elements, parametersOf } from '../graph/graph.ts';
import type { Graph, Shape } from '../graph/graph.ts';
import { differentiate } from '../graph/passes/differentiate.ts';
import { optimize } from '../graph/passes/index.ts';
import { recompute } from '../graph/passes/recompute.ts';
import { FEATURES } from '../models/model.ts';
import { optimizeFor, planGraph } from '../runtime/plan.ts';
import type { TuningRecords } from '../runtime/tuning-file.ts';
import { createTrainingSession } from './training-session.ts';
import type { TrainingSession } from './training-session.ts';

/**
 * How contributions are measured. `paper`: as RepLKNet's paper says, by the gradient of the sum of all channels, summed over
 * images. `code`: as its published script does, which leaves out channels that are negative, and takes the mean over images.
 */
export type ErfMethod = 'paper' | 'code';

export const ERF_METHODS: readonly ErfMethod[] = ['paper', 'code'];

export interface ContributionOptions {
  /** The map whose centre is looked at; default: that of the last stage. */
  readonly output?: string;
  /** Default `paper`. */
  readonly method?: ErfMethod;
  /** Bytes that activations may take before they are recomputed, which takes longer; default: what the device allows. */
  readonly memoryLimit?: number;
  readonly tuning?: TuningRecords;
  readonly signal?: AbortSignal;
  /** Called once memory is planned. */
  readonly onPlan?: (memory: ErfMemory) => void;
  /** Called after each image. */
  readonly onImage?: (done: number) => void;
}

/** What a run holds. */
export interface ErfMemory {
  /** Of activations and gradients, as they are kept. */
  readonly arenaBytes: number;
  /** Whether parts of the forward pass are computed again for the backward pass. */
  readonly recomputed: boolean;
}

/** How much each pixel of the input contributes to the centre of a feature map. */
export interface ContributionMap {
  readonly height: number;
  readonly width: number;
  /** [height, width]: Σ over images and channels of max(∂/∂input, 0), or their mean over images. */
  readonly scores: Float64Array;
  readonly images: number;
  /** Images whose gradient was not finite; they are left out. */
  readonly nonFinite: number;
  readonly memory: ErfMemory;
}

const CENTRE = 'centre';

/**
 * Contribution scores of the input's pixels (RepLKNet, Ding et al. 2022): with
 * s = Σ_c M[h/2, w/2, c] for a feature map M, the sum over images and input channels of max(∂s/∂input, 0).
 *
 * The network is in inference form: batch norms have their running statistics. Images run one by one.
 *
 * @param graph a model's graph for one image
 * @param images each [H, W, 3], normalised
 * Throws `invalid-argument` for other batches, unknown outputs, images of another size, and if there are no images;
 * `unsupported` if the network does not fit into memory.
 */
export async function contributionMap(
  device: Device,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  images: AsyncIterable<Float32Array> | Iterable<Float32Array>,
  options: ContributionOptions = {},
): Promise<ContributionMap> {
  const { method = 'paper', signal, onImage } = options;
  const [batch, height, width, channels] = graph.input.shape;
  if (batch !== 1)
    throw invalidArgument(`Contributions are measured image by image, not ${batch} at a time.`);
  const { graph: gradient, memory } = planGradient(device, graph, options);
  options.onPlan?.(memory);
  const session = await createTrainingSession(device, gradient, {
    ...sessionOptions(options),
    optimizer: 'sgd',
    groupOf: () => 'frozen',
  });
  try {
    await fillWeights(session, gradient, weights);
    const seed = centreSeed(gradient.outputs.get(CENTRE)?.shape ?? [1, 1, 1, 1]);
    const scores = new Float64Array(height * width);
    let count = 0;
    let nonFinite = 0;
    for await (const image of images) {
      throwIfAborted(signal);
      const inputs = new Map([
        [graph.input.name, image],
        [`seed.${CENTRE}`, seed],
      ]);
      const outputs = await session.run(inputs, signal && { signal });
      const values = outputs.get(`gradient.${graph.input.name}`) ?? new Float32Array();
      if (values.every(Number.isFinite)) {
        addPositive(scores, values, channels);
        count++;
      } else nonFinite++;
      onImage?.(count + nonFinite);
    }
    if (count === 0) throw invalidArgument(noImages(graph.name, nonFinite));
    if (method === 'code') scores.forEach((score, i) => (scores[i] = score / count));
    return { height, width, scores, images: count, nonFinite, memory };
  } finally {
    await session.dispose();
  }
}

function noImages(name: string, nonFinite: number): string {
  return nonFinite === 0
    ? 'There are no images to measure contributions with: name a folder that has some.'
    : `All gradients of ${name} are NaN or infinite: check its weights.`;
}

function sessionOptions({ tuning, signal }: ContributionOptions) {
  return { ...(tuning && { tuning }), ...(signal && { signal }) };
}

/** The graph of the gradient, with activations recomputed if they would not fit otherwise. */
function planGradient(
  device: Device,
  graph: Graph,
  options: ContributionOptions,
): { readonly graph: Graph; readonly memory: ErfMemory } {
  const { worthwhile, pitch } = optimizeFor(device.caps, sessionOptions(options));
  const forward = optimize(centreOutput(graph, options), { worthwhile, pitch });
  const both = differentiate(forward, { outputs: [CENTRE], parameters: () => false, input: true });
  const bytesOf = (plan: Graph): number =>
    4 * planGraph(plan, device.caps, sessionOptions(options)).arenaFloats;
  const limit = Math.min(options.memoryLimit ?? Infinity, device.caps.maxBytes);
  const arenaBytes = bytesOf(both);
  if (arenaBytes <= limit) return { graph: both, memory: { arenaBytes, recomputed: false } };
  const less = recompute(both);
  const lessBytes = bytesOf(less);
  if (lessBytes <= limit) return { graph: less, memory: { arenaBytes: lessBytes, recomputed: true } };
  const [, height, width] = graph.input.shape;
  throw new WidefieldError(
    'unsupported',
    `The gradient of ${graph.name} at ${height}×${width} needs ${gibibytes(lessBytes)} of memory, but ${gibibytes(limit)} are there: use a smaller resolution.`,
  );
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** The graph with the map as its only output. */
function centreOutput(
  graph: Graph,
  { output = lastStage(graph), method = 'paper' }: ContributionOptions,
): Graph {
  const map = graph.outputs.get(output);
  if (map === undefined) {
    throw invalidArgument(
      `${graph.name} has no output ${output}: use one of ${[...graph.outputs.keys()].join(', ')}.`,
    );
  }
  const steps = [{ kind: 'activation', activation: 'relu' }] as const;
  const node = method === 'code' ? makeNode(CENTRE, { type: 'elementwise', steps }, [map]) : map;
  return { ...graph, outputs: new Map([[CENTRE, node]]) };
}

/** The name of the last stage's map: networks of one's own need not have four stages. */
export function lastStage({ outputs }: Graph): string {
  const [last = FEATURES.at(-1) ?? ''] = FEATURES.filter((name) => outputs.has(name)).reverse();
  if (outputs.has(last)) return last;
  const numbers = [...outputs.keys()].flatMap((name) => /^stages\.(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return numbers.length > 0 ? `stages.${Math.max(...numbers)}` : last;
}

/** All parameters are constants: official ones are read, derived ones computed. */
async function fillWeights(
  session: TrainingSession,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
): Promise<void> {
  for (const parameter of parametersOf(graph)) {
    const target = session.stateOf('values', parameter.key);
    const values = await layerValues(weights)(parameter);
    if (values.length !== target.length) {
      throw invalidArgument(
        `${parameter.key} must have the ${target.length} values of [${parameter.shape.join(', ')}], got ${values.length}.`,
      );
    }
    target.set(values);
  }
}

/** ∂s/∂M: one for all channels of the pixel (⌊h/2⌋, ⌊w/2⌋), else zero. */
function centreSeed(shape: Shape): Float32Array {
  const [, height, width, channels] = shape;
  const seed = new Float32Array(elements(shape));
  const start = (Math.floor(height / 2) * width + Math.floor(width / 2)) * channels;
  return seed.fill(1, start, start + channels);
}

function addPositive(scores: Float64Array, gradient: Float32Array, channels: number): void {
  for (let i = 0, pixel = 0; pixel < scores.length; pixel++) {
    let sum = 0;
    for (let c = 0; c < channels; c++, i++) sum += Math.max(gradient[i] ?? 0, 0);
    scores[pixel] = (scores[pixel] ?? 0) + sum;
  }
}
