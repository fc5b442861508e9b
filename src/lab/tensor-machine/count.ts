import { invalidArgument } from '../../core/errors.ts';
import { axisOf, operationsOf, tensorOf } from './machine.ts';
import type { Kernel, Loop, Machine, Memory, Operation, PlacedOperation } from './machine.ts';
import { extent, loopAxisOf, rangeOf, regionOf, tilesOf, touchedBy, volume } from './regions.ts';
import type { Range, Tiles } from './regions.ts';

/** Work and traffic. */
export interface Tally {
  /** Two for a multiply-accumulate of a product or a convolution; nothing else counts. */
  readonly operations: number;
  /** Elements read from DRAM. */
  readonly reads: number;
  /** Elements written to DRAM. */
  readonly writes: number;
}

export interface KernelCount extends Tally {
  readonly name: string;
  /** Bytes moved from and to DRAM. */
  readonly bytes: number;
  /** Operations a byte. */
  readonly intensity: number;
  /** What really happens when neighbouring tiles read, and compute, the rows between them twice. */
  readonly withHalo: Tally & { readonly bytes: number };
}

export interface MachineCount extends Omit<KernelCount, 'name'> {
  readonly kernels: readonly KernelCount[];
  /** Elements that the tensors of a kernel take on the chip, the largest of all kernels; local: in one processor. */
  readonly footprint: Readonly<Record<Exclude<Memory, 'dram'>, number>>;
}

/**
 * Operations and DRAM bytes by formula: for each operation, a product over its tensors' axes. The convention is the
 * paper's: within a kernel an element of DRAM counts once, however many tiles read it (`withHalo` counts each time),
 * and a residual that a kernel reads is an input like any other.
 *
 * @param dtypeBytes bytes of an element, e.g. 2 for float16
 */
export function countMachine(machine: Machine, dtypeBytes: number): MachineCount {
  if (!(dtypeBytes > 0)) throw invalidArgument(`An element must have more than 0 bytes, got ${dtypeBytes}.`);
  const kernels = machine.kernels.map((kernel): KernelCount => {
    const once = tallyKernel(machine, kernel, 'once');
    const each = tallyKernel(machine, kernel, 'each-time');
    const withHalo = { ...each, bytes: (each.reads + each.writes) * dtypeBytes };
    return { name: kernel.name, ...summarise(once, dtypeBytes), withHalo };
  });
  return {
    ...summarise(addTallies(kernels), dtypeBytes),
    withHalo: {
      ...addTallies(kernels.map(({ withHalo }) => withHalo)),
      bytes: kernels.reduce((sum, { withHalo }) => sum + withHalo.bytes, 0),
    },
    kernels,
    footprint: {
      global: Math.max(0, ...machine.kernels.map((kernel) => footprint(machine, kernel, 'global'))),
      local: Math.max(0, ...machine.kernels.map((kernel) => footprint(machine, kernel, 'local'))),
    },
  };
}

/** Rates of a device. */
export interface Rates {
  /** Operations a second. */
  readonly operations: number;
  /** Bytes a second from and to DRAM. */
  readonly bytes: number;
}

/** The least time a device can take: Σ max(operations / rate, bytes / bandwidth) over kernels, in seconds. */
export function minimumSeconds({ kernels }: Pick<MachineCount, 'kernels'>, rates: Rates): number {
  return kernels.reduce(
    (sum, { operations, bytes }) => sum + Math.max(operations / rates.operations, bytes / rates.bytes),
    0,
  );
}

export function addTallies(tallies: readonly Tally[]): Tally {
  return tallies.reduce<Tally>(
    (sum, { operations, reads, writes }) => ({
      operations: sum.operations + operations,
      reads: sum.reads + reads,
      writes: sum.writes + writes,
    }),
    { operations: 0, reads: 0, writes: 0 },
  );
}

function summarise({ operations, reads, writes }: Tally, dtypeBytes: number) {
  const bytes = (reads + writes) * dtypeBytes;
  return { operations, reads, writes, bytes, intensity: operations / bytes };
}

/** Whether what several turns of a loop touch counts once or each time. */
type Counting = 'once' | 'each-time';

function tallyKernel(machine: Machine, kernel: Kernel, counting: Counting): Tally {
  const read = new Set<string>();
  return addTallies(
    operationsOf(kernel).map((placed) => {
      const { operation } = placed;
      const inputs = operation.inputs.filter((name) => tensorOf(machine, name).memory === 'dram');
      for (const name of inputs) {
        if (read.has(name))
          throw invalidArgument(`The kernel ${kernel.name} must read ${name} in one place only.`);
        read.add(name);
      }
      const output = tensorOf(machine, operation.output);
      if (operation.accumulate && output.memory === 'dram') {
        throw invalidArgument(
          `The kernel ${kernel.name} must not accumulate in DRAM, as it does in ${operation.output}.`,
        );
      }
      const elementsOf = (select: (tiles: Tiles) => readonly Range[], axes: readonly string[]): number =>
        countPoints(machine, placed, { axes, rangesAt: select }, counting);
      return {
        operations: 2 * countMacs(machine, placed, counting),
        reads: operation.inputs.reduce((sum, name, i) => {
          const { axes, memory } = tensorOf(machine, name);
          if (memory !== 'dram') return sum;
          return sum + elementsOf((tiles) => touchedBy(machine, operation, tiles).inputs[i] ?? [], axes);
        }, 0),
        writes:
          output.memory === 'dram'
            ? elementsOf((tiles) => touchedBy(machine, operation, tiles).output, output.axes)
            : 0,
      };
    }),
  );
}

