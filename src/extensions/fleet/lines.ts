/** The lines of the fleet's events in the log. */
import type { DroppedReason, FleetEvent } from './machine/events.js';
import { type Line, lineOfKind } from '../../admin/log/log-line.js';

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

export function lineOfFleet(event: FleetEvent): Line {
  const { name } = event;
  switch (event.name) {
    case 'fleet.peer_joined':
      return lineOfKind('info', name, `the broker ${event.node} (id ${event.id}) is in the fleet`);
    case 'fleet.peer_lost': {
      const { node, id, reason, inFlight } = event;
      const again =
        inFlight === 0 ? '' : `: ${inFlight} requests that were out at it are tried again`;
      const text =
        reason === 'left'
          ? `the broker ${node} (id ${id}) has left the fleet`
          : // A broker that was started again is in the fleet before its former process is missed.
            `the broker ${node} of the fleet (its process with the id ${id}) is silent${again}`;
      return lineOfKind(reason === 'left' ? 'info' : 'warn', `${name} ${reason}`, text);
    }
    case 'fleet.keys_differ': {
      const text = `the keys files of the broker ${event.node} differ from those here in keys or rights: copy them, so that all brokers of the fleet let in the same peers`;
      return lineOfKind('warn', name, text);
    }
    case 'fleet.connected':
      return lineOfKind('info', name, `connected to NATS at ${event.server}`);
    case 'fleet.disconnected': {
      const text = `no connection to NATS: ${event.reason}; workers that are registered here go on`;
      return lineOfKind('warn', name, text);
    }
    case 'fleet.refused': {
      const text = `the NATS server refused something: ${event.reason}`;
      // A refusal while it connects has advice of its own.
      const isAdvised = event.reason.includes('; ');
      const advice = isAdvised ? '' : '; check fleet.natsCredsFile, and the users of the server';
      return lineOfKind('warn', name, `${text}${advice}`);
    }
    case 'fleet.pack_dropped': {
      const from = event.sender === null ? '' : ` from the broker ${event.sender}`;
      const text = `a pack of the fleet${from} was dropped: ${DROPPED[event.reason]}`;
      return lineOfKind('warn', `${name} ${event.reason}`, text);
    }
  }
}
