/** Services and schedules that an operator pauses. */
import { ownOf } from '../../../src/store/own-fields.js';
import { scrape } from '../../support/metrics.js';
import { StageClaims } from '../../support/stage-claims.js';
import { StageReplica } from '../../support/stage-replica.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  titanicStage,
  type TitanicStage,
} from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const DAY_MS = 86_400_000;
/** A store that several brokers use is listed as often as this. */
const LIST_MS = 5000;
const ECHO = Buffer.from('echo');
const DONE = { kind: 'done', value: null };

function pauses(s: TitanicStage, isOn = true, service = ECHO): unknown {
  return s.operates<null>((operator, answer) => {
    operator.setPaused({ kind: 'service', of: service }, isOn, 'alice', answer);
  })();
}

function setsSchedule(s: TitanicStage, uuid: Buffer, isOn: boolean): unknown {
  return s.operates<null>((operator, answer) => {
    operator.setPaused({ kind: 'schedule', of: uuid }, isOn, 'alice', answer);
  })();
}

/** What `mmi.service` says. */
function status(s: TitanicStage, asked = 'mmi.service'): string {
  return s.client('asks MMI').request(asked, 'echo').inbox().join();
}

/** The uuid of the only schedule. */
function scheduleOf(s: TitanicStage): Buffer {
  const { schedules } = s.schedules(null, 10);
  expect(schedules).toHaveLength(1);
  return schedules[0]?.uuid ?? Buffer.alloc(0);
}

/** Requests in the store for the service. */
function stored(s: TitanicStage): number {
  return s.store.disk.rows.filter(({ request }) => request.service.equals(ECHO)).length;
}

