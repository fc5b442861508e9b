import type { Axis, Loop, Operation, Operator, Step, Tensor } from './machine.ts';
import type { FixedSizes } from './sizes.ts';

/** output = operator(inputs); `step('relu', ['z'], 'z')` works in place. */
export function step(operator: Operator, inputs: readonly string[], output: string): Operation {
  return { kind: 'operation', operator, inputs, output, accumulate: false };
}

/** output += operator(inputs). */
export function accumulate(operator: Operator, inputs: readonly string[], output: string): Operation {
  return { ...step(operator, inputs, output), accumulate: true };
}

export function copy(from: string, to: string): Operation {
  return step('copy', [from], to);
}

export function inTurn(axis: string, tile: number, body: readonly Step[]): Loop {
  return { kind: 'loop', axis, tile, runs: 'in-turn', body };
}

export function onProcessors(axis: string, tile: number, body: readonly Step[]): Loop {
  return { kind: 'loop', axis, tile, runs: 'on-processors', body };
}

export const BARRIER: Step = { kind: 'barrier' };

/** The tensor of that name on the chip: weights are copied to global memory when a kernel starts, and read there. */
export function onChip(name: string): string {
  return `${name}.global`;
}

/** Copies weights to global memory. */
export function loadWeights(...names: readonly string[]): Step[] {
  return names.map((name) => copy(name, onChip(name)));
}

/** Weights in DRAM and their copies on the chip, from their axes by name. */
export function weights(axesByName: Readonly<Record<string, readonly string[]>>): Record<string, Tensor> {
  const tensors = Object.entries(axesByName).flatMap(([name, axes]): [string, Tensor][] => [
    [name, { label: name, memory: 'dram', axes, role: 'weights' }],
    [onChip(name), { label: name, memory: 'global', axes }],
  ]);
  return Object.fromEntries(tensors);
}

export function dram(label: string, axes: readonly string[], role?: 'input' | 'output'): Tensor {
  return { label, memory: 'dram', axes, ...(role && { role }) };
}

export function global(label: string, axes: readonly string[]): Tensor {
  return { label, memory: 'global', axes };
}

export function local(label: string, axes: readonly string[], halo = 0): Tensor {
  return { label, memory: 'local', axes, ...(halo > 0 && { halo: { H: halo } }) };
}

/** Axes that all blocks share; P and Q are rows and columns of a halved map. */
export function blockAxes({
  batch,
  height,
  width,
  channels,
  hidden,
  outputs,
  stride,
}: FixedSizes): Record<string, Axis> {
  return {
    N: { size: batch, meaning: 'images' },
    H: {
      size: height,
      meaning: 'rows',
      ...(stride === 2 && { follows: { axis: 'P', stride } }),
    },
    W: { size: width, meaning: 'columns' },
    ...(stride === 2 && {
      P: { size: Math.ceil(height / 2), meaning: 'output rows' },
      Q: { size: Math.ceil(width / 2), meaning: 'output columns' },
    }),
    C: { size: channels, meaning: 'channels' },
    R: { size: hidden, meaning: 'hidden channels' },
    K: { size: outputs, meaning: 'output channels' },
  };
}

/** Axes of a grouped convolution's kernels, beside its outputs. */
export function kernelAxes(groupWidth: number): Record<string, Axis> {
  return {
    T: { size: groupWidth, meaning: 'channels of a group' },
    kh: { size: 3, meaning: 'rows of a kernel' },
    kw: { size: 3, meaning: 'columns of a kernel' },
  };
}
