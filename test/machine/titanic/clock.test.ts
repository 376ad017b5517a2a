/** The wall clock is set, or is behind the store (D110). */
import { CronDays } from '../../../src/titanic/machine/schedules/cron-days.js';
import { Schedules } from '../../../src/titanic/machine/schedules/schedules.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  titanicStage,
  type TitanicStage,
} from '../../support/titanic-stage.js';

afterEach(endTitanicStages);
afterEach(() => {
  jest.restoreAllMocks();
});

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;
const HOLD_MS = MINUTE_MS;
/** Two minutes after a board without a clock was switched on. */
const BOOTED_MS = 2 * MINUTE_MS;

/** The requests in the store that are no schedules: service and key. */
function stored(s: TitanicStage): string[] {
  return s.store.disk.rows
    .filter(({ request }) => request.service.toString() !== 'titanic.schedule')
    .map(({ request, key }) => {
      const name = key?.toString('latin1').replace('\xff', '') ?? '-';
      return `${request.service.toString()} ${name}`;
    });
}

function schedules(s: TitanicStage, cron: string): void {
  const options = JSON.stringify({ name: 'n', cron });
  expect(s.asks('schedule', options, 'tick', 'x')).toMatch(/^200/);
}

function at(ms: number): string {
  return new Date(STAGE_WALL_MS + ms).toISOString();
}

describe('a clock that is set forward', () => {
  it('ends nothing for 60 s: a request that was accepted in 1970 is served, and its reply can be read', () => {
    const s = titanicStage({ wall: BOOTED_MS });
    const uuid = s.submits('echo', 'first');
    s.wallOffset += 56 * YEAR_MS;
    s.after(30 * SECOND_MS);
    expect(s.stands(uuid)).toBe('pending');
    const worker = s.worker('w1').ready('echo');
    expect(worker.inbox()).toEqual(['REQUEST first']);
    worker.final('done');
    s.after(29 * SECOND_MS);
    expect(s.asks('reply', uuid)).toBe('200|done');
    s.after(HOLD_MS);
    expect(s.asks('reply', uuid)).toBe('200|done');
  });

  it('is told of once, with its size and what is held', () => {
    const s = titanicStage();
    for (const service of ['a', 'b', 'c']) s.submits(service);
    s.worker('w1').ready('a').final('x');
    schedules(s, '@hourly');
    s.wallOffset += HOUR_MS;
    s.after(5 * MINUTE_MS);
    const held = { pending: 2, replied: 1, dead: 0 };
    expect(s.told('clock.stepped')).toEqual([{ name: 'clock.stepped', stepMs: HOUR_MS, ...held }]);
  });

  it('counts again when the time is over: what is over by then ends at once', () => {
    const s = titanicStage();
    const [pending, replied] = [s.submits('echo'), s.submits('sum')];
    s.worker('w1').ready('sum').final('x');
    s.wallOffset += HOUR_MS;
    s.after(1);
    s.after(HOLD_MS - 2);
    expect([pending, replied].map((uuid) => s.stands(uuid))).toEqual(['pending', 'replied']);
    s.after(10 * SECOND_MS);
    expect([pending, replied].map((uuid) => s.stands(uuid))).toEqual(['absent', 'absent']);
  });

  it('and is set again within that time, the time begins anew', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.wallOffset += HOUR_MS;
    s.after(1);
    s.after(HOLD_MS - SECOND_MS);
    s.wallOffset -= 10 * SECOND_MS;
    s.after(1);
    s.after(HOLD_MS - 2);
    expect(s.stands(uuid)).toBe('pending');
    s.after(SECOND_MS);
    expect(s.stands(uuid)).toBe('absent');
    expect(s.told('clock.stepped').map(({ stepMs }) => stepMs)).toEqual([HOUR_MS, -10 * SECOND_MS]);
  });

  it('by five seconds or less holds nothing', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { ttlMs: 5000 });
    s.wallOffset += 5 * SECOND_MS;
    s.after(SECOND_MS);
    expect(s.stands(uuid)).toBe('absent');
    expect(s.told('clock.stepped')).toEqual([]);
  });

  it('forgets no key: the second request under a key of a closed one is known as that one', () => {
    const s = titanicStage();
    const submit = (): string => s.asks('submit', '{"key":"k"}', 'echo', 'x');
    const first = submit();
    expect(s.asks('close', first.slice('200|'.length))).toBe('200');
    s.wallOffset += HOUR_MS;
    s.after(1);
    expect(submit()).toBe(first);
    s.after(HOLD_MS);
    expect(submit()).not.toBe(first);
  });

  it('changes no delay and no pause between attempts', () => {
    const s = titanicStage({ titanic: { retryBaseMs: 8000, retryMaxMs: 8000 } });
    s.submits('echo', 'late', { delayMs: 10 * SECOND_MS });
    s.submits('sum', 'again');
    s.worker('w0').ready('sum').disconnect();
    s.wallOffset += HOUR_MS;
    const echo = s.worker('w1').ready('echo').heartbeatsEvery(500);
    const sum = s.worker('w2').ready('sum').heartbeatsEvery(500);
    s.submits('echo', 'new', { delayMs: 12 * SECOND_MS });
    s.after(3 * SECOND_MS);
    expect([...echo.inbox(), ...sum.inbox()]).toEqual([]);
    s.after(7 * SECOND_MS);
    expect(echo.inbox()).toEqual(['REQUEST late']);
    expect(sum.inbox()).toEqual(['REQUEST again']);
    echo.final('x');
    sum.final('x');
    s.after(2 * SECOND_MS);
    expect(echo.inbox()).toEqual(['REQUEST new']);
    echo.final('x');
  });

  it('stores nothing for a schedule meanwhile, and then only for the last time that was passed over', () => {
    const s = titanicStage();
    schedules(s, '*/10 * * * *');
    s.wallOffset += 10 * HOUR_MS + 5 * MINUTE_MS;
    s.after(1);
    s.after(HOLD_MS - 2);
    expect(stored(s)).toEqual([]);
    s.after(SECOND_MS);
    expect(stored(s)).toEqual([`tick schedule:n:${at(10 * HOUR_MS)}`]);
    s.after(5 * MINUTE_MS);
    expect(stored(s)).toHaveLength(2);
  });

  it('stores nothing meanwhile for a schedule that was being read', () => {
    const s = titanicStage();
    schedules(s, '@hourly');
    s.holdsStore().after(HOUR_MS);
    s.wallOffset += DAY_MS;
    s.turn();
    s.answers('load');
    s.freesStore();
    s.after(HOLD_MS - SECOND_MS);
    expect(stored(s)).toEqual([]);
    s.after(2 * SECOND_MS);
    expect(stored(s)).toEqual([`tick schedule:n:${at(HOUR_MS + DAY_MS)}`]);
  });
});

