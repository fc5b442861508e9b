import { invalidArgument } from '../core/errors.ts';
import type { RandomStream } from '../core/random.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import type { CompileOptions, Device, RunOptions } from '../devices/device.ts';
import { elements, parametersOf, selectOutputs } from '../graph/graph.ts';
import type { Graph, Parameter } from '../graph/graph.ts';
import { differentiate } from '../graph/passes/differentiate.ts';
import { trainingForm } from '../graph/passes/training-form.ts';
import type { TrainingGraph } from '../graph/passes/training-form.ts';
import { recompute } from '../graph/passes/recompute.ts';
import type { PlanOptions } from '../runtime/plan.ts';
import { initialValues } from './initialise.ts';
import type { InitialOptions } from './initialise.ts';
import { findNonFinite } from './non-finite.ts';
import type { Optimizer } from './optimizer.ts';
import { updateRunning } from './running-statistics.ts';
import { createTrainingSession } from './training-session.ts';
import type { TrainingSession } from './training-session.ts';

export interface TrainingNetworkOptions extends PlanOptions, CompileOptions {
  readonly optimizer: Optimizer;
  /** Rate of stochastic depth of the last block; earlier ones have less, linearly from 0. Default 0. */
  readonly dropPath?: number;
  /** Successive branches that share a rate: 2 for RepLKNet; default 1. */
  readonly branchesPerRate?: number;
  /** Rate of dropout before the classifier. Default 0. */
  readonly dropout?: number;
  /** Recomputes activations in the backward pass instead of keeping them: less memory, more time. */
  readonly recompute?: boolean;
  /** Share of a batch in the running statistics of batch norms. Default 0.1. */
  readonly normMomentum?: number | undefined;
  /** Also computes the gradient to the images: the session's output `gradient.<input>`. Default false. */
  readonly inputGradient?: boolean;
  readonly masked?: boolean;
  readonly averaged?: boolean;
  readonly accumulated?: boolean;
}

/** What a step on a batch gave. */
export interface StepResult {
  /** Mean of the losses of the images. */
  readonly loss: number;
  /** [N, classes]. */
  readonly logits: Float32Array;
}

/** A network in training: a session, and what the host keeps beside it. */
export interface TrainingNetwork {
  /** The network as it was given, with official keys and in inference form. */
  readonly graph: Graph;
  readonly session: TrainingSession;
  readonly classes: number;
  /** Running means and variances of batch norms, by key. */
  readonly buffers: ReadonlyMap<string, Float32Array>;
  /** Exponential moving averages of the buffers, if averages are kept. */
  readonly averagedBuffers: ReadonlyMap<string, Float32Array>;
  /** All keys of the state dict, in the order of the network. */
  readonly parameters: readonly Parameter[];
  /** Writes all weights: those of a source, or initial ones. */
  load(from: Pick<WeightSource, 'read'> | InitialOptions): Promise<void>;
  /**
   * Forward and backward on one batch. Running statistics follow the batch.
   *
   * @param images [N, H, W, 3], dense
   * @param targets [N, classes]
   * @param random decides which blocks are dropped
   */
  step(
    images: Float32Array,
    targets: Float32Array,
    random: RandomStream,
    options?: RunOptions,
  ): Promise<StepResult>;
  /** Which layer or parameter first gave NaN or an infinity in the last step; undefined if none did. */
  findNonFinite(signal?: AbortSignal): Promise<string | undefined>;
  /** Follows the running statistics with their averages. */
  averageBuffers(decay: number): void;
  /** The current weights, or their averages, by official key. */
  weights(which: 'values' | 'average'): Pick<WeightSource, 'read'>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Puts a network (a graph with the output `logits`) into training form on a device: cross-entropy with soft targets,
 * batch norms by batch statistics, stochastic depth. All weights start as zeros: call `load`.
 */
export async function createTrainingNetwork(
  device: Device,
  graph: Graph,
  options: TrainingNetworkOptions,
): Promise<TrainingNetwork> {
  const { form, step } = stepGraph(graph, options);
  const session = await createTrainingSession(device, step, {
    ...options,
    optimizer: options.optimizer.rule,
    groupOf: (parameter) => options.optimizer.groupOf(parameter),
  });
  return new GraphTrainingNetwork(device, graph, form, session, options);
}

/** The graph of one step of training, forward and backward, and the form of the network that it differentiates. */
export function stepGraph(
  graph: Graph,
  options: Omit<TrainingNetworkOptions, 'optimizer'>,
): { readonly form: TrainingGraph; readonly step: Graph } {
  const form = trainingForm(graph, {
    dropPath: options.dropPath ?? 0,
    dropout: options.dropout ?? 0,
    branchesPerRate: options.branchesPerRate ?? 1,
  });
  const both = differentiate(form.graph, {
    outputs: ['loss'],
    input: options.inputGradient === true,
  });
  return { form, step: options.recompute ? recompute(both) : both };
}

class GraphTrainingNetwork implements TrainingNetwork {
  readonly classes: number;
  readonly parameters: readonly Parameter[];
  readonly buffers = new Map<string, Float32Array>();
  readonly averagedBuffers = new Map<string, Float32Array>();
  readonly #device: Device;
  readonly #form: TrainingGraph;
  readonly #seed: Float32Array;
  readonly #normMomentum: number | undefined;

