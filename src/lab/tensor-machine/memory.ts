import { invalidArgument } from '../../core/errors.ts';
import type { Floats } from '../../graph/tensors.ts';
import type { Tally } from './count.ts';
import { extent, volume } from './regions.ts';
import type { Region } from './regions.ts';

/** A dense piece of a tensor, and where in the tensor it lies. */
export interface Block {
  readonly region: Region;
  readonly values: Float64Array;
}

/** A block of NaN: what nobody has written is noticed in results. */
export function emptyBlock(region: Region): Block {
  return { region, values: new Float64Array(volume(region)).fill(NaN) };
}

/** Calls back with the index, within a block of `outer`, of each element of `inner`, in the order of `inner`. */
export function forEachElement(outer: Region, inner: Region, visit: (index: number) => void): void {
  const walk = (axis: number, base: number): void => {
    const range = inner[axis];
    const whole = outer[axis];
    if (range === undefined || whole === undefined) {
      visit(base);
      return;
    }
    if (range.start < whole.start || range.stop > whole.stop) {
      throw invalidArgument(
        `Positions ${range.start} to ${range.stop} of axis ${axis} are wanted where only ${whole.start} to ${whole.stop} are held: give the tensor a larger halo.`,
      );
    }
    for (let i = range.start; i < range.stop; i++) walk(axis + 1, base * extent(whole) + i - whole.start);
  };
  walk(0, 0);
}

/** The elements of `region` out of a block that holds them. */
export function readBlock(from: Block, region: Region): Block {
  const block = emptyBlock(region);
  let next = 0;
  forEachElement(from.region, region, (index) => {
    block.values[next++] = from.values[index] ?? NaN;
  });
  return block;
}

/** Puts a block's elements, or their sums with what is there, into a block that has room for them. */
export function writeBlock(to: Block, { region, values }: Block, accumulate: boolean): void {
  let next = 0;
  forEachElement(to.region, region, (index) => {
    const value = values[next++] ?? NaN;
    to.values[index] = accumulate ? (to.values[index] ?? NaN) + value : value;
  });
}

interface DramTensor {
  readonly block: Block;
  /** Which elements the kernel that runs has read and written. */
  readonly wasRead: Uint8Array;
  readonly wasWritten: Uint8Array;
}

/** Elements that went through the memory interface, each time and counted once. */
export interface Traffic {
  readonly eachTime: Omit<Tally, 'operations'>;
  readonly once: Omit<Tally, 'operations'>;
}

/** DRAM, which counts every element that is read or written. */
export class Dram {
  readonly #tensors = new Map<string, DramTensor>();
  #reads = 0;
  #writes = 0;

  allocate(name: string, region: Region, values?: Floats): void {
    const block = values === undefined ? emptyBlock(region) : { region, values: Float64Array.from(values) };
    const elements = block.values.length;
    this.#tensors.set(name, {
      block,
      wasRead: new Uint8Array(elements),
      wasWritten: new Uint8Array(elements),
    });
  }

  read(name: string, region: Region): Block {
    const { block, wasRead } = this.#tensor(name);
    forEachElement(block.region, region, (index) => {
      wasRead[index] = 1;
      this.#reads++;
    });
    return readBlock(block, region);
  }

  write(name: string, piece: Block): void {
    const { block, wasWritten } = this.#tensor(name);
    forEachElement(block.region, piece.region, (index) => {
      wasWritten[index] = 1;
      this.#writes++;
    });
    writeBlock(block, piece, false);
  }

  /** A tensor as it is, without traffic: how the host looks at results. */
  peek(name: string): Float64Array {
    return this.#tensor(name).block.values;
  }

  /** The traffic since the last call. */
  takeTraffic(): Traffic {
    const eachTime = { reads: this.#reads, writes: this.#writes };
    const once = { reads: 0, writes: 0 };
    for (const { wasRead, wasWritten } of this.#tensors.values()) {
      once.reads += clear(wasRead);
      once.writes += clear(wasWritten);
    }
    this.#reads = 0;
    this.#writes = 0;
    return { eachTime, once };
  }

  #tensor(name: string): DramTensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw invalidArgument(`The tensor ${name} is not in DRAM.`);
    return tensor;
  }
}

/** Memory on the chip. A tensor there is the block that the latest definition gave it. */
export class ChipMemory {
  readonly #blocks = new Map<string, Block>();

  define(name: string, block: Block): void {
    this.#blocks.set(name, { region: block.region, values: block.values.slice() });
  }

  /** Throws `invalid-argument` if nothing has defined the tensor. */
  block(name: string): Block {
    const block = this.#blocks.get(name);
    if (block === undefined) throw invalidArgument(`The tensor ${name} is used before it is defined.`);
    return block;
  }

  slice(name: string, region: Region): Block {
    return readBlock(this.block(name), region);
  }
}

/** Sets all marks to 0 and says how many there were. */
function clear(marks: Uint8Array): number {
  const count = marks.reduce((sum, mark) => sum + mark, 0);
  marks.fill(0);
  return count;
}
