/** The source of each effective value, for `majordomo check`. */
import type { Config } from './config.js';
import type { TokenConfig } from './entries.js';
import { SECTIONS } from './schema-data.js';
import { treeAt, type SourceKind, type Tree } from './tree.js';

/** A key of the effective configuration. */
interface Explained {
  /** `broker.heartbeatIntervalMs`. */
  readonly key: string;
  /** The effective value; a secret is `********`. */
  readonly value: unknown;
  readonly source: 'default' | SourceKind;
  /** `FILE:LINE:COL`, `environment MAJORDOMO_…`, `--set #1`; null for a default. */
  readonly place: string | null;
}

/** Stands for a secret. */
const MASK = '********';

/** The value of a key, with secrets masked. */
export function shown(section: string, key: string, value: unknown): unknown {
  if (value === null || SECTIONS[section]?.keys[key]?.secret !== true) return value;
  if (key !== 'tokens') return masked(value as TokenConfig['token']);
  return (value as TokenConfig[]).map((token) => ({ ...token, token: masked(token.token) }));
}

function masked(token: TokenConfig['token']): TokenConfig['token'] {
  if (token === null) return null;
  return typeof token === 'string' ? MASK : token.map(() => MASK);
}

/** Every key with its value and its source, in the order of the reference page. */
export function explain(loaded: { readonly config: Config; readonly written: Tree }): Explained[] {
  const config: Readonly<Record<string, Readonly<Record<string, unknown>>>> = loaded.config;
  return Object.entries(SECTIONS).flatMap(([section, { keys }]) =>
    Object.keys(keys).map((key): Explained => {
      const node = treeAt(loaded.written, [section, key]);
      return {
        key: `${section}.${key}`,
        value: shown(section, key, config[section]?.[key] ?? null),
        source: node?.origin.source ?? 'default',
        place: node?.origin.place ?? null,
      };
    }),
  );
}
