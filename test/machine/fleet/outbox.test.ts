import { describe, expect, it } from '@jest/globals';

import { FleetCounters } from '../../../src/extensions/fleet/machine/counters.js';
import { OUTBOX_BYTES_MAX } from '../../../src/extensions/fleet/machine/options.js';
import {
  Holder,
  OutgoingRequests,
  type Outstanding,
} from '../../../src/extensions/fleet/machine/outgoing-requests.js';
import { Outbox } from '../../../src/extensions/fleet/machine/outbox.js';
import { FleetPeer } from '../../../src/extensions/fleet/machine/peer.js';
import { fleetDigest } from '../../../src/extensions/fleet/machine/subjects.js';
import type { FleetHead } from '../../../src/extensions/fleet/machine/protocol.js';
import { sha256 } from '../../support/fleet-stage.js';

const SENDER = Buffer.alloc(8, 1);
const HEAD: Omit<FleetHead, 'number'> = {
  ...{ fleet: fleetDigest('x', sha256), sender: SENDER, to: Buffer.alloc(8, 2), seen: 0 },
  channel: 'direct',
};

function request(): Outstanding {
  const peer = new FleetPeer(
    SENDER,
    () => 0,
    new Set(),
    () => false,
  );
  const holder = new Holder(new OutgoingRequests(new FleetCounters()), peer, 'echo');
  const key = Buffer.from('key');
  return { token: 1, key, holder, bytes: 9, number: 0, missed: 0, parts: 0 };
}

describe('what waits to be sent to one broker', () => {
  it('is bounded until it can be sent, but a request is never dropped: no list would show that', () => {
    const outbox = new Outbox();
    const out = request();
    expect(outbox.add(Buffer.alloc(OUTBOX_BYTES_MAX))).toBe(true);
    expect(outbox.add(Buffer.alloc(10), null, null, true)).toBe(false);
    expect(outbox.add(Buffer.alloc(10), out, null, true)).toBe(true);
    // What is sent at the end of the turn is bounded by what has arrived in it.
    expect(outbox.add(Buffer.alloc(10))).toBe(true);
    const packs: Buffer[] = [];
    outbox.flush(1_000_000, HEAD, () => ({ free: 0, total: 0 }), packs.push.bind(packs));
    expect(out.number).toBe(packs.length);
    expect(outbox.isEmpty).toBe(true);
  });
});
