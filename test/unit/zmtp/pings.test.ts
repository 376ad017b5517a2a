import { type Pinged, Pings } from '../../../src/zmtp/router/pings.js';
import { fakeTimers } from '../../support/fake-timers.js';

/** A connection in a test's own time. */
class Peer implements Pinged {
  lastHeardAt = 0;
  isHeldBack = false;
  pings = 0;
  ended = '';
  readonly connection: Pinged['connection'];

  constructor(canPing = true) {
    this.connection = {
      canPing,
      ping: () => {
        this.pings++;
      },
    };
  }

  flush(): void {
    // A PING leaves at once.
  }

  expire(reason: string): void {
    this.ended = reason;
  }
}

let pings: Pings;

async function after(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

afterEach(() => pings.stop());
fakeTimers();
beforeEach(() => {
  const start = Date.now();
  pings = new Pings({ everyMs: 100, silentMs: 300 }, () => Date.now() - start);
});

describe('PINGs to silent peers (D35)', () => {
  it('end a connection that answers none', async () => {
    const peer = new Peer();
    pings.watch(peer);
    await after(290);
    expect(peer.pings).toBeGreaterThanOrEqual(2);
    expect(peer.ended).toBe('');
    await after(50);
    expect(peer.ended).toBe('answered no PING');
  });

  it('keep one that answers', async () => {
    const peer = new Peer();
    pings.watch(peer);
    let answered = 0;
    for (let ms = 50; ms <= 3000; ms += 50) {
      await after(50);
      if (peer.pings > answered) {
        answered = peer.pings;
        peer.lastHeardAt = ms;
      }
    }
    expect(peer.pings).toBeGreaterThan(10);
    expect(peer.ended).toBe('');
  });

  it('leave alone one that knows none, is held back, or is gone', async () => {
    const old = new Peer(false);
    const held = new Peer();
    const gone = new Peer();
    held.isHeldBack = true;
    for (const peer of [old, held, gone]) pings.watch(peer);
    pings.pingedAt.delete(gone);
    await after(2000);
    expect([old.pings, old.ended, held.ended, gone.pings]).toEqual([0, '', '', 0]);
  });

  it('a stall of this process ends none that was not asked', async () => {
    const peer = new Peer();
    pings.watch(peer);
    await after(90);
    // The clock leaps with the timers; the peer was asked only now.
    jest.setSystemTime(Date.now() + 10_000);
    await after(30);
    expect(peer.pings).toBe(1);
    expect(peer.ended).toBe('');
  });
});
