/**
 * The public surface of the SDK, from its declarations: a line for each export and each of its members, also of the
 * types that no entry exports but of which an alias or a class is made.
 */
import { join } from 'node:path';
import ts from 'typescript';

import { needs } from './surface-schemas.mjs';

/** Interfaces of which programs write objects: one more property that is required breaks them. */
const WRITTEN = /Options$|^Codec$/;

/** @param entries from the name of each entry to its module */
export function sdkSurface(root, entries) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, root);
  const files = entries.map(([, path]) => join(root, path));
  const program = ts.createProgram(files, options);
  const checker = program.getTypeChecker();
  const resolved = (symbol) => {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    return isAlias ? checker.getAliasedSymbol(symbol) : checker.getExportSymbolOfSymbol(symbol);
  };
  const owners = new Map();
  for (const [at, [entry]] of entries.entries()) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(files[at]));
    for (const each of checker.getExportsOfModule(module)) {
      const owner = owners.get(resolved(each)) ?? { name: each.name, from: [] };
      owner.from.push(entry);
      owners.set(resolved(each), owner);
    }
  }
  /** What a module declares, with the types that the compiler finds and without code. */
  const declared = memoised((file) => {
    let text = '';
    program.emit(file, (_, written) => (text = written), undefined, true);
    return ts.createSourceFile('declared.d.ts', text, ts.ScriptTarget.Latest, true).statements;
  });
  const scopeOf = memoised((file) => {
    const names = checker.getSymbolsInScope(file, ts.SymbolFlags.Type | ts.SymbolFlags.Alias);
    return new Map(names.map((each) => [each.name, resolved(each)]));
  });
  const isOurs = (file) => file.fileName.startsWith(join(root, 'src/'));
  const lines = [];
  // A map also passes what is added meanwhile.
  for (const [symbol, { name, from }] of owners) {
    for (const file of new Set(symbol.declarations.map((each) => each.getSourceFile()))) {
      const need = (word) => {
        const found = scopeOf(file).get(word);
        const isDeclared = found?.declarations?.some((each) => isOurs(each.getSourceFile()));
        if (isDeclared && !owners.has(found)) owners.set(found, { name: found.name, from: [] });
      };
      const nodes = declared(file).flatMap((each) => each.declarationList?.declarations ?? [each]);
      const own = nodes.filter((each) => each.name?.text === symbol.name);
      lines.push(...own.flatMap((each) => linesOf(name, `[${from.join(' ')}]`, each, need)));
    }
  }
  return lines;
}

function linesOf(name, from, node, need) {
  const kind = ts.SyntaxKind[node.kind].replace(/Declaration$|Alias/g, '').toLowerCase();
  const members = (node.members ?? node.type?.members ?? []).filter(isShown);
  // Of a constant only the names: what they are is text for people.
  if (ts.isVariableDeclaration(node) && members.length > 0) {
    return [
      `${name}: ${kind} ${from}`,
      ...members.map((each) => `${name}.${each.name.text}: text`),
    ];
  }
  const { typeParameters = [], heritageClauses = [] } = node;
  const parts = ts.isTypeAliasDeclaration(node) ? [node.type] : [];
  for (const each of [...typeParameters, ...heritageClauses, ...parts]) visit(each, need);
  const shown = node.members === undefined ? [] : members;
  const said = [kind, from, typeOf(node), ...heritageClauses.map(printed)];
  const required = shown.filter((each) => each.questionToken === undefined);
  return [
    ...(WRITTEN.test(name) ? [`${name}: ${needs(required.map((each) => each.name.text))}`] : []),
    `${name}: ${said.join(' ').replace(/ +/g, ' ').trim()}`,
    ...shown.map((each) => {
      const member = each.name === undefined ? 'new' : printed(each.name);
      return `${name}.${member}${each.questionToken === undefined ? '' : '?'}: ${typeOf(each)}`;
    }),
  ];
}

/** The type of a declaration; of what can be called, as of a function. */
function typeOf({ kind, typeParameters = [], parameters, type, initializer }) {
  const generic = typeParameters.length === 0 ? '' : `<${listed(typeParameters)}>`;
  const is = printed(type ?? initializer);
  if (parameters === undefined || kind === ts.SyntaxKind.GetAccessor) {
    return [generic, is].filter((text) => text !== '').join(' ');
  }
  return `${generic}(${listed(parameters)})${is === '' ? '' : ` => ${is}`}`;
}

function isShown(member) {
  const flags = ts.getCombinedModifierFlags(member);
  if ((flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) !== 0) return false;
  if (member.name !== undefined && ts.isPrivateIdentifier(member.name)) return false;
  return !ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal');
}

function visit(node, need) {
  if (ts.isIdentifier(node)) need(node.text);
  ts.forEachChild(node, (each) => visit(each, need));
}

const printer = ts.createPrinter({ removeComments: true });

function printed(node) {
  if (node === undefined) return '';
  const text = printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile());
  return text.replace(/\s+/g, ' ');
}

const listed = (nodes) => nodes.map(printed).join(', ');

function memoised(make) {
  const made = new Map();
  return (key) => {
    if (!made.has(key)) made.set(key, make(key));
    return made.get(key);
  };
}
