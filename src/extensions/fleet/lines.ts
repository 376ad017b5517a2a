/** The lines of the fleet's events in the log. */
import type { DroppedReason, FleetEvent } from './machine/events.js';
import { lineOfKind as of, type LinesOf } from '../../admin/log/log-line.js';

const DROPPED: Readonly<Record<DroppedReason, string>> = {
  garbage: 'it is not one',
  version: 'its sender is two or more versions of the protocol away',
  fleet: 'it belongs to another fleet',
  replayed: 'it is old, or was repeated',
  jump: 'its number is above any that this broker can have reached',
  unknown: 'it names nothing that this broker knows',
  chunk: 'a part of it is missing, or it is too large',
  full: 'too much has arrived',
};

function adviceOn(reason: string): string {
  return /payload/i.test(reason)
    ? 'its max_payload is smaller than when the broker connected: it connects again, and sends smaller pieces; give all servers of fleet.nats the same max_payload'
    : 'check fleet.natsCredsFile, and the users of the server';
}

export const FLEET_LINES: LinesOf<FleetEvent> = {
  'fleet.peer_joined': ({ name, node, id }) => ({
    ...of('info', name, `the broker ${node} (id ${id}) is in the fleet`),
    subject: 'fleet.peer_joined',
  }),
  'fleet.peer_lost': ({ name, node, id, reason, inFlight }) => {
    const again =
      inFlight === 0 ? '' : `: ${inFlight} requests that were out at it are tried again`;
    const text =
      reason === 'left'
        ? `the broker ${node} (id ${id}) has left the fleet`
        : // A broker that was started again is in the fleet before its former process is missed.
          `the broker ${node} of the fleet (its process with the id ${id}) is silent${again}`;
    const level = reason === 'left' ? 'info' : 'warn';
    return { ...of(level, `${name} ${reason}`, text), subject: 'fleet.peer_joined' };
  },
  'fleet.keys_differ': ({ name, node }) => {
    const text = `the keys files of the broker ${node} differ from those here in keys or rights: copy them, so that all brokers of the fleet let in the same peers`;
    return of('warn', name, text);
  },
  'fleet.connected': ({ name, server }) => ({
    ...of('info', name, `connected to NATS at ${server}`),
    subject: 'fleet.connected',
  }),
  'fleet.disconnected': ({ name, reason }) => {
    const text = `no connection to NATS: ${reason}; workers that are registered here go on`;
    return { ...of('warn', name, text), subject: 'fleet.connected' };
  },
  'fleet.refused': ({ name, reason }) => {
    const text = `the NATS server refused something: ${reason}`;
    // A refusal while it connects has advice of its own.
    return of('warn', name, reason.includes('; ') ? text : `${text}; ${adviceOn(reason)}`);
  },
  'fleet.pack_dropped': ({ name, sender, reason }) => {
    const from = sender === null ? '' : ` from the broker ${sender}`;
    const text = `a pack of the fleet${from} was dropped: ${DROPPED[reason]}`;
    return of('warn', `${name} ${reason}`, text);
  },
};
