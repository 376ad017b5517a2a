import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
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
});
