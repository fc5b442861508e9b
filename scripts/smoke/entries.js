// Declarations say what there is: the values that each entry declares are those that importing and requiring it gives.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import ts from 'typescript';

/** `installed` is the folder of the package, in the node_modules of a project. Returns how many values its entries have. */
export async function checkEntries(installed) {
  const require = createRequire(path.join(installed, '../../package.json'));
  const { name: packageName, exports } = JSON.parse(
    readFileSync(path.join(installed, 'package.json'), 'utf8'),
  );
  const entries = Object.entries(exports).filter(([, target]) => target.types !== undefined);
  const fileOf = (target) => path.join(installed, target);
  const program = ts.createProgram(
    entries.map(([, { types }]) => fileOf(types)),
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, types: [] },
  );
  const counts = [];
  for (const [name, target] of entries) {
    const declared = valuesOf(program, fileOf(target.types));
    // What has only the condition `import`, require does not find.
    const specifier = path.posix.join(packageName, name);
    const given = Object.keys(await import(pathToFileURL(require.resolve(specifier)).href));
    expectSame(name, declared, given);
    expectSame(`require('${specifier}')`, declared, Object.keys(require(specifier)));
    counts.push(`${name} ${given.length}`);
  }
  return `declared values are there: ${counts.join(', ')}`;
}

/** Names of the values that a file of declarations exports. */
function valuesOf(program, file) {
  const checker = program.getTypeChecker();
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)));
  const isValue = (symbol) => {
    // Of `export { type X }` and what `export type` names, only the type is there.
    if (symbol.declarations?.some((node) => ts.isTypeOnlyExportDeclaration(node))) return false;
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    return (target.flags & ts.SymbolFlags.Value) !== 0;
  };
  return symbols.filter(isValue).map(({ name }) => name);
}

function expectSame(entry, declared, given) {
  const missing = declared.filter((name) => !given.includes(name));
  const undeclared = given.filter((name) => !declared.includes(name));
  if (missing.length > 0) throw new Error(`${entry} declares, but does not export, ${missing.join(', ')}.`);
  if (undeclared.length > 0) throw new Error(`${entry} exports undeclared ${undeclared.join(', ')}.`);
}
