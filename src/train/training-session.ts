import { WidefieldError, invalidArgument } from '../core/errors.ts';
import { SerialQueue } from '../devices/queue.ts';
import type { CompileOptions, Device, Executable, RunOptions, Slot, StepTime } from '../devices/device.ts';
import { parametersOf } from '../graph/graph.ts';
import type { Graph, Node, Parameter } from '../graph/graph.ts';
import { HYPERPARAMETERS } from '../kernels/training/optimizer.ts';
import type { Hyperparameters } from '../kernels/training/optimizer.ts';
import { readTensor, writeTensor } from '../runtime/tensor-access.ts';
import { planGraph } from '../runtime/plan.ts';
import type { Plan, PlanOptions } from '../runtime/plan.ts';
import { ProgramBuilder } from '../runtime/program.ts';
import { layOutParameters } from './parameter-layout.ts';
import type { ParameterLayout } from './parameter-layout.ts';
import { NORM_SUMS, addUpdates, wantedStates } from './update-steps.ts';
import type { GradientGroups, State, UpdateOptions, Updates } from './update-steps.ts';

export interface TrainingSessionOptions extends UpdateOptions, PlanOptions, CompileOptions {
  /** The group of a parameter: those of one group share their hyperparameters. */
  readonly groupOf: (parameter: Parameter) => string;
}

/** A training step on a device: forward, backward and update, with all state in the device's memory. */
export interface TrainingSession {
  readonly layout: ParameterLayout;
  readonly plan: Plan;
  readonly bytes: { readonly weights: number; readonly arena: number };
  /** Memory that kernels read and write, not a copy; undefined for state that was not asked for. Not to be touched during a run. */
  state(name: State): Float32Array | undefined;
  /** The part of a state that belongs to one parameter, in PyTorch's order. Throws `invalid-argument` for an unknown key. */
  stateOf(name: State, key: string): Float32Array;
  /**
   * Forward and backward: writes inputs, [N, H, W, C] without gaps, by name, and leaves all gradients in `gradients`.
   *
   * @returns the outputs of the graph that are no gradients to parameters, by name: copies
   * Throws `invalid-argument` if an input is missing or of another length.
   */
  run(
    inputs: ReadonlyMap<string, Float32Array>,
    options?: RunOptions,
  ): Promise<ReadonlyMap<string, Float32Array>>;
  /** The same, with the time of each kernel. */
  profile(inputs: ReadonlyMap<string, Float32Array>): Promise<StepTime[]>;
  /** Adds `gradients` to `accumulated`, which starts anew after each update. */
  accumulate(): Promise<void>;
  /** Σ g² over `gradients`, or over `accumulated` after {@link accumulate}. */
  squaredNorm(): Promise<number>;
  /**
   * Updates all parameters by `gradients`, or by `accumulated` after {@link accumulate}. Both stay as they are.
   *
   * @param hyper each group's hyperparameters
   */
  update(hyper: (group: string) => Hyperparameters): Promise<void>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What outputs that are gradients to parameters are called. */
const GRADIENT = 'gradient.';

/**
 * Compiles a training graph (`differentiate`): its kernels, with weights packed anew in each run, and the optimizer's.
 *
 * Values start as zeros: write them to `state('values')` before the first run.
 * Throws what planning and `Device.compile` throw.
 */
export async function createTrainingSession(
  device: Device,
  graph: Graph,
  options: TrainingSessionOptions,
): Promise<TrainingSession> {
  const gradients = gradientNodes(graph);
  const trained = parametersOf(graph).filter(({ key, buffer }) => !buffer && gradients.has(key));
  const frozen = parametersOf(graph).filter(({ key }) => !gradients.has(key));
  const layout = layOutParameters(trained, options.groupOf);
  const still = layOutParameters(frozen, () => 'frozen');
  const builder = new ProgramBuilder();
  const states = new Map<State, Slot>();
  for (const name of wantedStates(options)) states.set(name, builder.allocate('weights', layout.floats));
  const frozenSlot = builder.allocate('weights', Math.max(still.floats, 1));
  const place = (name: State, key: string): Slot | undefined =>
    shifted(states.get(name), layout.parameters.get(key)?.offset);
  const weightSlot = (key: string): Slot | undefined =>
    place('values', key) ?? shifted(frozenSlot, still.parameters.get(key)?.offset);

  const outside = new Map<Node, Slot>();
  for (const [key, node] of gradients) {
    const slot = place('gradients', key);
    if (slot !== undefined) outside.set(node, slot);
  }
  const plan = planGraph(graph, device.caps, { ...options, outside: new Set(outside.keys()) });
  const arena = builder.allocate('arena', plan.arenaFloats);
  addSteps(builder, plan, { arena, outside, weightSlot });
  const updates = addUpdates(builder, device, layout, states, options);
  const program = builder.build();
  const executable = await device.compile(program, options);
  const bytes = { weights: 4 * program.sizes.weights, arena: 4 * program.sizes.arena };
  const session = new GraphTrainingSession(executable, plan, layout, bytes, {
    states,
    frozen: { slot: frozenSlot, layout: still },
    ...updates,
  });
  session.state('mask')?.fill(1);
  if (options.optimizer === 'rmsprop') session.state('moment2')?.fill(1);
  return session;
}

/** The node of each parameter's gradient. */
function gradientNodes(graph: Graph): ReadonlyMap<string, Node> {
  return new Map(
    [...graph.outputs].flatMap(([name, node]) =>
      name.startsWith(GRADIENT) && name !== `${GRADIENT}${graph.input.name}`
        ? [[name.slice(GRADIENT.length), node] as const]
        : [],
    ),
  );
}

function shifted(slot: Slot | undefined, floats: number | undefined): Slot | undefined {
  return slot === undefined || floats === undefined ? undefined : { ...slot, offset: slot.offset + floats };
}

interface Places {
  readonly arena: Slot;
  readonly outside: ReadonlyMap<Node, Slot>;
  readonly weightSlot: (key: string) => Slot | undefined;
}

function addSteps(builder: ProgramBuilder, plan: Plan, { arena, outside, weightSlot }: Places): void {
  const inArena = (offset: number): Slot => ({ region: 'arena', offset: arena.offset + offset });
  const places = new Map(
    [...plan.inputs.values()].map(({ node, offset }) => [node, inArena(offset)] as const),
  );
  for (const { node, offset } of plan.nodes) places.set(node, outside.get(node) ?? inArena(offset));
  const placeOf = (node: Node): Slot => {
    const slot = places.get(node);
    if (slot === undefined) throw invalidArgument(`${node.name} is used before it is computed.`);
    return slot;
  };
  for (const planned of plan.nodes) {
    const slots = new Map([...planned.inputs].map(([name, node]) => [name, placeOf(node)]));
    slots.set('y', placeOf(planned.node));
    if (planned.tempOffset !== undefined) slots.set('temp', inArena(planned.tempOffset));
    const weights = new Map<string, Slot>();
    for (const [name, { key }] of planned.weights) {
      const slot = weightSlot(key);
      if (slot !== undefined) weights.set(name, slot);
    }
    builder.addTrained(planned.node.name, planned.signature, planned.candidate, slots, weights);
  }
}

interface Details extends Updates {
  readonly states: ReadonlyMap<State, Slot>;
  readonly frozen: { readonly slot: Slot; readonly layout: ParameterLayout };
}

class GraphTrainingSession implements TrainingSession {
  readonly #executable: Executable;
  readonly #details: Details;
  /** A run writes inputs, computes and copies outputs: nothing may come in between. */
  readonly #queue = new SerialQueue();
  #disposal: Promise<void> | undefined;
  #hasAccumulated = false;

