import { ahead } from '../core/ahead.ts';
import { WidefieldError, invalidArgument, throwIfAborted } from '../core/errors.ts';
import { layerValues } from '../checkpoints/parameter-values.ts';
import type { WeightSource } from '../checkpoints/source.ts';
import type { CompileOptions, Device, Executable, RunOptions, Slot, StepTime } from '../devices/device.ts';
import { SerialQueue } from '../devices/queue.ts';
import { elements } from '../graph/graph.ts';
import type { Graph, Shape } from '../graph/graph.ts';
import { planGraph } from './plan.ts';
import type { Plan, PlanOptions, PlannedNode } from './plan.ts';
import { ProgramBuilder } from './program.ts';
import type { PrepareGroup } from './program.ts';
import { readTensor, writeTensor } from './tensor-access.ts';

export interface SessionOptions extends PlanOptions, CompileOptions {
  /** Called as weights are read and packed, layer by layer. */
  readonly onWeights?: (done: number, total: number) => void;
}

/** A network on a device, ready to run. */
export interface Session {
  readonly plan: Plan;
  /** [N, H, W, C] of the input. */
  readonly inputShape: Shape;
  /** [N, H, W, C] of each output, by name. */
  readonly outputShapes: ReadonlyMap<string, Shape>;
  /** Bytes that the network holds on the device: packed weights, and the arena, where weights lie unpacked before. */
  readonly bytes: { readonly weights: number; readonly arena: number };
  /**
   * Runs the network.
   *
   * @param input [N, H, W, C] without gaps; N·H·W·C floats. Not to be changed until the promise settles: it is read when
   * earlier runs are done
   * @returns each output [N, H, W, C] without gaps, by name: copies that stay valid
   * Throws `invalid-argument` for another length and for anything but a Float32Array, `aborted` if the signal fires.
   */
  run(input: Float32Array, options?: RunOptions): Promise<ReadonlyMap<string, Float32Array>>;
  /** Runs the network on the input of the last run, or on what is there, without copying; for timing. */
  rerun(options?: RunOptions): Promise<void>;
  /** Runs the network and tells the time of each kernel; the input is read as that of {@link run}. */
  profile(input: Float32Array, options?: RunOptions): Promise<StepTime[]>;
  /** Frees code and memory, after the runs that were asked for before; safe to call twice. Later runs reject. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Plans a graph, compiles it, and packs its weights, one layer after the other: only a few
 * layers' unpacked weights are in memory at a time.
 *
 * @param weights every parameter of the graph that is not derived from others
 * Throws `invalid-argument` if the graph has further inputs, as in training, and what planning, `Device.compile` and reading weights throw.
 */
export async function createSession(
  device: Device,
  graph: Graph,
  weights: Pick<WeightSource, 'read'>,
  options: SessionOptions = {},
): Promise<Session> {
  const plan = planGraph(graph, device.caps, options);
  const further = [...plan.inputs.values()].flatMap(({ node }) => (node === graph.input ? [] : [node.name]));
  if (further.length > 0) {
    throw invalidArgument(
      `The graph ${graph.name} has further inputs (${further.join(', ')}): use createTrainingSession.`,
    );
  }
  const builder = new ProgramBuilder();
  const arena = builder.allocate('arena', plan.arenaFloats);
  const slot = (offset: number): Slot => ({ region: 'arena', offset: arena.offset + offset });
  const places = new Map([
    [graph.input, plan.input.offset],
    ...plan.nodes.map((n) => [n.node, n.offset] as const),
  ]);
  const groups: LayerGroup[] = [];
  for (const planned of plan.nodes) {
    const slots = new Map([...planned.inputs].map(([name, node]) => [name, slot(places.get(node) ?? 0)]));
    slots.set('y', slot(planned.offset));
    if (planned.tempOffset !== undefined) slots.set('temp', slot(planned.tempOffset));
    const group = builder.add(planned.node.name, planned.signature, planned.candidate, slots);
    if (group !== undefined) groups.push({ planned, group });
  }
  const program = builder.build();
  const executable = await device.compile(program, options);
  try {
    await packWeights(executable, groups, weights, options);
  } catch (error) {
    await executable.dispose();
    throw error;
  }
  const { weights: packed, arena: activations, staging } = program.sizes;
  const bytes = { weights: 4 * packed, arena: 4 * Math.max(activations, staging) };
  return new GraphSession(executable, plan, bytes);
}

class GraphSession implements Session {
  readonly plan: Plan;
  readonly bytes: Session['bytes'];
  readonly inputShape: Shape;
  readonly outputShapes: ReadonlyMap<string, Shape>;
  readonly #executable: Executable;
  /** A run writes the input, computes and copies outputs: nothing may come in between. */
  readonly #queue = new SerialQueue();
  #disposal: Promise<void> | undefined;

