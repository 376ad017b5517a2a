import { describe, expect, it } from '@jest/globals';

import { Frames } from '../../../src/core/frames.js';
import { Inbox } from '../../../src/sdk/stream/inbox.js';
import { ReceivedStreamMessage } from '../../../src/sdk/stream/stream-message.js';

const FACTS = { endpoint: 'a', afterGap: false, stamp: { sentAtMs: null }, lateness: null };

/** How many such messages fill an inbox. */
function capacity(bytesMax: number, frames: Frames): number {
  const inbox = new Inbox({ bytesMax, maxDelayMs: null });
  while (!inbox.isFull) inbox.push(new ReceivedStreamMessage(frames, FACTS));
  return inbox.size;
}

describe('what waits for the reader of a subscriber', () => {
  it('is counted with the places of its frames, so that empty frames fill it, too', () => {
    const many = Frames.of(...Array.from({ length: 10_000 }, () => ''));
    expect(capacity(1_048_576, many)).toBeLessThan(8);
    expect(capacity(1_048_576, Frames.of('topic', 'x'.repeat(1000)))).toBeGreaterThan(500);
  });

  it('is counted with the heads between its frames, which are kept with them', () => {
    const packed = Buffer.alloc(40_000);
    const frames = new Frames();
    for (let at = 2; at <= packed.length; at += 2) frames.push(packed, at, at);
    frames.isPacked = true;
    expect(new ReceivedStreamMessage(frames, FACTS).heldBytes).toBeGreaterThan(39_000);
  });
});
