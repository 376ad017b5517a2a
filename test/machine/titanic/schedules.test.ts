/** Schedules (D80): requests that the broker stores itself when a cron line says so. */
import { present } from '../../../src/core/assert.js';
import { WALL_MS_MAX } from '../../../src/core/numbers.js';
import { packChunk } from '../../../src/store/chunk-codec.js';
import { RecordWriter } from '../../../src/store/record-codec.js';
import { cursorFor } from '../../../src/store/store.js';
import type { OperatorHost } from '../../../src/titanic/machine/operator-host.js';
import type { SchedulePage, ScheduleCursor } from '../../../src/titanic/operator/operator-api.js';
import { Operator } from '../../../src/titanic/operator/operator.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import type { ClientActor } from '../../support/stage-peers.js';
import { selectionOf } from '../../support/stage-queries.js';
import { StageReplica } from '../../support/stage-replica.js';
import { rules, TestKey } from '../../support/rights.js';
import { StageDisk } from '../../support/stage-store.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  titanicStage,
  type TitanicStage,
} from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Patient enough for whole days. */
const TITANIC = { requestTtlMs: 90 * DAY_MS, replyTtlMs: 90 * DAY_MS, keyTtlMs: DAY_MS };

function stage(options: Parameters<typeof titanicStage>[0] = {}): TitanicStage {
  return titanicStage({ ...options, titanic: { ...TITANIC, ...options.titanic } });
}

/** The stage begins on Friday the 20th of November 2026, at 00:00 UTC. */
function at(ms: number): string {
  return new Date(STAGE_WALL_MS + ms).toISOString();
}

function schedules(s: TitanicStage, options: object, service = 'echo', body = 'hi'): string {
  return s.asks('schedule', JSON.stringify({ name: 'n', ...options }), service, body);
}

interface Shown {
  readonly name: string;
  readonly next: string;
  readonly firings: number;
}

function listed(answer: string): Shown[] {
  const [status, json = ''] = answer.split('|');
  expect(status).toBe('200');
  return (JSON.parse(json) as { readonly schedules: Shown[] }).schedules;
}

/** The requests in the store that are no schedules: service, key. */
function stored(s: TitanicStage | StageDisk): string[] {
  const disk = s instanceof StageDisk ? s : s.store.disk;
  return disk.rows
    .filter(({ request }) => request.service.toString() !== 'titanic.schedule')
    .map(
      ({ request, key }) =>
        `${request.service.toString()} ${key?.toString('latin1').replace('\xff', '') ?? '-'}`,
    );
}

function kept(s: TitanicStage): number {
  return s.store.disk.rows.filter(
    ({ request: { service, state } }) =>
      service.toString() === 'titanic.schedule' && state === 'pending',
  ).length;
}

describe('a schedule', () => {
  it('says how its last request ended, and nothing of the one before', () => {
    const s = stage({ titanic: { maxAttempts: 1 } });
    schedules(s, { cron: '@daily' });
    const outcome = (): string | undefined =>
      s.schedules(null, 1).schedules[0]?.last?.outcome ?? undefined;
    s.after(DAY_MS);
    expect(outcome()).toBe('stored');
    s.worker('w').ready('echo').fails(['final', 'bad', 'no such report']);
    s.after(SECOND_MS);
    expect(outcome()).toBe('dead');
    s.after(DAY_MS - SECOND_MS);
    expect(outcome()).toBe('stored');
    s.worker('later').ready('echo').final('done');
    s.after(SECOND_MS);
    expect(outcome()).toBe('replied');
  });

  it('stores a request when it is due, under a key of its name and due time', () => {
    const s = stage();
    const answer = schedules(s, { cron: '30 2 * * *' });
    expect(answer.split('|')[0]).toBe('200');
    expect(JSON.parse(answer.split('|')[1] ?? '')).toEqual({
      name: 'n',
      service: 'echo',
      cron: '30 2 * * *',
      timeZone: 'UTC',
      next: at(2.5 * HOUR_MS),
      since: at(0),
      firings: 0,
    });
    s.after(2.5 * HOUR_MS - 1);
    expect(stored(s)).toEqual([]);
    s.after(1);
    expect(stored(s)).toEqual([`echo schedule:n:${at(2.5 * HOUR_MS)}`]);
    s.after(DAY_MS);
    expect(stored(s)).toHaveLength(2);
    expect(listed(s.asks('schedules'))).toMatchObject([
      { name: 'n', next: at(2 * DAY_MS + 2.5 * HOUR_MS), firings: 2 },
    ]);
    expect(s.titanic.figures.counters.schedules).toEqual({ stored: 2, denied: 0, delayed: 0 });
  });

  it('gives its request the options, the headers and every frame of the body', () => {
    const s = stage();
    const options = { priority: 7, maxAttempts: 2, ttlMs: 90_000, delayMs: 1000, shared: true };
    const json = JSON.stringify({
      ...{ name: 'n', cron: '* * * * *', timeZone: 'Europe/Berlin' },
      ...{ ...options, headers: { tenant: 'a' } },
    });
    s.asks('schedule', json, 'echo', 'a', '', 'c');
    s.after(MINUTE_MS);
    const [row] = s.store.disk.rows.filter(({ key }) => key !== null);
    expect(row?.request).toMatchObject({
      ...{ priority: 7, maxAttempts: 2, isShared: true, owner: 'anonymous' },
      notBefore: STAGE_WALL_MS + MINUTE_MS + 1000,
      // D109
      expiresAt: STAGE_WALL_MS + MINUTE_MS + 1000 + 90_000,
    });
    const w1 = s.worker('w1').ready('echo');
    s.after(1000);
    expect(w1.inbox().join()).toMatch(/REQUEST.*a\|\|c/);
  });

  it('runs in its time zone', () => {
    const s = stage();
    schedules(s, { cron: '@daily', timeZone: 'America/New_York' });
    expect(listed(s.asks('schedules'))[0]?.next).toBe(at(5 * HOUR_MS));
  });

  it('is not counted as a request that waits, in gauges, by MMI, in lists, or at recovery', () => {
    const s = stage();
    schedules(s, { cron: '@daily' });
    s.after(HOUR_MS);
    expect(s.titanic.figures.counts.pending).toBe(0);
    expect(s.titanic.figures.openOf(Buffer.from('titanic.schedule')).since).toBeNull();
    expect(s.titanic.figures.durableOf(Buffer.from('titanic.schedule'), s.wall)).toBeNull();
    s.titanic.figures.measure(s.wall);
    const { columns, services } = s.titanic.figures.counters;
    const stored = services.total('stored');
    expect([stored[columns.requests.pending], stored[columns.oldestMs]]).toEqual([0, 0]);
    const query = { ...selectionOf(), limit: 10 };
    const list = s.operates((operator, answer) => operator.list(query, answer));
    expect(list()).toMatchObject({ value: { requests: [] } });
    const c1 = s.client('c1');
    c1.request('mmi.services');
    expect(c1.inbox().join()).not.toContain('titanic.schedule');
    const next = s.crashes();
    expect(next.told('titanic.recovered')).toMatchObject([{ pending: 0 }]);
    expect(next.titanic.figures.counts.pending).toBe(0);
  });

  it('is kept through a crash, with its due time', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    const next = s.crashes({ titanic: TITANIC });
    next.after(HOUR_MS);
    expect(stored(next)).toEqual([`echo schedule:n:${at(HOUR_MS)}`]);
    expect(listed(next.asks('schedules'))).toHaveLength(1);
  });

  it('never dies and never expires, however often it was due', () => {
    const s = stage({ titanic: { maxAttempts: 2, maxOpen: 1e6, requestTtlMs: HOUR_MS } });
    schedules(s, { cron: '*/10 * * * *' });
    for (let hour = 0; hour < 30; hour++) s.after(HOUR_MS);
    expect(s.titanic.figures.counters.schedules.stored).toBe(180);
    const next = s.crashes();
    next.after(10 * MINUTE_MS);
    expect(next.titanic.figures.counters.schedules.stored).toBe(1);
    expect(kept(next)).toBe(1);
  });

  it('ends when its line is never due again', () => {
    const s = stage();
    schedules(s, { cron: '0 0 1 20 11 * 2026' });
    s.after(HOUR_MS);
    expect(stored(s)).toHaveLength(1);
    expect(kept(s)).toBe(0);
    expect(listed(s.asks('schedules'))).toEqual([]);
    expect(s.told('schedule.ended')).toMatchObject([{ reason: 'it is never due again' }]);
  });
});

