import { KernelBuilder } from '../codegen/builder.ts';
import type { Kernel } from '../codegen/ir.ts';

/** Floats of one task, so that threads take many: 64 KiB. */
export const TASK_FLOATS = 2 ** 14;
/** Floats that stay in the first-level cache: 16 KiB. */
export const NEAR_FLOATS = 2 ** 12;
/** How often {@link nearKernel} reads them. */
export const NEAR_TURNS = 64;
/** Independent loads in a turn of the loop, to keep many cache lines under way. */
const UNROLL = 8;

/** Sums an array; what each task found goes to an element of y, so that compilers must read all of it. */
export function readKernel(lanes: number, tasks: number): Kernel {
  return sumKernel('read_memory', 'sums an array', { lanes, tasks, floats: TASK_FLOATS, turns: 1 });
}

/** The same of a short array of its own for each task, many times over. */
export function nearKernel(lanes: number, tasks: number): Kernel {
  const sizes = { lanes, tasks, floats: NEAR_FLOATS, turns: NEAR_TURNS };
  return sumKernel('read_near', 'sums a short array many times', sizes);
}

function sumKernel(
  name: string,
  description: string,
  { lanes, tasks, floats, turns }: Record<'lanes' | 'tasks' | 'floats' | 'turns', number>,
): Kernel {
  const b = new KernelBuilder({ name, description, lanes, tasks });
  const x = b.input('x');
  const y = b.output('y');
  const base = b.mul(b.task, floats);
  const sums = Array.from({ length: UNROLL }, () => b.variable(b.vec(0), 'sum'));
  b.for(0, turns, 1, () => {
    b.for(0, floats, UNROLL * lanes, (i) => {
      sums.forEach((sum, j) => sum.set(b.add(sum.get(), b.loadVec(x, b.add(base, i), j * lanes))));
    });
  });
  const total = sums.map((sum) => sum.get()).reduce((a, c) => b.add(a, c));
  b.store(y, b.mul(b.task, lanes), total);
  return b.build();
}

/** y = x. */
export function copyKernel(lanes: number, tasks: number): Kernel {
  const b = new KernelBuilder({ name: 'copy_memory', description: 'y = x', lanes, tasks });
  const x = b.input('x');
  const y = b.output('y');
  const base = b.mul(b.task, TASK_FLOATS);
  b.for(0, TASK_FLOATS, UNROLL * lanes, (i) => {
    const at = b.add(base, i);
    const values = Array.from({ length: UNROLL }, (_, j) => b.loadVec(x, at, j * lanes));
    values.forEach((value, j) => b.store(y, at, value, j * lanes));
  });
  return b.build();
}

/** y = x + ½ z. */
export function triadKernel(lanes: number, tasks: number): Kernel {
  const b = new KernelBuilder({ name: 'triad_memory', description: 'y = x + a z', lanes, tasks });
  const x = b.input('x');
  const z = b.input('z');
  const y = b.output('y');
  const base = b.mul(b.task, TASK_FLOATS);
  const a = b.vec(0.5);
  b.for(0, TASK_FLOATS, UNROLL * lanes, (i) => {
    const at = b.add(base, i);
    const sums = Array.from({ length: UNROLL }, (_, j) =>
      b.fma(b.loadVec(z, at, j * lanes), a, b.loadVec(x, at, j * lanes)),
    );
    sums.forEach((sum, j) => b.store(y, at, sum, j * lanes));
  });
  return b.build();
}
