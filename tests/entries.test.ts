import { fileURLToPath } from 'node:url';

import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../src/', import.meta.url));

/** Each entry, with those whose types its users know how to import too. */
const ENTRIES = {
  'index.ts': [],
  'node.ts': ['index.ts'],
  'lab/index.ts': ['index.ts'],
  'lab/node.ts': ['index.ts', 'node.ts', 'lab/index.ts'],
} as const satisfies Record<string, readonly string[]>;

/** What computes a type from a schema: users name the result. */
const COMPUTE = ['Read'];

describe('entries of the package', () => {
  let program: ts.Program;
  let checker: ts.TypeChecker;

  beforeAll(() => {
    const read: { readonly config?: unknown } = ts.readConfigFile(`${src}../tsconfig.json`, (file) =>
      ts.sys.readFile(file),
    );
    const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, `${src}..`);
    program = ts.createProgram(
      Object.keys(ENTRIES).map((entry) => src + entry),
      options,
    );
    checker = program.getTypeChecker();
  });

  it.each(Object.entries(ENTRIES))(
    '%s exports the types that its exports are declared with',
    (entry, others) => {
      const exported = new Set([entry, ...others].flatMap((file) => [...exportsOf(file).keys()]));
      const lacking = new Set<string>();
      for (const [symbol, name] of exportsOf(entry)) {
        for (const used of (symbol.declarations ?? []).flatMap((node) => typesIn(node))) {
          if (!exported.has(used) && isOurs(used)) lacking.add(`${used.name}, which ${name} names`);
        }
      }
      expect([...lacking]).toEqual([]);
    },
  );

  /** What a file exports, with its names there. */
  function exportsOf(file: string): Map<ts.Symbol, string> {
    const source = program.getSourceFile(src + file);
    const symbol = source && checker.getSymbolAtLocation(source);
    if (symbol === undefined) throw new Error(`There is no module ${file}.`);
    return new Map(checker.getExportsOfModule(symbol).map((each) => [target(each), each.name]));
  }

  /**
   * The types that a declaration names, but not those within functions and of what is private. What a type extends it has
   * itself, and nobody needs to name.
   */
  function typesIn(node: ts.Node): ts.Symbol[] {
    if (ts.isBlock(node) || isPrivate(node)) return [];
    const found: ts.Symbol[] = [];
    if (ts.isTypeReferenceNode(node)) {
      const symbol = checker.getSymbolAtLocation(node.typeName);
      if (symbol !== undefined) found.push(target(symbol));
    }
    ts.forEachChild(node, (child) => {
      // Values are not declared but computed.
      if (!('initializer' in node && node.initializer === child)) found.push(...typesIn(child));
    });
    return found;
  }

  function target(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  }
});

function isPrivate(node: ts.Node): boolean {
  if (!ts.isClassElement(node)) return false;
  const hidden = (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0;
  return hidden || (node.name !== undefined && ts.isPrivateIdentifier(node.name));
}

/** Whether a type is declared in src/, and is no parameter of a type or function. */
function isOurs(symbol: ts.Symbol): boolean {
  const [declaration] = symbol.declarations ?? [];
  if (declaration === undefined || ts.isTypeParameterDeclaration(declaration)) return false;
  return declaration.getSourceFile().fileName.startsWith(src) && !COMPUTE.includes(symbol.name);
}