describe('a request of a schedule is stored once', () => {
  it('when the node crashes after the commit, or before it', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    s.holdsStore();
    s.after(HOUR_MS);
    s.answers('load');
    // Not committed: the next process stores it.
    const second = s.crashes({ titanic: TITANIC });
    second.after(1);
    expect(stored(second)).toEqual([`echo schedule:n:${at(HOUR_MS)}`]);
    const third = second.crashes({ titanic: TITANIC });
    third.after(10 * MINUTE_MS);
    expect(stored(third)).toHaveLength(1);
  });

  it('when the clock is set back', () => {
    const s = stage();
    schedules(s, { cron: '*/10 * * * *' });
    s.after(30 * MINUTE_MS);
    expect(stored(s)).toHaveLength(3);
    s.wallOffset -= 25 * MINUTE_MS;
    s.after(25 * MINUTE_MS);
    expect(stored(s)).toHaveLength(3);
    s.after(10 * MINUTE_MS);
    expect(stored(s)).toHaveLength(4);
  });

  it('when the clock was set back before a start', () => {
    const s = stage();
    schedules(s, { cron: '*/10 * * * *' });
    s.after(30 * MINUTE_MS);
    s.wallOffset -= 25 * MINUTE_MS;
    const next = s.crashes({ titanic: TITANIC });
    next.after(25 * MINUTE_MS);
    expect(stored(next)).toHaveLength(3);
  });

  it('is shown to the end of the year 9999; a record with a later time is refused (D104)', () => {
    const s = stage({ replica: new StageReplica() });
    s.losesPeer();
    s.after(1);
    schedules(s, { cron: '0 * * * *' });
    const row = s.store.disk.rows[0];
    const merges = (notBefore: number): boolean => {
      const { request, body } = present(row, 'the schedule');
      const writer = new RecordWriter();
      const rest = { key: null, attemptsEver: 0, attempts: [], reply: null, death: null };
      writer.add({
        kind: 'request',
        request: { ...request, notBefore, generation: 1 },
        body,
        ...rest,
        extra: null,
      });
      const number = s.replica?.next() ?? 0;
      const transaction = { number, tombstones: 'all', holds: null, peerHolds: 0 } as const;
      const chunk = packChunk({ requests: writer.to.takeBuffer(), parts: [] });
      const merging = s.store.disk.tables.merge(transaction, chunk, true);
      if (merging !== null) s.titanic.merged(merging.merged.opened, merging.merged.ended);
      s.turn();
      return merging !== null;
    };
    expect([9e15, WALL_MS_MAX + 1, WALL_MS_MAX].map(merges)).toEqual([false, false, true]);
    expect(listed(s.asks('schedules'))).toMatchObject([{ next: '9999-12-31T23:59:59.999Z' }]);
  });

  it('when the other node of a pair, which is active now, stored it already', () => {
    const s = stage({ replica: new StageReplica() });
    schedules(s, { cron: '@hourly' });
    // The passive node has the same store up to here.
    const other = new StageDisk();
    for (const { transaction, changes } of shippings(s)) other.tables.commit(transaction, changes);
    s.losesPeer();
    s.after(HOUR_MS + 1);
    const b = stage({
      disk: other,
      wall: STAGE_WALL_MS + HOUR_MS + 5,
      replica: new StageReplica(),
    });
    b.losesPeer();
    b.after(1);
    expect(stored(b)).toEqual([`echo schedule:n:${at(HOUR_MS)}`]);
    b.merges(s.store.disk);
    expect(stored(b)).toEqual([`echo schedule:n:${at(HOUR_MS)}`]);
    const uuidOf = (disk: StageDisk): string | undefined =>
      disk.rows.find(({ key }) => key !== null)?.request.uuid.toString('hex');
    const kept = uuidOf(b.store.disk);
    expect(uuidOf(s.store.disk)).not.toBe(kept);
    // The node that steps down takes what the other one has.
    const { records } = b.store.disk.tables.read(cursorFor(null), 1000, 1_000_000);
    const number = s.replica?.next() ?? 0;
    const transaction = { number, tombstones: 'all', holds: null, peerHolds: 0 } as const;
    s.store.disk.tables.merge(transaction, records, true);
    expect(stored(s)).toEqual(stored(b));
    expect(uuidOf(s.store.disk)).toBe(kept);
    b.after(HOUR_MS);
    expect(stored(b)).toHaveLength(2);
  });
});