  #lastInputs: ReadonlyMap<string, Float32Array> = new Map();

  constructor(
    device: Device,
    readonly graph: Graph,
    form: TrainingGraph,
    readonly session: TrainingSession,
    { averaged = false, normMomentum }: Pick<TrainingNetworkOptions, 'averaged' | 'normMomentum'>,
  ) {
    this.#device = device;
    this.#normMomentum = normMomentum;
    this.#form = form;
    const logits = graph.outputs.get('logits');
    const [batch = 1] = graph.input.shape;
    this.classes = logits?.shape[3] ?? 0;
    this.#seed = new Float32Array(batch).fill(1 / batch);
    this.parameters = parametersOf(selectOutputs(graph, ['logits']));
    for (const { key, shape, buffer } of this.parameters) {
      if (!buffer) continue;
      this.buffers.set(key, new Float32Array(elements(shape)));
      if (averaged) this.averagedBuffers.set(key, new Float32Array(elements(shape)));
    }
  }

  async load(from: Pick<WeightSource, 'read'> | InitialOptions): Promise<void> {
    for (const parameter of this.parameters) {
      const values = 'read' in from ? await from.read(parameter.key) : initialValues(parameter, from);
      const buffer = this.buffers.get(parameter.key);
      const target = buffer ?? this.session.stateOf('values', parameter.key);
      if (values.length !== target.length) {
        throw invalidArgument(
          `${parameter.key} must have the ${target.length} values of [${parameter.shape.join(', ')}], got ${values.length}.`,
        );
      }
      target.set(values);
      if (buffer) this.averagedBuffers.get(parameter.key)?.set(values);
    }
    const values = this.session.state('values');
    if (values) this.session.state('average')?.set(values);
  }

  async step(
    images: Float32Array,
    targets: Float32Array,
    random: RandomStream,
    options?: RunOptions,
  ): Promise<StepResult> {
    const { graph, keeps, statistics } = this.#form;
    const inputs = new Map([
      [graph.input.name, images],
      ['target', targets],
      ['seed.loss', this.#seed],
      ...keeps.map(({ input, rate, shape }) => [input, keepFactors(elements(shape), rate, random)] as const),
    ]);
    this.#lastInputs = inputs;
    const outputs = await this.session.run(inputs, options);
    for (const { output, rows, runningMean, runningVariance } of statistics) {
      const batch = outputs.get(output);
      const mean = this.buffers.get(runningMean.key);
      const variance = this.buffers.get(runningVariance.key);
      if (batch && mean && variance) {
        updateRunning({ rows, runningMean: mean, runningVariance: variance }, batch, this.#normMomentum);
      }
    }
    for (const [key, buffer] of this.buffers) {
      if (key.endsWith('.num_batches_tracked')) buffer[0] = (buffer[0] ?? 0) + 1;
    }
    const losses = outputs.get('loss') ?? new Float32Array();
    const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length;
    return { loss, logits: outputs.get('logits') ?? new Float32Array() };
  }

  findNonFinite(signal?: AbortSignal): Promise<string | undefined> {
    return findNonFinite(this.#device, this.#form.graph, this.weights('values'), this.#lastInputs, signal);
  }

  averageBuffers(decay: number): void {
    for (const [key, average] of this.averagedBuffers) {
      const buffer = this.buffers.get(key) ?? average;
      average.forEach((value, i) => (average[i] = value * decay + (1 - decay) * (buffer[i] ?? 0)));
    }
  }

  weights(which: 'values' | 'average'): Pick<WeightSource, 'read'> {
    const buffers = which === 'average' ? this.averagedBuffers : this.buffers;
    return {
      read: (key) => Promise.resolve((buffers.get(key) ?? this.session.stateOf(which, key)).slice()),
    };
  }

  dispose(): Promise<void> {
    return this.session.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** 0 for what is dropped, 1 / (1 − rate) for the rest, so that the mean stays (timm's `scale_by_keep`). */
function keepFactors(count: number, rate: number, random: RandomStream): Float32Array {
  const kept = 1 / (1 - rate);
  return Float32Array.from({ length: count }, () => (random.chance(rate) ? 0 : kept));
}