  constructor(
    executable: Executable,
    readonly plan: Plan,
    readonly layout: ParameterLayout,
    readonly bytes: TrainingSession['bytes'],
    details: Details,
  ) {
    this.#executable = executable;
    this.#details = details;
  }

  state(name: State): Float32Array | undefined {
    const slot = this.#details.states.get(name);
    return slot && this.#executable.view('weights').subarray(slot.offset, slot.offset + this.layout.floats);
  }

  stateOf(name: State, key: string): Float32Array {
    const placed = this.layout.parameters.get(key);
    if (placed !== undefined) {
      const state = this.state(name);
      if (state === undefined) throw invalidArgument(`This training session keeps no ${name}.`);
      return state.subarray(placed.offset, placed.offset + placed.length);
    }
    const { slot, layout } = this.#details.frozen;
    const still = layout.parameters.get(key);
    if (still === undefined || name !== 'values')
      throw invalidArgument(`The network has no parameter ${key} with ${name}.`);
    const start = slot.offset + still.offset;
    return this.#executable.view('weights').subarray(start, start + still.length);
  }

  run(
    inputs: ReadonlyMap<string, Float32Array>,
    options?: RunOptions,
  ): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#inTurn(async () => {
      this.#write(inputs);
      await this.#executable.run(options);
      const outputs = new Map<string, Float32Array>();
      for (const [name, tensor] of this.plan.outputs) {
        if (name.startsWith(GRADIENT) && this.layout.parameters.has(name.slice(GRADIENT.length))) continue;
        outputs.set(name, readTensor(this.#executable, tensor));
      }
      return outputs;
    }, options?.signal);
  }

  profile(inputs: ReadonlyMap<string, Float32Array>): Promise<StepTime[]> {
    return this.#inTurn(() => {
      this.#write(inputs);
      return this.#executable.profile();
    });
  }

  accumulate(): Promise<void> {
    return this.#inTurn(async () => {
      const { summed } = this.#details;
      if (summed === undefined) throw invalidArgument('This training session does not accumulate gradients.');
      if (!this.#hasAccumulated) this.state('accumulated')?.fill(0);
      await this.#executable.prepare(summed.accumulate);
      this.#hasAccumulated = true;
    });
  }

  squaredNorm(): Promise<number> {
    return this.#inTurn(async () => {
      const { squares } = this.#details;
      await this.#executable.prepare(this.#groups().norm);
      const sums = this.#executable.view('weights').subarray(squares.offset, squares.offset + NORM_SUMS);
      return sums.reduce((a, b) => a + b, 0);
    });
  }

  update(hyper: (group: string) => Hyperparameters): Promise<void> {
    return this.#inTurn(async () => {
      const memory = this.#executable.view('weights');
      for (const [group, { offset }] of this.#details.hyper) {
        const values = hyper(group);
        HYPERPARAMETERS.forEach((name, i) => (memory[offset + i] = values[name]));
      }
      await this.#executable.prepare(this.#groups().update);
      this.#hasAccumulated = false;
    });
  }

  /** Of the gradients that the next update takes. */
  #groups(): GradientGroups {
    const { single, summed } = this.#details;
    return this.#hasAccumulated ? (summed ?? single) : single;
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#queue.add(() => this.#executable.dispose());
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #write(inputs: ReadonlyMap<string, Float32Array>): void {
    for (const [name, tensor] of this.plan.inputs) {
      writeTensor(this.#executable, tensor, inputs.get(name), `The input ${name}`);
    }
  }

  async #inTurn<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#disposal !== undefined) {
      throw new WidefieldError('device-lost', 'This training session has been disposed of: create it again.');
    }
    return this.#queue.add(work, signal);
  }
}
