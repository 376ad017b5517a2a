/** The events of the map, for monitoring: see core/event-table.ts. */
import {
  address,
  closedText,
  closeReason,
  key,
  peerOf,
  reason,
  REJECTED,
  REJECTED_RULES,
  rejectedText,
  text,
  whoseOf,
} from '../../../core/event-fields.js';
import {
  error,
  type EventOf,
  type EventSink,
  field,
  info,
  warn,
} from '../../../core/event-table.js';
import type { StoreFailure } from '../../../store/store.js';

/** Why a KVSET was not applied. */
const REFUSED = {
  reserved: 'keys below /mmi/ are those of the broker',
  limit: 'limits.mapBytes is reached',
  waiting: 'more is waiting for the store than may',
  store: 'the store cannot be written',
  replication: 'the peer is not in sync, and titanic.replication is strict',
  /** D48: the next epoch begins again at 1. */
  numbers: 'the numbers of this epoch are used up; a switchover or restart begins the next one',
} as const;
export type MapRefusal = keyof typeof REFUSED;

const record = field.string('a key of the map, percent-escaped', 'client');

export const MAP_EVENTS = {
  'map.loaded': info(
    'the map: {keys} keys, {bytes} bytes',
    { keys: field.number(), bytes: field.number() },
    'the records of the store are in memory; from then on an active node serves the map',
  ),
  'map.malformed': warn(
    (event) => `a malformed message to the map was dropped: ${event.reason} (${whoseOf(event)})`,
    { reason, key, address },
    {
      when: 'a message to the map broke a rule of its protocol, or there are too many of it: it was dropped. The peer learns nothing',
      counted: 'messages_malformed_total',
    },
  ),
  'map.refused': warn(
    ({ reason }) => `a change of the map was dropped: ${REFUSED[reason]}`,
    { reason: field.oneOf<MapRefusal>(REFUSED) },
    {
      when: 'a change was dropped; for lack of rights, see `map.denied`',
      counted: 'map_updates_total',
      by: ['reason'],
    },
  ),
  'map.denied': warn(
    (event) => {
      const { wanted, record } = event;
      const what =
        wanted === 'write'
          ? `a change of ${record} in the map was dropped: its key has no right to it`
          : `a reader of the map was refused: it may not have all keys that begin with '${record}'`;
      return `${what} (${whoseOf(event)})`;
    },
    {
      wanted: field.oneOf({ read: '', write: 'counted by `map_updates_total`' }),
      record,
      key,
      address,
    },
    {
      when: 'a key has no right to write that record, or to read all records that begin so',
      counted: 'map_updates_total',
      who: peerOf,
    },
  ),
  'map.stalled': warn(
    (event) =>
      `a client that does not read its snapshot of the map, or too slowly, was disconnected (${whoseOf(event)})`,
    { key, address },
    {
      when: 'a client that asked for a snapshot has not read for 10 s: its connection was closed',
      who: peerOf,
    },
  ),
  'map.closed': warn(
    (event) =>
      `a subscriber of the map was closed: ${closedText(event.reason)} (${whoseOf(event)})`,
    { reason: closeReason, key, address },
    { when: 'the node closed a subscriber of the updates', by: ['reason'], who: peerOf },
  ),
  'map.rejected': warn(
    (event) => rejectedText(`a connection to map.listen (${event.port})`, event),
    { port: field.oneOf({ snapshots: 'P', updates: 'P + 1', writers: 'P + 2' }), ...REJECTED },
    {
      when: 'a connection to one of the three ports was closed or not accepted, as in `connection.rejected`',
      ...REJECTED_RULES,
    },
  ),
  'map.unreadable': warn(
    '{record} in the map counts as absent: no map of this version wrote what the store has of it',
    { record },
  ),
  'map.conflicted': warn(
    'both nodes had changed {record} in the map: the later epoch wins',
    { record },
    { counted: 'map_conflicts_total' },
  ),
  'map.failed': error(
    'the map cannot be written: {text}',
    { kind: field.oneOf<StoreFailure['kind']>({ full: '', busy: '', fatal: '' }), text },
    {
      when: 'the store cannot write: new and growing values are dropped, deletions are tried; logged once',
      subject: 'map.failed',
    },
  ),
  'map.healed': info('the map can be written again', {}, { subject: 'map.failed' }),
};

export type MapEvent = EventOf<typeof MAP_EVENTS>;
export type MapEvents = EventSink<MapEvent>;

/** The ports of the map: P, P + 1 and P + 2. */
export type MapPort = EventOf<typeof MAP_EVENTS, 'map.rejected'>['port'];

/** Counters of the map, since the machine was made. */
export interface MapCounters {
  /** Changes that took effect, by what they did. `applied` includes renewals. */
  readonly updates: { applied: number; deleted: number; expired: number; refused: number };
  /** Changes that came again, and were not applied again. */
  repeated: number;
  /** Keys that both sides of a split had changed. */
  conflicts: number;
  /** Marks of writers that were dropped before their time, because there were too many: see writer-marks.ts. */
  marksDropped: number;
  /** Snapshots that were sent to their end. */
  snapshots: number;
  /** Messages that were dropped: `messages_malformed_total{kind="map"}`. */
  malformed: number;
}

export function newMapCounters(): MapCounters {
  return {
    updates: { applied: 0, deleted: 0, expired: 0, refused: 0 },
    repeated: 0,
    conflicts: 0,
    marksDropped: 0,
    snapshots: 0,
    malformed: 0,
  };
}
