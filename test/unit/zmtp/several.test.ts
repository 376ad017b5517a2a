import { PeerNumbers, type RouterOptions, type Transport } from '../../../src/zmtp/port.js';
import { openSeveral, type TransportPart } from '../../../src/zmtp/several.js';
import { LIMITS } from '../../support/transport-fixture.js';

const NOTHING = (): void => undefined;
const EVENTS = {
  connected: NOTHING,
  disconnected: NOTHING,
  message: NOTHING,
  oversized: NOTHING,
  outputFull: NOTHING,
  drained: NOTHING,
  rejected: NOTHING,
};

/** A transport of one listener, to which `peer` comes while it opens. */
function part(index: number, peer: number, written: number[]): TransportPart {
  const endpoint = `tcp://127.0.0.1:${index + 1}`;
  const transport: Transport = {
    room: () => null,
    write: (to) => {
      written.push(to);
    },
    writePacked: NOTHING,
    writeLasting: NOTHING,
    flush: NOTHING,
    disconnect: NOTHING,
    takesRequest: () => true,
    closeLargest: () => false,
    waitingBytes: () => 0,
    setSecretKeys: NOTHING,
    setLimits: NOTHING,
    close: () => Promise.resolve(),
  };
  const open = async ({ opening, events }: RouterOptions): Promise<never> => {
    opening?.(transport);
    await Promise.resolve();
    const info = {
      listener: index,
      routingId: Buffer.from('r'),
      ownRoutingId: false,
      key: null,
      address: 'ipc',
      identity: 'ipc',
    };
    events.connected(peer, info);
    return { transport, endpoints: [endpoint] } as never;
  };
  return { open, listeners: [{ endpoint, index }] };
}

describe('listeners of several transports', () => {
  it('who comes while they open is answered', async () => {
    const written: number[][] = [[], []];
    const answered: string[] = [];
    let told: Transport | null = null;
    await openSeveral([part(0, 7, written[0] ?? []), part(1, 8, written[1] ?? [])], {
      limits: LIMITS,
      peers: new PeerNumbers(),
      opening: (transport) => {
        told = transport;
      },
      events: {
        ...EVENTS,
        connected: (peer) => {
          answered.push(`${peer} ${told === null ? 'nowhere' : 'here'}`);
          told?.write(peer, Buffer.from('welcome'), 0, 7, false);
        },
      },
    });
    expect(answered).toEqual(['7 here', '8 here']);
    expect(written).toEqual([[7], [8]]);
  });
});
