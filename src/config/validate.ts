/**
 * Turns what was written into the effective configuration, or a list of everything that is wrong.
 */
import type { z } from 'zod';

import { MDP_ROLES, type Config, type ListenerConfig, type PublisherConfig } from './config.js';
import { grantsOf } from './grants.js';
import { networksOf, TOKEN_ROLES, tokensOf } from './http-access.js';
import { mapBytesDefault } from './map-rules.js';
import { didYouMean } from './nearest.js';
import type { Problem } from './problem.js';
import { PUBLISHERS } from './publishers.js';
import { QUOTA_KEYS, QUOTA_ROWS } from './quotas.js';
import { RULES } from './rules.js';
import { SECTIONS, type Row } from './schema.js';
import { expectation, quotaRowAt, rowAt } from './text.js';
import { nearestAt, pathText, plain, show, treeAt, type Path, type Tree } from './tree.js';
import { CONFIG_SCHEMA, LISTENERS, MAP_KEYS, PUBLISHER, type WrittenListener } from './zod.js';

/** The result of validation. `config` is null if a value is invalid. */
export interface Validated {
  readonly config: Config | null;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Defaults that depend on this machine. */
export interface Machine {
  /** `node.name`. */
  readonly hostName: string;
  /** `limits.memoryBytes`. */
  readonly memoryBytes: number;
}

type Issue = z.core.$ZodIssue;

/** Checks everything that was written. */
export function validate(written: Tree, machine: Machine): Validated {
  const input = sectionsOf(plain(written));
  const parsed = CONFIG_SCHEMA.safeParse(input);
  if (parsed.success) {
    const config = complete(parsed.data, machine);
    const problems = crossProblems(written, config, new Set());
    return {
      config: problems.length === 0 ? config : null,
      problems,
      warnings: idleWarnings(written, config),
    };
  }
  const found = parsed.error.issues.flatMap((issue) => translate(written, issue, []));
  const wrong = new Set(found.map(({ path }) => path.slice(0, 2).join('.')));
  const problems = withoutRepeats(found.map(({ problem }) => problem));
  // Valid values are still checked against each other, so that one run reports everything.
  const rest = CONFIG_SCHEMA.safeParse(without(input, wrong));
  if (rest.success) {
    problems.push(...crossProblems(written, complete(rest.data, machine), wrong));
  }
  return { config: null, problems, warnings: [] };
}

/** A section without a value (all its keys commented out) is empty. */
function sectionsOf(value: unknown): Record<string, unknown> {
  const sections: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  if (typeof value !== 'object' || value === null) return sections;
  for (const [name, section] of Object.entries(value)) {
    if (section !== null || !Object.hasOwn(SECTIONS, name)) sections[name] = section as unknown;
  }
  return sections;
}

/** The input without the invalid keys `section` and `section.key`. */
function without(
  input: Readonly<Record<string, unknown>>,
  wrong: ReadonlySet<string>,
): Record<string, unknown> {
  const sections: Record<string, unknown> = {};
  for (const [name, section] of Object.entries(SECTIONS)) {
    const given = input[name];
    if (wrong.has(name) || typeof given !== 'object' || given === null) continue;
    const right = Object.entries(given).filter(
      ([key]) => Object.hasOwn(section.keys, key) && !wrong.has(`${name}.${key}`),
    );
    sections[name] = Object.fromEntries(right);
  }
  return sections;
}

interface Found {
  readonly path: Path;
  readonly problem: Problem;
}

function translate(written: Tree, issue: Issue, base: Path): Found[] {
  const path: Path = [...base, ...issue.path.map((step) => stepOf(step))];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(written, path, key));
  }
  const quota = quotaRowAt(path);
  const row = quota ?? rowAt(path);
  const isOne = quota !== null || path.length === 2;
  const isScalar = row !== null && isOne && !OWN_MESSAGES.includes(row.kind);
  if (issue.code === 'invalid_union' && !isScalar) {
    const best = issue.errors.find((errors) => !errors.some(isOfAnotherForm));
    if (best !== undefined) return best.flatMap((error) => translate(written, error, path));
  }
  const value = treeAt(written, path);
  const { place } = nearestAt(written, path).origin;
  const message = isScalar
    ? `expected ${expectation(row)}${gotInstead(row, value)}`
    : structureMessage(path, issue.message, value);
  return [{ path, problem: { place, path: pathText(path), message } }];
}

