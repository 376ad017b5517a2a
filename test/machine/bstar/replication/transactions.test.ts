/** What a store holds of its peer's, as its transactions end. */
import { Transactions } from '../../../../src/bstar/replication/transactions.js';

const PEER = { storeId: Buffer.alloc(16, 2), upTo: 10, bodiesUpTo: 10 };

function transactions(): Transactions {
  return new Transactions(Buffer.alloc(16, 1), 100, PEER);
}

describe('the peer has repeated a transaction', () => {
  it('and its store is held up to there once the transaction is committed here (D20)', () => {
    const ours = transactions();
    const { number } = ours.ofOwn('known');
    ours.peerMade(11, number);
    expect(ours.holds?.upTo).toBe(10);
    ours.committed(number);
    expect(ours.holds?.upTo).toBe(11);
  });

  it('that failed here: what the peer made of later ones is not held before its data came (D20)', () => {
    const ours = transactions();
    const first = ours.ofOwn('known');
    const second = ours.ofOwn('known');
    ours.peerMade(11, first.number);
    ours.peerMade(12, second.number);
    ours.failed(first.number);
    ours.committed(second.number);
    ours.peerMade(13, 0);
    expect(ours.holds?.upTo).toBe(10);
    const merge = ours.ofPeer('all', { ...PEER, upTo: 14, bodiesUpTo: 14 });
    ours.committed(merge.number);
    ours.peerMade(15, 0);
    expect(ours.holds?.upTo).toBe(15);
  });
});
