/** Applies a configuration that was read again (SIGHUP): what changed, and the files that it names. */
import type { Config } from '../config/config.js';
import { diff, type KeyedSection, onlyKeysDiffer } from '../config/diff.js';
import { codeOf, messageOf } from '../core/errors.js';
import type { HttpServer } from '../admin/io/server.js';
import type { Log } from '../admin/log/log.js';

/**
 * Renews the secret keys of listeners whose files are all that may differ.
 * @param renewals read the files again; if one of a section is invalid, all its listeners keep their keys
 * @returns what was read, but with the current listeners of a section whose new keys were refused
 */
export function withNewKeys(
  current: Config,
  next: Config,
  log: Log,
  renewals: Readonly<Record<KeyedSection, () => void>>,
): Config {
  const isRefused = (section: KeyedSection): boolean =>
    onlyKeysDiffer(section, current, next) && !renewSecretKeys(section, renewals[section], log);
  const { broker, events, map } = next;
  return {
    ...next,
    broker: isRefused('broker') ? { ...broker, listen: current.broker.listen } : broker,
    events: isRefused('events') ? current.events : events,
    map: isRefused('map') ? current.map : map,
  };
}

export function logChanges(current: Config, next: Config, log: Log): void {
  const { live, restart } = diff(current, next);
  log.info(
    { event: 'config.reloaded', applied: live, needRestart: restart },
    `configuration reloaded: ${live.length} changes applied, ${restart.length} need a restart`,
  );
}

function renewSecretKeys(section: KeyedSection, renew: () => void, log: Log): boolean {
  try {
    renew();
    return true;
  } catch (error) {
    const whose = section === 'broker' ? 'the listeners' : `${section}.listen`;
    const text = `the secret keys of ${whose} were not reloaded: ${messageOf(error)}`;
    log.error({ event: 'keys.refused', code: codeOf(error) }, text);
    return false;
  }
}

/**
 * Renews certificates while the server runs; if the files are invalid, it keeps the current ones.
 */
export function renewTls(http: HttpServer | null, log: Log): void {
  try {
    http?.renewTls();
  } catch (error) {
    const text = `the HTTP certificate was not reloaded: ${messageOf(error)}`;
    log.error({ event: 'http.tls_refused', code: codeOf(error) }, text);
  }
}