describe('a clock that is set back', () => {
  it('ends nothing for 60 s, and then counts', () => {
    const s = titanicStage();
    s.wallOffset -= HOUR_MS;
    s.after(SECOND_MS);
    const uuid = s.submits('echo', 'x', { ttlMs: SECOND_MS });
    s.after(30 * SECOND_MS);
    expect(s.stands(uuid)).toBe('pending');
    s.after(30 * SECOND_MS);
    expect(s.stands(uuid)).toBe('absent');
    expect(s.told('clock.stepped')).toMatchObject([{ stepMs: -HOUR_MS }]);
  });

  it('after it was ten years ahead, a schedule goes on by the new time', () => {
    const s = titanicStage({ wall: STAGE_WALL_MS + 10 * YEAR_MS });
    schedules(s, '@hourly');
    s.wallOffset -= 10 * YEAR_MS;
    s.turn();
    s.after(HOUR_MS + SECOND_MS);
    expect(stored(s)).toEqual([`tick schedule:n:${at(HOUR_MS)}`]);
  });

  it('so does one whose request was being stored then, and is stored much later', () => {
    const s = titanicStage({ wall: STAGE_WALL_MS + 10 * YEAR_MS });
    schedules(s, '@hourly');
    s.holdsStore().after(HOUR_MS);
    s.answers('load');
    s.wallOffset -= 10 * YEAR_MS;
    s.turn();
    s.after(HOLD_MS + SECOND_MS);
    s.answers('commit');
    s.freesStore();
    s.after(HOUR_MS);
    expect(stored(s)).toHaveLength(2);
    expect(stored(s)).toContain(`tick schedule:n:${at(2 * HOUR_MS)}`);
  });

  it('many do, and a turn looks at a few of them', () => {
    const titanic = { maxOpen: 1e6 };
    const s = titanicStage({ titanic, wall: STAGE_WALL_MS + 10 * YEAR_MS });
    const count = 700;
    for (let n = 0; n < count; n++) {
      const options = JSON.stringify({ name: `n${n}`, cron: '@hourly' });
      expect(s.asks('schedule', options, 'tick', 'x')).toMatch(/^200/);
    }
    s.wallOffset -= 10 * YEAR_MS;
    s.turn();
    const searches = jest.spyOn(CronDays.prototype, 'from');
    const ofTurns: number[] = [];
    const run: unknown = Reflect.get(Schedules.prototype, 'run');
    jest.spyOn(Schedules.prototype, 'run').mockImplementation(function (this: Schedules, embedded) {
      const before = searches.mock.calls.length;
      if (typeof run === 'function') run.call(this, embedded);
      ofTurns.push(searches.mock.calls.length - before);
    });
    s.after(HOLD_MS + SECOND_MS);
    expect(searches.mock.calls.length).toBeGreaterThanOrEqual(count);
    expect(Math.max(...ofTurns)).toBeLessThan(count / 2);
    expect(s.asks('schedules', '{"after":"n9"}')).toContain(`"next":"${at(HOUR_MS)}"`);
    s.after(HOUR_MS);
    expect(stored(s)).toHaveLength(count);
  });

  it('before a start, a schedule that is due in ten years goes on by the new time', () => {
    const s = titanicStage();
    schedules(s, '@hourly');
    s.wallOffset += 10 * YEAR_MS;
    s.after(HOLD_MS + SECOND_MS);
    for (const { request } of s.store.disk.rows) {
      if (request.service.toString() === 'tick') s.asks('close', request.uuid.toString('hex'));
    }
    s.wallOffset -= 10 * YEAR_MS;
    s.turn();
    const next = s.crashes();
    next.after(HOUR_MS);
    expect(stored(next)).toEqual([`tick schedule:n:${at(HOUR_MS)}`]);
  });
});

