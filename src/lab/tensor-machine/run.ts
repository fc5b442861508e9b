import { invalidArgument } from '../../core/errors.ts';
import { elements } from '../../graph/graph.ts';
import { tensorNamed } from '../../graph/tensors.ts';
import type { Tensors } from '../../graph/tensors.ts';
import { compute } from './compute.ts';
import { addTallies, countMachine } from './count.ts';
import type { Tally } from './count.ts';
import { axisOf, shapeOf, tensorOf } from './machine.ts';
import type { Kernel, Loop, Machine, Operation, Step } from './machine.ts';
import { ChipMemory, Dram, writeBlock } from './memory.ts';
import type { Block } from './memory.ts';
import { rangeOf, tilesOf, touchedBy } from './regions.ts';
import type { Region, Tiles } from './regions.ts';

/** What happened while a kernel ran, counted access by access. */
export interface KernelRun {
  readonly name: string;
  /** Every operation and every access. */
  readonly eachTime: Tally;
  /** Accesses to different elements of DRAM. */
  readonly once: Omit<Tally, 'operations'>;
}

export interface MachineRun {
  /** Tensors with the role `output`. */
  readonly outputs: Readonly<Record<string, Float64Array>>;
  readonly kernels: readonly KernelRun[];
  readonly eachTime: Tally;
  readonly once: Omit<Tally, 'operations'>;
}

/** More would take minutes. */
const MAX_OPERATIONS = 4e9;

/**
 * Executes a machine as it is described — loops, tiles, processors, memories — in float64, element by element. It is
 * slow, and shows what the description means. Memory that nothing has written holds NaN.
 *
 * @param inputs all tensors with the role `input` or `weights`, by name, in the order of their axes
 */
export function runMachine(machine: Machine, inputs: Tensors): MachineRun {
  const { operations } = countMachine(machine, 1).withHalo;
  if (operations > MAX_OPERATIONS) {
    throw invalidArgument(
      `Executing ${machine.name} takes ${operations.toExponential(1)} operations: choose sizes that need at most ${MAX_OPERATIONS.toExponential(0)}.`,
    );
  }
  const dram = new Dram();
  for (const [name, tensor] of Object.entries(machine.tensors)) {
    if (tensor.memory !== 'dram') continue;
    const region = tensor.axes.map((axis) => rangeOf(machine, axis, new Map()));
    const given = tensor.role === 'input' || tensor.role === 'weights';
    const values = given ? tensorNamed(inputs, name) : undefined;
    const expected = elements(shapeOf(machine, tensor));
    if (values !== undefined && values.length !== expected) {
      throw invalidArgument(
        `The tensor ${name} must have the ${expected} values of [${shapeOf(machine, tensor).join(', ')}], got ${values.length}.`,
      );
    }
    dram.allocate(name, region, values);
  }
  const kernels = machine.kernels.map((kernel) => new KernelExecution(machine, kernel, dram).run());
  const outputs = Object.entries(machine.tensors).flatMap(([name, { role }]) =>
    role === 'output' ? [[name, dram.peek(name)] as const] : [],
  );
  const once = addTallies(kernels.map((kernel) => ({ ...kernel.once, operations: 0 })));
  return {
    outputs: Object.fromEntries(outputs),
    kernels,
    eachTime: addTallies(kernels.map(({ eachTime }) => eachTime)),
    once: { reads: once.reads, writes: once.writes },
  };
}

class KernelExecution {
  readonly #machine: Machine;
  readonly #kernel: Kernel;
  readonly #dram: Dram;
  readonly #global = new ChipMemory();
  #operations = 0;

  constructor(machine: Machine, kernel: Kernel, dram: Dram) {
    this.#machine = machine;
    this.#kernel = kernel;
    this.#dram = dram;
  }

  run(): KernelRun {
    for (const _ of this.#steps(this.#kernel.steps, new Map(), new ChipMemory())) {
      throw invalidArgument(
        `The kernel ${this.#kernel.name} has a barrier outside of a loop over processors.`,
      );
    }
    const { eachTime, once } = this.#dram.takeTraffic();
    return { name: this.#kernel.name, eachTime: { ...eachTime, operations: this.#operations }, once };
  }

  /** Runs steps with one processor's local memory, and stops at barriers. */
  *#steps(steps: readonly Step[], tiles: Tiles, local: ChipMemory): Generator<void> {
    for (const step of steps) {
      if (step.kind === 'operation') this.#operation(step, tiles, local);
      else if (step.kind === 'barrier') yield;
      else if (step.runs === 'in-turn') {
        for (const turn of this.#turns(step, tiles)) yield* this.#steps(step.body, turn, local);
      } else this.#onProcessors(step, tiles);
    }
  }

  /** Every processor goes to the next barrier before any goes on. */
  #onProcessors(loop: Loop, tiles: Tiles): void {
    let running = this.#turns(loop, tiles).map((turn) => this.#steps(loop.body, turn, new ChipMemory()));
    while (running.length > 0) running = running.filter((processor) => processor.next().done !== true);
  }

  #turns({ axis, tile }: Loop, tiles: Tiles): Tiles[] {
    const range = tiles.get(axis) ?? { start: 0, stop: axisOf(this.#machine, axis).size };
    return tilesOf(range, tile).map((turn) => new Map([...tiles, [axis, turn]]));
  }

  #operation(operation: Operation, tiles: Tiles, local: ChipMemory): void {
    const { operator, inputs, output, accumulate } = operation;
    const touched = touchedBy(this.#machine, operation, tiles);
    const blocks = inputs.map((name, i) => this.#read(name, touched.inputs[i] ?? [], local));
    const first = inputs[0];
    const whole = first === undefined ? [] : shapeOf(this.#machine, tensorOf(this.#machine, first));
    const { block, operations } = compute(operator, blocks, touched.output, whole);
    this.#operations += operations;

    const { memory } = tensorOf(this.#machine, output);
    if (memory === 'dram') this.#dram.write(output, block);
    else {
      const chip = memory === 'global' ? this.#global : local;
      if (accumulate || inputs.includes(output)) writeBlock(chip.block(output), block, accumulate);
      else chip.define(output, block);
    }
  }

  #read(name: string, region: Region, local: ChipMemory): Block {
    const { memory } = tensorOf(this.#machine, name);
    if (memory === 'dram') return this.#dram.read(name, region);
    return (memory === 'global' ? this.#global : local).slice(name, region);
  }
}
