/** The lines of the map's events in the log. */
import type { MapEvent, MapRefusal } from './machine/events.js';
import { lineOfKind as of, type LinesOf, rejectedLine, whoseOf } from '../../admin/log/log-line.js';

const REFUSED: Readonly<Record<MapRefusal, string>> = {
  reserved: 'keys below /mmi/ are those of the broker',
  limit: 'limits.mapBytes is reached',
  waiting: 'more is waiting for the store than may',
  store: 'the store cannot be written',
  replication: 'the peer is not in sync, and titanic.replication is strict',
  numbers: 'the numbers of this epoch are used up; a switchover or restart begins the next one',
};

const CLOSED = { slow: 'too much waits for it', limit: 'it subscribed to too much' } as const;

export const MAP_LINES: LinesOf<MapEvent> = {
  'map.loaded': ({ name, keys, bytes }) =>
    of('info', name, `the map: ${keys} keys, ${bytes} bytes`),
  'map.malformed': (event) => {
    const text = `a malformed message to the map was dropped: ${event.reason} (${whoseOf(event)})`;
    return of('warn', event.name, text);
  },
  'map.refused': ({ name, reason }) =>
    of('warn', `${name} ${reason}`, `a change of the map was dropped: ${REFUSED[reason]}`),
  'map.denied': (event) => {
    const { name, wanted, record, key, address } = event;
    const what =
      wanted === 'write'
        ? `a change of ${record} in the map was dropped: its key has no right to it`
        : `a reader of the map was refused: it may not have all keys that begin with '${record}'`;
    return { ...of('warn', `${name} rights`, `${what} (${whoseOf(event)})`), who: key ?? address };
  },
  'map.closed': (event) => {
    const { name, reason, key, address } = event;
    const text = `a subscriber of the map was closed: ${CLOSED[reason]} (${whoseOf(event)})`;
    return { ...of('warn', `${name} ${reason}`, text), who: key ?? address };
  },
  'map.stalled': (event) => {
    const text = `a client that does not read its snapshot of the map, or too slowly, was disconnected (${whoseOf(event)})`;
    return { ...of('warn', event.name, text), who: event.key ?? event.address };
  },
  'map.rejected': (event) => rejectedLine(event, `a connection to map.listen (${event.port})`),
  'map.conflicted': ({ name, record }) =>
    of('warn', name, `both nodes had changed ${record} in the map: the later epoch wins`),
  'map.unreadable': ({ name, record }) =>
    of(
      'warn',
      name,
      `${record} in the map counts as absent: no map of this version wrote what the store has of it`,
    ),
  'map.failed': ({ name, text }) => ({
    ...of('error', name, `the map cannot be written: ${text}`),
    subject: 'map.failed',
  }),
  'map.healed': ({ name }) => ({
    ...of('info', name, 'the map can be written again'),
    subject: 'map.failed',
  }),
};
