import { directOperands, nestedBlocks, operandsOf } from '../inline.ts';
import type { Local, Statement, Value } from '../ir.ts';
import type { Lifetimes } from './lifetimes.ts';
import { valueResource } from './lifetimes.ts';

/** Vector registers that engines allocate on x86-64: of the 16 they keep one for themselves. */
const REGISTERS = 15;

/**
 * The statements of a loop's body before which a basic block should end, so that vectors stay in registers.
 *
 * Engines move the loads of a block to its top and the arithmetic to its bottom. A block that updates many
 * accumulators from many loads then needs registers for all of them at once, and accumulators spill. So a
 * block is ended before the loads that would make what lives at its start, plus all it loads, exceed the
 * registers. Only bodies without nested blocks, and only after accumulators (vector variables) were updated:
 * nothing else can be finished early.
 *
 * @param temporaries registers for intermediate results
 */
export function blockEnds(
  body: readonly Statement[],
  lifetimes: Lifetimes,
  temporaries: number,
): ReadonlySet<Statement> {
  const ends = new Set<Statement>();
  if (body.some((statement) => nestedBlocks(statement).length > 0)) return ends;
  const loads = body.map((statement) => vectorLoads(statement, lifetimes));
  const available = REGISTERS - temporaries - carriedVectors(body, lifetimes);
  const alive = new Set<string>();
  let atStart = 0;
  let loaded = 0;
  let updates = 0;
  let previous: Statement | undefined;
  body.forEach((statement, position) => {
    const fresh = updates > 0 && (loads[position] ?? 0) > 0 && isUpdate(previous);
    if (fresh && atStart + loaded + loadsUpToUpdate(body, loads, position) > available) {
      ends.add(statement);
      atStart = alive.size;
      loaded = 0;
      updates = 0;
    }
    loaded += loads[position] ?? 0;
    if (isUpdate(statement)) updates++;
    if (isNamedVector(statement, lifetimes)) alive.add(valueResource(statement.value));
    for (const resource of lifetimes.endingAt(statement)) alive.delete(resource);
    if (!isWrittenElsewhere(statement, lifetimes)) previous = statement;
  });
  return ends;
}

/** Whether a statement is a value that its users compute in place, so that nothing is written where it was built. */
function isWrittenElsewhere(statement: Statement, lifetimes: Lifetimes): boolean {
  return statement.kind === 'let' && lifetimes.placement(statement.value) === 'inline';
}

function isUpdate(statement: Statement | undefined): boolean {
  return statement?.kind === 'set' && statement.local.type === 'vec';
}

function isNamedVector(
  statement: Statement,
  lifetimes: Lifetimes,
): statement is Extract<Statement, { kind: 'let' }> {
  return (
    statement.kind === 'let' &&
    statement.value.type === 'vec' &&
    lifetimes.placement(statement.value) === 'named'
  );
}

/** The vector loads from a statement on up to the next update, that one included. */
function loadsUpToUpdate(body: readonly Statement[], loads: readonly number[], from: number): number {
  let sum = 0;
  for (let position = from; position < body.length; position++) {
    sum += loads[position] ?? 0;
    if (isUpdate(body[position])) break;
  }
  return sum;
}

/** The vector loads that a statement evaluates, those written in place in it included. */
function vectorLoads(statement: Statement, lifetimes: Lifetimes): number {
  let count = 0;
  visitValues(statement, lifetimes, {
    computed: (value) => {
      if (value.op === 'load' && value.type === 'vec') count++;
    },
    read: () => undefined,
  });
  return count;
}

/** The vectors that live through the loop: variables, and values from outside that the body uses. */
function carriedVectors(body: readonly Statement[], lifetimes: Lifetimes): number {
  const carried = new Set<Local | Value>();
  const defined = new Set<Value>();
  for (const statement of body) {
    visitValues(statement, lifetimes, {
      computed: (value) => {
        if (value.op === 'get' && value.type === 'vec') carried.add(value.local);
      },
      read: (value) => {
        if (value.type === 'vec' && value.op !== 'const' && !defined.has(value)) carried.add(value);
      },
    });
    if (statement.kind === 'set' && statement.local.type === 'vec') carried.add(statement.local);
    if (statement.kind === 'let') defined.add(statement.value);
  }
  return carried.size;
}

interface ValueVisitor {
  /** A value is computed here. */
  computed(value: Value): void;
  /** A value is read from where it was put. */
  read(value: Value): void;
}

/** Visits the values that a statement of a body without nested blocks computes or reads. */
function visitValues(statement: Statement, lifetimes: Lifetimes, visitor: ValueVisitor): void {
  const compute = (value: Value): void => {
    visitor.computed(value);
    operandsOf(value).forEach(operand);
  };
  const operand = (value: Value): void => {
    if (lifetimes.placement(value) === 'inline') compute(value);
    else visitor.read(value);
  };
  if (statement.kind !== 'let') directOperands(statement).forEach(operand);
  else if (lifetimes.placement(statement.value) === 'named') compute(statement.value);
}
