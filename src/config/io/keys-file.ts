/**
 * `keysFile` of a listener with CURVE: which keys may connect, and their rights
 * (docs/configuration.md).
 */
import { statSync } from 'node:fs';

import { z } from 'zod';

import { MajordomoError } from '../../core/errors.js';
import { CURVE_KEY_BYTES, decodeCurveKey } from '../../core/z85.js';
import {
  givenTwice,
  GLOB_CHARACTERS_MAX,
  globs,
  type Grants,
  grantsOf,
  twiceMessage,
} from '../grants.js';
import { TOKEN_PREFIX } from '../http-access.js';
import { placed } from '../issues.js';
import { expected, flag, list, map, NAME_PATTERN } from '../kinds.js';
import { didYouMean } from '../../core/nearest.js';
import type { Problem } from '../problem.js';
import { nearestAt, type Path, pathText, plain, show, treeAt, type Tree } from '../tree.js';
import { readTree } from './file.js';
import { inOrder, invalid } from './load.js';

const EVERYBODY_WRITES = 0o002;
/** The values of `allow`. */
const KEY_ROLES = ['client', 'worker', 'peer'] as const;

/** An entry of a keys file: keys and their rights. */
export interface KeyEntry extends Grants {
  /** The identity that owns what these keys store. */
  readonly name: string;
  /** The public key; two while it is being replaced. */
  readonly publicKeys: readonly Buffer[];
  /** Whether the keys may connect as the other node of the pair. */
  readonly peer: boolean;
  /** Whether the keys may read and close what other keys stored. */
  readonly operator: boolean;
  /** The name of its quota in `limits.quotas`. */
  readonly quota: string | null;
  /** The place of the entry in the file. */
  readonly place: string;
}

const ENTRY = '{name, publicKey, client, worker, peer, operator, quota}';
const ROLES = `a list of ${KEY_ROLES.join(', ')}`;
const NAME = 'expected 1 to 64 printable characters without spaces';
/** The value is not shown: it may be a secret key in the wrong place. */
const KEY = `expected a public key: ${CURVE_KEY_BYTES} bytes in Z85, 40 characters in quotes`;
const KEYS = 'expected one public key, or two during a replacement';
const PUBLIC_KEYS_MAX = 2;
/** The longest list of roles of a key: more than there are, because a role may be repeated. */
const ROLES_MAX = 100;
/** Maximum number of YAML values in a keys file: about twenty for each key. */
const NODES_MAX = 200_000;

const publicKey = z.string({ error: KEY }).refine((text) => decodeCurveKey(text) !== null);
const names = globs({ glob: `a name of 1 to ${GLOB_CHARACTERS_MAX} characters` }).exactOptional();

const entry = map(
  {
    name: z
      .string({ error: NAME })
      .regex(NAME_PATTERN)
      .refine((name) => !name.startsWith(TOKEN_PREFIX), {
        error: `names that begin with ${TOKEN_PREFIX} belong to http.tokens`,
      }),
    publicKey: z.union([publicKey, z.array(publicKey).min(1, KEYS).max(PUBLIC_KEYS_MAX, KEYS)], {
      error: KEY,
    }),
    client: names,
    worker: names,
    peer: flag.exactOptional(),
    operator: flag.exactOptional(),
    quota: z.unknown().optional(),
    allow: list(
      z.enum(KEY_ROLES, { error: expected(ROLES, { words: KEY_ROLES }) }),
      ROLES,
      ROLES_MAX,
    ).exactOptional(),
    services: names,
  },
  { value: ENTRY },
).superRefine((written, context) => {
  const wrong = (key: keyof typeof written, message: string): void => {
    context.addIssue({ code: 'custom', path: [key], message });
  };
  const { allow, services, client, worker, peer } = written;
  for (const role of givenTwice(written)) wrong(role, twiceMessage(role));
  if (peer !== undefined && allow?.includes('peer') === true) wrong('peer', 'is also in allow');
  if (services === undefined || allow !== undefined || (client ?? worker) === undefined) return;
  wrong(
    'services',
    'has no effect without allow: remove services; client and worker already list services',
  );
});
const entries = z.array(entry, { error: expected(`a list of ${ENTRY}`) });

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
  const read = entries.safeParse((tree === null ? null : plain(tree)) ?? []);
  const all = [...problems];
  if (tree !== null) {
    if (!read.success) all.push(...placed(tree, read.error.issues).map(({ problem }) => problem));
    all.push(...faultsBeyond(tree, quotas));
  }
  if (!read.success || all.length > 0) throw invalid(inOrder(all, file));
  return read.data.map((written, index) => ({
    name: written.name,
    publicKeys: [written.publicKey].flat().flatMap((text) => decodeCurveKey(text) ?? []),
    ...grantsOf(written),
    peer: written.peer ?? written.allow?.includes('peer') ?? false,
    operator: written.operator ?? false,
    quota: typeof written.quota === 'string' ? written.quota : null,
    place: tree === null ? '' : nearestAt(tree, [index]).origin.place,
  }));
}

/** What a schema does not know: what other entries have, and the quotas of the configuration. */
function faultsBeyond(tree: Tree, quotas: readonly string[] | null): Problem[] {
  const seen = new Map<string, string>();
  const problems: Problem[] = [];
  const wrong = ({ origin: { place } }: Tree, path: Path, message: string): void => {
    problems.push({ place, path: pathText(path), message });
  };
  const once = (node: Tree, path: Path, field: string): void => {
    if (node.kind === 'list') {
      node.items.forEach((item, index) => once(item, [...path, index], field));
      return;
    }
    if (node.kind !== 'scalar' || typeof node.value !== 'string') return;
    const text = `${field} ${node.value}`;
    const before = seen.get(text);
    if (before !== undefined) wrong(node, path, `is given twice, first at ${before}`);
    seen.set(text, node.origin.place);
  };
  (tree.kind === 'list' ? tree.items : []).forEach((item, index) => {
    for (const field of ['name', 'publicKey']) {
      const node = treeAt(item, [field]);
      if (node !== undefined) once(node, [index, field], field);
    }
    const quota = treeAt(item, ['quota']);
    const fault = quota === undefined ? null : quotaFault(plain(quota), quotas);
    if (quota !== undefined && fault !== null) wrong(quota, [index, 'quota'], fault);
  });
  return problems;
}

function quotaFault(given: unknown, quotas: readonly string[] | null): string | null {
  const name = typeof given === 'string' ? given : '';
  if (quotas?.includes(name) ?? NAME_PATTERN.test(name)) return null;
  const known = quotas === null || quotas.length === 0 ? 'none' : listed(quotas);
  const got = `got ${show(given)}${didYouMean(name, quotas ?? [])}`;
  return `expected a name of limits.quotas, which has ${known}; ${got}`;
}

/** Operators may share its group; anyone who can write to it can admit himself. */
function refuseIfOpen(file: string): void {
  if ((statSync(file).mode & EVERYBODY_WRITES) === 0) return;
  const why = `every user of this machine can write to it and add keys: chmod o-w ${file}`;
  throw new MajordomoError('ERR_CONFIG_FILE', `${file}: ${why}`, { details: { file } });
}

const NAMES_SHOWN_MAX = 10;

function listed(names: readonly string[]): string {
  const left = names.length - NAMES_SHOWN_MAX;
  return names.slice(0, NAMES_SHOWN_MAX).join(', ') + (left > 0 ? ` and ${left} more` : '');
}
