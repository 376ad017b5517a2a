/**
 * `keysFile` of a listener with CURVE: which keys may connect, and their rights
 * (docs/configuration.md).
 */
import { statSync } from 'node:fs';

import { MajordomoError } from '../../core/errors.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../../core/z85.js';
import { isGlob } from '../../core/glob.js';
import {
  givenTwice,
  GLOB_CHARACTERS_MAX,
  GLOBS_MAX,
  type Grants,
  grantsOf,
  twiceMessage,
  type WrittenGrants,
} from '../grants.js';
import { TOKEN_PREFIX } from '../http-access.js';
import { didYouMean } from '../nearest.js';
import { problemLine, type Problem } from '../problem.js';
import { type MapTree, type Path, pathText, plain, show, type Tree } from '../tree.js';
import { readTree } from './file.js';

const EVERYBODY_WRITES = 0o002;
/** The values of `allow`. */
const KEY_ROLES = ['client', 'worker', 'peer'] as const;

/** One entry: keys and their rights. */
export interface KeyEntry extends Grants {
  /** The identity that owns what these keys store. */
  readonly name: string;
  /** One; two while the key is being replaced. */
  readonly publicKeys: readonly Buffer[];
  /** May connect as the other node of the pair. */
  readonly peer: boolean;
  /** May read and close what other keys stored. */
  readonly operator: boolean;
  /** The name of its quota in `limits.quotas`. */
  readonly quota: string | null;
  /** How the rights are written: not at all, by `allow`, or by `client` and `worker`. */
  readonly form: 'open' | 'short' | 'long';
  /** Its place in the file. */
  readonly place: string;
}

const FIELDS = [
  'name',
  'publicKey',
  'client',
  'worker',
  'peer',
  'operator',
  'quota',
  'allow',
  'services',
] as const;
const ENTRY = '{name, publicKey, client, worker, peer, operator, quota}';
const NAME = /^[\x21-\x7e]{1,64}$/;
const PUBLIC_KEYS_MAX = 2;
/** About twenty per key. */
const NODES_MAX = 200_000;
const PROBLEMS_SHOWN_MAX = 100;

/**
 * Reads a keys file. An empty one admits nobody.
 * @param quotas the names in `limits.quotas`; `null`: any name is accepted
 * @throws ERR_CONFIG_INVALID with everything that is wrong, one line each; ERR_CONFIG_FILE
 */
export function readKeysFile(
  file: string,
  quotas: readonly string[] | null = null,
): readonly KeyEntry[] {
  const { tree, problems } = readTree(file, NODES_MAX);
  refuseIfOpen(file);
  const reader = new Reader([...problems], quotas);
  const entries = tree === null ? [] : reader.entries(tree);
  if (reader.problems.length === 0) return entries;
  const lines = reader.problems.slice(0, PROBLEMS_SHOWN_MAX).map(problemLine);
  const left = reader.problems.length - lines.length;
  if (left > 0) lines.push(`… and ${left} more`);
  throw new MajordomoError('ERR_CONFIG_INVALID', lines.join('\n'), {
    details: { problems: reader.problems },
  });
}

/** Operators may share its group; anyone who can write to it can admit himself. */
function refuseIfOpen(file: string): void {
  if ((statSync(file).mode & EVERYBODY_WRITES) === 0) return;
  const why = `every user of this machine can write to it and add keys: chmod o-w ${file}`;
  throw new MajordomoError('ERR_CONFIG_FILE', `${file}: ${why}`, { details: { file } });
}

class Reader {
  readonly problems: Problem[];
  readonly #names = new Map<string, string>();
  readonly #keys = new Map<string, string>();

  readonly #quotas: readonly string[] | null;

  constructor(problems: Problem[], quotas: readonly string[] | null) {
    this.problems = problems;
    this.#quotas = quotas;
  }

  entries(tree: Tree): KeyEntry[] {
    if (tree.kind === 'scalar' && tree.value === null) return [];
    if (tree.kind === 'list') {
      return tree.items.flatMap((item, index) => this.#entry(item, [index]) ?? []);
    }
    this.#wrong(tree, [], `expected a list of ${ENTRY}, got ${show(plain(tree))}`);
    return [];
  }

  #entry(tree: Tree, path: Path): KeyEntry | null {
    if (tree.kind !== 'map') {
      this.#wrong(tree, path, `expected ${ENTRY}, got ${show(plain(tree))}`);
      return null;
    }
    for (const [field, { key }] of tree.entries) {
      if (FIELDS.some((known) => known === field)) continue;
      this.#wrong({ origin: key }, [...path, field], `unknown key${didYouMean(field, FIELDS)}`);
    }
    const of = (field: string): Tree | undefined => tree.entries.get(field)?.value;
    const name = this.#name(of('name') ?? tree, [...path, 'name']);
    const publicKeys = this.#publicKeys(of('publicKey') ?? tree, [...path, 'publicKey']);
    const written = this.#grants(tree, path);
    const peer = this.#flag(of('peer'), [...path, 'peer']);
    const isPeerTwice = peer !== undefined && written.allow?.includes('peer') === true;
    if (isPeerTwice) this.#wrong(of('peer') ?? tree, [...path, 'peer'], 'is also in allow');
    const operator = this.#flag(of('operator'), [...path, 'operator']) ?? false;
    const quota = this.#quota(of('quota'), [...path, 'quota']);
    if (name === null || publicKeys === null) return null;
    return {
      name,
      publicKeys,
      ...grantsOf(written),
      peer: peer ?? written.allow?.includes('peer') ?? false,
      operator,
      quota,
      form: formOf(written),
      place: tree.origin.place,
    };
  }

