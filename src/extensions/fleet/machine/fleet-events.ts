/** The events of the fleet, for monitoring: see core/event-table.ts. */
import { type EventOf, type EventSink, field, info, warn } from '../../../core/event-table.js';

const PEER = {
  node: field.string('the name of the other broker'),
  id: field.string('its id, which is new at each of its starts'),
} as const;

/** Why a pack was dropped. */
const DROPPED = {
  garbage: 'it is not one',
  version: 'its sender is two or more versions of the protocol away',
  fleet: 'it belongs to another fleet',
  replayed: 'it is old, or was repeated',
  jump: 'its number is above any that this broker can have reached',
  unknown: 'it names nothing that this broker knows',
  chunk: 'a part of it is missing, or it is too large',
  full: 'too much has arrived',
} as const;
export type DroppedReason = keyof typeof DROPPED;

export const FLEET_EVENTS = {
  'fleet.connected': info(
    'connected to NATS at {server}',
    { server: field.string() },
    { counted: 'fleet_interconnect_up', subject: 'fleet.connected' },
  ),
  'fleet.disconnected': warn(
    'no connection to NATS: {reason}; workers that are registered here go on',
    { reason: field.string() },
    { counted: 'fleet_interconnect_up', subject: 'fleet.connected' },
  ),
  'fleet.refused': warn(
    ({ reason }) => {
      const text = `the NATS server refused something: ${reason}`;
      // A refusal while it connects has advice of its own.
      return reason.includes('; ') ? text : `${text}; ${adviceOn(reason)}`;
    },
    { reason: field.string('names the server') },
    'a NATS server does not let this broker in, or its user lacks a right there: once for each reason and connection',
  ),
  'fleet.peer_joined': info('the broker {node} (id {id}) is in the fleet', PEER, {
    counted: 'fleet_peers',
    subject: 'fleet.peer_joined',
  }),
  'fleet.peer_lost': warn(
    ({ node, id, inFlight, reason }) => {
      if (reason === 'left') return `the broker ${node} (id ${id}) has left the fleet`;
      const again =
        inFlight === 0 ? '' : `: ${inFlight} requests that were out at it are tried again`;
      // A broker that was started again is in the fleet before its former process is missed.
      return `the broker ${node} of the fleet (its process with the id ${id}) is silent${again}`;
    },
    {
      ...PEER,
      inFlight: field.number('the requests that were out at it, which are tried again'),
      reason: field.oneOf({ silent: '', left: 'it said so' }),
    },
    {
      when: 'another broker, or an earlier process of it, is silent, or said that it leaves',
      counted: 'fleet_peers',
      usual: ['left'],
      by: ['reason'],
      subject: 'fleet.peer_joined',
    },
  ),
  'fleet.keys_differ': warn(
    'the keys files of the broker {node} differ from those here in keys or rights: copy them, so that all brokers of the fleet let in the same peers',
    PEER,
  ),
  'fleet.pack_dropped': warn(
    ({ sender, reason }) => {
      const from = sender === null ? '' : ` from the broker ${sender}`;
      return `a pack of the fleet${from} was dropped: ${DROPPED[reason]}`;
    },
    {
      reason: field.oneOf(DROPPED),
      sender: field.orNull(field.string('the id of the broker that it says it is from, or `null`')),
    },
    {
      when: 'a message on NATS was not used',
      counted: 'fleet_packs_dropped_total',
      by: ['reason'],
    },
  ),
};

function adviceOn(reason: string): string {
  return /payload/i.test(reason)
    ? 'its max_payload is smaller than when the broker connected: it connects again, and sends smaller pieces; give all servers of fleet.nats the same max_payload'
    : 'check fleet.natsCredsFile, and the users of the server';
}

export type FleetEvent = EventOf<typeof FLEET_EVENTS>;
export type FleetEvents = EventSink<FleetEvent>;
