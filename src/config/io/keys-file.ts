/** `keysFile` of a listener with CURVE: whose keys come in, and what they may do (docs/configuration.md). */
import { MajordomoError } from '../../core/errors.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../../core/z85.js';
import { didYouMean } from '../nearest.js';
import { problemLine, type Problem } from '../problem.js';
import { pathText, plain, show, type Path, type Tree } from '../tree.js';
import { readTree } from './file.js';

/** What a key may come in as. */
const KEY_ROLES = ['client', 'worker', 'peer'] as const;

export type KeyRole = (typeof KEY_ROLES)[number];

export interface KeyEntry {
  readonly name: string;
  readonly publicKey: Buffer;
  readonly allow: readonly KeyRole[];
  /** Accepted; enforced by the version that brings rights. */
  readonly services: readonly string[];
}

const FIELDS = ['name', 'publicKey', 'allow', 'services'] as const;
const DEFAULT_ALLOW: readonly KeyRole[] = ['client', 'worker'];
const NAME = /^[\x21-\x7e]{1,64}$/;
const SERVICES_MAX = 1000;
const SERVICE_CHARACTERS_MAX = 255;
/** About ten a key. */
const NODES_MAX = 200_000;
const PROBLEMS_SHOWN_MAX = 100;

/**
 * Reads a keys file. An empty one lets nobody in.
 * @throws ERR_CONFIG_INVALID with everything that is wrong, one line each; ERR_CONFIG_FILE
 */
export function readKeysFile(file: string): readonly KeyEntry[] {
  const { tree, problems } = readTree(file, NODES_MAX);
  const reader = new Reader([...problems]);
  const entries = tree === null ? [] : reader.entries(tree);
  if (reader.problems.length === 0) return entries;
  const lines = reader.problems.slice(0, PROBLEMS_SHOWN_MAX).map(problemLine);
  const left = reader.problems.length - lines.length;
  if (left > 0) lines.push(`… and ${left} more`);
  throw new MajordomoError('ERR_CONFIG_INVALID', lines.join('\n'), {
    details: { problems: reader.problems },
  });
}

class Reader {
  readonly problems: Problem[];
  readonly #names = new Map<string, string>();
  readonly #keys = new Map<string, string>();

  constructor(problems: Problem[]) {
    this.problems = problems;
  }

  entries(tree: Tree): KeyEntry[] {
    if (tree.kind === 'scalar' && tree.value === null) return [];
    if (tree.kind === 'list') {
      return tree.items.flatMap((item, index) => this.#entry(item, [index]) ?? []);
    }
    this.#wrong(tree, [], `expected a list of {${FIELDS.join(', ')}}, got ${show(plain(tree))}`);
    return [];
  }

  #entry(tree: Tree, path: Path): KeyEntry | null {
    if (tree.kind !== 'map') {
      this.#wrong(tree, path, `expected {${FIELDS.join(', ')}}, got ${show(plain(tree))}`);
      return null;
    }
    for (const [field, { key }] of tree.entries) {
      if (FIELDS.some((known) => known === field)) continue;
      this.#wrong({ origin: key }, [...path, field], `unknown key${didYouMean(field, FIELDS)}`);
    }
    const of = (field: string): Tree | undefined => tree.entries.get(field)?.value;
    const name = this.#name(of('name') ?? tree, [...path, 'name']);
    const publicKey = this.#publicKey(of('publicKey') ?? tree, [...path, 'publicKey']);
    const allow = this.#allow(of('allow'), [...path, 'allow']);
    const services = this.#services(of('services'), [...path, 'services']);
    return name === null || publicKey === null ? null : { name, publicKey, allow, services };
  }

  #name(tree: Tree, path: Path): string | null {
    const name = textOf(tree);
    if (name === null || !NAME.test(name)) {
      this.#wrong(tree, path, 'expected 1 to 64 printable characters without blanks');
      return null;
    }
    return this.#isNew(this.#names, name, tree, path) ? name : null;
  }

  #publicKey(tree: Tree, path: Path): Buffer | null {
    const text = textOf(tree);
    const key = text === null ? null : decodeCurveKey(text);
    if (text === null || key === null) {
      // Not what was given: it may be a secret key in the wrong place.
      const want = `expected a public key: ${CURVE_KEY_BYTES} bytes in Z85, 40 characters in quotes`;
      this.#wrong(tree, path, want);
      return null;
    }
    return this.#isNew(this.#keys, text, tree, path) ? key : null;
  }

  #isNew(seen: Map<string, string>, text: string, tree: Tree, path: Path): boolean {
    const before = seen.get(text);
    if (before !== undefined) this.#wrong(tree, path, `is given twice, before at ${before}`);
    seen.set(text, tree.origin.place);
    return before === undefined;
  }

  #allow(tree: Tree | undefined, path: Path): readonly KeyRole[] {
    if (tree === undefined) return DEFAULT_ALLOW;
    const want = `expected a list of ${KEY_ROLES.join(', ')}`;
    if (tree.kind !== 'list') {
      this.#wrong(tree, path, `${want}, got ${show(plain(tree))}`);
      return [];
    }
    return tree.items.flatMap((item, index) => {
      const role = KEY_ROLES.find((known) => known === textOf(item));
      if (role !== undefined) return role;
      const text = textOf(item);
      const hint = text === null ? '' : didYouMean(text, KEY_ROLES);
      this.#wrong(item, [...path, index], `${want}, got ${show(plain(item))}${hint}`);
      return [];
    });
  }

  #services(tree: Tree | undefined, path: Path): readonly string[] {
    if (tree === undefined) return ['*'];
    const names = tree.kind === 'list' ? tree.items.map(textOf) : null;
    const isGood = (name: string | null): name is string =>
      name !== null && name.length > 0 && name.length <= SERVICE_CHARACTERS_MAX;
    if (names !== null && names.length <= SERVICES_MAX && names.every(isGood)) return names;
    this.#wrong(tree, path, `expected a list of at most ${SERVICES_MAX} names of services`);
    return [];
  }

  #wrong({ origin }: Pick<Tree, 'origin'>, path: Path, message: string): void {
    this.problems.push({ place: origin.place, path: pathText(path), message });
  }
}

function textOf(tree: Tree): string | null {
  return tree.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : null;
}
