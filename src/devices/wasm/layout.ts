import { scratchFloats } from '../../codegen/ir.ts';
import { guardBytes, tableBytes } from '../../codegen/wasm/addressing.ts';
import { CONTROL_BYTES } from '../../codegen/wasm/executor.ts';
import type { WasmProgram, WasmStep } from '../../codegen/wasm/program.ts';
import type { Program, Region, Step } from '../device.ts';

/** A program laid out in one linear memory. Addresses and sizes in bytes. */
export interface Layout {
  readonly program: Omit<WasmProgram, 'memory'>;
  /** Where the regions start. */
  readonly regions: Readonly<Record<Region, number>>;
  /** What lies below is never touched: addresses keep that distance from 0 (see `guardBytes`). */
  readonly guard: number;
  /** The end of all memory in use. */
  readonly bytes: number;
  /** The steps of the program come first, then those of each prepare group: [first, end) of each. */
  readonly main: readonly [first: number, end: number];
  readonly prepare: readonly (readonly [first: number, end: number])[];
}

/**
 * Lays out a program as `checkProgram` wants it: guard, control words, tables of constants, scratch memory of each
 * thread, weights, and arena and staging in one place.
 */
export function layOut(program: Program, threads: number): Layout {
  const guard = align(Math.max(0, ...program.kernels.map(guardBytes)));
  let next = guard;
  const place = (bytes: number): number => {
    const address = next;
    next = align(next + bytes);
    return address;
  };
  const control = place(CONTROL_BYTES);
  const tables = program.kernels.map((kernel) => place(tableBytes(kernel)));
  const stride = align(4 * Math.max(0, ...program.kernels.map(scratchFloats)));
  const scratch = { address: place(threads * stride), stride };
  const weights = place(4 * program.sizes.weights);
  const arena = place(4 * Math.max(program.sizes.arena, program.sizes.staging));
  const regions = { weights, arena, staging: arena };

  const groups = [program.steps, ...program.prepare];
  const ranges: [number, number][] = [];
  let first = 0;
  for (const steps of groups) {
    ranges.push([first, first + steps.length]);
    first += steps.length;
  }
  const [main = [0, 0], ...prepare] = ranges;
  return {
    program: {
      kernels: program.kernels,
      steps: groups.flat().map((step) => bindStep(step, regions)),
      threads,
      tables,
      scratch,
      control,
    },
    regions,
    guard,
    bytes: next,
    main,
    prepare,
  };
}

function bindStep({ kernel, slots }: Step, regions: Layout['regions']): WasmStep {
  return { kernel, addresses: slots.map(({ region, offset }) => regions[region] + 4 * offset) };
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
