/** Connections to a database that is away. */
import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import { PersistentConnection } from '../../../src/extensions/postgres/persistent-connection.js';
import { ReconnectPauses } from '../../../src/extensions/postgres/reconnect-pauses.js';
import { fakeTimers } from '../../support/fake-timers.js';

const FAILURES = 12;
/** After so many failures a pause lasts at least half of this, and each connection waits up to half of it more. */
const PAUSE_MS = 5000;

describe('work over a connection, while a pause before the next try lasts', () => {
  fakeTimers();

  /** What has become of work that has so long; the pause has just begun. @param random drawn for each pause */
  async function outcomeOf(timeMs: number, random = Math.random): Promise<string> {
    const pauses = new ReconnectPauses(PROCESS_CLOCK, random);
    for (let failures = 0; failures < FAILURES; failures++) {
      await jest.advanceTimersByTimeAsync(2 * PAUSE_MS);
      pauses.failed(new Error('it is away'));
    }
    const persistent = new PersistentConnection(
      () => Promise.reject(new Error('it is not tried')),
      PROCESS_CLOCK,
      timeMs,
      { hostIndex: 0, pauses },
      {
        connected: () => Promise.resolve(),
        unreachable: () => undefined,
        retried: () => undefined,
      },
    );
    let outcome = 'it waits';
    const used = persistent.use(PROCESS_CLOCK.now() + timeMs, () => Promise.resolve());
    void used.catch((error: unknown) => {
      outcome = String(error);
    });
    await jest.advanceTimersByTimeAsync(1);
    const soon = outcome;
    const closed = persistent.close();
    await jest.advanceTimersByTimeAsync(0);
    await closed;
    await used.catch(() => undefined);
    return soon;
  }

  it('fails at once, with what the last try has failed with, if the pause lasts longer than there is time', async () => {
    expect(await outcomeOf(PAUSE_MS / 3)).toBe('Error: it is away');
  });

  it('waits for the end of the pause if there is time after it', async () => {
    expect(await outcomeOf(2 * PAUSE_MS)).toBe('it waits');
  });

  it('waits if another connection of the store is tried before this one', async () => {
    const randoms = [...Array.from({ length: FAILURES }, () => 0), 1];
    const random = (): number => randoms.shift() ?? 1;
    expect(await outcomeOf(PAUSE_MS * 0.75, random)).toBe('it waits');
  });
});
