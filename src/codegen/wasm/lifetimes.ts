import { directOperands, nestedBlocks, operandsOf, placeValues } from '../inline.ts';
import type { Placement } from '../inline.ts';
import type { Buffer, Kernel, Local, Statement, Value } from '../ir.ts';

/** Something that occupies a WebAssembly local: a named value, a variable, or an address shared by accesses. */
export type Resource = string;

export const valueResource = (value: Value): Resource => `value ${value.id}`;
export const localResource = (local: Local): Resource => `variable ${local.id}`;
export const addressResource = (base: number, index: Value): Resource => `address ${base} ${index.id}`;

/** What a kernel keeps in WebAssembly locals, and for how long. */
export interface Lifetimes {
  placement(value: Value): Placement;
  /** Whether anything reads the value itself, and not only addresses computed from it. */
  isRead(value: Value): boolean;
  /** The memory bases for which `base + 4 · value` is used twice or more, so that it is computed once. */
  sharedBases(value: Value): readonly number[];
  /** The value that `value` lies a constant behind, if its addresses follow from those and nothing else needs it. */
  stepFrom(value: Value): Step | undefined;
  /** What nothing uses after the statement. */
  endingAt(statement: Statement): readonly Resource[];
}

/** An index that is another one plus a constant. */
export interface Step {
  readonly from: Value;
  readonly by: number;
}

/** Analyses a kernel; `baseOf` tells which parameter holds a buffer's address. */
export function lifetimes(kernel: Kernel, baseOf: (buffer: Buffer) => number): Lifetimes {
  const placement = placeValues(kernel);
  const isInline = (value: Value): boolean => placement(value) === 'inline';
  const isEmitted = (statement: Statement): boolean =>
    statement.kind !== 'let' || placement(statement.value) === 'named';
  const bases = sharedBases(kernel, isEmitted, isInline, baseOf);
  const steps = findSteps(kernel, isEmitted, isInline, (value) => bases.get(value.id) ?? [], baseOf);
  const uses = new UseRecorder();
  const read = new Set<number>();
  const visitor: EvaluationVisitor = {
    read: (value) => {
      read.add(value.id);
      uses.use(valueResource(value));
    },
    compute: (value) => {
      if (value.op === 'get') uses.use(localResource(value.local));
    },
    access: (buffer, index) => {
      const base = baseOf(buffer);
      if (bases.get(index.id)?.includes(base)) uses.use(addressResource(base, index));
      else if (!isInline(index)) visitor.read(index);
    },
  };
  const visitBlock = (block: readonly Statement[]): void => {
    for (const statement of block) {
      if (!isEmitted(statement)) continue;
      uses.enter(statement);
      const step = statement.kind === 'let' ? steps.get(statement.value.id) : undefined;
      if (step === undefined) visitEvaluation(statement, isInline, visitor);
      if (statement.kind === 'let') {
        const { value } = statement;
        if (step) for (const base of bases.get(value.id) ?? []) uses.use(addressResource(base, step.from));
        uses.define(valueResource(value));
        for (const base of bases.get(value.id) ?? []) uses.define(addressResource(base, value));
      }
      if (statement.kind === 'set' || statement.kind === 'for') uses.define(localResource(statement.local));
      for (const nested of nestedBlocks(statement)) visitBlock(nested);
      uses.leave();
    }
  };
  visitBlock(kernel.body);
  const ending = uses.ending();
  return {
    placement,
    isRead: (value) => read.has(value.id),
    sharedBases: (value) => bases.get(value.id) ?? [],
    stepFrom: (value) => steps.get(value.id),
    endingAt: (statement) => ending.get(statement) ?? [],
  };
}

/** For each index value: the bases that it is added to in two accesses or more. */
function sharedBases(
  kernel: Kernel,
  isEmitted: (statement: Statement) => boolean,
  isInline: (value: Value) => boolean,
  baseOf: (buffer: Buffer) => number,
): Map<number, number[]> {
  const counts = new Map<number, Map<number, number>>();
  const visitor: EvaluationVisitor = {
    read: () => undefined,
    compute: () => undefined,
    access: (buffer, index) => {
      if (index.op === 'const' || isInline(index)) return;
      const perBase = counts.get(index.id) ?? new Map<number, number>();
      counts.set(index.id, perBase);
      const base = baseOf(buffer);
      perBase.set(base, (perBase.get(base) ?? 0) + 1);
    },
  };
  const visitBlock = (block: readonly Statement[]): void => {
    for (const statement of block) {
      if (!isEmitted(statement)) continue;
      visitEvaluation(statement, isInline, visitor);
      for (const nested of nestedBlocks(statement)) visitBlock(nested);
    }
  };
  visitBlock(kernel.body);
  const shared = new Map<number, number[]>();
  for (const [index, perBase] of counts) {
    const often = [...perBase].filter(([, count]) => count > 1).map(([base]) => base);
    if (often.length > 0) shared.set(index, often);
  }
  return shared;
}

