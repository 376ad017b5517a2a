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
});