describe('a paused service', () => {
  it('lets plain requests wait, and what its workers have go on', () => {
    const s = titanicStage();
    const w = s.worker('w').ready('echo', { credit: 2 });
    const c = s.client('c').request('echo', 'first');
    const [first = ''] = w.inbox();
    expect(first).toContain('first');
    expect(pauses(s)).toEqual(DONE);
    c.request('echo', 'second');
    expect(w.inbox()).toEqual([]);
    w.final('done');
    expect(c.inbox().join()).toContain('done');
    expect(pauses(s, false)).toEqual(DONE);
    expect(w.inbox().join()).toContain('second');
  });

  it('goes on once a sweep has ended the pause in the store', () => {
    const s = titanicStage();
    expect(pauses(s)).toEqual(DONE);
    s.wallOffset += 36 * 365 * DAY_MS;
    s.after(90_000);
    expect(s.store.disk.rows).toEqual([]);
    const w = s.worker('w').ready('echo');
    s.client('c').request('echo', 'again');
    expect(w.inbox().join()).toContain('again');
  });

  it('lets stored requests wait, also those that were with the broker already', () => {
    const s = titanicStage();
    pauses(s);
    const w = s.worker('w').ready('echo', { credit: 5 });
    const uuid = s.submits('echo');
    s.after(1000);
    expect(w.inbox()).toEqual([]);
    expect(s.stands(uuid)).toBe('pending');
    pauses(s, false);
    expect(w.inbox()).toHaveLength(1);
  });

  it('is told by mmi.service and mmi.why, and in lists', () => {
    const s = titanicStage();
    s.worker('w').ready('echo');
    expect(status(s)).toContain('200');
    pauses(s);
    expect(status(s)).toContain('503');
    expect(status(s, 'mmi.why')).toBe('FINAL mmi.why 503|an operator has paused it');
    s.client('c').request('echo', 'hi');
    expect(status(s, 'mmi.why')).toContain('has paused it, and 1 request waits');
    const [listed] = s.broker.listing.allServices(s.now);
    expect(JSON.parse(listed?.json ?? '')).toMatchObject({ service: 'echo', paused: true });
    pauses(s, false);
    expect(status(s)).toContain('200');
  });

  it('has a metric, which is 0 of the others', async () => {
    const s = titanicStage();
    s.worker('w').ready('echo');
    s.worker('v').ready('other');
    pauses(s);
    // It has no label of its own: nobody ever served it.
    pauses(s, true, Buffer.from('unknown'));
    const paused = async (): Promise<(number | undefined)[]> => {
      const page = await scrape(s.broker);
      const of = (service: string): number | undefined =>
        page.value(`service_paused{service="${service}"}`);
      return ['echo', 'other', '__other__'].map(of);
    };
    expect(await paused()).toEqual([1, 0, 1]);
    pauses(s, false);
    pauses(s, false, Buffer.from('unknown'));
    expect(await paused()).toEqual([0, 0, 0]);
  });

  it('need not exist yet, is listed, and is forgotten after it is resumed', () => {
    const s = titanicStage();
    pauses(s);
    expect(s.broker.listing.serviceCount).toBe(1);
    s.after(700_000);
    expect(s.broker.listing.serviceCount).toBe(1);
    pauses(s, false);
    s.after(700_000);
    expect(s.broker.listing.allServices(s.now)).toEqual([]);
  });

  it('stays paused when the process starts again, and when a node becomes active again', () => {
    const before = titanicStage();
    pauses(before);
    const s = before.crashes();
    const w = s.worker('w').ready('echo');
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual([]);
    s.deactivates().activates();
    s.client('d').request('echo', 'y');
    expect(w.inbox()).toEqual([]);
    pauses(s, false);
    expect(w.inbox()).toHaveLength(1);
  });

  it('is paused and resumed once, however often that is said', () => {
    const s = titanicStage();
    expect(pauses(s, false)).toEqual(DONE);
    expect([pauses(s), pauses(s)]).toEqual([DONE, DONE]);
    expect(s.store.disk.rows).toHaveLength(1);
    expect([pauses(s, false), pauses(s, false)]).toEqual([DONE, DONE]);
    expect(s.store.disk.pending).toEqual([]);
    expect([s.told('service.paused'), s.told('service.resumed')]).toEqual([
      [{ name: 'service.paused', service: 'echo', who: 'alice' }],
      [{ name: 'service.resumed', service: 'echo', who: 'alice' }],
    ]);
  });

  it('is resumed whole after a split in which both nodes paused it', () => {
    const other = titanicStage({ seed: 7 });
    pauses(other);
    const s = titanicStage({ replica: new StageReplica() });
    pauses(s);
    s.merges(other.store.disk);
    expect(s.store.disk.pending).toHaveLength(2);
    const w = s.worker('w').ready('echo');
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual([]);
    expect(pauses(s, false)).toEqual(DONE);
    expect(w.inbox()).toHaveLength(1);
    expect(s.store.disk.pending).toEqual([]);
  });

  it('is none if the store does not take it, or while the node is not active', () => {
    const s = titanicStage();
    s.store.failure = { kind: 'full', message: 'no space' };
    expect(pauses(s)).toMatchObject({ kind: 'trouble' });
    s.store.failure = null;
    s.after(60_000);
    const w = s.worker('w').ready('echo');
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toHaveLength(1);
    s.deactivates();
    expect(pauses(s)).toMatchObject({ kind: 'trouble', text: 'this node is not active' });
    s.activates();
  });

  it('is changed by one command at a time', () => {
    const s = titanicStage().holdsStore();
    const first = s.operates<null>((operator, answer) => {
      operator.setPaused({ kind: 'service', of: ECHO }, true, 'alice', answer);
    });
    expect(pauses(s)).toMatchObject({ text: 'it is being paused or resumed: try again' });
    s.freesStore();
    expect(first()).toEqual(DONE);
  });

  it('is one of at most 1000 pauses', () => {
    const s = titanicStage({ titanic: { maxOpen: 5000 } });
    for (let n = 0; n < 1000; n++) expect(pauses(s, true, Buffer.from(`s${n}`))).toEqual(DONE);
    expect(pauses(s)).toMatchObject({ text: 'at most 1000 pauses can be stored' });
    expect(pauses(s, false, Buffer.from('s7'))).toEqual(DONE);
    expect(pauses(s)).toEqual(DONE);
  });

  it('is paused at the other brokers of the store, and resumed there', () => {
    const other = titanicStage();
    pauses(other);
    const claims = new StageClaims();
    const s = titanicStage({ claims, disk: other.store.disk });
    s.after(LIST_MS);
    s.client('c').request('echo', 'x');
    expect(s.worker('early').ready('echo').inbox()).toEqual([]);
    pauses(other, false);
    s.after(LIST_MS);
    expect(s.worker('late').ready('echo').inbox()).toHaveLength(1);
  });
});

