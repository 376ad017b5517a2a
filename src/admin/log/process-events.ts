/**
 * The lines of the process itself, which no machine speaks of: its start and end, its files, its keys. Their texts come
 * with them; those here are for documents.
 */
import type { Change } from '../../config/diff.js';
import { reason, service } from '../../core/event-fields.js';
import {
  error,
  type EventOf,
  fatal,
  field,
  type Field,
  info,
  type ValuesOf,
  warn,
} from '../../core/event-table.js';
import { SHORTCUTS } from '../../core/shortcut.js';
import type { BoundName } from '../../zmtp/sockets/names.js';
import type { Log } from './log.js';

const code: Field<string | undefined> = field.string();
const stack: Field<unknown> = field.string();
const key = field.string('the first characters of its public key');
const ttlMs = field.number('for so long the broker does not ask again');

export const PROCESS_EVENTS = {
  'broker.ready': info(
    'the broker listens (a node of a pair logs this in any state: see `/readyz`)',
    {
      endpoints: field.list('with the actual ports'),
      http: field.orNull(field.string('its address, or `null`')),
      publicUrl: field.orNull(field.string('`http.publicUrl`')),
      events: field.orNull(field.string('where its events are published, or `null`')),
      map: field.orNull(field.string('where its map serves snapshots, or `null`')),
      node: field.string('`node.name`'),
    },
  ),
  'listener.bound': info(
    'a name in an address is listened on: every address that it has, also for HTTP, the pair, the map and events',
    {
      name: field.string('`HOST:PORT`, with the actual port'),
      addresses: field.list('the addresses'),
    },
  ),
  'listener.absent': warn(
    'a name that is listened on has addresses that this machine does not have, such as one of IPv6 where there is none: nobody reaches the node there',
    { name: field.string('`HOST:PORT`'), addresses: field.list('those addresses') },
  ),
  'broker.draining': info(
    'the first SIGTERM or SIGINT arrived, or the terminal was closed: see [Shutting down](protocol.md#shutting-down)',
    {
      requestsOut: field.number('the requests at workers'),
      workers: field.number(),
      graceMs: field.number(),
    },
  ),
  'broker.stopped': info('the drain is over, or a start was ended, and everything is closed', {}),
  'broker.failed': fatal('the broker could not start, or can no longer trust its store', {
    code,
  }),
  'broker.crashed': fatal('a bug; exit status 70', { stack }),
  'config.reloaded': info('after SIGHUP: the configuration was read again', {
    applied: field.list<Change>('the keys that changed and are in effect'),
    needRestart: field.list<Change>('those that need a restart'),
  }),
  'config.refused': error('after SIGHUP: the configuration has errors; none of it was applied', {
    code,
  }),
  'config.ignored': warn('a key is set that has no effect in this configuration', {
    place: field.string('where it is set'),
    path: field.string('the key'),
  }),
  'limits.per_broker': info(
    'each broker of the fleet, or of the database, counts for itself what `broker.services` limits',
    { path: field.string('the key') },
  ),
  'http.tls_renewed': info(
    'after SIGHUP: the files of `http.tls` have another certificate, which is in use. It counts in `applied` of `config.reloaded`',
    { fingerprint: field.string('its SHA-256') },
  ),
  'http.tls_refused': error(
    'after SIGHUP: the files of `http.tls` are wrong; the old certificate stays in use',
    { code },
  ),
  'http.tokens_renewed': info(
    'after SIGHUP: tokens have other secrets or another role; secrets that are gone get 401. If only files changed, it counts in `applied` of `config.reloaded`',
    { tokens: field.list('their names') },
  ),
  'http.tokens_refused': error(
    'after SIGHUP: a token in `http.tokens` cannot be read; all tokens stay as they were',
    { code },
  ),
  'http.failed': error(
    'a bug while answering one HTTP request, which got 500; or what answers could not be loaded, and the first connections were cut',
    { stack },
  ),
  'http.token_unsaved': error(
    'the daemon could not write the file `http.token`, so nobody knows the token until a restart',
    { reason },
  ),
  'metrics.partial': warn(
    'the metrics `process_*` could not be read: scrapes lack them until they can be; logged once',
    { reason },
  ),
  'ha.kept': warn('the node stops without having handed over to its peer', { reason }),
  'keys.reread': info('the broker read a `keysFile` again', {
    file: field.string(),
    keys: field.number('the number of keys in it'),
  }),
  'keys.refused': error(
    'a `keysFile` has errors (or, if `file` is `null`, a secret key after SIGHUP): the old keys stay in effect',
    { file: field.orNull(field.string()), code },
  ),
  'keys.renewed': info(
    'after SIGHUP: a listener has another secret key of its own, although the configuration names the same file, or it names another. It counts in `applied` of `config.reloaded`; a key that only a restart can replace is in `needRestart`',
    {
      path: field.string('of its `curve` in the configuration'),
      publicKey: field.string('what clients need now (two during a replacement)'),
    },
  ),
  'keys.shared': warn(
    'two keys files have the same name for different keys, so the broker treats both keys as one client',
    { key: field.string('that name'), place: field.string('where the second entry is') },
  ),
  'runtime.unfamiliar': warn(
    'this version of Node.js works differently from those that Majordomo was run on: the broker takes a documented way, which costs more CPU time. Logged once for each part',
    {
      part: field.oneOf(SHORTCUTS, 'which fast way is not taken'),
      runtime: field.string('the version of Node.js'),
      reason,
    },
  ),
  'supervisor.lost': warn(
    'the broker could not report its state to systemd (`NOTIFY_SOCKET`); it tries again',
    { reason },
  ),
};

/** The verdicts of the service that authorises keys; their lines are limited. */
export const AUTHORISER_EVENTS = {
  'authoriser.allowed': info(
    '{service} allowed the key {key}… as {keyName}',
    {
      service,
      key,
      keyName: field.string('the name that the service gave the key'),
      client: field.list('globs, as in a keys file'),
      worker: field.list('globs, as in a keys file'),
      quota: field.orNull(field.string('the name of its quota, or `null`')),
      ttlMs,
    },
    'the service in `security.authorize` admitted a key that is in no keys file, or changed its rights',
  ),
  'authoriser.refused': info('{service} refused the key {key}…', { service, key, ttlMs }),
  'authoriser.unanswered': warn(
    '{service} did not decide about the key {key}…: {reason}',
    { service, key, reason },
    'that service gave no usable answer about a key: the key is not admitted',
  ),
};
export type AuthoriserEvent = EventOf<typeof AUTHORISER_EVENTS>;

type Table = typeof PROCESS_EVENTS;

/** Tells where a name is listened on. */
export function tellBound(log: Log, { name, addresses, absent }: BoundName): void {
  tell(log, 'listener.bound', { name, addresses }, `${name} is ${addresses.join(' and ')}`);
  if (absent.length === 0) return;
  const text = `${name} is also ${absent.join(' and ')}, which this machine does not have: nobody reaches it there`;
  tell(log, 'listener.absent', { name, addresses: absent }, text);
}

/** Writes a line. */
export function tell<Name extends keyof Table>(
  log: Log,
  event: Name,
  fields: ValuesOf<Table[Name]['fields']>,
  text: string,
): void {
  log[PROCESS_EVENTS[event].level]({ event, ...fields }, text);
}
