/** What a reread of the configuration (SIGHUP) can apply, and what needs a restart. */
import type { Config } from './config.js';
import { shown } from './explain.js';
import { SECTIONS } from './schema.js';

/** One key whose value is another one now; secrets are masked. */
export interface Change {
  readonly key: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** Changes, by what they need. */
export interface Difference {
  readonly live: readonly Change[];
  readonly restart: readonly Change[];
}

/**
 * True if the listeners differ in nothing but files of secret keys, which are exchanged while it
 * runs (by the engine `zmtp`).
 */
export function onlyKeysDiffer(from: Config, to: Config): boolean {
  const withoutKeys = ({ broker }: Config): string =>
    JSON.stringify(
      broker.listen.map(({ curve, ...rest }) =>
        curve === undefined || rest.transport === 'libzmq'
          ? { ...rest, curve }
          : { ...rest, curve: { ...curve, secretKeyFile: null } },
      ),
    );
  return withoutKeys(from) === withoutKeys(to);
}

/** Compares two effective configurations, key by key. */
export function diff(from: Config, to: Config): Difference {
  const before: Readonly<Record<string, Readonly<Record<string, unknown>>>> = from;
  const after: Readonly<Record<string, Readonly<Record<string, unknown>>>> = to;
  const live: Change[] = [];
  const restart: Change[] = [];
  for (const [section, { keys }] of Object.entries(SECTIONS)) {
    for (const [key, row] of Object.entries(keys)) {
      const [old, now] = [before[section]?.[key], after[section]?.[key]];
      if (JSON.stringify(old) === JSON.stringify(now)) continue;
      const change: Change = {
        key: `${section}.${key}`,
        from: shown(section, key, old),
        to: shown(section, key, now),
      };
      const isLive = row.live === true || (row.kind === 'listeners' && onlyKeysDiffer(from, to));
      (isLive ? live : restart).push(change);
    }
  }
  return { live, restart };
}