describe('a service that another broker of several paused', () => {
  it('is resumed by one that has not listed the pause yet', () => {
    const other = titanicStage();
    const s = titanicStage({ claims: new StageClaims(), disk: other.store.disk });
    s.after(1);
    expect(pauses(other)).toEqual(DONE);
    expect(pauses(s, false)).toEqual(DONE);
    expect(s.store.disk.pending).toEqual([]);
    // Nor does it pause twice.
    expect(pauses(other)).toEqual(DONE);
    expect(pauses(s)).toEqual(DONE);
    expect(s.store.disk.pending).toHaveLength(1);
  });
});

describe('a service that this broker of several paused', () => {
  it('goes on when another one has resumed it before this one listed it', () => {
    const claims = new StageClaims();
    const s = titanicStage({ claims });
    s.after(LIST_MS);
    expect(pauses(s)).toEqual(DONE);
    const other = titanicStage({ disk: s.store.disk });
    expect(pauses(other, false)).toEqual(DONE);
    s.after(LIST_MS);
    s.client('c').request('echo', 'x');
    expect(s.worker('w').ready('echo').inbox()).toHaveLength(1);
  });
});

describe('a schedule', () => {
  function scheduled(): TitanicStage {
    const s = titanicStage({ titanic: { requestTtlMs: 90 * DAY_MS } });
    const options = JSON.stringify({ name: 'n', cron: '@daily' });
    expect(s.asks('schedule', options, 'echo', 'hi')).toContain('200');
    return s;
  }

  it('that is paused passes over its due times, and goes on from the next one', () => {
    const s = scheduled();
    const uuid = scheduleOf(s);
    expect(setsSchedule(s, uuid, true)).toEqual(DONE);
    s.after(2 * DAY_MS);
    expect(stored(s)).toBe(0);
    expect(s.schedules(null, 1).schedules).toMatchObject([
      {
        ...{ isPaused: true, firings: 2, due: STAGE_WALL_MS + 3 * DAY_MS },
        last: { at: STAGE_WALL_MS + 2 * DAY_MS, outcome: 'paused' },
      },
    ]);
    expect(setsSchedule(s, uuid, false)).toEqual(DONE);
    expect(stored(s)).toBe(0);
    s.after(DAY_MS);
    expect(stored(s)).toBe(1);
    expect(s.schedules(null, 1).schedules).toMatchObject([
      { last: { at: STAGE_WALL_MS + 3 * DAY_MS, outcome: 'stored' } },
    ]);
    expect(s.told('schedule.paused')).toMatchObject([
      { schedule: 'n', service: 'echo', who: 'alice' },
    ]);
    expect(s.told('schedule.resumed')).toHaveLength(1);
    expect(s.told('schedule.denied')).toEqual([]);
  });

  it('stays paused when the process starts again', () => {
    const before = scheduled();
    setsSchedule(before, scheduleOf(before), true);
    const s = before.crashes();
    s.after(DAY_MS);
    expect(stored(s)).toBe(0);
    expect(s.schedules(null, 1).schedules).toMatchObject([{ isPaused: true }]);
  });

  /** The service, or uuid of the schedule, of each pause in the store. */
  function pausesOf(s: TitanicStage): Buffer[] {
    return s.store.disk.pending
      .filter(({ kind }) => kind === 'pause')
      .map(({ own }) => ownOf('pause', own)?.schedule ?? Buffer.alloc(0));
  }

  function replaces(s: TitanicStage, cron = '@hourly'): string {
    return s.asks('schedule', JSON.stringify({ name: 'n', cron }), 'echo', 'hi');
  }

  it('that is paused stays paused when it is replaced: both are in one transaction', () => {
    const before = scheduled();
    const first = scheduleOf(before);
    setsSchedule(before, first, true);
    before.holdsStore();
    replaces(before);
    before.answers('commit');
    const s = before.crashes();
    s.after(DAY_MS);
    expect(stored(s)).toBe(0);
    const second = scheduleOf(s);
    expect(second).not.toEqual(first);
    expect(pausesOf(s)).toEqual([second]);
    expect(setsSchedule(s, second, false)).toEqual(DONE);
    s.after(DAY_MS / 24);
    expect(stored(s)).toBe(1);
    expect(pausesOf(s)).toEqual([]);
  });

  it('that is not replaced after all stays paused', () => {
    const s = scheduled();
    const uuid = scheduleOf(s);
    setsSchedule(s, uuid, true);
    s.store.failure = { kind: 'full', message: 'no space' };
    expect(replaces(s)).toContain('500');
    s.store.failure = null;
    s.after(DAY_MS);
    expect([stored(s), scheduleOf(s), pausesOf(s)]).toEqual([0, uuid, [uuid]]);
  });

  it('is not replaced while it is paused or resumed, nor paused while it is replaced', () => {
    const s = scheduled().holdsStore();
    const uuid = scheduleOf(s);
    const sets = (): (() => unknown) =>
      s.operates<null>((operator, answer) => {
        operator.setPaused({ kind: 'schedule', of: uuid }, true, 'alice', answer);
      });
    const paused = sets();
    expect(replaces(s)).toBe('500 the schedule is being paused or resumed: try again');
    s.answers('commit');
    expect(paused()).toEqual(DONE);
    replaces(s);
    expect(sets()()).toMatchObject({ text: 'it is being ended or replaced: try again' });
    s.freesStore();
    expect(s.hears()).toContain('200');
    expect(pausesOf(s)).toEqual([scheduleOf(s)]);
  });

  it.each<[string, (s: TitanicStage) => void]>([
    ['unscheduled', (s) => s.asks('unschedule', 'n')],
    [
      'ended by an operator',
      (s) => {
        s.operates<null>((operator, answer) => operator.cancel(scheduleOf(s), 'alice', answer));
      },
    ],
    ['never due again', (s) => s.after(DAY_MS)],
  ])('that is %s leaves no pause', (_, ends) => {
    const s = titanicStage({ titanic: { requestTtlMs: 90 * DAY_MS } });
    expect(replaces(s, '0 0 1 20 11 * 2026')).toContain('200');
    setsSchedule(s, scheduleOf(s), true);
    ends(s);
    s.turn();
    expect(s.store.disk.pending).toEqual([]);
  });

  it('that ends while it is paused, or whose process ends then, leaves no pause', () => {
    const before = scheduled().holdsStore();
    const uuid = scheduleOf(before);
    before.asks('unschedule', 'n');
    // Another broker of the store, as it were, pauses it meanwhile.
    const other = titanicStage({ seed: 7, disk: before.store.disk });
    expect(setsSchedule(other, uuid, true)).toEqual(DONE);
    before.answers('commit');
    expect(pausesOf(before)).toEqual([uuid]);
    const s = before.crashes();
    s.turn();
    expect(s.store.disk.pending).toEqual([]);
  });

  it('is fired by an operator beside its due times, also if it is paused', () => {
    const s = scheduled();
    const uuid = scheduleOf(s);
    setsSchedule(s, uuid, true);
    const fires = (of: Buffer): unknown =>
      s.operates<Buffer>((operator, answer) => operator.fireSchedule(of, 'alice', answer))();
    expect(fires(uuid)).toEqual({ kind: 'done', value: expect.any(Buffer) as unknown });
    expect(stored(s)).toBe(1);
    expect(s.told('schedule.fired')).toMatchObject([{ schedule: 'n', service: 'echo' }]);
    const w = s.worker('w').ready('echo');
    expect(w.inbox().join()).toContain('hi');
    expect(s.schedules(null, 1).schedules).toMatchObject([
      { firings: 0, due: STAGE_WALL_MS + DAY_MS, last: null },
    ]);
    expect(fires(Buffer.alloc(16))).toMatchObject({ kind: 'unknown', text: 'no such schedule' });
    expect(setsSchedule(s, Buffer.alloc(16), true)).toMatchObject({ kind: 'unknown' });
  });
});
