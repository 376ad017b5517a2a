import { ChainLink } from '../../../src/core/chain.js';
import { monotonicMs } from '../../../src/core/clock.js';
import { Handshakes, type Shaking } from '../../../src/zmtp/router/handshakes.js';
import { fakeTimers } from '../../support/fake-timers.js';

const AT_ONCE = 2;
const PER_SECOND = 400;
const PER_ADDRESS_MAX = 1792;
const ALL_MAX = 2048;

describe('handshakes, before anybody has shown a key,', () => {
  let handshakes: Handshakes<Stranger>;
  let granted: string[];
  let evicted: string[];

  class Stranger implements Shaking<Stranger> {
    readonly acceptedAt = monotonicMs();
    readonly age = new ChainLink<Stranger>(this);
    readonly stage = new ChainLink<Stranger>(this);
    readonly addressIdentity: string;
    readonly name: string;

    constructor(addressIdentity: string, name: string) {
      this.addressIdentity = addressIdentity;
      this.name = name;
    }

    showGreeting(): void {
      // Nobody waits for it here.
    }

    grant(): void {
      granted.push(this.name);
    }

    timeOut(): void {
      this.evict();
    }

    evict(): void {
      evicted.push(this.name);
      handshakes.remove(this);
    }
  }

  afterEach(() => handshakes.stop());
  fakeTimers();
  beforeEach(() => {
    handshakes = new Handshakes();
    granted = [];
    evicted = [];
  });

  function come(origin: string, count: number, from = 0): Stranger[] {
    return Array.from({ length: count }, (_, index) => {
      const stranger = new Stranger(origin, `${origin}${from + index}`);
      handshakes.add(stranger);
      return stranger;
    });
  }

  function ask(strangers: readonly Stranger[]): void {
    for (const stranger of strangers) handshakes.asks(stranger);
  }

  it('are answered at once where HELLOs are few, though thousands are silent', () => {
    come('silent', PER_ADDRESS_MAX);
    ask(come('b', AT_ONCE));
    expect(granted).toEqual(['b0', 'b1']);
  });

  it('are answered in small portions where HELLOs are many, so many in a second', () => {
    ask(come('a', 1000));
    expect(granted).toHaveLength(AT_ONCE);
    jest.advanceTimersByTime(5);
    expect(granted).toHaveLength(2 * AT_ONCE);
    jest.advanceTimersByTime(995);
    expect(granted).toHaveLength(PER_SECOND + AT_ONCE);
    expect(granted.slice(0, 5)).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  });

  it('take turns by address: a flood from one keeps no other waiting', () => {
    ask(come('a', 1000));
    ask(come('b', 2));
    ask(come('c', 1));
    jest.advanceTimersByTime(15);
    expect(granted).toEqual(['a0', 'a1', 'a2', 'b0', 'c0', 'a3', 'b1', 'a4']);
  });

  it('are no more than an address may have: its oldest goes, of the stage with most', () => {
    const first = come('a', PER_ADDRESS_MAX);
    come('a', 2, PER_ADDRESS_MAX);
    expect(evicted).toEqual(['a0', 'a1']);
    // Those that wait for their turn are no better where they are the most.
    ask(first.slice(2, 1200));
    come('a', 1, PER_ADDRESS_MAX + 2);
    expect(evicted[2]).toBe('a4');
  });

  it('are no more than all may have: the oldest of the address with most goes', () => {
    come('a', 1500);
    come('b', ALL_MAX - 1500);
    come('c', 3);
    expect(evicted).toEqual(['a0', 'a1', 'a2']);
    come('b', 2, 1000);
    expect(evicted.slice(3)).toEqual(['a3', 'a4']);
  });

  it('of an address each: the oldest of all goes', () => {
    for (let index = 0; index <= ALL_MAX; index++) come(`n${index}-`, 1);
    expect(evicted).toEqual(['n0-0']);
  });

  it('that are over leave nothing behind', () => {
    const all = come('a', 100);
    ask(all);
    for (const stranger of all) handshakes.remove(stranger);
    jest.advanceTimersByTime(1000);
    expect(granted).toHaveLength(AT_ONCE);
    expect(jest.getTimerCount()).toBe(0);
  });
});
