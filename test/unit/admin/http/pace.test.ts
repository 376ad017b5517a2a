import { Pace } from '../../../../src/admin/http/pace.js';
import { fakeTimers } from '../../../support/fake-timers.js';

describe('the pace of work for operators', () => {
  let now = 0;
  let pace: Pace;
  const done: string[] = [];

  /** Uses the event loop for this many milliseconds. */
  const work = (name: string, ms: number) => (): string => {
    now += ms;
    done.push(name);
    return name;
  };

  fakeTimers();
  beforeEach(() => {
    now = 0;
    pace = new Pace(() => now);
    done.length = 0;
  });

  it('rests four times as long as each piece took, and keeps the order', async () => {
    const results = ['a', 'b', 'c'].map((name) => pace.run(work(name, 5)));
    await jest.advanceTimersByTimeAsync(0);
    expect(done).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(19);
    expect(done).toEqual(['a']);
    await jest.advanceTimersByTimeAsync(1);
    expect(done).toEqual(['a', 'b']);
    await jest.advanceTimersByTimeAsync(20);
    expect(await Promise.all(results)).toEqual(['a', 'b', 'c']);
  });

  it('does not wait if the rest is over', async () => {
    await pace.run(work('a', 5));
    await jest.advanceTimersByTimeAsync(20);
    expect(await pace.run(work('b', 5))).toBe('b');
  });

  it('continues after a piece that failed', async () => {
    const failed = pace.run(() => {
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    await jest.advanceTimersByTimeAsync(1);
    expect(await pace.run(work('b', 1))).toBe('b');
  });

  it('refuses the 101st waiting piece, and accepts the next when one is done', async () => {
    const results = Array.from({ length: 100 }, () => pace.run(work('a', 1)));
    expect(() => pace.run(work('b', 1))).toThrow(
      expect.objectContaining({ code: 'ERR_HTTP_BUSY' }),
    );
    await jest.advanceTimersByTimeAsync(0);
    results.push(pace.run(work('c', 1)));
    await jest.advanceTimersByTimeAsync(500);
    expect((await Promise.all(results)).at(-1)).toBe('c');
    expect(done).toHaveLength(101);
  });

  it('counts what reading and showing took, and nobody waits while something is read', async () => {
    let read = (_found: string): void => undefined;
    const begin = (): Promise<string> => {
      work('begun', 5)();
      return new Promise((resolve) => {
        read = resolve;
      });
    };
    const shown = pace.read(begin, (found) => work(found, 5)());
    await jest.advanceTimersByTimeAsync(19);
    const other = pace.run(work('other', 1));
    expect(done).toEqual(['begun']);
    await jest.advanceTimersByTimeAsync(1);
    expect(await other).toBe('other');
    read('found');
    await jest.advanceTimersByTimeAsync(3);
    expect(done).toEqual(['begun', 'other']);
    await jest.advanceTimersByTimeAsync(1);
    expect(await shown).toBe('found');
    await jest.advanceTimersByTimeAsync(20);
    expect(await pace.run(work('next', 1))).toBe('next');
  });

  it('has eight read at once; of the rest, each begins when one is shown, or has failed', async () => {
    const found: ((what: string) => void)[] = [];
    const begin = (): Promise<string> => new Promise((resolve) => found.push(resolve));
    const shown = Array.from({ length: 10 }, () =>
      pace.read(begin, (what) => {
        if (what === 'wrong') throw new Error(what);
        return what;
      }),
    );
    await jest.advanceTimersByTimeAsync(100);
    expect(found).toHaveLength(8);
    found[3]?.('right');
    await jest.advanceTimersByTimeAsync(100);
    expect(await shown[3]).toBe('right');
    expect(found).toHaveLength(9);
    const failed = expect(shown[4]).rejects.toThrow('wrong');
    found[4]?.('wrong');
    await jest.advanceTimersByTimeAsync(100);
    await failed;
    expect(found).toHaveLength(10);
  });

  it('refuses the 101st that waits to read', async () => {
    const begin = (): Promise<string> => new Promise(() => undefined);
    for (let asked = 0; asked < 108; asked++) {
      void pace.read(begin, String);
      await jest.advanceTimersByTimeAsync(1);
    }
    const busy = { code: 'ERR_HTTP_BUSY' };
    await expect(pace.read(begin, String)).rejects.toMatchObject(busy);
    expect(() => pace.run(work('a', 1))).toThrow(expect.objectContaining(busy));
  });
});
