/** Applies a configuration that was read again (SIGHUP): what changed, and the files that it names. */
import type { Config, ListeningSection } from '../config/config.js';
import {
  type Change,
  diff,
  type Difference,
  onlyKeysDiffer,
  withLiveKeys,
} from '../config/diff.js';
import { shown } from '../config/explain.js';
import { invalid } from '../config/io/load.js';
import { RULES } from '../config/rules.js';
import { pathText } from '../config/tree.js';
import { codeOf, messageOf } from '../core/errors.js';
import type { HttpServer } from '../admin/io/open-server.js';
import type { Log } from '../admin/log/log.js';
import { tell } from '../admin/log/process-events.js';

/** The secret keys of the listeners of a section (its `listen`). */
export interface Renewal {
  readonly section: ListeningSection;
  /** Reads them again. @throws ERR_CONFIG_FILE */
  readonly renew: (next: Config) => void;
}

/**
 * Keys that need a restart keep their values: what was read is valid, and the two together may not be.
 * @throws ERR_CONFIG_INVALID
 */
export function refuseMixture(current: Config, next: Config): void {
  const mixture = withLiveKeys(current, next);
  const broken = RULES.flatMap(({ check }) => check(mixture));
  if (broken.length === 0) return;
  const kept = diff(current, next).restart.map(({ key }) => key);
  const place = `with ${kept.join(', ')} as before, until a restart`;
  throw invalid(broken.map(({ path, message }) => ({ place, path: pathText(path), message })));
}

/**
 * Renews the secret keys of listeners whose files are all that may differ.
 * @param renewals if a file of a section is invalid, all its listeners keep their keys
 * @returns what was read, but with the current listeners of a section whose new keys were refused
 */
export function withNewKeys(
  current: Config,
  next: Config,
  log: Log,
  renewals: readonly Renewal[],
): Config {
  const refused = renewals.filter(
    ({ section, renew }) =>
      onlyKeysDiffer(section, current, next) && !renewSecretKeys(section, next, renew, log),
  );
  const kept = refused.map(({ section }) => [
    section,
    { ...next[section], listen: current[section].listen },
  ]);
  return { ...next, ...Object.fromEntries(kept) } as Config;
}

/** What was read, but with those whom HTTP admits now, and the quotas that they name: the new tokens were refused. */
export function withTokensOf({ http, limits }: Config, next: Config): Config {
  const { token, readToken, tokens, trustedUserHeader, trustedProxies } = http;
  const kept = { token, readToken, tokens, trustedUserHeader, trustedProxies };
  const named = new Set(tokens.map(({ quota }) => quota));
  const quotas = Object.entries(limits.quotas).filter(([name]) => named.has(name));
  return {
    ...next,
    http: { ...next.http, ...kept },
    limits: { ...next.limits, quotas: { ...Object.fromEntries(quotas), ...next.limits.quotas } },
  };
}

/**
 * The change of tokens whose texts are not in the configuration.
 * @param names of those that were replaced
 */
export function tokenChanges(
  before: Config,
  next: Config,
  names: readonly string[],
): readonly Change[] {
  const [old, now] = [before, next].map(({ http }) => JSON.stringify([http.token, http.tokens]));
  if (names.length === 0 || old !== now) return [];
  const tokens = shown('http', 'tokens', next.http.tokens);
  return [{ key: 'http.tokens', from: tokens, to: tokens }];
}

/** @param files changes of what the configuration only names */
export function logChanges(current: Config, next: Config, files: Difference, log: Log): void {
  const named = diff(current, next);
  const live = [...named.live, ...files.live];
  const restart = [...named.restart, ...files.restart];
  tell(
    log,
    'config.reloaded',
    { applied: live, needRestart: restart },
    `configuration reloaded: ${live.length} changes applied, ${restart.length} need a restart`,
  );
}

function renewSecretKeys(
  section: ListeningSection,
  next: Config,
  renew: Renewal['renew'],
  log: Log,
): boolean {
  try {
    renew(next);
    return true;
  } catch (error) {
    const whose = section === 'broker' ? 'the listeners' : `${section}.listen`;
    const text = `the secret keys of ${whose} were not reloaded: ${messageOf(error)}`;
    tell(log, 'keys.refused', { file: null, code: codeOf(error) }, text);
    return false;
  }
}

/**
 * Renews certificates while the server runs; if the files are invalid, it keeps the current ones.
 * @returns the change, as `logChanges` takes it
 */
export function renewTls(http: HttpServer | null, log: Log): readonly Change[] {
  try {
    const renewed = http?.renewTls() ?? null;
    if (renewed === null) return [];
    const text = `http.tls has another certificate: SHA-256 ${renewed.to}`;
    tell(log, 'http.tls_renewed', { fingerprint: renewed.to }, text);
    return [{ key: 'http.tls', ...renewed }];
  } catch (error) {
    const text = `the HTTP certificate was not reloaded: ${messageOf(error)}`;
    tell(log, 'http.tls_refused', { code: codeOf(error) }, text);
    return [];
  }
}