/** The value has not the type of this form, or is not its only word. */
function isOfAnotherForm({ code, path }: Issue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');
}

/** Kinds for which zod's message is better than one made from the row. */
const OWN_MESSAGES: readonly string[] = [
  'listeners',
  'publisher',
  'endpoint',
  'dialEndpoint',
  'address',
  'curve',
  'tls',
  'quota',
  'quotas',
  'servers',
  'tokens',
  'networks',
];

function stepOf(step: PropertyKey): string | number {
  return typeof step === 'number' ? step : String(step);
}

function structureMessage(path: Path, message: string, value: Tree | undefined): string {
  if (value === undefined) return 'is missing';
  const given = plain(value);
  if (path.length < 2) return `expected a map of keys, got ${show(given)}`;
  const last = path[path.length - 1];
  // It may be a secret, also one in the wrong place.
  if (path[1] === 'tokens' && last !== 'role') return message;
  if (last === 'transport') {
    const row = rowAt(['broker', 'transport']);
    if (row !== null) return `expected ${expectation(row)}${gotInstead(row, value)}`;
  }
  const known = last === 'role' ? TOKEN_ROLES : MDP_ROLES;
  const isRole = last === 'role' || path[path.length - 2] === 'allow';
  const hint = isRole && typeof given === 'string' ? didYouMean(given, known) : '';
  return `${message}, got ${show(given)}${hint}`;
}

function gotInstead(row: Row, tree: Tree | undefined): string {
  const value = tree === undefined ? undefined : plain(tree);
  if (row.form === 'secret') return '';
  const got = `, got ${show(value)}`;
  if (row.kind === 'text' && (typeof value === 'number' || typeof value === 'boolean')) {
    return `${got}; quote it`;
  }
  if (row.options === undefined || typeof value !== 'string') return got;
  return got + didYouMean(value, row.options);
}

function unknownKey(written: Tree, path: Path, key: string): Found {
  const map = nearestAt(written, path);
  const entry = map.kind === 'map' ? map.entries.get(key) : undefined;
  const whole = [...path, key];
  const problem: Problem = {
    place: (entry?.key ?? map.origin).place,
    path: pathText(whole),
    message: `unknown key${didYouMean(key, knownKeys(path))}`,
  };
  return { path: whole, problem };
}

function knownKeys(path: Path): readonly string[] {
  const [name] = path;
  if (name === undefined) return Object.keys(SECTIONS);
  if (path.length === 1) return Object.keys(SECTIONS[String(name)]?.keys ?? {});
  if (name === 'limits') return QUOTA_KEYS;
  if (name === 'bstar') return MAP_KEYS.peerCurve;
  if (name === 'http') return path[1] === 'tokens' ? MAP_KEYS.token : MAP_KEYS.tls;
  if (PUBLISHERS.some(({ section }) => section === name)) {
    return path.length === 2 ? MAP_KEYS.publisher : MAP_KEYS.listenerCurve;
  }
  return path.length === 3 ? MAP_KEYS.listener : MAP_KEYS.listenerCurve;
}

