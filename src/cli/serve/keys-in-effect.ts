/** What the keys files of a configuration allow, and what one identity may use, for `check`. */
import type { Config } from '../../config/config.js';
import { type KeyEntry, readKeysFile } from '../../config/io/keys-file.js';
import { MAKES, withRemedy } from '../../config/io/secret-key.js';
import type { Problem } from '../../config/problem.js';
import { publishedBy } from '../../config/publishers.js';
import { quotasOf } from '../../config/quotas.js';
import { type QuotaKey, quotaKeys } from '../../config/quota-keys.js';
import { codeOf, messageOf } from '../../core/errors.js';
import { printable } from '../common/output.js';
import { type Column, table } from '../common/table.js';

/** Stands for the pair's link among the endpoints that use a keys file. */
export const PAIR = 'bstar.curve';

/** A keys file, and what uses it. */
export interface KeysInEffect {
  readonly file: string;
  /** Endpoints, keys of publishers (`events.listen`), and `PAIR`. */
  readonly usedBy: readonly string[];
  readonly entries: readonly KeyEntry[];
}

/**
 * Reads every keys file.
 * @param refused called for each that cannot be read
 * @throws ERR_CONFIG_INVALID if one is wrong
 */
export function keysInEffect(
  config: Config,
  refused: (problem: Problem, error: unknown) => void,
): readonly KeysInEffect[] {
  const { broker, bstar, limits } = config;
  const users = new Map<string, string[]>();
  const use = (file: string, user: string): void => {
    users.set(file, [...(users.get(file) ?? []), user]);
  };
  for (const { endpoint, curve } of broker.listen) {
    if (curve !== undefined) use(curve.keysFile, endpoint);
  }
  // The globs of its entries are for names of events, or keys of the map.
  for (const { section, listen } of publishedBy(config)) {
    if (listen.curve !== undefined) use(listen.curve.keysFile, `${section}.listen`);
  }
  if (bstar.role !== 'standalone' && bstar.curve !== null) use(bstar.curve.keysFile, PAIR);
  const quotas = Object.keys(limits.quotas);
  return [...users].flatMap(([file, usedBy]) => {
    try {
      const makes = usedBy.every((user) => user === PAIR) ? MAKES.pair : MAKES.listener;
      const entries = withRemedy(makes, () => readKeysFile(file, quotas));
      return { file, usedBy, entries };
    } catch (error) {
      if (codeOf(error) !== 'ERR_CONFIG_FILE') throw error;
      refused({ place: usedBy.join(', '), path: '', message: messageOf(error) }, error);
      return [];
    }
  });
}

/** Returns an entry as JSON, with the number of its keys in place of them. */
export function entryShown(entry: KeyEntry): Readonly<Record<string, unknown>> {
  const { name, publicKeys, client, worker, peer, operator, quota } = entry;
  return { name, keys: publicKeys.length, client, worker, peer, operator, quota };
}

const KEYS: readonly Column<KeyEntry>[] = [
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'MAY ASK', cell: ({ client }) => printable(globsShown(client)), cut: 12 },
  { head: 'MAY OFFER', cell: ({ worker }) => printable(globsShown(worker)), drop: 3 },
  { head: 'ALSO', cell: alsoOf, drop: 2 },
  { head: 'QUOTA', cell: ({ quota }) => quota ?? '-', drop: 1 },
];

function alsoOf({ peer, operator }: KeyEntry): string {
  return [...(peer ? ['peer'] : []), ...(operator ? ['operator'] : [])].join(', ') || '-';
}

/** The rights of each entry, as a table. */
export function keysTable({ file, usedBy, entries }: KeysInEffect, width: number): string {
  const nobody = entries.length === 0 ? 'no key may connect\n' : table(KEYS, entries, width);
  return `\n${printable(file)} (${usedBy.map(printable).join(', ')})\n${nobody}`;
}

function globsShown(globs: readonly string[]): string {
  if (globs.length === 0) return 'nothing';
  return globs.includes('*') ? 'everything' : globs.join(', ');
}

/** The quotas by name; `perPeer` is the one for everybody else. */
export function quotasShown(config: Config): Readonly<Record<string, unknown>> {
  const names = Object.keys(config.limits.quotas);
  const shown = [null, ...names].map((name) => [name ?? 'perPeer', numbersOf(config, name)]);
  return Object.fromEntries(shown) as Readonly<Record<string, unknown>>;
}

/** `null` for no limit. */
function numbersOf(config: Config, name: string | null): Readonly<Record<string, number | null>> {
  const quotas = Object.entries(quotasOf(config, name));
  return Object.fromEntries(
    quotas.map(([key, value]) => [key, Number.isFinite(value) ? value : null]),
  );
}

const QUOTAS_SHOWN_MAX = 8;

/** What one identity may use, as a table. */
export function quotasTable(config: Config, width: number): string {
  const names = [null, ...Object.keys(config.limits.quotas).slice(0, QUOTAS_SHOWN_MAX)];
  const columns: readonly Column<QuotaKey>[] = [
    { head: 'ONE IDENTITY MAY USE', cell: (key) => key },
    ...names.map((name, at) => {
      const numbers = numbersOf(config, name);
      const head = name ?? 'limits.perPeer';
      return { head, cell: (key: QuotaKey) => String(numbers[key] ?? '-'), right: true, drop: -at };
    }),
  ];
  const keys = quotaKeys().filter((key) => key !== 'share');
  return `\n${table(columns, keys, width)}`;
}
