import { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { pack, packedBytes } from '../../../src/core/packed.js';
import { SubscriberInbox } from '../../../src/sdk/stream/subscriber-inbox.js';
import { type MessageRun, runOf, runOfOne } from '../../../src/sdk/stream/message-run.js';

const SOURCE = { endpoint: 'a', isNumbered: false, lateness: null };

/** How many messages of such runs fill an inbox. */
function capacity(bytesMax: number, run: MessageRun): number {
  const inbox = new SubscriberInbox({ bytesMax, maxDelayMs: null });
  while (!inbox.isFull) inbox.push(run);
  return inbox.size;
}

function packed(...messages: readonly Frames[]): Words {
  return new Words(
    Buffer.concat(
      messages.map((frames) => {
        const bytes = Buffer.alloc(packedBytes(frames, 0, frames.count));
        pack(frames, 0, frames.count, bytes, 0, false);
        return bytes;
      }),
    ),
  );
}

function runOfAll(afterGap: boolean, ...topics: readonly string[]): MessageRun {
  const words = packed(...topics.map((topic) => Frames.of(topic, 'body')));
  return runOf(words, 0, words.bytes.length, topics.length, SOURCE, afterGap);
}

describe('what waits for the reader of a subscriber', () => {
  it('is counted with what each run costs, so that empty messages fill it, too', () => {
    const one = (...frames: readonly string[]): MessageRun =>
      runOfOne(Frames.of(...frames), SOURCE, false, null);
    expect(capacity(1_048_576, one(''))).toBeLessThan(5000);
    expect(capacity(1_048_576, one('topic', 'x'.repeat(1000)))).toBeGreaterThan(500);
    expect(capacity(1_048_576, runOfAll(false, 'a', 'b', 'c', 'd'))).toBeGreaterThan(10_000);
  });

  it('is counted with the heads between its frames, which are kept with them', () => {
    const bytes = Buffer.alloc(40_000);
    const frames = new Frames();
    for (let at = 2; at <= bytes.length; at += 2) frames.push(bytes, at, at);
    frames.isPacked = true;
    expect(capacity(400_000, runOfOne(frames, SOURCE, false, null))).toBeLessThan(11);
  });

  it('comes out in order, one message after the other, and only the first of a run is after a gap', () => {
    const inbox = new SubscriberInbox({ bytesMax: 1000, maxDelayMs: null });
    inbox.push(runOfAll(false, 'a', 'b'));
    inbox.push(runOfAll(true, 'c', 'd', 'e'));
    expect(inbox.size).toBe(5);
    const taken: string[] = [];
    for (let message = inbox.take(); message !== null; message = inbox.take()) {
      taken.push(`${message.topic}${message.afterGap ? '!' : ''} ${message.text()}`);
    }
    expect(taken).toEqual(['a body', 'b body', 'c! body', 'd body', 'e body']);
    expect(inbox.size).toBe(0);
    inbox.push(runOfAll(false, 'f'));
    expect(inbox.take()?.topic).toBe('f');
  });

  it('is not full any more when half of it was taken', () => {
    const inbox = new SubscriberInbox({ bytesMax: 2000, maxDelayMs: null });
    const isFull = (): boolean => inbox.isFull;
    while (!isFull()) inbox.push(runOfAll(false, 'a', 'b', 'c'));
    const most = inbox.size;
    while (isFull()) inbox.take();
    expect(inbox.size).toBeLessThanOrEqual(most / 2 + 1);
    expect(inbox.size).toBeGreaterThan(0);
    while (inbox.take() !== null);
    // What was counted is gone.
    const empty = new SubscriberInbox({ bytesMax: 2000, maxDelayMs: null });
    for (const each of [inbox, empty]) while (!each.isFull) each.push(runOfAll(false, 'a'));
    expect(inbox.size).toBe(empty.size);
  });
});
