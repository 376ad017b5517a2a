/**
 * The configuration as written, each node with its place. The readers in io/ make it from a file,
 * the environment and `--set`; messages and `check` point back to it.
 */
import { shownUrl } from '../core/web-address.js';
import type { Problem } from './problem.js';

/** The kind of source of a value. */
export type SourceKind = 'file' | 'environment' | 'set';

/** Where something was written. */
export interface SourceLocation {
  readonly source: SourceKind;
  /** The place, as in `Problem.place`. */
  readonly place: string;
}

/** A value as it was written. */
export type Tree = ScalarTree | ListTree | MapTree;

interface ScalarTree {
  readonly kind: 'scalar';
  readonly origin: SourceLocation;
  readonly value: unknown;
}

interface ListTree {
  readonly kind: 'list';
  readonly origin: SourceLocation;
  readonly items: readonly Tree[];
}

export interface MapTree {
  readonly kind: 'map';
  readonly origin: SourceLocation;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** A key of a map: its place and its value. */
export interface Entry {
  readonly key: SourceLocation;
  readonly value: Tree;
}

/** Steps from the root: keys and indices. */
export type Path = readonly (string | number)[];

/** The content of one source. */
export interface Source {
  /** Null if nothing was written, or nothing could be read. */
  readonly tree: MapTree | null;
  readonly problems: readonly Problem[];
}

/** `['broker', 'listen', 0]` → `broker.listen[0]`. Keys that are not plain words are quoted. */
export function pathText(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else {
      const word = /^[\w-]{1,64}$/.test(step) ? step : JSON.stringify(shorten(step));
      text += text === '' ? word : `.${word}`;
    }
  }
  return text;
}

/** The prefix of environment variables that are configuration. */
export const PREFIX = 'MAJORDOMO_';

/** Separates the levels of a path in the name of a variable. */
export const LEVEL = '__';

/** `['broker', 'heartbeatIntervalMs']` → `MAJORDOMO_BROKER__HEARTBEAT_INTERVAL_MS`. */
export function variableName(path: readonly string[]): string {
  const levels = path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  return PREFIX + levels.join(LEVEL);
}

const SHOWN_CHARACTERS_MAX = 64;

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}

/** A value for a message: short, on one line, without the password of a URL. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return JSON.stringify(shorten(shownUrl(value)));
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return `a ${typeof value}`;
}

/** Merges `over` into `under`: maps key by key, anything else is replaced. */
export function merge(under: Tree, over: Tree): Tree {
  if (under.kind !== 'map' || over.kind !== 'map') return over;
  const entries = new Map(under.entries);
  for (const [name, entry] of over.entries) {
    const below = entries.get(name);
    entries.set(
      name,
      below === undefined ? entry : { key: entry.key, value: merge(below.value, entry.value) },
    );
  }
  return { kind: 'map', origin: over.origin, entries };
}

/** The node at a path, or undefined. */
export function treeAt(tree: Tree, path: Path): Tree | undefined {
  let node: Tree | undefined = tree;
  for (const step of path) {
    if (node === undefined) return undefined;
    if (node.kind === 'map' && typeof step === 'string') node = node.entries.get(step)?.value;
    else if (node.kind === 'list' && typeof step === 'number') node = node.items[step];
    else return undefined;
  }
  return node;
}

/** The node at a path, or its nearest ancestor. */
export function nearestAt(tree: Tree, path: Path): Tree {
  for (let length = path.length; length > 0; length--) {
    const node = treeAt(tree, path.slice(0, length));
    if (node !== undefined) return node;
  }
  return tree;
}

/**
 * What maps inherit: nothing that a key of a file could reach. The schema compares any `length`, also one that
 * is a map, with a number: that must not throw.
 */
const MAP: object = Object.freeze(
  Object.create(null, { [Symbol.toPrimitive]: { value: () => Number.NaN } }) as object,
);

/** The plain value of a tree. */
export function plain(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return tree.value;
    case 'list':
      return tree.items.map(plain);
    case 'map': {
      const made: Record<string, unknown> = Object.create(MAP) as Record<string, unknown>;
      for (const [name, entry] of tree.entries) made[name] = plain(entry.value);
      return made;
    }
  }
}
