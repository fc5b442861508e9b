import type { Statement, Value } from './ir.ts';

interface Block {
  readonly statements: Statement[];
  /** Pure values that are already computed here, by structure. */
  readonly known: Map<string, Value>;
}

/** The open blocks of a kernel under construction, innermost last. */
export class Blocks {
  readonly #open: Block[] = [newBlock()];
  #statementCount = 0;

  /** Statements so far, those of nested blocks included. */
  get statementCount(): number {
    return this.#statementCount;
  }

  /** The statements of the outermost block, if it is the only one open. */
  get finished(): readonly Statement[] | undefined {
    return this.#open.length === 1 ? this.#open[0]?.statements : undefined;
  }

  push(statement: Statement): void {
    this.#statementCount++;
    this.#innermost().statements.push(statement);
  }

  /** The value of this structure if an open block already has one, else a new one that belongs to the innermost. */
  share(key: string, make: () => Value): Value {
    for (const block of this.#open) {
      const known = block.known.get(key);
      if (known !== undefined) return known;
    }
    const value = make();
    this.#innermost().known.set(key, value);
    return value;
  }

  /** The statements that `body` pushes, in a block of their own. */
  nested(body: () => void): Statement[] {
    const block = newBlock();
    this.#open.push(block);
    body();
    this.#open.pop();
    return block.statements;
  }

  #innermost(): Block {
    const block = this.#open[this.#open.length - 1];
    if (block === undefined) throw new Error('no open block');
    return block;
  }
}

function newBlock(): Block {
  return { statements: [], known: new Map() };
}
