import {
  OUTBOX_BYTES_MAX,
  PACK_OVERHEAD_BYTES,
} from '../../../src/extensions/fleet/machine/options.js';
import { Outbox } from '../../../src/extensions/fleet/machine/outbox.js';
import { fleetDigest } from '../../../src/extensions/fleet/machine/subjects.js';
import type { FleetHead } from '../../../src/extensions/fleet/machine/protocol.js';
import { sha256 } from '../../support/fleet-stage.js';

const SENDER = Buffer.alloc(8, 1);
const HEAD: Omit<FleetHead, 'number'> = {
  ...{ fleet: fleetDigest('x', sha256), sender: SENDER, to: Buffer.alloc(8, 2), seen: 0 },
  channel: 'direct',
};

describe('what waits to be sent to one broker', () => {
  it('is bounded until it can be sent, but a request is never dropped: no list would show that', () => {
    const outbox = new Outbox();
    const out = { packNumber: 0 };
    expect(outbox.add(Buffer.alloc(OUTBOX_BYTES_MAX))).toBe(true);
    expect(outbox.add(Buffer.alloc(10), null, null, true)).toBe(false);
    expect(outbox.add(Buffer.alloc(10), out, null, true)).toBe(true);
    // What is sent at the end of the turn is bounded by what has arrived in it.
    expect(outbox.add(Buffer.alloc(10))).toBe(true);
    const packs: Buffer[] = [];
    outbox.flush(1_000_000, HEAD, () => ({ free: 0, total: 0 }), packs.push.bind(packs));
    expect(out.packNumber).toBe(packs.length);
    expect(outbox.isEmpty).toBe(true);
  });

  it('is bounded in pieces, too: each takes more than its bytes', () => {
    const outbox = new Outbox();
    let pieces = 0;
    while (outbox.add(Buffer.alloc(1), null, null, true)) pieces++;
    expect(pieces).toBe(Math.floor(OUTBOX_BYTES_MAX / (PACK_OVERHEAD_BYTES + 1)));
  });
});
