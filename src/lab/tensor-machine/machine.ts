import { invalidArgument } from '../../core/errors.ts';

/**
 * A tensor machine is an abstract computer to design and draw kernels (Lavin 2024, section on block fusion). It has
 * three memories: DRAM; global memory, on the chip and shared by all processors; local memory, one a processor.
 */
export type Memory = 'dram' | 'global' | 'local';

export const MEMORIES: readonly Memory[] = ['dram', 'global', 'local'];

/** What the machine can do with tensors. */
export type Operator =
  /** output = input, perhaps in another memory. */
  | 'copy'
  /** output = 0. */
  | 'zero'
  /** Tensor × matrix: [..., J] × [J, L] → [..., L]. */
  | 'product'
  /** Convolution [N, H, W, C] with kernels [C, G, kh, kw], G channels a group, zeros around the map. */
  | 'grouped-conv'
  /** First input plus the second, which is of the same shape or a vector over the last axis. */
  | 'add'
  /** First input [N, H, W, C] times the second, [N, C]. */
  | 'multiply'
  | 'relu'
  | 'silu'
  | 'sigmoid'
  /** Mean over all pixels: [N, H, W, C] → [N, C]. */
  | 'global-pool'
  /** The [1 2 1]/4 filter along rows and columns at every second pixel; borders are reflected. */
  | 'blur-pool'
  /** Channels of the first input, then those of the second. */
  | 'concat';

/** A range of indices that tensors share, such as hidden channels. */
export interface Axis {
  readonly size: number;
  /** What it counts, for people. */
  readonly meaning: string;
  /** Position p of the other axis is centred on position stride · p of this one: rows before and after subsampling. */
  readonly follows?: { readonly axis: string; readonly stride: number };
}

/** A tensor, and the memory in which it lives. On the chip it holds what the loops around it select, no more. */
export interface Tensor {
  /** What drawings call it. */
  readonly label: string;
  readonly memory: Memory;
  /** Names of axes, the outermost first. */
  readonly axes: readonly string[];
  /** Positions that it holds beyond the current tile on each side, by axis. */
  readonly halo?: Readonly<Record<string, number>>;
  /** What comes from outside of the machine, and what it computes; these tensors live in DRAM. */
  readonly role?: 'input' | 'weights' | 'output';
}

export interface Operation {
  readonly kind: 'operation';
  readonly operator: Operator;
  /** Names of tensors. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** Adds to the output, which is there already, instead of defining it. */
  readonly accumulate: boolean;
}

/** The body, once for every tile of an axis. The last tile is smaller if the tile does not divide the axis. */
export interface Loop {
  readonly kind: 'loop';
  readonly axis: string;
  readonly tile: number;
  /** One after the other; or at once, each on a processor with a local memory of its own. */
  readonly runs: 'in-turn' | 'on-processors';
  readonly body: readonly Step[];
}

/** Processors wait until all have come so far: what they added to global memory is complete. */
export interface Barrier {
  readonly kind: 'barrier';
}

export type Step = Operation | Loop | Barrier;

/** What a device executes at once. Tensors on the chip do not outlive it. */
export interface Kernel {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** A computation as data. The drawing, the counts and the execution all follow from it. */
export interface Machine {
  readonly name: string;
  readonly title: string;
  readonly axes: Readonly<Record<string, Axis>>;
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly kernels: readonly Kernel[];
}

/** Throws `invalid-argument` if the machine has no such tensor. */
export function tensorOf(machine: Machine, name: string): Tensor {
  const tensor = machine.tensors[name];
  if (tensor === undefined) throw invalidArgument(`The machine ${machine.name} has no tensor ${name}.`);
  return tensor;
}

/** Throws `invalid-argument` if the machine has no such axis. */
export function axisOf(machine: Machine, name: string): Axis {
  const axis = machine.axes[name];
  if (axis === undefined) throw invalidArgument(`The machine ${machine.name} has no axis ${name}.`);
  return axis;
}

/** Sizes of the whole tensor. */
export function shapeOf(machine: Machine, tensor: Tensor): number[] {
  return tensor.axes.map((name) => axisOf(machine, name).size);
}

/** An operation and the loops around it, the outermost first. */
export interface PlacedOperation {
  readonly operation: Operation;
  readonly loops: readonly Loop[];
}

/** All operations of a kernel, in order. */
export function operationsOf(
  { steps }: Pick<Kernel, 'steps'>,
  loops: readonly Loop[] = [],
): PlacedOperation[] {
  return steps.flatMap((step): PlacedOperation[] => {
    if (step.kind === 'barrier') return [];
    if (step.kind === 'operation') return [{ operation: step, loops }];
    return operationsOf({ steps: step.body }, [...loops, step]);
  });
}
