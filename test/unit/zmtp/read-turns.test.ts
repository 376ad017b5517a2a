import {
  costOf,
  type Reading,
  ReadTurns,
  TurnsOfOne,
} from '../../../src/zmtp/sockets/read-turns.js';

const CONNECTION = 1024;
const TURN = 4096;
const LINE = 512;
const SLICE = 128;

describe('what a turn of the loop reads (D76)', () => {
  let turns: ReadTurns;

  /** A connection; its peer has sent so many messages that were not handled. */
  class Peer implements Reading {
    readonly turns = new TurnsOfOne();
    readonly identity: string;
    waiting = 0;
    handled = 0;
    resumed = 0;
    isReading = true;

    constructor(identity: string) {
      this.identity = identity;
    }

    get hasRest(): boolean {
      return this.waiting > 0;
    }

    /** A chunk comes; nothing does while the socket is not read. */
    send(messages: number, bytes = 0): this {
      if (!this.isReading) throw new Error('nobody reads');
      this.waiting += messages;
      const items = this.proceed(turns.allowance(this));
      this.isReading = turns.took(this, items, bytes);
      return this;
    }

    proceed(itemsMax: number): number {
      const items = Math.min(itemsMax, this.waiting);
      this.waiting -= items;
      this.handled += items;
      return items;
    }

    resume(): void {
      this.isReading = true;
      this.resumed++;
    }
  }

  beforeEach(() => {
    turns = new ReadTurns();
  });

  /** Of the real loop: what the turns do at its end is done by then. */
  function nextTurn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  it('is all of what comes, where it is little', () => {
    const peers = Array.from({ length: 100 }, (_, index) => new Peer(`${index % 3}`));
    for (const peer of peers) expect(peer.send(10)).toMatchObject({ handled: 10, isReading: true });
  });

  it('is so much of one connection; the rest waits until the next turn, unread', async () => {
    const peer = new Peer('a').send(2400);
    expect(peer).toMatchObject({ handled: CONNECTION, isReading: false });
    let slices = 0;
    while (!peer.isReading && slices++ < 100) await nextTurn();
    expect(peer).toMatchObject({ handled: 2400, resumed: 1 });
  });

  it('is counted in bytes as well as in messages', async () => {
    const peer = new Peer('a');
    for (let chunk = 0; chunk < 15; chunk++) expect(peer.send(0, 65_536).isReading).toBe(true);
    expect(peer.send(0, 65_536).isReading).toBe(false);
    await nextTurn();
    expect(peer.isReading).toBe(true);
  });

  it('is counted in time where many messages took long', () => {
    expect(costOf(31, 0, 0, () => 1000)).toBe(31);
    expect(costOf(100, 0, 0, () => 0.1)).toBe(100);
    expect(costOf(100, 0, 0, () => 1)).toBe(500);
  });

  it('is counted in bytes of answers, too', () => {
    expect(costOf(1, 100 * 1024, 0, () => 0)).toBe(101);
    expect(costOf(100, 1024 * 1024, 0, () => 0.1)).toBe(1124);
  });

  it('is bounded for all together; who comes later waits', async () => {
    const peers = Array.from({ length: 20 }, (_, index) => new Peer(`${index}`).send(1000));
    const handled = peers.reduce((sum, peer) => sum + peer.handled, 0);
    expect(handled).toBe(TURN);
    await nextTurn();
    const after = peers.reduce((sum, peer) => sum + peer.handled, 0);
    expect(after - handled).toBeLessThanOrEqual(LINE + SLICE);
  });

  it('leaves a quiet connection untouched by eight that never stop', async () => {
    const flood = Array.from({ length: 8 }, () => new Peer('same'));
    const quiet = new Peer('same');
    for (let turn = 0; turn < 200; turn++) {
      const before = flood.reduce((sum, peer) => sum + peer.handled, 0);
      for (const peer of flood) if (peer.isReading) peer.send(2400, 65_536);
      // The flood is known as such from its second turn on.
      if (turn > 2 && turn % 3 === 0) expect(quiet.send(1).waiting).toBe(0);
      await nextTurn();
      const handled = flood.reduce((sum, peer) => sum + peer.handled, 0) - before;
      if (turn > 5) expect(handled).toBeLessThanOrEqual(LINE + SLICE);
    }
    const each = flood.map(({ handled }) => handled);
    expect(Math.max(...each) - Math.min(...each)).toBeLessThanOrEqual(4 * SLICE + CONNECTION);
  });

  it('goes round by identity: one with many connections has no more of it than one with one', async () => {
    const many = Array.from({ length: 50 }, () => new Peer('many'));
    const one = new Peer('one');
    for (let turn = 0; turn < 300; turn++) {
      for (const peer of [...many, one]) if (peer.isReading) peer.send(2400);
      await nextTurn();
    }
    const ofMany = many.reduce((sum, peer) => sum + peer.handled, 0);
    expect(one.handled).toBeGreaterThan(ofMany * 0.7);
  });

  it('is all again once the flood is over, and nothing is left to do', async () => {
    const peer = new Peer('a').send(10_000);
    for (let turn = 0; turn < 200; turn++) await nextTurn();
    expect(peer.handled).toBe(10_000);
    expect(peer.send(500).waiting).toBe(0);
  });
});
