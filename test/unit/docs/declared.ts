/** Reads what the sources declare, which types do not tell a running test. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export function sourceFile(path: string): ts.SourceFile {
  const file = join(process.cwd(), path);
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** The text literals of a union type, also those of other unions of the same files that it names. */
export function literals(files: readonly ts.SourceFile[], name: string): string[] {
  const found: string[] = [];
  for (const file of files) {
    walk(file, (node) => {
      if (ts.isTypeAliasDeclaration(node) && node.name.text === name) {
        found.push(...literalsOf(files, node.type));
      }
    });
  }
  return found;
}

function literalsOf(files: readonly ts.SourceFile[], type: ts.TypeNode): string[] {
  if (ts.isUnionTypeNode(type)) return type.types.flatMap((each) => literalsOf(files, each));
  if (ts.isTypeReferenceNode(type)) return literals(files, type.typeName.getText());
  if (ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal)) return [type.literal.text];
  return [];
}
