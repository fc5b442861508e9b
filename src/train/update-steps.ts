import type { DeviceCaps } from '../core/caps.ts';
import { invalidArgument } from '../core/errors.ts';
import type { Device, Slot } from '../devices/device.ts';
import { candidates } from '../kernels/index.ts';
import { HYPER_FLOATS, emitOptimizer, momentsOf } from '../kernels/training/optimizer.ts';
import type { OptimizerRule } from '../kernels/training/optimizer.ts';
import type { ProgramBuilder } from '../runtime/program.ts';
import { emitAccumulate } from './accumulate.ts';
import type { ParameterGroup, ParameterLayout } from './parameter-layout.ts';
import { isMasked } from './sparsity/scope.ts';

/** Runs of floats, each laid out as the parameters are. */
const STATES = ['values', 'gradients', 'moment1', 'moment2', 'mask', 'average', 'accumulated'] as const;
export type State = (typeof STATES)[number];

/** What an optimizer is to keep and do. */
export interface UpdateOptions {
  readonly optimizer: OptimizerRule;
  /** Keeps a mask over all parameters, which starts as ones. It counts in groups that have weights which can be masked. */
  readonly masked?: boolean;
  /** Keeps an exponential moving average of all parameters. */
  readonly averaged?: boolean;
  /** Can sum gradients of several runs. */
  readonly accumulated?: boolean;
}

/** The states that such an optimizer needs. */
export function wantedStates({ optimizer, masked, averaged, accumulated }: UpdateOptions): State[] {
  const moments = momentsOf(optimizer);
  const wanted: Readonly<Record<State, boolean>> = {
    values: true,
    gradients: true,
    moment1: moments.first,
    moment2: moments.second,
    mask: masked === true,
    average: averaged === true,
    accumulated: accumulated === true,
  };
  return STATES.filter((name) => wanted[name]);
}

/** Groups of steps that work from one sum of gradients. */
export interface GradientGroups {
  readonly update: number;
  readonly norm: number;
}

export interface Updates {
  readonly single: GradientGroups;
  readonly summed: (GradientGroups & { readonly accumulate: number }) | undefined;
  readonly hyper: ReadonlyMap<string, Slot>;
  /** Where a norm's partial sums of squares end up: {@link NORM_SUMS} floats. */
  readonly squares: Slot;
}

/** Sums of squares that the host adds up. */
export const NORM_SUMS = 16;

/** Adds the groups of steps that update all parameters, and what they need in memory. */
export function addUpdates(
  builder: ProgramBuilder,
  { caps }: Device,
  layout: ParameterLayout,
  states: ReadonlyMap<State, Slot>,
  options: UpdateOptions,
): Updates {
  const hyper = new Map(layout.groups.map(({ name }) => [name, builder.allocate('weights', HYPER_FLOATS)]));
  const { optimizer: rule, masked = false, averaged = false } = options;
  const calls = (gradient: State): Parameters<ProgramBuilder['addGroup']>[0] =>
    layout.groups.map((group) => {
      const { name, offset, floats } = group;
      const slots = new Map<string, Slot>();
      for (const [state, slot] of states) slots.set(state, { ...slot, offset: slot.offset + offset });
      const from = slots.get(gradient);
      const settings = hyper.get(name);
      if (from !== undefined) slots.set('gradient', from);
      if (settings !== undefined) slots.set('hyper', settings);
      return {
        kernel: emitOptimizer({ rule, floats, masked: masked && hasMasked(layout, group), averaged }, caps),
        slots,
        label: `optimizer ${name}`,
      };
    });
  const squares = builder.allocate('weights', NORM_SUMS);
  const norm = normKernels(builder, layout.floats, caps, squares);
  const groupsOf = (state: State, from: Slot): GradientGroups => ({
    update: builder.addGroup(calls(state)),
    norm: builder.addGroup(norm(from)),
  });
  const gradients = slotOf(states, 'gradients');
  const single = groupsOf('gradients', gradients);
  const accumulated = states.get('accumulated');
  if (accumulated === undefined) return { single, summed: undefined, hyper, squares };
  const slots = new Map([
    ['x', gradients],
    ['y', accumulated],
  ]);
  const kernel = emitAccumulate(layout.floats, caps);
  const accumulate = builder.addGroup([{ kernel, slots, label: 'accumulate' }]);
  return { single, summed: { ...groupsOf('accumulated', accumulated), accumulate }, hyper, squares };
}

/** Whether some parameters of a group may be masked. Others, such as biases, which start as zeros, have plain averages. */
function hasMasked({ parameters }: ParameterLayout, { offset, floats }: ParameterGroup): boolean {
  return [...parameters.values()].some(
    (placed) =>
      placed.offset >= offset && placed.offset < offset + floats && isMasked(placed.parameter, 'all'),
  );
}

/** The kernels that sum the squares of `floats` gradients. */
function normKernels(
  builder: ProgramBuilder,
  floats: number,
  caps: DeviceCaps,
  squares: Slot,
): (from: Slot) => Parameters<ProgramBuilder['addGroup']>[0] {
  const [candidate] = candidates(
    {
      op: 'pixel-sum',
      batch: 1,
      pixels: Math.max(floats, NORM_SUMS) / NORM_SUMS,
      channels: NORM_SUMS,
      pitch: NORM_SUMS,
      product: true,
    },
    caps,
  );
  const { main, tempFloats } = candidate?.emit() ?? { main: [], tempFloats: 0 };
  const temp = builder.allocate('weights', tempFloats);
  return (from) => {
    const slots = new Map([
      ['x', from],
      ['x1', from],
      ['y', squares],
      ['temp', temp],
    ]);
    return main.map((kernel) => ({ kernel, slots, label: 'norm of gradients' }));
  };
}

function slotOf(states: ReadonlyMap<State, Slot>, name: State): Slot {
  const slot = states.get(name);
  if (slot === undefined) throw invalidArgument(`This training session keeps no ${name}.`);
  return slot;
}