/** Axes over which an operation multiplies and accumulates, beside its output's; undefined if it does not. */
function reducedAxes(machine: Machine, { operator, inputs }: Operation): readonly string[] | undefined {
  if (operator !== 'product' && operator !== 'grouped-conv') return undefined;
  const matrix = tensorOf(machine, inputs[1] ?? '').axes;
  return operator === 'product' ? matrix.slice(0, 1) : matrix.slice(1);
}

function countMacs(machine: Machine, placed: PlacedOperation, counting: Counting): number {
  const reduced = reducedAxes(machine, placed.operation);
  if (reduced === undefined) return 0;
  const output = tensorOf(machine, placed.operation.output);
  const rangesAt = (tiles: Tiles): Range[] => [
    ...regionOf(machine, output, tiles),
    ...reduced.map((axis) => rangeOf(machine, axis, tiles)),
  ];
  return countPoints(machine, placed, { axes: [...output.axes, ...reduced], rangesAt }, counting);
}

/** A box of points whose sides depend on the tiles at which loops are. */
interface Box {
  readonly axes: readonly string[];
  readonly rangesAt: (tiles: Tiles) => readonly Range[];
}

/**
 * Points of a box over all turns of the loops. Each side depends on the tiles of one axis at most, so the sum over all
 * turns is a product: for each loop axis, Σ over its tiles of the side's extent, or the number of tiles if no side depends
 * on it; for other sides, their extent. Counted once, a side is the union of its ranges.
 */
function countPoints(machine: Machine, { loops }: PlacedOperation, box: Box, counting: Counting): number {
  const looped = [...new Set(loops.map(({ axis }) => axis))];
  const whole = box.rangesAt(new Map());
  let points = 1;
  box.axes.forEach((axis, side) => {
    if (loopAxisOf(machine, axis, looped) === undefined) points *= extent(whole[side] ?? EMPTY);
  });
  for (const loopAxis of looped) {
    const sides = box.axes.flatMap((axis, side) =>
      loopAxisOf(machine, axis, looped) === loopAxis ? [side] : [],
    );
    const turns = turnsOf(machine, loops, loopAxis).map((tile) => box.rangesAt(new Map([[loopAxis, tile]])));
    if (sides.length === 0) points *= counting === 'once' ? 1 : turns.length;
    else if (counting === 'each-time') {
      points *= turns.reduce(
        (sum, ranges) => sum + sides.reduce((p, side) => p * extent(ranges[side] ?? EMPTY), 1),
        0,
      );
    } else {
      for (const side of sides) points *= unionExtent(turns.map((ranges) => ranges[side] ?? EMPTY));
    }
  }
  return points;
}

const EMPTY: Range = { start: 0, stop: 0 };

/** The innermost tiles of an axis, which several nested loops may cut. */
function turnsOf(machine: Machine, loops: readonly Loop[], axis: string): Range[] {
  return loops
    .filter((loop) => loop.axis === axis)
    .reduce<Range[]>(
      (ranges, { tile }) => ranges.flatMap((range) => tilesOf(range, tile)),
      [{ start: 0, stop: axisOf(machine, axis).size }],
    );
}

/** Positions in any of the ranges, which ascend. */
function unionExtent(ranges: readonly Range[]): number {
  let end = 0;
  return ranges.reduce((sum, { start, stop }) => {
    const added = Math.max(0, stop - Math.max(start, end));
    end = Math.max(end, stop);
    return sum + added;
  }, 0);
}

/** Elements of a kernel's tensors in one on-chip memory, each at its largest tile. */
function footprint(machine: Machine, kernel: Kernel, memory: Memory): number {
  const largest = new Map<string, number>();
  for (const { operation, loops } of operationsOf(kernel)) {
    const { output, accumulate, inputs } = operation;
    if (tensorOf(machine, output).memory !== memory || accumulate || inputs.includes(output)) continue;
    const axes = [...new Set(loops.map(({ axis }) => axis))];
    // A tile in the middle has the whole halo.
    const sizes = allTiles(axes.map((axis) => [axis, turnsOf(machine, loops, axis).slice(0, 3)]));
    const size = Math.max(
      ...sizes.map((tiles) => volume(regionOf(machine, tensorOf(machine, output), tiles))),
    );
    largest.set(output, Math.max(size, largest.get(output) ?? 0));
  }
  return [...largest.values()].reduce((a, b) => a + b, 0);
}

function allTiles(choices: readonly (readonly [axis: string, tiles: readonly Range[]])[]): Tiles[] {
  return choices.reduce<Tiles[]>(
    (all, [axis, tiles]) => all.flatMap((chosen) => tiles.map((tile) => new Map([...chosen, [axis, tile]]))),
    [new Map()],
  );
}
