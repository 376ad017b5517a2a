import { type Writing, WriteTurns } from '../../../src/zmtp/sockets/write-turns.js';

const PIECE = 256 * 1024;
const TURN = 1024 * 1024;

describe('what a turn of the loop hands to the kernel (D76)', () => {
  let turns: WriteTurns;

  /** A connection with so much to write; its kernel takes all that it is given. */
  class Peer implements Writing {
    readonly identity: string;
    waiting: number;
    written = 0;

    constructor(identity: string, waiting: number) {
      this.identity = identity;
      this.waiting = waiting;
    }

    writePiece(bytesMax: number): number {
      const bytes = Math.min(bytesMax, this.waiting);
      this.waiting -= bytes;
      this.written += bytes;
      // As a socket does: what it was given has left once this call is over.
      if (this.waiting > 0) process.nextTick(() => turns.ask(this));
      return bytes;
    }
  }

  beforeEach(() => {
    turns = new WriteTurns();
  });

  function nextTurn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  it('is a piece of each, so much in all; the rest leaves in later turns', async () => {
    const peers = Array.from({ length: 10 }, (_, n) => new Peer(`${n}`, PIECE));
    const all = (): number => peers.reduce((sum, { written }) => sum + written, 0);
    for (const peer of peers) turns.ask(peer);
    expect(all()).toBe(TURN);
    await nextTurn();
    expect(all()).toBe(2 * TURN);
    await nextTurn();
    expect(all()).toBe(10 * PIECE);
  });

  it('is so much also if a connection asks again before its piece is counted', async () => {
    class Hasty extends Peer {
      override writePiece(bytesMax: number): number {
        const bytes = Math.min(bytesMax, this.waiting);
        this.waiting -= bytes;
        this.written += bytes;
        if (this.waiting > 0) turns.ask(this);
        return bytes;
      }
    }
    const hasty = Array.from({ length: 4 }, (_, n) => new Hasty(`${n}`, 2 * PIECE));
    for (const peer of hasty) turns.ask(peer);
    expect(hasty.reduce((sum, { written }) => sum + written, 0)).toBeLessThanOrEqual(TURN);
    await nextTurn();
    expect(hasty.reduce((sum, { written }) => sum + written, 0)).toBeLessThanOrEqual(2 * TURN);
  });

  it('is all of it for one alone: its pieces follow one another', async () => {
    const alone = new Peer('a', 3 * TURN);
    turns.ask(alone);
    await Promise.resolve();
    await nextTurn();
    const written: number[] = [alone.written];
    for (let turn = 0; alone.waiting > 0 && turn < 100; turn++) {
      await nextTurn();
      written.push(alone.written);
    }
    expect(alone.written).toBe(3 * TURN);
    for (const [at, sum] of written.entries()) {
      expect(sum - (written[at - 1] ?? 0)).toBeLessThanOrEqual(2 * TURN);
    }
  });

  it('goes round by identity', async () => {
    const many = Array.from({ length: 50 }, () => new Peer('many', 100 * PIECE));
    const one = new Peer('one', 20 * PIECE);
    for (const peer of many) turns.ask(peer);
    turns.ask(one);
    for (let turn = 0; turn < 25 && one.waiting > 0; turn++) await nextTurn();
    expect(one.waiting).toBe(0);
  });

  it('is not used up by one that has nothing to write any more', async () => {
    const gone = Array.from({ length: 20 }, () => new Peer('gone', 0));
    const first = Array.from({ length: 4 }, (_, n) => new Peer(`${n}`, PIECE));
    const last = new Peer('last', PIECE);
    for (const peer of [...first, ...gone, last]) turns.ask(peer);
    await nextTurn();
    expect(last.written).toBe(PIECE);
  });
});
