import { describe, expect, it } from '@jest/globals';

import { Stream } from '../../../src/bstar/stream.js';

const HOLDS = { storeId: Buffer.alloc(16, 1), upTo: 10, bodiesUpTo: 10 };

describe('a catch-up that begins anew on the same connection', () => {
  it('does not take the answer to a chunk of the one before for its own', () => {
    const sent: number[] = [];
    const stream = new Stream(
      {
        read: () => undefined,
        readOn: () => undefined,
        send: (index) => {
          sent.push(index);
        },
      },
      null,
      3,
    );
    stream.chunk(Buffer.alloc(0), HOLDS, true);
    expect(sent).toEqual([4]);
    expect(stream.taken(3, 0, 0)).toBeNull();
    expect(stream.taken(4, 0, 0)).toMatchObject({ holds: HOLDS, isLast: true });
  });
});
