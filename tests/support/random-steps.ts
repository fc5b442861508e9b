import type { Program, Slot } from '../../src/devices/device.ts';
import type { RandomProgram } from './random-program.ts';

/** A step for each program, with buffers of its own in the arena. */
export function asSteps(programs: readonly RandomProgram[]): {
  program: Program;
  slots: Map<string, Slot>[];
} {
  let arena = 0;
  const slots = programs.map(
    ({ lengths }) =>
      new Map(
        Object.entries(lengths).map(([name, length]): [string, Slot] => {
          const slot: Slot = { region: 'arena', offset: arena };
          arena += Math.ceil(length / 16) * 16;
          return [name, slot];
        }),
      ),
  );
  const program: Program = {
    kernels: programs.map(({ kernel }) => kernel),
    steps: programs.map(({ kernel }, i) => ({
      kernel: i,
      slots: kernel.buffers.map(({ name }) => slots[i]?.get(name) ?? { region: 'arena', offset: NaN }),
      label: `program ${i}`,
    })),
    prepare: [],
    sizes: { weights: 0, arena, staging: 0 },
  };
  return { program, slots };
}
