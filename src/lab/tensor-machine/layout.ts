import { countMachine } from './count.ts';
import { loopLabel, operationLabel, quantity, shapeLabel } from './labels.ts';
import { tensorOf } from './machine.ts';
import type { Kernel, Loop, Machine, Memory, Operation, Step } from './machine.ts';

/** A tensor's box. The centre column holds the flow, the side column accumulators as they start. */
export interface TensorBox {
  readonly kind: 'tensor';
  readonly column: 'centre' | 'side';
  /** Middle. */
  readonly y: number;
  readonly label: string;
  readonly shape: string;
  readonly memory: Memory;
}

/** Weights beside the operation that reads them. */
export interface WeightBox {
  readonly label: string;
  readonly shape: string;
  readonly memory: Memory;
  /** Whence they were copied when the kernel started. */
  readonly from: Memory | undefined;
}

/** Operations one after the other on the same tensor, in one pill. */
export interface Chain {
  readonly kind: 'chain';
  readonly column: 'centre';
  readonly y: number;
  readonly parts: readonly { readonly text: string; readonly counts: boolean }[];
  readonly weights: readonly WeightBox[];
}

export type Item = TensorBox | Chain;

export interface Edge {
  readonly from: Item;
  readonly to: Item;
  /** Data that flows, or an accumulator that something is added to. */
  readonly style: 'data' | 'accumulator';
  readonly label?: string;
}

/** A kernel (depth 0) or loops around steps. */
export interface Frame {
  readonly depth: number;
  readonly title: string;
  /** Lines below the title, beside the loops. */
  readonly notes: readonly string[];
  readonly parallel: boolean;
  readonly top: number;
  readonly bottom: number;
}

export interface BarrierLine {
  readonly y: number;
  readonly depth: number;
}

export interface Layout {
  readonly items: readonly Item[];
  readonly edges: readonly Edge[];
  readonly frames: readonly Frame[];
  readonly barriers: readonly BarrierLine[];
  readonly bottom: number;
}

/** Distance of rows. */
const ROW = 50;
const FRAME_TITLE = 26;
const FRAME_END = 10;
const BARRIER = 26;

/** Places a machine's tensors and operations from `top` downwards, in the order in which they happen. */
export function layOut(machine: Machine, top: number): Layout {
  return new Placement(machine, top).layout();
}

class Placement {
  readonly #machine: Machine;
  readonly #items: Item[] = [];
  readonly #edges: Edge[] = [];
  readonly #frames: Frame[] = [];
  readonly #barriers: BarrierLine[] = [];
  /** Where each tensor's current value is. */
  readonly #current = new Map<string, Item>();
  /** Whence each tensor was copied. */
  readonly #copiedFrom = new Map<string, string>();
  #stores: { readonly from: Item | undefined; readonly to: string }[] = [];
  #y: number;
  /** Where the innermost open frame starts. */
  #frameTop: number;

  constructor(machine: Machine, top: number) {
    this.#machine = machine;
    this.#y = top;
    this.#frameTop = top;
  }