describe('a pause between attempts', () => {
  /** A request was accepted at noon, as it were; its attempt failed at one, and at half past twelve a process starts. */
  function restarted(options: object, retryMaxMs = 8 * SECOND_MS): TitanicStage {
    const s = titanicStage({ titanic: { requestTtlMs: DAY_MS, retryMaxMs } });
    s.submits('echo', 'again', options);
    s.after(HOUR_MS);
    s.worker('w0').ready('echo').disconnect();
    s.wallOffset -= HOUR_MS / 2;
    return s.crashes();
  }

  it('is not longer because the clock was set back before a start', () => {
    const s = restarted({});
    const worker = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(8 * SECOND_MS);
    expect(worker.inbox()).toEqual(['REQUEST again']);
    worker.final('x');
  });

  it('that its client chose is not longer than that', () => {
    const pauseMs = 2 * HOUR_MS;
    const s = restarted({ backoff: { baseMs: pauseMs, maxMs: pauseMs } });
    const worker = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(HOUR_MS);
    expect(worker.inbox()).toEqual([]);
    s.after(HOUR_MS + 8 * SECOND_MS);
    expect(worker.inbox()).toEqual(['REQUEST again']);
    worker.final('x');
  });

  it('that its client chose has that length, however long those of the configuration are', () => {
    const pauseMs = 20 * MINUTE_MS;
    const s = restarted({ backoff: { baseMs: pauseMs, maxMs: pauseMs } }, 15 * MINUTE_MS);
    const worker = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(pauseMs + SECOND_MS);
    expect(worker.inbox()).toEqual(['REQUEST again']);
    worker.final('x');
  });
});

describe('a clock that is behind the newest request of the store at the start', () => {
  /** A board that was off for some time, and whose clock begins in 1970. */
  function booted(offMs: number, options: Parameters<typeof titanicStage>[0] = {}): TitanicStage {
    const s = titanicStage();
    s.submits('echo', 'old');
    s.now += offMs;
    s.wallOffset = BOOTED_MS - s.now;
    return s.crashes(options);
  }

  it('is told of once; nothing ends until it has passed that time', () => {
    const s = booted(0);
    expect(s.told('clock.behind')).toEqual([
      { name: 'clock.behind', behindMs: STAGE_WALL_MS - BOOTED_MS, newest: at(0) },
    ]);
    const uuid = s.submits('echo', 'x', { ttlMs: SECOND_MS });
    s.after(HOUR_MS);
    expect(s.stands(uuid)).toBe('pending');
    expect(s.told('clock.behind')).toHaveLength(1);
    expect(s.told('clock.caught_up')).toEqual([]);
    s.wallOffset = STAGE_WALL_MS + HOUR_MS - s.now;
    s.after(SECOND_MS);
    expect(s.told('clock.caught_up')).toHaveLength(1);
    s.after(HOLD_MS - 2 * SECOND_MS);
    expect(s.stands(uuid)).toBe('pending');
    s.after(2 * SECOND_MS);
    expect(s.stands(uuid)).toBe('absent');
  });

  it('gives what is accepted, replied and closed meanwhile its time from that request on', () => {
    const s = booted(DAY_MS, { titanic: { requestTtlMs: 7 * DAY_MS, replyTtlMs: 7 * DAY_MS } });
    const [pending, replied] = [s.submits('sum'), s.submits('mul')];
    s.worker('w1').ready('mul').final('x');
    s.wallOffset = STAGE_WALL_MS + DAY_MS - s.now;
    s.after(5 * DAY_MS);
    expect([pending, replied].map((uuid) => s.stands(uuid))).toEqual(['pending', 'replied']);
    s.after(2 * DAY_MS);
    expect([pending, replied].map((uuid) => s.stands(uuid))).toEqual(['absent', 'absent']);
  });

  it('by a few seconds is that of another node, and holds nothing', () => {
    const s = titanicStage();
    s.submits('echo');
    s.wallOffset -= 5 * SECOND_MS;
    const next = s.crashes();
    expect(next.told('clock.behind')).toEqual([]);
  });

  it('leaves schedules alone: what is due by that clock is stored', () => {
    const s = booted(0);
    schedules(s, '@hourly');
    s.after(HOUR_MS);
    expect(stored(s)).toEqual(['echo -', 'tick schedule:n:1970-01-01T01:00:00.000Z']);
  });

  it('is not said of a store without requests', () => {
    expect(titanicStage({ wall: BOOTED_MS }).told('clock.behind')).toEqual([]);
  });
});
