import { CatchUp } from '../../../../src/bstar/replication/catch-up.js';

const HOLDS = { storeId: Buffer.alloc(16, 1), upTo: 10, bodiesUpTo: 10 };

describe('a catch-up that begins anew on the same connection', () => {
  it('does not take the answer to a chunk of the one before for its own', () => {
    const sent: number[] = [];
    const catchUp = new CatchUp(
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
    catchUp.chunk(Buffer.alloc(0), HOLDS, true, 0);
    expect(sent).toEqual([4]);
    expect(catchUp.taken(3, 0, 0, 1)).toBeNull();
    expect(catchUp.taken(4, 0, 0, 1)).toMatchObject({ holds: HOLDS, isLast: true });
  });
});

describe('a catch-up', () => {
  function stage(): { readonly catchUp: CatchUp; readonly reads: () => number } {
    let reads = 0;
    const readOn = (): void => {
      reads++;
    };
    const sink = { read: () => undefined, readOn, send: () => undefined };
    return { catchUp: new CatchUp(sink, null, 0), reads: () => reads };
  }

  it('has two chunks out while nobody stores anything', () => {
    const { catchUp, reads } = stage();
    catchUp.chunk(Buffer.alloc(10), HOLDS, false, 0);
    expect(reads()).toBe(1);
    catchUp.chunk(Buffer.alloc(10), HOLDS, false, 5);
    expect(reads()).toBe(1);
    catchUp.taken(1, 1, 0, 20);
    expect(reads()).toBe(2);
    expect(catchUp.dueAt).toBe(Infinity);
  });

  it('rests three times as long as a chunk took, 100 ms at most, while clients store something (D20)', () => {
    const { catchUp, reads } = stage();
    for (const [tookMs, restsMs] of [
      [20, 60],
      [5000, 100],
    ] as const) {
      const before = reads();
      catchUp.serves(20);
      catchUp.chunk(Buffer.alloc(10), HOLDS, false, 1000);
      expect(reads()).toBe(before);
      const index = before + 1;
      catchUp.taken(index, 1, 0, 1000 + tookMs);
      expect(catchUp.dueAt).toBe(1000 + tookMs + restsMs);
      catchUp.run(1000 + tookMs + restsMs - 1);
      expect(reads()).toBe(before);
      catchUp.run(1000 + tookMs + restsMs);
      expect(reads()).toBe(before + 1);
      expect(catchUp.dueAt).toBe(Infinity);
    }
  });

  it('rests no more while the peer falls farther behind', () => {
    const { catchUp } = stage();
    const rests: boolean[] = [];
    for (let index = 1; index <= 150; index++) {
      // In the first fifty it comes nearer, in the next ones not.
      catchUp.serves(index <= 50 ? 20 : 20 + index);
      catchUp.chunk(Buffer.alloc(10), HOLDS, false, index * 100);
      catchUp.taken(index, 1, 0, index * 100 + 20);
      rests.push(catchUp.dueAt < Infinity);
      catchUp.run(index * 100 + 99);
    }
    expect(rests.indexOf(false)).toBe(99);
    expect(rests.slice(99, 149)).not.toContain(true);
  });
});
