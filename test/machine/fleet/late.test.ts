import type { RemoteHolder, RemoteWorkersApi } from '../../../src/broker/ports.js';
import { FleetCounters } from '../../../src/extensions/fleet/machine/counters.js';
import { LATE_MAX, LATE_MS } from '../../../src/extensions/fleet/machine/options.js';
import { OutgoingRequests } from '../../../src/extensions/fleet/machine/outgoing-requests.js';
import { FleetPeer } from '../../../src/extensions/fleet/machine/peer.js';
import { NO_CREDIT } from '../../../src/extensions/fleet/machine/peer-shares.js';

const BODY = Buffer.from([0, 1, 0x78]);
const KEY = Buffer.from('key');
const SERVICE = Buffer.from('echo');

/** The requests of an origin to one broker, which were lost in silence, under the tokens from 1. */
class Lost {
  now = 1000;
  readonly outgoing = new OutgoingRequests(new FleetCounters());
  readonly peer = this.broker(1);
  /** Replies that reached the broker machine. */
  replies = 0;
  readonly #remote: RemoteWorkersApi = {
    join: (_service, holder) => {
      this.#holder = holder;
      return 1;
    },
    setFree: () => undefined,
    leave: () => undefined,
    reply: () => ++this.replies > 0,
    giveBack: (_number, _key, how) => {
      this.returned.push(how);
      return true;
    },
    seekAnswered: () => undefined,
    waiting: () => 0,
    localCredit: () => NO_CREDIT,
  };

  /** What the broker machine sends requests through. */
  #holder: RemoteHolder | null = null;
  /** How the requests came back to the broker machine. */
  readonly returned: string[] = [];

  /** @param isSent they had left this broker */
  constructor(requests: number, isSent = true) {
    const { outgoing, peer } = this;
    const offer = { service: SERVICE, free: requests, total: requests, bytes: 1_000_000 };
    outgoing.offered(peer, offer, this.#remote, this.now);
    for (let n = 0; n < requests; n++) {
      this.#holder?.request(KEY, 0, BODY, 0, BODY.length, false);
    }
    if (isSent) for (const out of peer.outstanding) out.packNumber = 1;
    outgoing.peerLost(peer, this.#remote, this.now);
  }

  broker(id: number): FleetPeer {
    return new FleetPeer(
      Buffer.alloc(8, id),
      () => this.now,
      new Set(),
      () => false,
    );
  }

  /** @returns why the reply was not used */
  answers(token: number, from: FleetPeer = this.peer): 'late' | 'unknown' | null {
    const answer = { kind: 'final', token, free: 0, total: 0, parts: 0, body: BODY } as const;
    return this.outgoing.answered(from, answer, this.#remote, this.now);
  }

  /** @returns why it was not expected */
  returns(token: number, from: FleetPeer): 'late' | 'unknown' | null {
    const entry = { kind: 'return', token, reason: 'lost', free: 0, total: 0, text: '' } as const;
    return this.outgoing.returned(from, entry, this.#remote, this.now);
  }
}

describe('a reply to a request that was lost in silence (D8)', () => {
  it('is used for 60 s, once, and only from the broker that had the request', () => {
    const lost = new Lost(3);
    const other = lost.broker(2);
    expect(lost.answers(1, other)).toBe('late');
    expect(lost.returns(1, other)).toBe('late');
    expect(lost.answers(1)).toBe(null);
    expect(lost.answers(1)).toBe('late');
    lost.now += LATE_MS - 1;
    expect(lost.answers(2)).toBe(null);
    lost.now++;
    expect(lost.answers(3)).toBe('late');
    expect(lost.answers(4)).toBe('unknown');
    expect(lost.replies).toBe(2);
  });

  it('is not awaited if the request never left: it was not delivered, and does not leave later', () => {
    const lost = new Lost(2, false);
    expect(lost.returned).toEqual(['busy', 'busy']);
    expect(lost.peer.outbox.isEmpty).toBe(true);
    expect(lost.answers(1)).toBe('late');
    expect(lost.replies).toBe(0);
    expect(new Lost(1).returned).toEqual(['lost']);
  });

  it('is awaited for the latest 10,000 requests', () => {
    const lost = new Lost(LATE_MAX + 1);
    // The last one is lost first.
    expect(lost.answers(LATE_MAX + 1)).toBe('late');
    expect(lost.answers(LATE_MAX)).toBe(null);
    expect(lost.answers(1)).toBe(null);
  });
});
