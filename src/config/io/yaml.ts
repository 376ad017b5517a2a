/** Turns YAML text into a tree with places. Any text ends soon and throws nothing. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Pair,
} from 'yaml';

import { codeOf } from '../../core/errors.js';
import type { Problem } from '../problem.js';
import { pathText, type Entry, type SourceLocation, type Path, type Tree } from '../tree.js';

/** Limits on the size of the tree; aliases count each time they are used. */
const DEPTH_MAX = 32;
const NODES_MAX = 10_000;
/** A text that is not a configuration at all does not need all its problems listed. */
const PROBLEMS_MAX = 100;
const MESSAGE_CHARACTERS_MAX = 200;
/** Deepest nesting passed to the parser: it recurses, and could end the process. */
const NESTING_MAX = 200;

/** A tree, or null for an empty text; and the problems of the text. */
export interface YamlRead {
  readonly tree: Tree | null;
  readonly problems: readonly Problem[];
}

/** Names the place of an offset in the text. */
type Locator = (offset: number, lines: LineCounter) => SourceLocation;

/** Reads one YAML document. */
export function readYaml(text: string, locator: Locator, nodesMax: number = NODES_MAX): YamlRead {
  const lines = new LineCounter();
  const deep = tooDeep(text);
  if (deep !== null) {
    lines.addNewLine(0);
    for (let at = text.indexOf('\n'); at >= 0 && at < deep; at = text.indexOf('\n', at + 1)) {
      lines.addNewLine(at + 1);
    }
    const { place } = locator(deep, lines);
    return { tree: null, problems: [{ place, path: '', message: 'nested too deeply' }] };
  }
  let document: Document.Parsed;
  try {
    // Duplicate keys are found below: the parser's own search is quadratic.
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      schema: 'core',
      version: '1.2',
    });
  } catch (error) {
    const { place } = locator(0, lines);
    const message = `cannot be read as YAML (${codeOf(error) ?? 'nested too deeply'})`;
    return { tree: null, problems: [{ place, path: '', message }] };
  }
  const reader = new Reader((offset) => locator(offset, lines), nodesMax);
  for (const error of [...document.errors, ...document.warnings]) {
    const [message = 'wrong'] = error.message.split('\n');
    reader.report(error.pos[0], [], message);
  }
  const contents: Node | null = document.contents;
  const tree = contents === null ? null : reader.read(contents, [], 0);
  return { tree, problems: reader.problems };
}

/**
 * The offset at which the text nests deeper than `NESTING_MAX`, or null. It overestimates: brackets
 * in strings count. In block style a level needs a column of its own or an indicator on its line.
 */
function tooDeep(text: string): number | null {
  let brackets = 0;
  let indicators = 0;
  let indent = 0;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at] ?? '';
    if (letter === '\n' || letter === '\r') indicators = indent = 0;
    else if (letter === '[' || letter === '{') brackets++;
    else if (letter === ']' || letter === '}') brackets = Math.max(0, brackets - 1);
    else if (letter === ' ' && indent >= 0) indent++;
    else if (INDICATORS.includes(letter) && BLANKS.includes(text[at + 1] ?? ' ')) indicators++;
    else if (!INDICATORS.includes(letter)) indent = -1;
    if (Math.max(brackets, indicators, indent) > NESTING_MAX) return at;
  }
  return null;
}

const INDICATORS = '-?:';
const BLANKS = ' \t\r\n';

class Reader {
  readonly problems: Problem[] = [];
  private readonly anchors = new Map<string, Node>();
  private readonly origin: (offset: number) => SourceLocation;
  private readonly nodesMax: number;
  private nodes = 0;
  private refused = false;

  constructor(origin: (offset: number) => SourceLocation, nodesMax: number) {
    this.origin = origin;
    this.nodesMax = nodesMax;
  }

  report(offset: number, path: Path, message: string): void {
    if (this.problems.length >= PROBLEMS_MAX) return;
    const { place } = this.origin(offset);
    const short = message.slice(0, MESSAGE_CHARACTERS_MAX);
    const last = this.problems.at(-1);
    if (last?.place === place && last.message === short) return;
    this.problems.push({ place, path: pathText(path), message: short });
  }

  read(node: Node, path: Path, depth: number): Tree {
    const offset = node.range?.[0] ?? 0;
    const origin = this.origin(offset);
    const nothing: Tree = { kind: 'scalar', origin, value: null };
    if (++this.nodes > this.nodesMax || depth > DEPTH_MAX) {
      const what =
        depth > DEPTH_MAX ? `nested deeper than ${DEPTH_MAX}` : `more than ${this.nodesMax} values`;
      if (!this.refused) this.report(offset, [], what);
      this.refused = true;
      return nothing;
    }
    if (isAlias(node)) {
      const meant = this.anchors.get(node.source);
      if (meant !== undefined) return this.read(meant, path, depth + 1);
      const hint = 'quote text that begins with *';
      this.report(offset, path, `*${node.source} is an undefined alias; ${hint}`);
      return nothing;
    }
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) {
      this.anchors.set(node.anchor, node);
    }
    if (isMap(node)) {
      return { kind: 'map', origin, entries: this.entries(node.items, path, depth, origin) };
    }
    if (isSeq(node)) {
      const items: Tree[] = [];
      for (const item of node.items as readonly (Node | null)[]) {
        if (this.refused) break;
        const at = [...path, items.length];
        items.push(item === null ? nothing : this.read(item, at, depth + 1));
      }
      return { kind: 'list', origin, items };
    }
    return { kind: 'scalar', origin, value: isScalar(node) ? node.value : null };
  }

  private entries(
    pairs: readonly Pair[],
    path: Path,
    depth: number,
    origin: SourceLocation,
  ): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    for (const pair of pairs) {
      if (this.refused) break;
      const keyNode = pair.key as Node | null;
      const offset = keyNode?.range?.[0];
      const key = offset === undefined ? origin : this.origin(offset);
      const name = isScalar(keyNode) ? String(keyNode.value) : null;
      if (name === null) {
        this.report(offset ?? 0, path, 'a key must be a plain word');
        continue;
      }
      const at = [...path, name];
      if (entries.has(name)) this.report(offset ?? 0, at, 'is given twice');
      const valueNode = pair.value as Node | null;
      const value: Tree =
        valueNode === null
          ? { kind: 'scalar', origin: key, value: null }
          : this.read(valueNode, at, depth + 1);
      entries.set(name, { key, value });
    }
    return entries;
  }
}