function withoutRepeats(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ place, path, message }) => {
    const key = JSON.stringify([place, path, message]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Fills in defaults that are not constants, and completes the listeners. */
function complete(
  parsed: Readonly<Record<string, Readonly<Record<string, unknown>> | null>>,
  machine: Machine,
): Config {
  const { node, broker, limits, titanic, bstar } = parsed;
  const filled: Record<string, Record<string, unknown>> = {};
  for (const [name, section] of Object.entries(SECTIONS)) {
    const values: Record<string, unknown> = {};
    for (const key of Object.keys(section.keys)) values[key] = parsed[name]?.[key] ?? null;
    filled[name] = values;
  }
  const memoryBytes = Number(limits?.['memoryBytes'] ?? machine.memoryBytes);
  const inPair = bstar?.['role'] !== 'standalone';
  Object.assign(filled['node'] ?? {}, { name: node?.['name'] ?? machine.hostName });
  Object.assign(filled['limits'] ?? {}, {
    memoryBytes,
    mapBytes: limits?.['mapBytes'] ?? mapBytesDefault(memoryBytes),
    perPeer: { share: QUOTA_ROWS.share.default, ...(limits?.['perPeer'] ?? {}) },
    quotas: limits?.['quotas'] ?? {},
  });
  Object.assign(filled['titanic'] ?? {}, {
    replication: titanic?.['replication'] ?? (inPair ? 'sync' : 'off'),
  });
  const transport = broker?.['transport'] as ListenerConfig['transport'];
  Object.assign(filled['broker'] ?? {}, { listen: listeners(broker?.['listen'], transport) });
  for (const { section } of PUBLISHERS) {
    Object.assign(filled[section] ?? {}, { listen: publisher(parsed[section]?.['listen']) });
  }
  const servers = parsed['fleet']?.['nats'] as string | readonly string[];
  const urls = typeof servers === 'string' ? [servers] : servers;
  Object.assign(filled['fleet'] ?? {}, { nats: servers === 'off' ? [] : urls });
  Object.assign(filled['http'] ?? {}, {
    tokens: tokensOf(parsed['http']?.['tokens'], parsed['http']?.['readToken']),
    trustedProxies: networksOf(parsed['http']?.['trustedProxies']),
  });
  // Both the zod schema and the type `Config` are made from the rows.
  const whole: unknown = filled;
  return whole as Config;
}

function listeners(value: unknown, transport: ListenerConfig['transport']): ListenerConfig[] {
  const given = LISTENERS.parse(value);
  return (typeof given === 'string' ? [given] : given).map((item) => {
    const written: WrittenListener = typeof item === 'string' ? { endpoint: item } : item;
    return {
      endpoint: written.endpoint,
      ...grantsOf(written),
      mmi: written.mmi ?? null,
      insecure: written.insecure ?? false,
      service: written.service ?? null,
      public: written.public ?? null,
      transport: written.transport ?? transport,
      ...(written.curve === undefined ? {} : { curve: written.curve }),
    };
  });
}

function publisher(value: unknown): PublisherConfig | null {
  const given = PUBLISHER.parse(value);
  if (given === 'off') return null;
  const written = typeof given === 'string' ? { endpoint: given } : given;
  const { endpoint, insecure = false, curve } = written;
  return { endpoint, insecure, ...(curve === undefined ? {} : { curve }) };
}

function crossProblems(written: Tree, config: Config, wrong: ReadonlySet<string>): Problem[] {
  const isWrong = (path: string): boolean =>
    wrong.has(path) || wrong.has(path.slice(0, path.indexOf('.')));
  const broken = RULES.filter(({ about }) => !about.some(isWrong)).flatMap((rule) =>
    rule.check(config).map((one) => ({ ...one, about: rule.about })),
  );
  return broken.map(({ path, message, about }) => ({
    place: placeOf(written, [path, ...about.map((key) => key.split('.'))]),
    path: pathText(path),
    message,
  }));
}

/** The place of the first of these paths that was written. */
function placeOf(written: Tree, paths: readonly Path[]): string {
  for (const path of paths) {
    const node = treeAt(written, path) ?? treeAt(written, path.slice(0, 2));
    if (node !== undefined) return node.origin.place;
  }
  return written.origin.place;
}

/** Keys that were set but have no effect because of other keys. */
function idleWarnings(written: Tree, config: Config): Problem[] {
  if (config.bstar.role !== 'standalone') return [];
  return Object.keys(SECTIONS['bstar']?.keys ?? {}).flatMap((key) => {
    const node = treeAt(written, ['bstar', key]);
    const values: Readonly<Record<string, unknown>> = config.bstar;
    if (key === 'role' || node === undefined || values[key] === null) return [];
    const message = 'has no effect while bstar.role is standalone';
    return [{ place: node.origin.place, path: `bstar.${key}`, message }];
  });
}
