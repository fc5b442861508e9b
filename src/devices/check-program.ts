import { invalidArgument } from '../core/errors.ts';
import type { Program, Step } from './device.ts';

/** Threads take tasks from a 32-bit counter, and each counts once past the end. */
const MOST_TASKS = 2 ** 30;

/**
 * Whether steps fit their kernels, and slots their regions: what is wrong there would write to memory of others.
 * Throws `invalid-argument`, naming the step.
 */
export function checkProgram(program: Program): void {
  for (const [region, floats] of Object.entries(program.sizes)) {
    if (!Number.isSafeInteger(floats) || floats < 0) {
      throw invalidArgument(`The region ${region} must have a whole number of floats, got ${floats}.`);
    }
  }
  for (const { name, tasks } of program.kernels) {
    if (!Number.isInteger(tasks) || tasks < 1 || tasks > MOST_TASKS) {
      throw invalidArgument(`The kernel ${name} must have from 1 to ${MOST_TASKS} tasks, got ${tasks}.`);
    }
  }
  for (const step of [program.steps, ...program.prepare].flat()) checkStep(program, step);
}

function checkStep({ kernels, sizes }: Program, { kernel: index, slots, label }: Step): void {
  const kernel = kernels[index];
  if (kernel?.buffers.length !== slots.length) {
    throw invalidArgument(
      `Step ${label} must name one of the program's kernels and a slot for each of its buffers.`,
    );
  }
  slots.forEach(({ region, offset }, i) => {
    const size = Object.hasOwn(sizes, region) ? sizes[region] : 0;
    if (Number.isInteger(offset / 16) && offset >= 0 && offset <= size) return;
    throw invalidArgument(
      `Step ${label} binds ${kernel.buffers[i]?.name ?? 'a buffer'} to ${region} + ${offset}: ` +
        `offsets must be multiples of 16 within its ${size} floats.`,
    );
  });
}
