import type { WeightSource } from '../checkpoints/source.ts';
import { syntheticInput } from '../checkpoints/synthetic.ts';
import { invalidArgument } from '../core/errors.ts';
import { elements, nodesOf, selectOutputs } from '../graph/graph.ts';
import type { Graph } from '../graph/graph.ts';
import { macsOf } from '../graph/lower.ts';
import { reparameterize } from '../graph/passes/reparameterize.ts';
import type { KeySet, ModelVariant } from '../models/model.ts';
import { fitModel } from '../runtime/fit.ts';
import type { Precision } from '../runtime/plan.ts';
import { openWeights } from '../runtime/weights.ts';
import type { OpenWeightsOptions, WeightsInput } from '../runtime/weights.ts';

/** Which network to time, and how; as for `createModel`. */
export interface ModelRequest {
  /** Of the zoo, or one's own. */
  readonly model: string | ModelVariant;
  readonly weights: WeightsInput;
  /** Images in one run; default 1. */
  readonly batch?: number;
  /** Pixels; default: the variant's own. */
  readonly resolution?: number | readonly [height: number, width: number];
  readonly keys?: KeySet;
  /** Of a checkpoint with several networks. */
  readonly subtree?: string;
  readonly strict?: boolean;
  /** Let every engine merge parallel branches where that makes it quicker; default true. */
  readonly deploy?: boolean;
  /** Of Widefield's matrix products; default float32. */
  readonly precision?: Precision;
}

/** One line of a benchmark: a network, its weights and an input, for all engines. */
export interface ModelCase {
  readonly model: string;
  readonly request: ModelRequest;
  /** The input's sizes `N,H,W,C`, as in results. */
  readonly shape: string;
  /** As the checkpoint has it, with `logits` as its only output: nothing is merged or fused. */
  readonly graph: Graph;
  /** The graph with parallel branches merged, or the same graph if there are none or they must not be. */
  readonly merged: Graph;
  readonly weights: Pick<WeightSource, 'read'>;
  /** The opened checkpoint; undefined for synthetic weights. */
  readonly source: WeightSource | undefined;
  /** [N, H, W, C], always the same: uniform in [-1, 1). */
  readonly input: Float32Array;
  /** As papers count them, for the whole batch. */
  readonly macs: number;
  /** What does not fit, where `strict: false` lets it pass. */
  readonly warnings: readonly string[];
  dispose(): Promise<void>;
}

/** 4 GiB: enough for every network in its usual batches, and the other runtimes need as much again. */
const MAX_FLOATS = 2 ** 30;

/** Throws `invalid-argument` for networks whose activations would not fit most memories. */
export function checkActivations(name: string, graph: Graph): void {
  const floats = nodesOf(graph).reduce((most, { shape }) => Math.max(most, elements(shape)), 0);
  if (floats > MAX_FLOATS) {
    throw invalidArgument(
      `An activation of ${name} takes ${Math.ceil(floats / 2 ** 28)} GiB: use a smaller batch or map, or fewer channels.`,
    );
  }
}

/**
 * Opens the weights and builds the network.
 * Throws `invalid-argument` for unknown names, weights that do not fit and activations of more than 4 GiB, `io` if they cannot be read.
 */
export async function openModelCase(
  request: ModelRequest,
  options: OpenWeightsOptions = {},
): Promise<ModelCase> {
  const { model, weights, batch, resolution, keys, subtree, strict, deploy = true } = request;
  const source = await openWeights(weights, { ...options, ...(subtree !== undefined && { subtree }) });
  // A source that the caller opened is the caller's to close.
  const dispose = async (): Promise<void> => (source === weights ? undefined : source?.close());
  try {
    const fitted = fitModel(model, source, {
      ...(batch !== undefined && { batch }),
      ...(resolution !== undefined && { resolution }),
      ...(keys && { keys }),
      ...(strict !== undefined && { strict }),
    });
    const graph = selectOutputs(fitted.graph, ['logits']);
    checkActivations(fitted.variant.name, graph);
    const [n, height, width, channels] = graph.input.shape;
    const merged = reparameterize(graph);
    const changes = merged.outputs.get('logits') !== graph.outputs.get('logits');
    return {
      model: fitted.variant.name,
      request,
      shape: graph.input.shape.join(','),
      graph,
      merged: deploy && changes ? merged : graph,
      weights: fitted.weights,
      source,
      input: syntheticInput([n, channels, height, width]),
      macs: macsOf(graph),
      warnings: fitted.warnings,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