  #grants(entry: MapTree, path: Path): WrittenGrants {
    const of = (field: string): Tree | undefined => entry.entries.get(field)?.value;
    const globs = (field: string): readonly string[] | undefined =>
      this.#globs(of(field), [...path, field]);
    const written: WrittenGrants = {
      allow: this.#allow(of('allow'), [...path, 'allow']),
      services: globs('services'),
      client: globs('client'),
      worker: globs('worker'),
    };
    for (const role of givenTwice(written)) {
      this.#wrong(of(role) ?? entry, [...path, role], twiceMessage(role));
    }
    const { allow, services, client, worker } = written;
    if (services !== undefined && allow === undefined && (client ?? worker) !== undefined) {
      const why =
        'has no effect without allow: remove services; client and worker already list services';
      this.#wrong(of('services') ?? entry, [...path, 'services'], why);
    }
    return written;
  }

  #name(tree: Tree, path: Path): string | null {
    const name = textOf(tree);
    if (name === null || !NAME.test(name)) {
      this.#wrong(tree, path, 'expected 1 to 64 printable characters without spaces');
      return null;
    }
    if (name.startsWith(TOKEN_PREFIX)) {
      this.#wrong(tree, path, `names that begin with ${TOKEN_PREFIX} belong to http.tokens`);
      return null;
    }
    return this.#isNew(this.#names, name, tree, path) ? name : null;
  }

  #publicKeys(tree: Tree, path: Path): readonly Buffer[] | null {
    if (tree.kind !== 'list') {
      const key = this.#publicKey(tree, path);
      return key === null ? null : [key];
    }
    const { items } = tree;
    if (items.length === 0 || items.length > PUBLIC_KEYS_MAX) {
      this.#wrong(tree, path, 'expected one public key, or two during a replacement');
      return null;
    }
    const keys = items.flatMap((item, index) => this.#publicKey(item, [...path, index]) ?? []);
    return keys.length === items.length ? keys : null;
  }

  #publicKey(tree: Tree, path: Path): Buffer | null {
    const text = textOf(tree);
    const key = text === null ? null : decodeCurveKey(text);
    if (text === null || key === null) {
      // Does not show the value: it may be a secret key in the wrong place.
      const want = `expected a public key: ${CURVE_KEY_BYTES} bytes in Z85, 40 characters in quotes`;
      this.#wrong(tree, path, want);
      return null;
    }
    return this.#isNew(this.#keys, text, tree, path) ? key : null;
  }

  #isNew(seen: Map<string, string>, text: string, tree: Tree, path: Path): boolean {
    const before = seen.get(text);
    if (before !== undefined) this.#wrong(tree, path, `is given twice, first at ${before}`);
    seen.set(text, tree.origin.place);
    return before === undefined;
  }

  #allow(tree: Tree | undefined, path: Path): readonly string[] | undefined {
    if (tree === undefined) return undefined;
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

  #globs(tree: Tree | undefined, path: Path): readonly string[] | undefined {
    if (tree === undefined) return undefined;
    if (tree.kind !== 'list' || tree.items.length > GLOBS_MAX) {
      const want = `expected a list of at most ${GLOBS_MAX} service names, * and ? allowed`;
      this.#wrong(tree, path, `${want}, got ${show(plain(tree))}`);
      return [];
    }
    return tree.items.flatMap((item, index) => {
      const text = textOf(item);
      if (text !== null && text.length <= GLOB_CHARACTERS_MAX && isGlob(text)) return text;
      const want = `expected a name of 1 to ${GLOB_CHARACTERS_MAX} characters, * and ? allowed`;
      const escape = '(escape bytes as %2A, and % as %25)';
      this.#wrong(item, [...path, index], `${want} ${escape}, got ${show(plain(item))}`);
      return [];
    });
  }

  #flag(tree: Tree | undefined, path: Path): boolean | undefined {
    if (tree === undefined) return undefined;
    if (tree.kind === 'scalar' && typeof tree.value === 'boolean') return tree.value;
    this.#wrong(tree, path, `expected true or false, got ${show(plain(tree))}`);
    return false;
  }

  #quota(tree: Tree | undefined, path: Path): string | null {
    if (tree === undefined) return null;
    const name = textOf(tree);
    const quotas = this.#quotas;
    if (name !== null && (quotas?.includes(name) ?? NAME.test(name))) return name;
    const known = quotas === null || quotas.length === 0 ? 'none' : listed(quotas);
    const hint = name === null ? '' : didYouMean(name, quotas ?? []);
    const got = `got ${show(plain(tree))}${hint}`;
    this.#wrong(tree, path, `expected a name of limits.quotas, which has ${known}; ${got}`);
    return null;
  }

  #wrong({ origin }: Pick<Tree, 'origin'>, path: Path, message: string): void {
    this.problems.push({ place: origin.place, path: pathText(path), message });
  }
}

const NAMES_SHOWN_MAX = 10;

function listed(names: readonly string[]): string {
  const left = names.length - NAMES_SHOWN_MAX;
  return names.slice(0, NAMES_SHOWN_MAX).join(', ') + (left > 0 ? ` and ${left} more` : '');
}

function formOf({ allow, client, worker }: WrittenGrants): KeyEntry['form'] {
  if (allow !== undefined) return 'short';
  return client === undefined && worker === undefined ? 'open' : 'long';
}

function textOf(tree: Tree): string | null {
  return tree.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : null;
}
