import { KeysCompared } from '../../../src/node/pair-keys.js';

const [MINE, OTHER] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];

describe('whether both nodes of a pair let the same keys in', () => {
  it('is told once when they have differed for five seconds, and again only after they agreed', () => {
    let own = MINE;
    const keys = new KeysCompared(() => own);
    keys.peerSaid(OTHER);
    const news = [0, 4999, 5000, 6000].map((now) => keys.isNews(now));
    expect([news, keys.differ]).toEqual([[false, false, true, false], true]);
    own = OTHER;
    expect([keys.isNews(7000), keys.differ]).toEqual([false, false]);
    own = MINE;
    expect([8000, 12_999, 13_000].map((now) => keys.isNews(now))).toEqual([false, false, true]);
  });

  it('is not told of a peer that does not say, or is gone', () => {
    const keys = new KeysCompared(() => MINE);
    expect([0, 10_000].map((now) => keys.isNews(now))).toEqual([false, false]);
    keys.peerSaid(OTHER);
    keys.isNews(10_000);
    keys.peerSaid(null);
    expect([keys.isNews(20_000), keys.differ]).toEqual([false, false]);
  });

  it('says which parts differ, once they have for too long', () => {
    const own = Buffer.concat([MINE, MINE]);
    const keys = new KeysCompared(() => own);
    keys.peerSaid(Buffer.concat([MINE, OTHER]));
    const parts = ['broker', 'map'];
    expect([keys.isNews(0), keys.differing(parts, 16)]).toEqual([false, []]);
    expect([keys.isNews(5000), keys.differing(parts, 16)]).toEqual([true, ['map']]);
  });
});