/** What a pair's node sent to its peer. */
function shippings(s: TitanicStage): readonly (typeof StageReplica.prototype.shippings)[number][] {
  return s.replica?.shippings ?? [];
}

describe('owners of schedules', () => {
  it('take turns: one whose many are due does not delay those of the others', () => {
    const s = stage({
      titanic: { maxOpen: 1e6, maxBytes: 1e9 },
      rightsOf: () => new TestKey(true, true),
    });
    s.after(MINUTE_MS);
    const alice = s.client('alice', { key: 'alice' });
    for (let n = 0; n < 200; n++) {
      ask(alice, 'schedule', `{"name":"n${n}","cron":"0 * * * *"}`, 'echo', 'hi');
    }
    const bob = s.client('bob', { key: 'bob' });
    ask(bob, 'schedule', '{"name":"n","cron":"1 0 * * * *"}', 'echo', 'hi');
    ask(bob, 'schedule', '{"name":"gone","cron":"1 0 * * * *"}', 'other', 'hi');
    s.holdsStore().after(HOUR_MS - MINUTE_MS);
    // Some of Alice's are being stored; Bob's become due after all of hers.
    s.after(SECOND_MS);
    bob.request('titanic.unschedule', 'gone');
    /** What is due is read, and all of it stored. */
    const storesDue = (): void => {
      s.answers('load');
      while (s.store.asked.some(({ kind }) => kind === 'commit')) s.answers('commit');
    };
    storesDue();
    expect(stored(s)).toHaveLength(32);
    storesDue();
    expect(stored(s)).toHaveLength(64);
    expect(stored(s)).toContain(`echo schedule:n:${at(HOUR_MS + SECOND_MS)}`);
    s.freesStore();
    s.after(MINUTE_MS);
    expect(stored(s)).toHaveLength(201);
    expect(stored(s).join()).not.toContain('other');
  });
});

describe('after an absence', () => {
  it('one missed due time is made up, the last one, and the next follows', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    s.wallOffset += 10.5 * HOUR_MS;
    const next = s.crashes({ titanic: TITANIC });
    next.after(1);
    expect(stored(next)).toEqual([`echo schedule:n:${at(10 * HOUR_MS)}`]);
    expect(listed(next.asks('schedules'))[0]?.next).toBe(at(11 * HOUR_MS));
    next.after(HOUR_MS);
    expect(stored(next)).toHaveLength(2);
  });

  it('a node that was passive makes up one', () => {
    const s = stage({ isDormant: true });
    s.activates();
    schedules(s, { cron: '@hourly' });
    s.deactivates();
    s.after(3.5 * HOUR_MS);
    expect(stored(s)).toEqual([]);
    s.activates();
    s.after(1);
    expect(stored(s)).toEqual([`echo schedule:n:${at(3 * HOUR_MS)}`]);
  });
});

