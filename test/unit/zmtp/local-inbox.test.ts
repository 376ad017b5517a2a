import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { freePieceBytes, giveBackUnused, Piece } from '../../../src/core/piece.js';
import { LocalInbox } from '../../../src/zmtp/local-inbox.js';

const KIB = 1024;

function add(inbox: LocalInbox, ...frames: readonly string[]): void {
  frames.forEach((frame, index) => {
    inbox.add(Buffer.from(`-${frame}-`), 1, 1 + frame.length, index < frames.length - 1);
  });
}

function textOf(frames: Frames | null): string[] | null {
  return frames?.copyFrom(0).map(String) ?? null;
}

describe('messages that wait for a peer in this process', () => {
  it('are taken in their order, also those that came packed', () => {
    const inbox = new LocalInbox();
    add(inbox, 'a', '', 'long'.repeat(100));
    const frames = Frames.of('b', 'c');
    const packed = Buffer.alloc(packedBytes(frames, 0, 2));
    pack(frames, 0, 2, packed, 0, false);
    inbox.addPacked(packed, 0, packed.length);
    expect(textOf(inbox.take())).toEqual(['a', '', 'long'.repeat(100)]);
    add(inbox, 'd');
    expect([textOf(inbox.take()), textOf(inbox.take()), inbox.take()]).toEqual([
      ...[['b', 'c'], ['d'], null],
    ]);
    expect([inbox.bytes, inbox.roomBytes]).toEqual([0, 0]);
  });

  it('cost two bytes a frame beside its own, and no more than a buffer twice as large', () => {
    const inbox = new LocalInbox();
    for (let message = 0; message < 1000; message++) add(inbox, ...new Array<string>(100).fill(''));
    expect(inbox.bytes).toBe(200_000);
    expect(inbox.roomBytes).toBeLessThan(401 * KIB);
    // What was taken does not make it larger.
    for (let message = 0; message < 5000; message++) {
      inbox.take();
      add(inbox, ...new Array<string>(100).fill(''));
    }
    expect(inbox.bytes).toBe(200_000);
    expect(inbox.roomBytes).toBeLessThan(401 * KIB);
  });

  it('have bytes that stay as they are when others come after they were taken', () => {
    const inbox = new LocalInbox();
    add(inbox, 'first');
    add(inbox, 'second');
    const first = inbox.take()?.view(0);
    for (let more = 0; more < 1000; more++) add(inbox, 'x'.repeat(100));
    const second = inbox.take()?.view(0);
    inbox.clear();
    add(inbox, 'other');
    expect([first, second].map(String)).toEqual(['first', 'second']);
  });

  it('may have frames that stay where they are, in their order', () => {
    const inbox = new LocalInbox();
    const [first, second] = [new Piece(100_000), new Piece(200_000)];
    first.words.bytes.write('first', 10);
    second.words.bytes.write('second', 0);
    add(inbox, 'taken');
    add(inbox, 'before');
    expect(textOf(inbox.take())).toEqual(['taken']);
    inbox.add(Buffer.from('head'), 0, 4, true);
    inbox.share(first, 10, 15, true);
    inbox.share(second, 0, 6, false);
    // More than there was room for.
    add(inbox, 'x'.repeat(2000));
    expect(inbox.bytes).toBe(8 + 6 + (2 + 5) + (2 + 6) + 2009);
    expect(inbox.roomBytes).toBeGreaterThan(300_000);
    expect(textOf(inbox.take())).toEqual(['before']);
    const taken = inbox.take();
    expect(textOf(taken)).toEqual(['head', 'first', 'second']);
    expect(taken?.buffer(1)).toBe(first.words.bytes);
    expect(inbox.roomBytes).toBeLessThan(10_000);
    expect([textOf(inbox.take()), inbox.bytes]).toEqual([['x'.repeat(2000)], 0]);
  });

  it('that are forgotten leave the memory of such frames; who takes one releases it', () => {
    const inbox = new LocalInbox();
    const pieces = [new Piece(100_000), new Piece(200_000)];
    for (const piece of pieces) {
      inbox.share(piece, 0, 100_000, false);
      piece.release();
    }
    inbox.take();
    inbox.clear();
    const lengths = pieces.map(({ words }) => words.bytes.length);
    expect([lengths[0], lengths[1]]).toEqual([expect.any(Number), 0]);
    expect(lengths[0]).toBeGreaterThanOrEqual(100_000);
    expect([inbox.bytes, inbox.roomBytes]).toEqual([0, 0]);
    const free = freePieceBytes();
    pieces[0]?.release();
    expect(freePieceBytes() - free).toBe(lengths[0]);
    giveBackUnused();
    giveBackUnused();
  });
});
