import type { Kernel, Statement, Value } from './ir.ts';

/** How an emitter should treat a value that a `let` defines. */
export type Placement =
  /** Nothing uses it. */
  | 'dead'
  /** Used once, with no effect in between: write it where it is used. */
  | 'inline'
  /** Give it a name. */
  | 'named';

/** Trees larger than this are cut, so that emitted code stays readable and parsers' stacks shallow. */
const MAX_TREE = 12;

/** Decides for every `let` of a kernel whether it is dropped, written in place, or named. */
export function placeValues(kernel: Kernel): (value: Value) => Placement {
  const uses = countUses(kernel.body);
  const inlined = new Set<number>();
  placeBlock(kernel.body, uses, inlined);
  return (value) => {
    if ((uses.get(value.id) ?? 0) === 0) return 'dead';
    return inlined.has(value.id) ? 'inline' : 'named';
  };
}

/** The values that a value is computed from. */
export function operandsOf(value: Value): readonly Value[] {
  switch (value.op) {
    case 'const':
    case 'task':
    case 'get':
      return [];
    case 'load':
      return [value.index];
    default:
      return value.args;
  }
}

/** The values that a statement itself evaluates, not counting nested blocks. */
export function directOperands(statement: Statement): readonly Value[] {
  switch (statement.kind) {
    case 'let':
      return operandsOf(statement.value);
    case 'set':
      return [statement.value];
    case 'store':
      return [statement.index, statement.value];
    case 'prefetch':
      return [statement.index];
    case 'for':
      return [statement.start, statement.end];
    case 'if':
      return [statement.condition];
    case 'comment':
      return [];
  }
}

/** The blocks nested in a statement. */
export function nestedBlocks(statement: Statement): readonly (readonly Statement[])[] {
  switch (statement.kind) {
    case 'for':
      return [statement.body];
    case 'if':
      return [statement.then, statement.otherwise];
    default:
      return [];
  }
}

/** Uses of each value by live code: a value that only dead values use is dead too. */
function countUses(body: readonly Statement[]): Map<number, number> {
  const uses = new Map<number, number>();
  const visit = (block: readonly Statement[]): void => {
    for (let p = block.length - 1; p >= 0; p--) {
      const statement = block[p];
      if (statement === undefined) continue;
      if (statement.kind === 'let' && !uses.has(statement.value.id)) continue;
      for (const nested of nestedBlocks(statement)) visit(nested);
      for (const operand of directOperands(statement)) {
        uses.set(operand.id, (uses.get(operand.id) ?? 0) + 1);
      }
    }
  };
  visit(body);
  return uses;
}

/** Marks the values of a block that can be written where they are used, last use first. */
function placeBlock(
  block: readonly Statement[],
  uses: ReadonlyMap<number, number>,
  inlined: Set<number>,
): void {
  for (const statement of block) {
    for (const nested of nestedBlocks(statement)) placeBlock(nested, uses, inlined);
  }
  const users = new Map<number, number>();
  block.forEach((statement, position) => {
    if (statement.kind === 'let' && !uses.has(statement.value.id)) return;
    for (const operand of directOperands(statement)) users.set(operand.id, position);
  });
  const effects = prefixEffects(block);
  /** For each statement: where it is evaluated, itself or the statement that it is written into. */
  const pointOf = block.map((_, position) => position);
  const treeSize = block.map(() => 1);
  for (let p = block.length - 1; p >= 0; p--) {
    const statement = block[p];
    if (statement?.kind !== 'let' || uses.get(statement.value.id) !== 1) continue;
    const user = users.get(statement.value.id);
    const point = user === undefined ? undefined : pointOf[user];
    if (point === undefined) continue;
    const size = (treeSize[point] ?? 1) + 1;
    if (effects[point] !== effects[p] || size > MAX_TREE) continue;
    inlined.add(statement.value.id);
    pointOf[p] = point;
    treeSize[point] = size;
  }
}

const WITHOUT_EFFECT: ReadonlySet<Statement['kind']> = new Set(['let', 'prefetch', 'comment']);

/** effects[p]: the number of statements before p that may change memory or a variable. */
function prefixEffects(block: readonly Statement[]): number[] {
  const counts = [0];
  for (const statement of block) {
    const before = counts[counts.length - 1] ?? 0;
    counts.push(before + (WITHOUT_EFFECT.has(statement.kind) ? 0 : 1));
  }
  return counts;
}