describe('what was missed when another takes the place of a schedule', () => {
  /** A broker that was away for ten hours and a half, and is full: nothing is made up yet. */
  function back(options: object = {}): TitanicStage {
    const s = stage();
    schedules(s, { cron: '@hourly', timeZone: 'Europe/Berlin', ...options });
    s.wallOffset += 10.5 * HOUR_MS;
    return s.crashes({ titanic: TITANIC, isDormant: true }).holdsStore().activates();
  }

  /** A program makes its schedule at its start, before the first turn of the broker ends. */
  function replaced(s: TitanicStage, options: object): void {
    s.batch(() => {
      schedules(s, { timeZone: 'Europe/Berlin', ...options }, 'echo', 'another body');
    });
    s.freesStore();
    s.after(1);
  }

  it('is made up, if the line and the time zone are the same', () => {
    const s = back();
    replaced(s, { cron: '@hourly' });
    expect(s.told('schedule.made')).toHaveLength(1);
    expect(stored(s)).toEqual([`echo schedule:n:${at(10 * HOUR_MS)}`]);
    const [row] = s.store.disk.rows.filter(({ key }) => key !== null);
    expect(row?.body.toString('latin1')).toContain('another body');
    s.hears();
    expect(listed(s.asks('schedules'))).toMatchObject([{ next: at(11 * HOUR_MS), firings: 1 }]);
    s.after(HOUR_MS);
    expect(stored(s)).toHaveLength(2);
  });

  it('is made up when those who replace it without a pause stop', () => {
    const s = stage().holdsStore();
    const client = s.client('loops');
    const replaces = (body: string): void => {
      const options = JSON.stringify({ name: 'n', cron: '@hourly' });
      client.request('titanic.schedule', options, 'echo', body);
    };
    replaces('0');
    s.answers('commit');
    // One more waits whenever one is decided.
    replaces('+');
    for (let n = 0; n < 20; n++) {
      replaces('x'.repeat(n % 2));
      s.after(HOUR_MS / 4);
      s.answers('commit');
    }
    expect(stored(s)).toEqual([]);
    s.freesStore();
    s.after(1);
    expect(stored(s)).toEqual([`echo schedule:n:${at(5 * HOUR_MS)}`]);
    expect(kept(s)).toBe(1);
  });

  it.each([[{ cron: '0 * * * *' }], [{ cron: '@hourly', timeZone: 'Asia/Kolkata' }]])(
    'is not, if one of them is another: %j',
    (options) => {
      const s = back();
      replaced(s, options);
      expect(s.told('schedule.made')).toHaveLength(1);
      expect(stored(s)).toEqual([]);
    },
  );

  it.each([['alone'], ['with what takes its place']])(
    'is stored once, if it is being stored then, %s',
    (how) => {
      const s = stage().holdsStore();
      schedules(s, { cron: '@hourly' });
      s.answers('commit').after(HOUR_MS);
      if (how !== 'alone') s.asks('request', 'x', 'y');
      s.answers('load');
      schedules(s, { cron: '@hourly' }, 'other');
      s.freesStore();
      s.after(1);
      s.hears();
      expect(stored(s).filter((each) => each !== 'x -')).toEqual([
        `echo schedule:n:${at(HOUR_MS)}`,
      ]);
      expect(listed(s.asks('schedules'))).toMatchObject([{ next: at(2 * HOUR_MS) }]);
    },
  );

  it('is made up by the other, if storing it fails', () => {
    const s = stage().holdsStore();
    schedules(s, { cron: '@hourly' });
    s.answers('commit').after(HOUR_MS);
    s.answers('load');
    s.store.failure = { kind: 'full', message: 'the disk is full' };
    s.answers('commit');
    s.store.failure = null;
    s.after(10 * SECOND_MS);
    schedules(s, { cron: '@hourly' }, 'other');
    s.freesStore();
    s.after(10 * SECOND_MS);
    expect(stored(s)).toHaveLength(1);
  });

  it('is made up by the other, if the store takes that, and not what it was due for', () => {
    const s = stage().holdsStore();
    schedules(s, { cron: '@hourly' });
    s.answers('commit').after(HOUR_MS);
    s.answers('load');
    schedules(s, { cron: '@hourly' }, 'other');
    s.answers('commit');
    // A trigger of a database refuses the request that is due.
    const write = s.store.write.bind(s.store);
    jest.spyOn(s.store, 'write').mockImplementationOnce(({ changes, ...asked }) => {
      const made = changes.slice(2);
      const results = made.length === 0 ? [] : write({ ...asked, changes: made });
      return [{ kind: 'refused' }, { kind: 'refused' }, ...results];
    });
    s.answers('commit').freesStore();
    s.after(SECOND_MS);
    expect(stored(s).at(-1)).toBe(`other schedule:n:${at(HOUR_MS)}`);
  });
});

