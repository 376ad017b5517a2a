import { type Facts, factsAtStart, type Progress } from '../../../../src/bstar/facts.js';
import type { PairState } from '../../../../src/bstar/ports.js';
import { Outgoing } from '../../../../src/bstar/replication/outgoing.js';
import { Transactions } from '../../../../src/bstar/replication/transactions.js';
import { EPOCH, holding, OWN, PEER } from './stage.js';

/** An active node, whose peer has joined with an empty store, and what it does, as lines. */
class Active {
  readonly calls: string[] = [];
  readonly outgoing: Outgoing;
  #facts: Facts = {
    ...factsAtStart({ epoch: EPOCH, wasActive: true }),
    state: 'active',
    joined: EPOCH,
    link: true,
    progress: 'shipping',
  };

  constructor() {
    const { calls } = this;
    const facts = (): Facts => this.#facts;
    const progress = (to: Progress): void => {
      calls.push(to);
      this.#facts = { ...this.#facts, progress: to };
    };
    const state: PairState = {
      get facts() {
        return facts();
      },
      get isInSync() {
        return facts().progress === 'in sync';
      },
      get holdsBack() {
        return facts().progress !== 'shipping';
      },
      follows: () => false,
      merged: () => undefined,
      shipped: () => progress('holding'),
      confirmed: () => progress('in sync'),
      fellBehind: () => undefined,
    };
    const transactions = new Transactions(OWN, 8, holding(PEER, 7));
    this.outgoing = new Outgoing('sync', state, transactions, {
      send: ({ kind }) => calls.push(`send ${kind}`),
      read: () => calls.push('read'),
      readOn: () => calls.push('read on'),
      isDoubtful: true,
      joined: () => calls.push('joined'),
    });
    this.outgoing.peerJoined(null);
    this.outgoing.start(EPOCH);
  }

  /** What it has done since the last call. */
  news(): string[] {
    return this.calls.splice(0);
  }

  commit(number: number): boolean {
    const released = (isDoubtful: boolean): void => {
      this.calls.push(`${number} released${isDoubtful ? ', doubtful' : ''}`);
    };
    return this.outgoing.begin(number, { released }, () => Buffer.alloc(1), 0);
  }

  taken(index: number): void {
    const figures = { number: 90, joined: 0, ranTwice: 0 };
    this.outgoing.taken({ kind: 'taken', epoch: EPOCH, index, ...figures }, 0);
  }

  confirm(number: number): void {
    this.outgoing.confirmedByPeer({ kind: 'confirm', epoch: EPOCH, number, became: 90 });
  }
}

describe('the stores are said to be alike (D20)', () => {
  it('as soon as the peer has the last chunk, if nothing was committed while it was read', () => {
    const active = new Active();
    active.outgoing.chunk(Buffer.alloc(0), holding(OWN, 7), true, 0);
    expect(active.news()).toEqual(['read', 'send records', 'holding']);
    active.taken(1);
    expect(active.news()).toEqual(['in sync', 'joined']);
  });

  it('only when the peer has what was committed while the last chunk was read: it may have been released, and is acknowledged once it is on the own disk', () => {
    const active = new Active();
    expect(active.commit(8)).toBe(true);
    active.outgoing.release();
    active.outgoing.chunk(Buffer.alloc(0), holding(OWN, 7), true, 0);
    expect(active.news()).toEqual([
      'read',
      '8 released, doubtful',
      'send records',
      'holding',
      'send update',
    ]);
    active.taken(1);
    expect(active.news()).toEqual([]);
    active.confirm(8);
    expect(active.news()).toEqual(['in sync', 'joined']);
  });

  it('not by a connection that ended before', () => {
    const active = new Active();
    active.commit(8);
    active.outgoing.chunk(Buffer.alloc(0), holding(OWN, 7), true, 0);
    active.taken(1);
    active.outgoing.connectionEnded(0);
    active.news();
    active.confirm(8);
    expect(active.news()).not.toContain('in sync');
  });
});
