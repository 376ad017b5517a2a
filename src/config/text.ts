/** Describes rows in words, for messages and the reference page. */
import { QUOTA_ROWS } from './quotas.js';
import { SECTIONS, type Row } from './schema.js';
import type { Path } from './tree.js';

/** The row of `section.key`, also for a path below it. */
export function rowAt(path: Path): Row | null {
  const [section, key] = path;
  if (typeof section !== 'string' || typeof key !== 'string') return null;
  if (!Object.hasOwn(SECTIONS, section)) return null;
  const keys = SECTIONS[section]?.keys ?? {};
  return Object.hasOwn(keys, key) ? (keys[key] ?? null) : null;
}

/** The row of one quota: of `limits.perPeer.KEY` or `limits.quotas.NAME.KEY`. */
export function quotaRowAt(path: Path): Row | null {
  const [section, key, ...below] = path;
  if (section !== 'limits') return null;
  const wanted = key === 'quotas' ? below[1] : below[0];
  const isOne = below.length === (key === 'quotas' ? 2 : 1);
  if (!isOne || (key !== 'quotas' && key !== 'perPeer')) return null;
  const rows: Readonly<Record<string, Row>> = QUOTA_ROWS;
  return typeof wanted === 'string' && Object.hasOwn(rows, wanted) ? (rows[wanted] ?? null) : null;
}

function textExpectation(row: Row): string {
  const length = `${row.min ?? 0} to ${row.max ?? 0} characters`;
  switch (row.form) {
    case 'file':
      return `a file name of ${length}, without directories`;
    case 'secret':
      return `${length} of printable ASCII without spaces`;
    case 'url':
      return '`http://…` or `https://…`, without a password or query';
    case 'header':
      return `the name of a header, ${length}`;
    case 'path':
      return `a path of ${length}`;
    default:
      return `text of ${length}, without line breaks`;
  }
}

/** What a value of this row must be. */
export function expectation(row: Row): string {
  switch (row.kind) {
    case 'text':
      return textExpectation(row);
    case 'durationMs':
      return `an integer from ${row.min ?? 0} to ${row.max ?? 0} (milliseconds)`;
    case 'count':
      return `an integer from ${row.min ?? 0} to ${row.max ?? 0}`;
    case 'size':
      return (
        `a size from ${row.min ?? 0} to ${row.max ?? 0} ` +
        '(bytes, or an integer with KiB, MiB, GiB or TiB)'
      );
    case 'flag':
      return 'true or false';
    case 'choice':
      return (row.options ?? []).join(', ').replace(/, ([^,]+)$/, ' or $1');
    case 'listeners':
      return 'an endpoint, a list of endpoints, or a list of listeners';
    case 'publisher':
      return 'an endpoint, a map, or `off`';
    case 'endpoint':
    case 'dialEndpoint':
      return '`tcp://host:port` or `ipc://path`';
    case 'address':
      return '`host:port`, `unix:PATH` or `off`';
    case 'curve':
      return '`{secretKeyFile, keysFile, serverKey}`';
    case 'tls':
      return '`{certFile, keyFile}`';
    case 'share':
      return 'a number above 0, at most 1';
    case 'quota':
      return 'a map of quotas';
    case 'quotas':
      return 'a map of names, each with a map of quotas';
    case 'servers':
      return '`off`, `nats://host:port`, `tls://host:port`, or a list of such URLs';
    case 'tokens':
      return 'a list of tokens';
    case 'networks':
      return 'an address, a network or `unix`, or a list of these';
  }
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