describe('the name of a schedule', () => {
  it('is unique for its owner: another of that name takes its place', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    schedules(s, { cron: '@daily' }, 'other');
    expect(kept(s)).toBe(1);
    s.after(DAY_MS);
    expect(stored(s)).toEqual([`other schedule:n:${at(DAY_MS)}`]);
  });

  it('changes nothing if all is equal, in whatever order the options are', () => {
    const s = stage();
    s.asks(
      'schedule',
      '{"name":"n","cron":"@hourly","priority":1,"backoff":{"baseMs":1,"maxMs":2}}',
      'echo',
      'hi',
    );
    s.after(HOUR_MS);
    const again =
      '{"backoff":{"maxMs":2,"baseMs":1},"priority":1,"timeZone":"UTC","cron":"@hourly","name":"n"}';
    expect(s.asks('schedule', again, 'echo', 'hi')).toContain('"firings":1');
    expect(s.told('schedule.made')).toHaveLength(1);
    s.asks('schedule', again, 'echo', 'ho');
    expect(s.told('schedule.made')).toHaveLength(2);
  });

  it('is separate for each owner, who sees and ends only their own', () => {
    const s = stage({ rightsOf: () => new TestKey(true, true) });
    const alice = s.client('alice', { key: 'alice' });
    const bob = s.client('bob', { key: 'bob' });
    for (const each of [alice, bob]) {
      ask(each, 'schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    }
    expect(kept(s)).toBe(2);
    expect(listed(ask(alice, 'schedules'))).toHaveLength(1);
    expect(ask(alice, 'unschedule', 'n')).toBe('200|{"removed":true}');
    expect(ask(alice, 'unschedule', 'n')).toBe('200|{"removed":false}');
    expect(listed(ask(alice, 'schedules'))).toEqual([]);
    expect(listed(ask(bob, 'schedules'))).toHaveLength(1);
    s.after(HOUR_MS);
    const owners = s.store.disk.rows.map(({ request }) => request.owner);
    expect(owners).toEqual(['key:bob', 'key:bob']);
  });

  it('belongs to the younger of two that a split made, on both sides', () => {
    const older = stage();
    schedules(older, { cron: '@hourly' });
    const s = stage({ wall: STAGE_WALL_MS + 5, replica: new StageReplica() });
    schedules(s, { cron: '@hourly' }, 'younger');
    s.merges(older.store.disk);
    expect(kept(s)).toBe(1);
    s.after(HOUR_MS);
    expect(stored(s)).toEqual([`younger schedule:n:${at(HOUR_MS)}`]);
    const other = stage({ replica: new StageReplica() });
    schedules(other, { cron: '@hourly' }, 'older');
    const late = stage({ wall: STAGE_WALL_MS + 5 });
    schedules(late, { cron: '@hourly' }, 'younger');
    other.merges(late.store.disk);
    other.after(HOUR_MS);
    expect(stored(other)).toEqual([`younger schedule:n:${at(HOUR_MS)}`]);
    expect(kept(other)).toBe(1);
  });

  it('ends by unschedule at once, also while it is due', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    s.holdsStore();
    s.after(HOUR_MS);
    expect(s.asks('unschedule', 'n')).toBe('');
    s.freesStore();
    expect(s.hears()).toBe('200|{"removed":true}');
    expect(stored(s)).toEqual([]);
    s.after(DAY_MS);
    expect(stored(s)).toEqual([]);
  });

  it('takes commands for one name in their order', () => {
    const s = stage().holdsStore();
    expect(schedules(s, { cron: '@hourly' }, 'a')).toBe('');
    expect(schedules(s, { cron: '@hourly' }, 'b')).toBe('');
    expect(s.asks('unschedule', 'n')).toBe('');
    expect(schedules(s, { cron: '@hourly' }, 'c')).toBe('');
    s.freesStore();
    expect(
      s
        .hears()
        .split(' / ')
        .map((text) => text.slice(0, 3)),
    ).toEqual(Array(4).fill('200'));
    expect(kept(s)).toBe(1);
    s.after(HOUR_MS);
    expect(stored(s)).toEqual([`c schedule:n:${at(HOUR_MS)}`]);
  });

  it('has a limited number of commands that wait, and all of them are answered', () => {
    const s = stage().holdsStore();
    const c1 = s.client('c1');
    s.batch(() => {
      c1.request('titanic.schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
      for (let n = 0; n < 50_000; n++) c1.request('titanic.unschedule', 'n');
    });
    s.freesStore();
    for (let turn = 0; turn < 20; turn++) s.after(1);
    const texts = c1.inbox().map((text) => text.replace(/^FINAL titanic\.[a-z]+ /, ''));
    expect(texts).toHaveLength(50_001);
    const countOf = (text: string): number => texts.filter((each) => each === text).length;
    expect(countOf('500 too many commands for schedules at once')).toBe(49_900);
    expect(countOf('200|{"removed":true}')).toBe(1);
    expect(countOf('200|{"removed":false}')).toBe(99);
    expect(listed(s.asks('schedules'))).toEqual([]);
    expect(s.asks('unschedule', 'n')).toBe('200|{"removed":false}');
  });

  it('is free for one that is made while another of that name is merged: the younger one stays', () => {
    const late = stage({ wall: STAGE_WALL_MS + 5 });
    schedules(late, { cron: '@hourly' }, 'younger');
    const s = stage({ replica: new StageReplica() }).holdsPeer();
    schedules(s, { cron: '@hourly' }, 'older');
    s.merges(late.store.disk);
    s.freesPeer();
    expect(s.hears()).toMatch(/^200/);
    s.after(HOUR_MS);
    expect(stored(s)).toEqual([`younger schedule:n:${at(HOUR_MS)}`]);
    expect(kept(s)).toBe(1);
  });

  it('is ended by an operator who cancels it, and not by a purge or by cancelling many', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    const [row] = s.store.disk.rows;
    const pending = selectionOf({ state: 'pending' });
    s.after(1);
    s.operates((operator, answer) => operator.many.run('purge', pending, 100, 'alice', answer));
    const named = selectionOf({ service: Buffer.from('titanic.schedule') });
    for (const act of ['purge', 'cancel'] as const) {
      s.operates((operator, answer) => operator.many.run(act, named, 100, 'alice', answer));
    }
    const counted = s.operates((operator, answer) => operator.many.count('cancel', named, answer));
    expect(counted()).toMatchObject({ value: { count: 0, scanned: 1 } });
    expect(kept(s)).toBe(1);
    s.operates((operator, answer) => {
      operator.cancel(row?.request.uuid ?? Buffer.alloc(16), 'alice', answer);
    });
    s.after(DAY_MS);
    expect([kept(s), stored(s)]).toEqual([0, []]);
  });
});

function ask(client: ClientActor, service: string, ...body: string[]): string {
  client.request(`titanic.${service}`, ...body);
  return (client.inbox()[0] ?? '').replace(/^FINAL titanic\.[a-z]+ /, '');
}

