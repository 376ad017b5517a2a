import { textOf as told } from '../../../src/core/event-table.js';
import {
  FLEET_EVENTS,
  type FleetEvent,
} from '../../../src/extensions/fleet/machine/fleet-events.js';

const PEER = { node: 'a', id: '0123456789abcdef' };

function textOf(event: FleetEvent): string {
  return told(FLEET_EVENTS[event.name], event);
}

describe('the lines of the fleet', () => {
  it('name the process of a broker, which may be an earlier one', () => {
    expect(textOf({ name: 'fleet.peer_joined', ...PEER })).toContain(PEER.id);
    const lost = { name: 'fleet.peer_lost', ...PEER, inFlight: 2 } as const;
    expect(textOf({ ...lost, reason: 'left' })).toContain(PEER.id);
    const silent = textOf({ ...lost, reason: 'silent' });
    expect(silent).toContain(PEER.id);
    expect(silent).toContain('2 requests that were out at it are tried again');
  });

  it('say nothing of requests if none were out', () => {
    const text = textOf({ name: 'fleet.peer_lost', ...PEER, inFlight: 0, reason: 'silent' });
    expect(text).not.toContain('requests');
  });

  it('say once what to do about a refusal', () => {
    const refused = (reason: string): string => textOf({ name: 'fleet.refused', reason });
    const advice = 'check fleet.natsCredsFile, and the users of the server';
    expect(refused('n:4222: Authorization Violation').split(advice)).toHaveLength(2);
    expect(refused(`n:4222: Authorization Violation; ${advice}`).split(advice)).toHaveLength(2);
    const large = refused("n:4222: 'Maximum Payload Violation'");
    expect(large).toContain('give all servers of fleet.nats the same max_payload');
    expect(large).not.toContain('natsCredsFile');
  });
});