  constructor(executable: Executable, plan: Plan, bytes: Session['bytes']) {
    this.#executable = executable;
    this.plan = plan;
    this.bytes = bytes;
    this.inputShape = plan.input.node.shape;
    this.outputShapes = new Map([...plan.outputs].map(([name, { node }]) => [name, node.shape]));
  }

  run(input: Float32Array, options?: RunOptions): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#inTurn(async () => {
      writeTensor(this.#executable, this.plan.input, input, 'The input');
      await this.#executable.run(options);
      return new Map(
        [...this.plan.outputs].map(([name, tensor]) => [name, readTensor(this.#executable, tensor)]),
      );
    }, options?.signal);
  }

  rerun(options?: RunOptions): Promise<void> {
    return this.#inTurn(() => this.#executable.run(options), options?.signal);
  }

  profile(input: Float32Array, options?: RunOptions): Promise<StepTime[]> {
    return this.#inTurn(() => {
      writeTensor(this.#executable, this.plan.input, input, 'The input');
      return this.#executable.profile(options);
    }, options?.signal);
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#queue.add(() => this.#executable.dispose());
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #inTurn<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.#disposal !== undefined) {
      throw new WidefieldError('device-lost', 'This network has been disposed of: create it again.');
    }
    return this.#queue.add(work, signal);
  }
}

interface LayerGroup {
  readonly planned: PlannedNode;
  readonly group: PrepareGroup;
}

/** Layers that are read before their turn. More did not help: the host's own arithmetic takes the time. */
const LAYERS_AHEAD = 1;

/** Packs layer after layer. While the device packs one, the next ones are read and computed. */
async function packWeights(
  executable: Executable,
  groups: readonly LayerGroup[],
  source: Pick<WeightSource, 'read'>,
  { signal, onWeights }: SessionOptions,
): Promise<void> {
  const staging = executable.view('staging');
  let packing: Promise<void> = Promise.resolve();
  let done = 0;
  const layers = ahead(groups, LAYERS_AHEAD, ({ planned }) => readLayer(planned, source));
  for await (const { item, value, error } of layers) {
    await packing;
    if (error !== undefined) throw error;
    throwIfAborted(signal);
    for (const [name, values] of value) {
      const slot = item.group.staging.get(name);
      if (slot !== undefined) staging.set(values, slot.offset);
    }
    packing = executable.prepare(item.group.index);
    // Awaited above, or below; until then a failure is not an unhandled one.
    packing.catch(() => undefined);
    onWeights?.(++done, groups.length);
  }
  await packing;
}

/** The weights of one layer's problem, by name. */
async function readLayer(
  { node, weights, signature }: PlannedNode,
  source: Pick<WeightSource, 'read'>,
): Promise<ReadonlyMap<string, Float32Array>> {
  const valuesOf = layerValues(source);
  const layer = new Map<string, Float32Array>();
  for (const { name, shape } of signature.weights) {
    const parameter = weights.get(name);
    if (parameter === undefined) throw invalidArgument(`${node.name} lacks its parameter ${name}.`);
    const values = await valuesOf(parameter);
    if (values.length !== elements(shape)) {
      throw invalidArgument(
        `${parameter.key} must have the ${elements(shape)} values of [${shape.join(', ')}], got ${values.length}.`,
      );
    }
    layer.set(name, values);
  }
  return layer;
}