describe('the rights of its owner', () => {
  it('are asked when it is made', () => {
    const s = stage({ rightsOf: () => new TestKey(['titanic.*', 'echo'], false) });
    const alice = s.client('alice', { key: 'alice' });
    ask(alice, 'schedule', '{"name":"n","cron":"@hourly"}', 'secret', 'hi');
    expect(kept(s)).toBe(0);
    ask(alice, 'schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    expect(kept(s)).toBe(1);
  });

  it('without a key are those of the listener it came in on, which shows and ends no others', () => {
    const listeners = [
      { ...rules(['titanic.*', 'echo'], false), hasKeys: false },
      { ...rules(['titanic.*', 'other'], false), hasKeys: false },
    ];
    const s = stage({ listeners });
    const a = s.client('a', { listener: 0 });
    const b = s.client('b', { listener: 1 });
    ask(a, 'schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    ask(b, 'schedule', '{"name":"m","cron":"@hourly"}', 'other', 'hi');
    expect(listed(ask(b, 'schedules')).map(({ name }) => name)).toEqual(['m']);
    expect(ask(b, 'unschedule', 'n')).toBe('200|{"removed":false}');
    expect(ask(b, 'schedule', '{"name":"n","cron":"@daily"}', 'other', 'hi')).toBe(
      '403 no right to send requests to the service of this schedule',
    );
    expect(listed(ask(a, 'schedules'))).toMatchObject([{ name: 'n', next: at(HOUR_MS) }]);
    expect(ask(a, 'unschedule', 'n')).toBe('200|{"removed":true}');
    expect(ask(b, 'schedule', '{"name":"n","cron":"@daily"}', 'other', 'hi')).toMatch(/^200/);
  });

  it('are asked again whenever it is due, also while the owner is away', () => {
    const key = new TestKey(true, false);
    const s = stage({ rightsOf: () => key });
    const alice = s.client('alice', { key: 'alice' });
    ask(alice, 'schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    alice.disconnect();
    key.may(['titanic.*'], false);
    s.after(HOUR_MS);
    expect(stored(s)).toEqual([]);
    expect(s.told('schedule.denied')).toEqual([
      {
        ...{ name: 'schedule.denied', schedule: 'n', service: 'echo', key: 'alice' },
        due: at(HOUR_MS),
      },
    ]);
    expect(s.titanic.figures.counters.schedules.denied).toBe(1);
    key.may(true, false);
    s.after(HOUR_MS);
    expect(stored(s)).toEqual([`echo schedule:n:${at(2 * HOUR_MS)}`]);
  });

  it('without a key are those of the listeners that take peers without one', () => {
    const open = { ...rules(['titanic.*', 'echo'], false), hasKeys: false };
    const locked = { ...rules(true, true), hasKeys: true };
    const s = stage({ listeners: [open, locked] });
    const { storedDeliveries } = s.broker;
    expect(storedDeliveries.ownerRightsOf(null, Buffer.from('echo')).mayRequest).toBe(true);
    expect(storedDeliveries.ownerRightsOf(null, Buffer.from('other')).mayRequest).toBe(false);
    expect(storedDeliveries.ownerRightsOf('alice', Buffer.from('other')).mayRequest).toBe(true);
  });
});

describe('when nothing can be stored', () => {
  it('because of a limit, it is tried again until there is room', () => {
    const s = stage({ titanic: { maxOpen: 3 } });
    schedules(s, { cron: '@hourly' });
    const uuids = [s.submits('other'), s.submits('other')];
    s.after(HOUR_MS);
    expect(stored(s)).toHaveLength(2);
    expect(s.told('schedule.delayed')).toMatchObject([
      { schedule: 'n', text: 'titanic.maxOpen is reached' },
    ]);
    s.asks('close', uuids[0] ?? '');
    s.after(10 * SECOND_MS);
    expect(stored(s)).toEqual(['other -', `echo schedule:n:${at(HOUR_MS)}`]);
  });

  it('because of a quota, an equal schedule is still answered', () => {
    const s = stage({ quotasOf: () => ({ ...NO_QUOTAS, stored: 1 }) });
    expect(schedules(s, { cron: '@hourly' })).toMatch(/^200/);
    expect(schedules(s, { cron: '@hourly' })).toMatch(/^200/);
    expect(s.told('schedule.made')).toHaveLength(1);
    expect(schedules(s, { name: 'm', cron: '@hourly' })).toBe('500 the quota `stored` is used up');
  });

  it('because of a limit or a quota, another schedule may still take the place of one', () => {
    const quotas = { ...NO_QUOTAS, stored: 1 };
    const s = stage({ quotasOf: () => quotas, titanic: { maxOpen: 1, maxBytes: 1 } });
    expect(schedules(s, { cron: '@hourly' })).toMatch(/^200/);
    expect(schedules(s, { cron: '@weekly' })).toMatch(/^200/);
    expect(schedules(s, { cron: '0 * * * *' })).toMatch(/^500/);
    expect(schedules(s, { cron: '@daily' })).toMatch(/^200/);
    expect(listed(s.asks('schedules'))).toMatchObject([{ cron: '@daily' }]);
  });

  it('while the one that it replaces has a larger body than its quota leaves room for', () => {
    const quotas = { ...NO_QUOTAS, storedBytes: 2000 };
    const s = stage({ quotasOf: () => quotas, titanic: { maxBytes: 1e9 } });
    expect(schedules(s, { cron: '@hourly' }, 'echo', 'x'.repeat(1500))).toMatch(/^200/);
    expect(schedules(s, { cron: '@hourly' }, 'echo', 'y'.repeat(1600))).toMatch(/^200/);
    expect(schedules(s, { cron: '@hourly' }, 'echo', 'z'.repeat(2000))).toBe(
      '500 the quota `storedBytes` is used up',
    );
  });

  it('because of a quota of its owner', () => {
    const s = stage({ quotasOf: (quota) => ({ ...NO_QUOTAS, stored: quota === null ? 2 : 1 }) });
    schedules(s, { cron: '@hourly' });
    s.submits('other');
    s.after(HOUR_MS);
    expect(s.told('schedule.delayed')).toMatchObject([{ text: 'the quota `stored` is used up' }]);
  });

  it('because of a limit, it is not read again and again, and a turn looks at few of them', () => {
    const s = stage({ titanic: { maxOpen: 201 } });
    for (let n = 0; n < 200; n++) schedules(s, { name: `n${n}`, cron: '0 0 20 11 *' });
    s.submits('other');
    s.now += 366 * DAY_MS;
    const loads = jest.spyOn(s.store, 'load');
    const delayed = (): number => s.titanic.figures.counters.schedules.delayed;
    s.batch(() => {
      for (let seconds = 0; seconds < 60; seconds++) {
        for (let turns = 0; turns < 20; turns++) {
          const before = delayed();
          s.titanic.run(s.now, s.wall, s.broker.internalRequests, s.broker.storedDeliveries);
          expect(delayed() - before).toBeLessThanOrEqual(32);
        }
        s.now += SECOND_MS;
      }
      // Each is tried every five seconds.
      expect(delayed()).toBe(200 * 12);
      expect(loads).not.toHaveBeenCalled();
    });
  });

  it('because its body is too large for a quota, it is read once', () => {
    const s = stage({ quotasOf: () => ({ ...NO_QUOTAS, storedBytes: 3000 }) });
    expect(schedules(s, { cron: '@daily' }, 'echo', 'x'.repeat(2000))).toMatch(/^200/);
    const loads = jest.spyOn(s.store, 'load');
    s.after(DAY_MS + MINUTE_MS);
    expect(s.told('schedule.delayed').length).toBeGreaterThan(10);
    expect(loads).toHaveBeenCalledTimes(1);
  });

  it('because the store fails, it is tried again', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    s.store.failure = { kind: 'full', message: 'the disk is full' };
    s.after(HOUR_MS + MINUTE_MS);
    expect(stored(s)).toEqual([]);
    s.store.failure = null;
    s.after(MINUTE_MS);
    expect(stored(s)).toEqual([`echo schedule:n:${at(HOUR_MS)}`]);
  });

  it('because it cannot be read, it is tried again', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    s.store.readFailure = { kind: 'busy', message: 'not now' };
    s.after(HOUR_MS + SECOND_MS);
    s.store.readFailure = null;
    s.after(MINUTE_MS);
    expect(stored(s)).toHaveLength(1);
  });

  it('answers a schedule that is not stored with 500, and the one before it stays', () => {
    const s = stage();
    schedules(s, { cron: '@hourly' });
    s.store.failure = { kind: 'full', message: 'the disk is full' };
    expect(schedules(s, { cron: '@hourly' }, 'other')).toBe('500 the disk is full');
    s.store.failure = null;
    s.after(HOUR_MS);
    expect(stored(s)).toEqual([`echo schedule:n:${at(HOUR_MS)}`]);
  });
});

describe('a schedule that cannot be', () => {
  it.each([
    [{ cron: '0 0 30 2 *' }, '400 cron: it never comes'],
    [{ cron: '0 0 0 1 1 * 2020' }, '400 cron: all its times are in the past'],
    [{ cron: '61 * * * *' }, '400 cron: Invalid value for minute: 61'],
    [{ cron: 5 }, '400 cron is a string of valid Unicode, 1 to 256 bytes in UTF-8'],
    [{}, '400 cron is a string of valid Unicode, 1 to 256 bytes in UTF-8'],
    [{ cron: '@daily', timeZone: 'Europe/Atlantis' }, '400 timeZone: there is no such time zone'],
    [
      { cron: '@daily', timeZone: 1 },
      '400 timeZone is the name of a time zone, as in Europe/Berlin',
    ],
    ...['', 'x'.repeat(129), '\ud800'].map((name): [object, string] => [
      { cron: '@daily', name },
      '400 name is a string of valid Unicode, 1 to 128 bytes in UTF-8',
    ]),
    [{ cron: '@daily', key: 'k' }, '400 key: a schedule makes a key for each of its requests'],
    [{ cron: '@daily', priority: 101 }, '400 priority is a whole number from -100 to 100'],
    [{ cron: '@daily', colour: 1 }, /^400 unknown option/],
  ])('is refused by the name of its option, and nothing is stored %#', (options, answer) => {
    const s = stage();
    if (typeof answer === 'string') expect(schedules(s, options)).toBe(answer);
    else expect(schedules(s, options)).toMatch(answer);
    expect(kept(s)).toBe(0);
  });

  it('is refused without a service or a body, or for a service that cannot be stored', () => {
    const s = stage();
    const options = '{"name":"n","cron":"@daily"}';
    expect(s.asks('schedule')).toBe('400 the options are not JSON');
    expect(s.asks('schedule', options)).toBe('400 no service name');
    expect(s.asks('schedule', options, 'echo')).toBe('400 no body');
    expect(s.asks('schedule', options, 'titanic.submit', 'x')).toMatch(/^400 mmi/);
    expect(s.asks('unschedule')).toBe('400 the body is the name of a schedule');
    expect(s.asks('schedules', '{"x":1}')).toBe('400 unknown option; there is after');
  });

  it('is refused above the number for one owner, which counts those being committed', () => {
    const s = stage({ titanic: { maxOpen: 1e6, maxBytes: 1e9 } }).holdsStore();
    const c1 = s.client('c1');
    s.batch(() => {
      for (let n = 0; n < 1002; n++) {
        c1.request('titanic.schedule', `{"name":"n${n}","cron":"@daily"}`, 'echo', 'hi');
      }
    });
    expect(c1.inbox()).toEqual(
      Array(2).fill('FINAL titanic.schedule 500 one owner has at most 1000 schedules'),
    );
    s.freesStore();
    expect(kept(s)).toBe(1000);
    const limit = { name: 'titanic.refused', reason: 'limit' };
    expect(s.told('titanic.refused')).toEqual(
      Array(2).fill({ ...limit, text: 'one owner has at most 1000 schedules' }),
    );
    // Another may take the place of one.
    expect(schedules(s, { name: 'n1', cron: '@hourly' })).toContain('"cron":"@hourly"');
    expect(kept(s)).toBe(1000);
    expect(s.asks('unschedule', 'n0')).toContain('true');
    s.hears();
    expect(schedules(s, { cron: '@daily' })).toMatch(/^200/);
    expect(schedules(s, { name: 'm', cron: '@daily' })).toMatch(/^500 one owner/);
  });

  it('is refused if those of its owner were due too often, together (D103)', () => {
    const s = stage().holdsStore();
    const c1 = s.client('c1');
    const refused = '500 the quota `schedules` is used up';
    s.batch(() => {
      for (let n = 0; n < 11; n++) {
        c1.request('titanic.schedule', `{"name":"n${n}","cron":"* * * * * *"}`, 'echo', 'hi');
      }
    });
    expect(c1.inbox()).toEqual([`FINAL titanic.schedule ${refused}`]);
    s.freesStore();
    expect(kept(s)).toBe(10);
    expect(schedules(s, { name: 'm', cron: '@daily' })).toBe(refused);
    // One that is due less often takes the place of another one.
    expect(schedules(s, { name: 'n1', cron: '5-59/10 * * * * *' })).toMatch(/^200/);
    expect(schedules(s, { name: 'm', cron: '@daily' })).toMatch(/^200/);
    expect(schedules(s, { name: 'n1', cron: '* * * * * *' })).toBe(refused);
    expect(s.asks('unschedule', 'm')).toContain('true');
    s.hears();
    expect(schedules(s, { name: 'n1', cron: '* * * * * *' })).toMatch(/^200/);
  });

  it('is refused while one that is due less often is being committed in the place of another', () => {
    const s = stage();
    for (let n = 0; n < 10; n++) schedules(s, { name: `n${n}`, cron: '* * * * * *' });
    s.holdsStore();
    const c1 = s.client('c1');
    c1.request('titanic.schedule', '{"name":"n1","cron":"@daily"}', 'echo', 'hi');
    const everySecond = '{"name":"m","cron":"0-58 * * * * *"}';
    expect(ask(c1, 'schedule', everySecond, 'echo', 'hi')).toBe(
      '500 the quota `schedules` is used up',
    );
    s.answers('commit').freesStore();
    expect(c1.inbox().join()).toContain('200');
    expect(ask(c1, 'schedule', everySecond, 'echo', 'hi')).toMatch(/^200/);
  });

  it('is refused above the number for all owners', () => {
    const s = stage({
      titanic: { maxOpen: 1e6, maxBytes: 1e9 },
      rightsOf: () => new TestKey(true, true),
    });
    const makes = (key: number, name: string): string =>
      ask(
        s.client(`${name} of ${key}`, { key: `k${key}` }),
        'schedule',
        `{"name":"${name}","cron":"@daily"}`,
        'echo',
        'hi',
      );
    for (let key = 0; key < 10; key++) {
      const client = s.client(`c${key}`, { key: `k${key}` });
      s.batch(() => {
        for (let n = 0; n < 1000; n++) {
          client.request('titanic.schedule', `{"name":"n${n}","cron":"@daily"}`, 'echo', 'hi');
        }
      });
      client.inbox();
    }
    expect(kept(s)).toBe(10_000);
    expect(makes(10, 'm')).toBe('500 a node has at most 10000 schedules');
    expect(makes(0, 'm')).toBe('500 one owner has at most 1000 schedules');
  });

  it('is refused above its size', () => {
    const s = stage();
    const big = 'x'.repeat(1024 * 1024);
    expect(schedules(s, { cron: '@daily' }, 'echo', big)).toBe(
      '500 a schedule has at most 1048576 bytes',
    );
  });
});

describe('the list of operators', () => {
  it('has pages, by due time, and none that was there is left out', () => {
    const s = stage({ rightsOf: () => new TestKey(true, true) });
    for (let n = 0; n < 25; n++) {
      const client = s.client(`c${n}`, { key: `k${n % 3}` });
      ask(client, 'schedule', `{"name":"n${n}","cron":"${n % 7} ${n % 5} * * *"}`, 'echo', 'hi');
    }
    const pages: string[][] = [];
    const dues: number[] = [];
    for (let after: ScheduleCursor | null = null; pages.length < 10;) {
      const page: SchedulePage = s.schedules(after, 10);
      pages.push(page.schedules.map(({ name }) => name));
      dues.push(...page.schedules.map(({ due }) => due));
      after = page.next;
      if (after === null) break;
    }
    expect(pages.map(({ length }) => length)).toEqual([10, 10, 5]);
    expect(new Set(pages.flat()).size).toBe(25);
    expect(dues).toEqual(dues.toSorted((a, b) => a - b));
    expect(s.schedules(null, 25).next).toBeNull();
  });

  it('takes one look at each schedule for a page, and makes only what the page shows', () => {
    const s = stage({ rightsOf: () => new TestKey(true, true) });
    const client = s.client('many', { key: 'k' });
    for (let n = 0; n < 50; n++) {
      ask(client, 'schedule', `{"name":"n${n}","cron":"${50 - n} 0 * * *"}`, 'echo', 'hi');
    }
    const host = s.titanic.operatorHost();
    let [looks, made] = [0, 0];
    const counting: OperatorHost = {
      ...host,
      *schedules() {
        for (const schedule of host.schedules()) {
          looks++;
          yield schedule;
        }
      },
      isPaused: (target) => {
        made++;
        return host.isPaused(target);
      },
    };
    const names: string[] = [];
    new Operator(counting, s.queries).schedules(null, 5, (outcome) => {
      if (outcome.kind === 'done') names.push(...outcome.value.schedules.map(({ name }) => name));
    });
    expect(names).toEqual(['n49', 'n48', 'n47', 'n46', 'n45']);
    expect([looks, made]).toEqual([50, 5]);
  });
});

describe('a list of schedules', () => {
  it('has pages, by name', () => {
    const s = stage();
    const names = Array.from({ length: 205 }, (_, n) => `n${String(n).padStart(3, '0')}`);
    for (const name of names.toReversed()) schedules(s, { name, cron: '@daily' });
    const found: string[] = [];
    for (let after: string | null = ''; after !== null;) {
      const answer = s.asks('schedules', after === '' ? '' : JSON.stringify({ after }));
      const page = listed(answer).map(({ name }) => name);
      expect(page.length).toBeLessThanOrEqual(100);
      found.push(...page);
      after = (JSON.parse(answer.split('|')[1] ?? '') as { readonly next: string | null }).next;
    }
    expect(found).toEqual(names);
    s.asks('unschedule', 'n000');
    schedules(s, { name: 'a', cron: '@daily' });
    expect(listed(s.asks('schedules'))[0]?.name).toBe('a');
    expect(listed(s.asks('schedules'))[1]?.name).toBe('n001');
  });

  it('is not kept for a client that does not read (D76)', () => {
    let left = 20_000;
    const s = stage({ outputLeft: () => left });
    for (let n = 0; n < 100; n++) schedules(s, { name: `n${n}`, cron: '@daily' });
    const c1 = s.client('c1');
    s.batch(() => {
      for (let n = 0; n < 3; n++) c1.request('titanic.schedules', '');
    });
    expect(c1.inbox().map((text) => /[0-9]{3}/.exec(text)?.[0])).toEqual(['200', '500', '500']);
    left = 100;
    expect(s.asks('schedules')).toBe('500 earlier answers are unread');
    s.asks('unschedule', 'n0');
    expect(listed(s.asks('schedules', '{"after":"n98"}'))).toHaveLength(1);
  });
});
