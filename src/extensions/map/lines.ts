/** The lines of the map's events in the log. */
import type { MapEvent, MapRefusal } from './machine/events.js';
import { type Line, lineOfKind, rejectedLine, whoseOf } from '../../admin/log/log-line.js';

const REFUSED: Readonly<Record<MapRefusal, string>> = {
  reserved: 'keys below /mmi/ are those of the broker',
  limit: 'limits.mapBytes is reached',
  waiting: 'more is waiting for the store than may',
  store: 'the store cannot be written',
  replication: 'the peer is not in sync, and titanic.replication is strict',
  numbers: 'the numbers of this epoch are used up; a switchover or restart begins the next one',
};

const CLOSED = { slow: 'too much waits for it', limit: 'it subscribed to too much' } as const;

export function lineOfMap(event: MapEvent): Line {
  const { name } = event;
  switch (event.name) {
    case 'map.loaded':
      return lineOfKind('info', name, `the map: ${event.keys} keys, ${event.bytes} bytes`);
    case 'map.malformed': {
      const text = `a malformed message to the map was dropped: ${event.reason} (${whoseOf(event)})`;
      return lineOfKind('warn', name, text);
    }
    case 'map.refused': {
      const text = `a change of the map was dropped: ${REFUSED[event.reason]}`;
      return lineOfKind('warn', `${name} ${event.reason}`, text);
    }
    case 'map.denied': {
      const what =
        event.wanted === 'write'
          ? `a change of ${event.record} in the map was dropped: its key has no right to it`
          : `a reader of the map was refused: it may not have all keys that begin with '${event.record}'`;
      const who = event.key ?? event.address;
      return { ...lineOfKind('warn', `${name} rights`, `${what} (${whoseOf(event)})`), who };
    }
    case 'map.closed': {
      const text = `a subscriber of the map was closed: ${CLOSED[event.reason]} (${whoseOf(event)})`;
      const who = event.key ?? event.address;
      return { ...lineOfKind('warn', `${name} ${event.reason}`, text), who };
    }
    case 'map.stalled': {
      const text = `a client that does not read its snapshot of the map, or too slowly, was disconnected (${whoseOf(event)})`;
      return { ...lineOfKind('warn', name, text), who: event.key ?? event.address };
    }
    case 'map.rejected':
      return rejectedLine(event, `a connection to map.listen (${event.port})`);
    case 'map.conflicted': {
      const text = `both nodes had changed ${event.record} in the map: the later epoch wins`;
      return lineOfKind('warn', name, text);
    }
    case 'map.failed':
      return lineOfKind('error', name, `the map cannot be written: ${event.text}`);
    case 'map.healed':
      return lineOfKind('info', name, 'the map can be written again');
  }
}
