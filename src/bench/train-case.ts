import { syntheticInput, syntheticWeights } from '../checkpoints/synthetic.ts';
import { elements, parametersOf, selectOutputs } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { macsOf } from '../graph/lower.ts';
import { differentiate } from '../graph/passes/differentiate.ts';
import { trainingForm } from '../graph/passes/training-form.ts';
import { checkActivations } from './model-case.ts';
import type { ModelCase } from './model-case.ts';

/** Steps whose losses are compared. */
export const LOSS_STEPS = 3;

/** Settings of AdamW, the same in every engine; the rest as in PyTorch. */
export const OPTIMIZER = { rate: 1e-3, weightDecay: 0.05 } as const;

/** A network in training. */
export interface TrainRequest {
  /** What results call it. */
  readonly name: string;
  /** With the output `logits`. */
  readonly graph: Graph;
  /** Whether the gradient to the input is wanted as well: for blocks, which other layers would come before. Default false. */
  readonly inputGradient?: boolean;
  /** Whether activations are computed again in the backward pass; default false. */
  readonly recompute?: boolean;
}

/** One line of the benchmark of training: a network, its first weights, and a batch that is learnt again and again. */
export interface TrainCase extends ModelCase {
  /** [N, classes]: distributions. */
  readonly targets: Float32Array;
  readonly classes: number;
  readonly inputGradient: boolean;
  readonly recompute: boolean;
}

/**
 * A network with synthetic weights and a synthetic batch.
 * Throws `invalid-argument` for graphs without logits, those that cannot be trained, and activations of more than 4 GiB.
 */
export function openTrainCase(request: TrainRequest): TrainCase {
  const { name, inputGradient = false, recompute = false } = request;
  const graph = selectOutputs(request.graph, ['logits']);
  checkActivations(name, graph);
  const form = trainingForm(graph);
  const steps = differentiate(form.graph, { outputs: ['loss'], input: inputGradient });
  const [batch, height, width, channels] = graph.input.shape;
  const classes = graph.outputs.get('logits')?.shape[3] ?? 1;
  const targets = new Float32Array(batch * classes);
  for (let i = 0; i < batch; i++) targets[i * classes + ((7 * i) % classes)] = 1;
  return {
    model: name,
    request: { model: name, weights: 'synthetic' },
    shape: graph.input.shape.join(','),
    graph,
    merged: graph,
    weights: syntheticWeights(parametersOf(graph).map(({ key, shape }) => ({ key, shape }))),
    source: undefined,
    input: syntheticInput([batch, channels, height, width]),
    targets,
    classes,
    inputGradient,
    recompute,
    macs: macsOf(steps),
    warnings: [],
    dispose: () => Promise.resolve(),
  };
}

/** Weights of a network, buffers left out. */
export function parameterCount(graph: Graph): number {
  return parametersOf(graph).reduce((sum, { shape, buffer }) => sum + (buffer ? 0 : elements(shape)), 0);
}
