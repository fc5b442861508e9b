import { invalidArgument } from '../../core/errors.ts';
import { axisOf, tensorOf } from './machine.ts';
import type { Machine, Operation, Tensor } from './machine.ts';

/** Positions from `start` up to, not including, `stop`. */
export interface Range {
  readonly start: number;
  readonly stop: number;
}

/** A range for each axis of a tensor. */
export type Region = readonly Range[];

/** The tile at which each loop is, by axis. */
export type Tiles = ReadonlyMap<string, Range>;

/** Which parts of its tensors an operation touches at one turn of the loops around it. */
export interface Touched {
  readonly inputs: readonly Region[];
  readonly output: Region;
}

export function extent({ start, stop }: Range): number {
  return stop - start;
}

export function volume(region: Region): number {
  return region.reduce((product, range) => product * extent(range), 1);
}

/** Which of the axes that loops cut decides what is at hand of `axis`: itself, or the one it follows; else undefined. */
export function loopAxisOf(machine: Machine, axis: string, looped: readonly string[]): string | undefined {
  return [axis, axisOf(machine, axis).follows?.axis].find(
    (each) => each !== undefined && looped.includes(each),
  );
}

/** The tiles of an axis. */
export function tilesOf({ start, stop }: Range, tile: number): Range[] {
  const count = Math.ceil((stop - start) / tile);
  return Array.from({ length: count }, (_, i) => ({
    start: start + i * tile,
    stop: Math.min(stop, start + (i + 1) * tile),
  }));
}

/** What the current tiles leave of an axis, `halo` positions more on each side, within the axis. */
export function rangeOf(machine: Machine, axis: string, tiles: Tiles, halo = 0): Range {
  const { size, follows } = axisOf(machine, axis);
  const tile = tiles.get(axis);
  if (tile !== undefined) return widen(tile, halo, size);
  const followed = follows && tiles.get(follows.axis);
  if (follows === undefined || followed === undefined) return { start: 0, stop: size };
  return widen(centres(followed, follows.stride), halo, size);
}

/** The part of a tensor that the current tiles select, with its halo. */
export function regionOf(machine: Machine, tensor: Tensor, tiles: Tiles): Region {
  return tensor.axes.map((axis) => rangeOf(machine, axis, tiles, tensor.halo?.[axis]));
}

/**
 * What an operation reads follows from what it writes: the same positions along axes that both have, a window's reach
 * more for convolution and blur, and elsewhere what the tiles leave of the axis.
 */
export function touchedBy(machine: Machine, operation: Operation, tiles: Tiles): Touched {
  const written = tensorOf(machine, operation.output);
  const output = regionOf(machine, written, tiles);
  const along = (axis: string): Range | undefined => output[written.axes.indexOf(axis)];
  const inputs = operation.inputs.map((name, i) => {
    const { axes } = tensorOf(machine, name);
    return axes.map((axis, position) => {
      if (i === 0 && (position === 1 || position === 2)) {
        const window = windowOf(machine, operation, position, axis, output[position]);
        if (window !== undefined) return window;
      }
      return along(axis) ?? rangeOf(machine, axis, tiles);
    });
  });
  return { inputs, output };
}

/** Rows (position 1) or columns (position 2) under the windows of an operation, undefined if it has none. */
function windowOf(
  machine: Machine,
  { operator, inputs }: Operation,
  position: 1 | 2,
  axis: string,
  output: Range | undefined,
): Range | undefined {
  if (output === undefined) return undefined;
  const { size } = axisOf(machine, axis);
  if (operator === 'blur-pool') return widen(centres(output, BLUR_STRIDE), 1, size);
  if (operator !== 'grouped-conv') return undefined;
  const kernelAxis = tensorOf(machine, inputs[1] ?? '').axes[position + 1];
  if (kernelAxis === undefined) {
    throw invalidArgument(
      `The kernels of a grouped convolution need the axes [outputs, inputs of a group, kh, kw].`,
    );
  }
  return widen(output, Math.floor(axisOf(machine, kernelAxis).size / 2), size);
}

/** Pixels from one output of blur-pool to the next. */
export const BLUR_STRIDE = 2;

function centres({ start, stop }: Range, stride: number): Range {
  return { start: start * stride, stop: (stop - 1) * stride + 1 };
}

function widen({ start, stop }: Range, halo: number, size: number): Range {
  return { start: Math.max(0, start - halo), stop: Math.min(size, stop + halo) };
}
