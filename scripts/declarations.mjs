/**
 * The declarations of packages/sdk: of each compiled file what the exports need, so that nobody downloads
 * what no program can name. Comments stay where they are read: in what is exported, and not in the
 * interfaces between our own rooms.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const COMMENT = /^ *\/\*\*[^]*?\*\/\n/gm;
const IMPORTED = /((?:from |import\()["'])(\.[^"']+)\.js(["'])/g;

/** @param sources from the name of each entry to its path in `compiled`, without its extension */
export function writeDeclarations({ compiled, target, sources }) {
  const roots = Array.from(sources.values(), (path) => join(compiled, `${path}.d.ts`));
  const program = ts.createProgram(roots, {
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts'],
    types: ['node'],
  });
  const needed = neededOf(program, roots, (file) => !relative(compiled, file).startsWith('..'));
  for (const [file, nodes] of needed) {
    const text = textOf(file, nodes)
      .replace(IMPORTED, '$1$2.cjs$3')
      // The compiler indents by four, and lines of comments by one more; the flat types read as well without.
      .replace(/^ +/gm, '');
    const path = join(target, 'types', relative(compiled, file.fileName));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path.replace(/\.d\.ts$/, '.d.cts'), text);
  }
  for (const [name, path] of sources) {
    writeFileSync(join(target, `${name}.d.cts`), `export * from './types/${path}.cjs';\n`);
    writeFileSync(join(target, `${name}.d.ts`), `export * from './${name}.cjs';\n`);
  }
}

/** The statements and specifiers that the exports of `roots` need, by file, with `true` for those exported. */
function neededOf(program, roots, isOurs) {
  const checker = program.getTypeChecker();
  const needed = new Map();
  const waiting = [];
  const keep = (node, isExported) => {
    const file = node.getSourceFile();
    if (!isOurs(file.fileName)) return;
    const nodes = needed.get(file) ?? new Map();
    needed.set(file, nodes);
    if (!nodes.has(node)) waiting.push(node);
    nodes.set(node, nodes.get(node) === true || isExported);
  };
  const need = (symbol, isExported) => {
    for (const declaration of symbol?.declarations ?? []) {
      if (ts.isSourceFile(declaration)) continue;
      if (isSpecifier(declaration)) keep(declaration, isExported);
      keep(
        ts.findAncestor(declaration, (node) => ts.isSourceFile(node.parent)),
        isExported,
      );
    }
  };
  /** Follows the statements through which a name comes here, too. */
  const follow = (symbol, isExported) => {
    need(symbol, isExported);
    if (symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0) {
      const next = checker.getImmediateAliasedSymbol(symbol);
      if (next !== undefined && next !== symbol) follow(next, isExported);
    }
  };
  const start = (file) => {
    const symbol = checker.getSymbolAtLocation(file);
    for (const each of checker.getExportsOfModule(symbol)) follow(each, true);
    // These have no symbol of their own.
    for (const statement of file.statements) {
      if (!ts.isExportDeclaration(statement) || statement.exportClause !== undefined) continue;
      keep(statement, true);
      const target = checker.getSymbolAtLocation(statement.moduleSpecifier);
      for (const each of target?.declarations ?? []) start(each);
    }
  };
  for (const root of roots) start(program.getSourceFile(root));
  const visit = (node) => {
    if (ts.isIdentifier(node)) follow(checker.getSymbolAtLocation(node), false);
    ts.forEachChild(node, visit);
  };
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (!ts.isImportDeclaration(next) && !ts.isExportDeclaration(next)) visit(next);
  }
  return needed;
}

const isSpecifier = (node) => ts.isImportSpecifier(node) || ts.isExportSpecifier(node);

function textOf(file, nodes) {
  const parts = file.statements
    .filter((statement) => nodes.has(statement))
    .map((statement) => {
      const text = file.text.slice(statement.getFullStart(), statement.end);
      const list = namedOf(statement);
      if (list !== undefined) {
        const names = list.elements.filter((each) => nodes.has(each)).map((each) => each.getText());
        const [start, end] = [list.getStart(), list.end].map((at) => at - statement.getFullStart());
        return `${text.slice(0, start)}{ ${names.join(', ')} }${text.slice(end)}`;
      }
      return nodes.get(statement) ? text : text.replace(COMMENT, '');
    });
  return `${parts.join('').trim()}\n`;
}

/** The names in the braces of an import or export. */
function namedOf(statement) {
  if (ts.isImportDeclaration(statement)) {
    const named = statement.importClause?.namedBindings;
    return named !== undefined && ts.isNamedImports(named) ? named : undefined;
  }
  const clause = ts.isExportDeclaration(statement) ? statement.exportClause : undefined;
  return clause !== undefined && ts.isNamedExports(clause) ? clause : undefined;
}
