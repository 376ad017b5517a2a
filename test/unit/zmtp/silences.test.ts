import { Silences, type Watched } from '../../../src/zmtp/sockets/silences.js';
import { fakeTimers } from '../../support/fake-timers.js';

/** Jest's. */
function clock(): number {
  return Date.now();
}

class Peer implements Watched {
  lastHeardAt = clock();
  ttlMs = 300;
  isHeldBack = false;
  isOver = false;

  hear(): void {
    this.lastHeardAt = clock();
  }

  expire(): void {
    this.isOver = true;
  }
}

describe('a connection whose peer said in a PING how long it is ever silent', () => {
  let silences: Silences;
  let peer: Peer;

  fakeTimers();
  beforeEach(() => {
    silences = new Silences(clock);
    peer = new Peer();
    silences.watch(peer);
  });

  it('is ended when the silence was longer, not before', () => {
    jest.advanceTimersByTime(300);
    expect(peer.isOver).toBe(false);
    jest.advanceTimersByTime(200);
    expect(peer.isOver).toBe(true);
  });

  it('stays as long as something comes in time, or it takes its word back', () => {
    for (let look = 0; look < 20; look++) {
      jest.advanceTimersByTime(250);
      peer.hear();
    }
    peer.ttlMs = 0;
    jest.advanceTimersByTime(10_000);
    expect(peer.isOver).toBe(false);
  });

  it('is not ended for what this process did not read while it stood still', () => {
    jest.setSystemTime(Date.now() + 5000);
    // The timers come first after such a pause, then what the sockets have.
    setTimeout(() => {
      setImmediate(() => peer.hear());
    }, 99);
    jest.advanceTimersByTime(101);
    expect(peer.isOver).toBe(false);
  });

  it('is not ended while what it sent waits for its turn to be read', () => {
    peer.isHeldBack = true;
    jest.advanceTimersByTime(1000);
    expect(peer.isOver).toBe(false);
  });

  it('that has ended is forgotten, and with the last one the timer', () => {
    silences.watched.delete(peer);
    jest.advanceTimersByTime(1000);
    expect(peer.isOver).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });
});
