import type { Kernel, Statement, Value } from '../../src/codegen/ir.ts';

/** Turns of a loop whose end is only known at run time. */
const UNKNOWN_TURNS = 8;

/** About how many lanes' worth of statements a run of all tasks of a kernel executes, for time limits. */
export function kernelWork(kernel: Kernel): number {
  return kernel.tasks * kernel.lanes * blockWork(kernel.body);
}

function blockWork(block: readonly Statement[]): number {
  return block.reduce((sum, statement) => sum + statementWork(statement), 0);
}

function statementWork(statement: Statement): number {
  switch (statement.kind) {
    case 'for': {
      const turns = (upperBound(statement.end) - (constant(statement.start) ?? 0)) / statement.step;
      return Math.max(0, turns) * blockWork(statement.body);
    }
    case 'if':
      return 1 + Math.max(blockWork(statement.then), blockWork(statement.otherwise));
    default:
      return 1;
  }
}

function upperBound(value: Value): number {
  const known = constant(value);
  if (known !== undefined) return known;
  if (value.op !== 'min') return UNKNOWN_TURNS;
  const bounds = value.args.map(constant).filter((bound) => bound !== undefined);
  return Math.min(...(bounds.length > 0 ? bounds : [UNKNOWN_TURNS]));
}

function constant(value: Value): number | undefined {
  return value.op === 'const' ? value.value : undefined;
}
