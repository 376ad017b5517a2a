/** The wall clock of a broker is wrong, and is put right (D110). */
import { ask, clientOf, endAll, serve } from '../../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { itWithTool } from '../../support/tools.js';
import { compileClock, WrongClock } from '../../support/wrong-clock.js';

const DAY = 86_400;
const HTTP = ['http.listen=127.0.0.1:0'];

afterEach(endAll);

function wrongClock(): WrongClock {
  return new WrongClock(compileClock(temporaryDirectory()), temporaryDirectory());
}

async function page(daemon: Daemon, path: string): Promise<string> {
  const { http } = await daemon.waitFor('broker.ready');
  return (await fetch(`${String(http)}${path}`)).text();
}

async function degraded(daemon: Daemon): Promise<readonly unknown[]> {
  return (JSON.parse(await page(daemon, '/readyz')) as { degraded: readonly unknown[] }).degraded;
}

itWithTool(
  'gcc and libzmq3-dev',
  'from 1970 to now: what was acknowledged before is served after, and the log says what was held',
  async () => {
    const clock = wrongClock();
    // A board without a clock, two minutes after it was switched on.
    const seconds = Math.floor(Date.now() / 1000) - 120;
    clock.set(-seconds);
    const { environment } = clock;
    const daemon = await startDaemon({ environment });
    const client = clientOf(daemon);
    const [, uuid = ''] = await ask(client, 'titanic.submit', '{}', 'echo', 'x');
    expect(daemon.logged('clock.stepped')).toEqual([]);
    clock.set(0);
    const stepped = await daemon.waitFor('clock.stepped');
    const held = { pending: 1, replied: 0, dead: 0 };
    expect(stepped).toMatchObject({ level: 'warn', ...held });
    expect(Math.round(Number(stepped['stepMs']) / 1000)).toBe(seconds);
    serve(daemon, 'echo', (text) => `${text}!`);
    expect(await ask(client, 'titanic.wait', uuid, '60000')).toEqual(['200', 'x!']);
    expect(daemon.logged('titanic.expired')).toEqual([]);
  },
);

itWithTool(
  'gcc and libzmq3-dev',
  'a start a day before the newest request is degraded, serves, and says when the clock has passed that time',
  async () => {
    const clock = wrongClock();
    const { environment } = clock;
    const first = await startDaemon({ environment });
    const [, uuid = ''] = await ask(clientOf(first), 'titanic.submit', '{}', 'echo', 'x');
    await first.stop();
    clock.set(-DAY);
    const { dataDir } = first;
    const daemon = await startDaemon({ environment, dataDir, sets: HTTP });
    const behind = await daemon.waitFor('clock.behind');
    expect(behind).toMatchObject({ level: 'warn', newest: expect.any(String) });
    expect(await degraded(daemon)).toEqual([
      { code: 'clock_behind', text: expect.stringContaining(String(behind['newest'])) },
    ]);
    expect(await page(daemon, '/metrics')).toContain('majordomo_degraded{reason="clock_behind"} 1');
    serve(daemon, 'echo', (text) => `${text}!`);
    expect(await ask(clientOf(daemon), 'titanic.wait', uuid, '60000')).toEqual(['200', 'x!']);
    clock.set(0);
    await daemon.waitFor('clock.caught_up');
    expect(await degraded(daemon)).toEqual([]);
    expect(daemon.logged('clock.behind')).toHaveLength(1);
  },
);