  layout(): Layout {
    for (const [name, { role }] of Object.entries(this.#machine.tensors)) {
      if (role === 'input') this.#tensor(name, []);
    }
    const { kernels } = countMachine(this.#machine, 1);
    this.#machine.kernels.forEach((kernel, i) => {
      const { operations = 0, reads = 0, writes = 0 } = kernels[i] ?? {};
      this.#kernel(kernel, [
        `${quantity(operations)} operations`,
        `${quantity(reads + writes)} DRAM elements`,
      ]);
    });
    return {
      items: this.#items,
      edges: this.#edges,
      frames: this.#frames,
      barriers: this.#barriers,
      bottom: this.#y,
    };
  }

  #kernel(kernel: Kernel, notes: readonly string[]): void {
    const title = this.#machine.kernels.length === 1 ? `Kernel: ${kernel.name}` : kernel.name;
    this.#frame({ depth: 0, title, notes, parallel: false }, () => {
      this.#steps(kernel.steps, [], 0);
    });
    const stores = this.#stores;
    this.#stores = [];
    for (const { from, to } of stores) {
      const box = this.#tensor(to, []);
      if (from !== undefined) this.#edges.push({ from, to: box, style: 'data', label: 'store' });
    }
  }

  #frame(frame: Omit<Frame, 'top' | 'bottom'>, place: () => void): void {
    const top = this.#y;
    const outer = this.#frameTop;
    this.#frameTop = top;
    this.#y += FRAME_TITLE;
    place();
    this.#frameTop = outer;
    this.#frames.push({ ...frame, top, bottom: this.#y });
    this.#y += FRAME_END;
  }

  #steps(steps: readonly Step[], loops: readonly Loop[], depth: number): void {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (step?.kind === 'barrier') {
        this.#barriers.push({ y: this.#y + BARRIER - 6, depth });
        this.#y += BARRIER;
      } else if (step?.kind === 'loop') {
        const nest = nestOf(step);
        const frame = {
          depth: depth + 1,
          title: loopLabel(nest),
          notes: [],
          parallel: step.runs === 'on-processors',
        };
        this.#frame(frame, () => {
          this.#steps(nest.at(-1)?.body ?? [], [...loops, ...nest], depth + 1);
        });
      } else if (step !== undefined) {
        const chain = chainFrom(steps, i);
        const next = steps[i + chain.length];
        i += chain.length - 1;
        if (step.operator === 'copy') this.#copy(step, loops);
        else if (step.operator === 'zero') this.#start(step.output, loops, undefined);
        else this.#chain(chain, loops, next);
      }
    }
  }

  #copy({ inputs: [from = ''], output }: Operation, loops: readonly Loop[]): void {
    const source = tensorOf(this.#machine, from);
    if (source.role === 'weights') {
      this.#copiedFrom.set(output, from);
      return;
    }
    const item = this.#current.get(from);
    if (tensorOf(this.#machine, output).memory === 'dram') this.#stores.push({ from: item, to: output });
    else if (source.memory === 'dram') {
      const box = this.#tensor(output, loops);
      if (item !== undefined) this.#edges.push({ from: item, to: box, style: 'data', label: 'load' });
    } else this.#start(output, loops, item);
  }

  /** An accumulator's first value: a copy of another tensor, else zeros. */
  #start(name: string, loops: readonly Loop[], from: Item | undefined): void {
    const last = this.#items.at(-1);
    // Beside what it copies; zeros beside what was placed last, if that is within the same frame.
    const beside = from ?? (last !== undefined && last.y > this.#frameTop ? last : undefined);
    const taken = this.#items.some(({ column, y }) => column === 'side' && y === beside?.y);
    const y = beside !== undefined && !taken ? beside.y : this.#nextRow();
    const tensor = tensorOf(this.#machine, name);
    const label = from === undefined ? `${tensor.label} = 0` : tensor.label;
    const shape = shapeLabel(this.#machine, tensor, loops);
    const box: TensorBox = { kind: 'tensor', column: 'side', y, label, shape, memory: tensor.memory };
    this.#items.push(box);
    this.#current.set(name, box);
    if (from !== undefined) this.#edges.push({ from, to: box, style: 'data' });
  }

  #chain(chain: readonly Operation[], loops: readonly Loop[], next: Step | undefined): void {
    const [first] = chain;
    if (first === undefined) return;
    const { output, accumulate } = first;
    const read = chain.flatMap(({ inputs }, i) => (i === 0 ? inputs : inputs.slice(1)));
    const isWeight = (name: string): boolean =>
      tensorOf(this.#machine, this.#copiedFrom.get(name) ?? name).role === 'weights';
    const item: Chain = {
      kind: 'chain',
      column: 'centre',
      y: this.#nextRow(),
      parts: chain.map((operation) => ({
        text: operationLabel(this.#machine, operation),
        counts: operation.operator === 'product' || operation.operator === 'grouped-conv',
      })),
      weights: read.filter(isWeight).map((name) => this.#weights(name, loops)),
    };
    for (const name of new Set(read)) {
      const from = this.#current.get(name);
      if (from !== undefined && !isWeight(name)) this.#edges.push({ from, to: item, style: 'data' });
    }
    this.#items.push(item);

    const before = this.#current.get(output);
    this.#current.set(output, item);
    const storedNext = next?.kind === 'operation' && next.operator === 'copy' && next.inputs[0] === output;
    if (storedNext && before !== undefined) return; // It has had a box, and goes to DRAM at once.
    const box = this.#tensor(output, loops, accumulate ? ' +=' : '');
    this.#edges.push({ from: item, to: box, style: 'data' });
    if (accumulate && before !== undefined) this.#edges.push({ from: before, to: box, style: 'accumulator' });
  }

  #tensor(name: string, loops: readonly Loop[], mark = ''): TensorBox {
    const tensor = tensorOf(this.#machine, name);
    const box: TensorBox = {
      kind: 'tensor',
      column: 'centre',
      y: this.#nextRow(),
      label: tensor.label + mark,
      shape: shapeLabel(this.#machine, tensor, loops),
      memory: tensor.memory,
    };
    this.#items.push(box);
    this.#current.set(name, box);
    return box;
  }

  #weights(name: string, loops: readonly Loop[]): WeightBox {
    const tensor = tensorOf(this.#machine, name);
    const from = this.#copiedFrom.get(name);
    return {
      label: tensor.label,
      shape: shapeLabel(this.#machine, tensor, loops),
      memory: tensor.memory,
      from: from === undefined ? undefined : tensorOf(this.#machine, from).memory,
    };
  }

  #nextRow(): number {
    const y = this.#y + ROW / 2;
    this.#y += ROW;
    return y;
  }
}

/** A loop and those directly within it that run the same way: one frame. */
function nestOf(loop: Loop): Loop[] {
  const [only, ...others] = loop.body;
  if (only?.kind !== 'loop' || others.length > 0 || only.runs !== loop.runs) return [loop];
  return [loop, ...nestOf(only)];
}

/** The operation at `start`, and those behind it that change its output in place. */
function chainFrom(steps: readonly Step[], start: number): Operation[] {
  const chain: Operation[] = [];
  for (const step of steps.slice(start)) {
    if (step.kind !== 'operation') break;
    const last = chain.at(-1);
    const isMovement = step.operator === 'copy' || step.operator === 'zero';
    const continues = step.inputs[0] === last?.output && step.output === last?.output && !step.accumulate;
    if (last !== undefined && (isMovement || !continues || last.accumulate)) break;
    chain.push(step);
    if (isMovement) break;
  }
  return chain;
}
