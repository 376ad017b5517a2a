import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import { HeardHints } from '../../../src/extensions/postgres/heard-hints.js';
import { HINT_BYTES_MAX, packHint } from '../../../src/store/hint-codec.js';
import type { Hint } from '../../../src/store/store.js';
import { fakeTimers } from '../../support/fake-timers.js';

const PAUSE_MS = 5;

describe('hints that are heard', () => {
  fakeTimers();

  function hearing(): { readonly hints: HeardHints; readonly acted: Hint[] } {
    const acted: Hint[] = [];
    return { hints: new HeardHints(PROCESS_CLOCK, (hint) => acted.push(hint)), acted };
  }

  function stored(...services: readonly string[]): Buffer {
    return packHint({ services: services.map((name) => Buffer.from(name)), ended: [] });
  }

  const toldBy = (acted: Hint[]): string[] =>
    acted.splice(0).map(({ services, ended }) => `${services.join(', ')}; ended ${ended.length}`);

  it('are acted upon at once, and then at most once in 5 ms, each service once', async () => {
    const { hints, acted } = hearing();
    hints.heard(stored('echo'));
    expect(toldBy(acted)).toEqual(['echo; ended 0']);
    hints.heard(stored('echo', 'sum'));
    hints.heard(stored('sum'));
    hints.heard(packHint({ services: [], ended: [Buffer.alloc(6, 1)] }));
    await jest.advanceTimersByTimeAsync(PAUSE_MS - 1);
    expect(acted).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(toldBy(acted)).toEqual(['echo, sum; ended 1']);
    await jest.advanceTimersByTimeAsync(PAUSE_MS);
    expect(jest.getTimerCount()).toBe(0);
    hints.heard(stored('echo'));
    expect(toldBy(acted)).toEqual(['echo; ended 0']);
  });

  it('are heard after one that is too large, which is not', () => {
    const { hints, acted } = hearing();
    hints.heard(Buffer.alloc(20_000, 1));
    hints.heard(stored('echo'));
    expect(toldBy(acted)).toEqual(['echo; ended 0']);
  });

  it('cause no more than one hint of others would, however many there are', async () => {
    const { hints, acted } = hearing();
    for (let n = 0; n < 100_000; n++) hints.heard(stored(`service ${n}`));
    await jest.advanceTimersByTimeAsync(PAUSE_MS);
    expect(acted).toHaveLength(2);
    for (const hint of acted) expect(packHint(hint).length).toBeLessThan(HINT_BYTES_MAX + 3);
    expect(acted[1]?.services.length).toBeGreaterThan(100);
    expect(acted[1]?.services.length).toBeLessThan(1000);
    // The next ones are heard again.
    await jest.advanceTimersByTimeAsync(PAUSE_MS);
    acted.length = 0;
    hints.heard(stored('echo'));
    expect(toldBy(acted)).toEqual(['echo; ended 0']);
  });

  it('that are none cause nothing, and end like others', async () => {
    const { hints, acted } = hearing();
    for (let n = 0; n < 1000; n++) hints.heard(Buffer.alloc(100, 0xff));
    hints.heard(stored('lost'));
    await jest.advanceTimersByTimeAsync(PAUSE_MS);
    expect(acted).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
    hints.heard(stored('echo'));
    expect(toldBy(acted)).toEqual(['echo; ended 0']);
  });
});
