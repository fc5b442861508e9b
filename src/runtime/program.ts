import type { Kernel } from '../codegen/ir.ts';
import { alignedLength } from '../codegen/ir.ts';
import { WidefieldError } from '../core/errors.ts';
import type { Program, Region, Slot, Step } from '../devices/device.ts';
import type { Candidate } from '../kernels/family.ts';
import type { Signature } from '../kernels/signature.ts';

/** Where an op's unpacked weights are written before its prepare group runs. */
export interface PrepareGroup {
  readonly index: number;
  readonly staging: ReadonlyMap<string, Slot>;
}

interface KernelIndices {
  readonly main: readonly number[];
  readonly prepare: readonly number[];
}

/**
 * Puts a program together, op by op. Equal ops with equal configurations share their kernels. Packed
 * weights get places of their own; staging is reused by each op in turn.
 */
export class ProgramBuilder {
  readonly #kernels: Kernel[] = [];
  readonly #kernelIndex = new Map<string, KernelIndices>();
  readonly #steps: Step[] = [];
  readonly #prepare: Step[][] = [];
  readonly #sizes: Record<Region, number> = { weights: 0, arena: 0, staging: 0 };

  /** Takes `floats` of a region. */
  allocate(region: Region, floats: number): Slot {
    const slot = { region, offset: this.#sizes[region] };
    this.#sizes[region] += alignedLength(floats);
    return slot;
  }

  /**
   * Appends the kernels of one op, weights that change included: they are packed again in every run.
   *
   * @param activations as for {@link add}
   * @param weights where the op's weights lie, in PyTorch's order, by name
   */
  addTrained(
    label: string,
    signature: Signature,
    candidate: Candidate,
    activations: ReadonlyMap<string, Slot>,
    weights: ReadonlyMap<string, Slot>,
  ): void {
    const { indices, slots } = this.#enter(signature, candidate, activations);
    const all = new Map([...slots, ...weights]);
    for (const kernel of indices.prepare) this.#steps.push(this.#step(kernel, all, label));
    for (const kernel of indices.main) this.#steps.push(this.#step(kernel, slots, label));
  }

  /** Appends a group of kernels that run on demand, as those of {@link Program.prepare}. Returns its index. */
  addGroup(
    calls: readonly {
      readonly kernel: Kernel;
      readonly slots: ReadonlyMap<string, Slot>;
      readonly label: string;
    }[],
  ): number {
    const steps = calls.map(({ kernel, slots, label }) => this.#step(this.#addKernel(kernel), slots, label));
    return this.#prepare.push(steps) - 1;
  }

  /**
   * Appends the kernels of one op.
   *
   * @param activations slots of the op's inputs and of its output `y`, by name; `temp`, if it has a place already
   * @returns where its weights go before `prepare`; undefined if there is nothing to prepare
   */
  add(
    label: string,
    signature: Signature,
    candidate: Candidate,
    activations: ReadonlyMap<string, Slot>,
  ): PrepareGroup | undefined {
    const { indices, slots } = this.#enter(signature, candidate, activations);
    for (const kernel of indices.main) this.#steps.push(this.#step(kernel, slots, label));
    if (indices.prepare.length === 0) return undefined;

    const staging = new Map<string, Slot>();
    let offset = 0;
    for (const { name, shape } of signature.weights) {
      staging.set(name, { region: 'staging', offset });
      offset += alignedLength(shape.reduce((a, b) => a * b, 1));
    }
    this.#sizes.staging = Math.max(this.#sizes.staging, offset);
    const all = new Map([...slots, ...staging]);
    this.#prepare.push(indices.prepare.map((kernel) => this.#step(kernel, all, label)));
    return { index: this.#prepare.length - 1, staging };
  }

  build(): Program {
    return { kernels: this.#kernels, steps: this.#steps, prepare: this.#prepare, sizes: { ...this.#sizes } };
  }

  /** The kernels of an op, and the places of everything but its weights. */
  #enter(
    signature: Signature,
    candidate: Candidate,
    activations: ReadonlyMap<string, Slot>,
  ): { readonly indices: KernelIndices; readonly slots: ReadonlyMap<string, Slot> } {
    const emission = candidate.emit();
    const key = `${signature.key} | ${candidate.family} ${JSON.stringify(candidate.config)}`;
    let indices = this.#kernelIndex.get(key);
    if (indices === undefined) {
      indices = {
        main: emission.main.map((k) => this.#addKernel(k)),
        prepare: emission.prepare.map((k) => this.#addKernel(k)),
      };
      this.#kernelIndex.set(key, indices);
    }
    const slots = new Map(activations);
    if (emission.packedFloats > 0) slots.set('packed', this.allocate('weights', emission.packedFloats));
    if (emission.tempFloats > 0 && !slots.has('temp'))
      slots.set('temp', this.allocate('arena', emission.tempFloats));
    return { indices, slots };
  }

  #addKernel(kernel: Kernel): number {
    this.#kernels.push(kernel);
    return this.#kernels.length - 1;
  }

  #step(index: number, slots: ReadonlyMap<string, Slot>, label: string): Step {
    const kernel = this.#kernels[index];
    const bound = kernel?.buffers.map((buffer) => {
      const slot = slots.get(buffer.name);
      if (slot === undefined) {
        throw new WidefieldError(
          'invalid-argument',
          `${label}: nothing is bound to ${kernel.name}'s ${buffer.name}.`,
        );
      }
      return slot;
    });
    return { kernel: index, slots: bound ?? [], label };
  }
}
