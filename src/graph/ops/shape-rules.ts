import { invalidArgument } from '../../core/errors.ts';
import type { Shape } from '../graph.ts';

/** The shape of an op's single input, beside which there may be a residual. */
export function onlyInput(op: string, inputs: readonly Shape[], residual = false): Shape {
  const [first] = inputs;
  if (first === undefined || inputs.length !== (residual ? 2 : 1)) {
    throw invalidArgument(`A ${op} takes ${residual ? 2 : 1} inputs, got ${inputs.length}.`);
  }
  return first;
}

/** The shape that all inputs share. */
export function commonShape(op: string, inputs: readonly Shape[]): Shape {
  const [first, ...others] = inputs;
  if (first === undefined) throw invalidArgument(`This ${op} needs an input.`);
  for (const other of others) {
    if (other.some((size, axis) => size !== first[axis])) {
      throw invalidArgument(
        `The inputs of this ${op} must have one shape, got [${first.join(', ')}] and [${other.join(', ')}].`,
      );
    }
  }
  return first;
}

/** Checks that sizes of an op are positive integers. */
export function expectCounts(op: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw invalidArgument(`The ${name} of a ${op} must be a positive integer, got ${value}.`);
    }
  }
}

/** Pixels of a shape, over the whole batch. */
export function rowsOf([batch, height, width]: Shape): number {
  return batch * height * width;
}

/** Exactly so many inputs. */
export function inputCount(op: string, inputs: readonly Shape[], count: number): readonly Shape[] {
  if (inputs.length !== count) {
    throw invalidArgument(`A ${op} takes ${count} inputs, got ${inputs.length}.`);
  }
  return inputs;
}

/** Checks that an input has a shape. */
export function expectShape(op: string, what: string, shape: Shape | undefined, expected: Shape): void {
  if (shape?.some((size, axis) => size !== expected[axis]) !== false) {
    throw invalidArgument(
      `The ${what} of a ${op} must have shape [${expected.join(', ')}], got [${shape?.join(', ')}].`,
    );
  }
}

/** The shape of x in an op that takes x and a gradient or target of the same shape. */
export function pairShape(op: string, inputs: readonly Shape[]): Shape {
  return commonShape(op, inputCount(op, inputs, 2));
}