/** The indices whose addresses are those of another index plus a constant, and that nothing reads themselves. */
function findSteps(
  kernel: Kernel,
  isEmitted: (statement: Statement) => boolean,
  isInline: (value: Value) => boolean,
  basesOf: (value: Value) => readonly number[],
  baseOf: (buffer: Buffer) => number,
): Map<number, Step> {
  const steps = new Map<number, Step>();
  const read = new Set<number>();
  const visitor: EvaluationVisitor = {
    read: (value) => void read.add(value.id),
    compute: () => undefined,
    access: (buffer, index) => {
      if (!basesOf(index).includes(baseOf(buffer))) read.add(index.id);
    },
  };
  const visitBlock = (block: readonly Statement[]): void => {
    for (const statement of block) {
      if (!isEmitted(statement)) continue;
      visitEvaluation(statement, isInline, visitor);
      const step = statement.kind === 'let' ? stepOf(statement.value) : undefined;
      if (statement.kind === 'let' && step) {
        const own = basesOf(statement.value);
        const others = basesOf(step.from);
        if (own.length > 0 && own.every((base) => others.includes(base))) steps.set(statement.value.id, step);
      }
      for (const nested of nestedBlocks(statement)) visitBlock(nested);
    }
  };
  visitBlock(kernel.body);
  for (const id of read) steps.delete(id);
  return steps;
}

function stepOf(value: Value): Step | undefined {
  if (value.op !== 'add' || value.type !== 'i32') return undefined;
  const [from, by] = value.args;
  return from !== undefined && by?.op === 'const' ? { from, by: by.value } : undefined;
}

interface EvaluationVisitor {
  /** A value is read from where it was put: it is named, a constant or the task. */
  read(value: Value): void;
  /** A value is computed here. */
  compute(value: Value): void;
  /** Memory is read or written here. The index counts as read only if the visitor says so. */
  access(buffer: Buffer, index: Value): void;
}

/** Visits what a statement itself evaluates, the values written in place in it included. */
function visitEvaluation(
  statement: Statement,
  isInline: (value: Value) => boolean,
  visitor: EvaluationVisitor,
): void {
  const operand = (value: Value): void => {
    if (isInline(value)) compute(value);
    else visitor.read(value);
  };
  const compute = (value: Value): void => {
    visitor.compute(value);
    if (value.op === 'load') access(value.buffer, value.index);
    else operandsOf(value).forEach(operand);
  };
  const access = (buffer: Buffer, index: Value): void => {
    visitor.access(buffer, index);
    if (isInline(index)) compute(index);
  };
  if (statement.kind === 'let') {
    compute(statement.value);
  } else if (statement.kind === 'store') {
    access(statement.buffer, statement.index);
    operand(statement.value);
  } else if (statement.kind === 'prefetch') {
    if (statement.isWithin) access(statement.buffer, statement.index);
  } else {
    directOperands(statement).forEach(operand);
  }
}

/**
 * Finds the last statement that uses a resource, among the statements of the block that defines it: a use
 * inside a loop lasts until the loop's end, because the next round may use it again.
 */
class UseRecorder {
  readonly #path: Statement[] = [];
  readonly #definedIn = new Map<
    Resource,
    { readonly depth: number; readonly parent: Statement | undefined }
  >();
  readonly #last = new Map<Resource, Statement | undefined>();

  enter(statement: Statement): void {
    this.#path.push(statement);
  }

  leave(): void {
    this.#path.pop();
  }

  define(resource: Resource): void {
    if (!this.#definedIn.has(resource)) {
      const depth = this.#path.length - 1;
      this.#definedIn.set(resource, { depth, parent: this.#path[depth - 1] });
    }
    this.use(resource);
  }

  use(resource: Resource): void {
    const defined = this.#definedIn.get(resource);
    if (defined === undefined) return;
    const { depth, parent } = defined;
    // A variable that is used outside of the block that first set it lives until the kernel's end.
    if (this.#last.has(resource) && this.#last.get(resource) === undefined) return;
    this.#last.set(resource, this.#path[depth - 1] === parent ? this.#path[depth] : undefined);
  }

  ending(): Map<Statement, Resource[]> {
    const ending = new Map<Statement, Resource[]>();
    for (const [resource, statement] of this.#last) {
      if (statement === undefined) continue;
      const resources = ending.get(statement) ?? [];
      ending.set(statement, resources);
      resources.push(resource);
    }
    return ending;
  }
}
