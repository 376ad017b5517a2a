/** Limits of services that operators set while the broker runs: they stand before those of the configuration. */
import type { WrittenLimits } from '../../../src/core/run-limits.js';
import { ownOf } from '../../../src/store/own-fields.js';
import type { WorkerActor } from '../../support/stage-peers.js';
import { scrape } from '../../support/metrics.js';
import { StageClaims } from '../../support/stage-claims.js';
import { StageReplica } from '../../support/stage-replica.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

/** A store that several brokers use is listed as often as this. */
const LIST_MS = 5000;
/** How long the workers of a broker that begins to serve have to say what they run. */
const SPAN_MS = 7500;
const DONE = { kind: 'done', value: null };

function begins(
  s: TitanicStage,
  limits: WrittenLimits | null,
  { service = 'echo', by = 'alice' } = {},
): () => unknown {
  return s.operates<null>((operator, answer) => {
    operator.setLimits(Buffer.from(service), limits, by, answer);
  });
}

const sets = (...given: Parameters<typeof begins>): unknown => begins(...given)();

/** The configuration limits every service so. */
function configures(s: TitanicStage, running: number): void {
  const service = { running, perSecond: Infinity, burst: 1 };
  s.input((broker) => broker.setServiceLimits(() => ({ service, group: null, holds: false })));
  s.turn();
}

function requests(s: TitanicStage, count: number, service = 'echo'): void {
  const c = s.client('c');
  for (let n = 0; n < count; n++) c.request(service, `r${n}`);
}

const worker = (s: TitanicStage, service = 'echo'): WorkerActor =>
  s.worker(`of ${service}`).ready(service, { credit: 10 }).heartbeatsEvery(1000);

/** What operators see of the limits of the service. */
function shown(s: TitanicStage, service = 'echo'): unknown {
  const start = { service: 0, worker: 0 };
  const { items } = s.broker.listing.servicePage(
    start,
    10,
    Buffer.from(service),
    () => true,
    s.now,
  );
  return items[0];
}

describe('the limits that an operator sets', () => {
  it('hold at once, also for what waits already, and are taken away again', () => {
    const s = titanicStage();
    expect(sets(s, { running: 1 })).toEqual(DONE);
    const w = worker(s);
    requests(s, 4);
    expect(w.inbox()).toHaveLength(1);
    expect(sets(s, { running: 2 })).toEqual(DONE);
    expect(w.inbox()).toHaveLength(1);
    expect(sets(s, null)).toEqual(DONE);
    expect(w.inbox()).toHaveLength(2);
    expect(s.store.disk.pending).toEqual([]);
  });

  it('stand whole before those of the configuration, for that name alone', () => {
    const s = titanicStage();
    configures(s, 1);
    // A limit of groups only: the configuration's of the service does not hold beside it.
    expect(sets(s, { group: { running: 5 } })).toEqual(DONE);
    const [w, v] = [worker(s), worker(s, 'echo.other')];
    requests(s, 3);
    requests(s, 3, 'echo.other');
    expect([w.inbox(), v.inbox()].map((got) => got.length)).toEqual([3, 1]);
    // A reload of the configuration leaves it.
    configures(s, 2);
    requests(s, 3);
    expect([w.inbox(), v.inbox()].map((got) => got.length)).toEqual([3, 1]);
    expect(sets(s, null)).toEqual(DONE);
    requests(s, 1);
    expect(w.inbox()).toEqual([]);
    expect(shown(s)).toMatchObject({ limits: { running: 2, runs: 6 }, limitsSet: null });
  });

  it('hold for stored requests, and for their groups', () => {
    const s = titanicStage();
    sets(s, { running: 3, group: { running: 1, onFailure: 'hold' } });
    for (const group of ['a', 'a', 'b', 'c', 'd']) s.submits('echo', group, { group });
    expect(worker(s).inbox()).toHaveLength(3);
    expect(shown(s)).toMatchObject({
      limits: { running: 3, perSecond: null, runs: 3, held: '3 of 3 run' },
      groupLimits: { running: 1, onFailure: 'hold' },
    });
  });

  it('tell who set them and when, and are an event', () => {
    const s = titanicStage();
    const limits = { running: 4, perSecond: 0.5, burst: 2, group: { perSecond: 7 } };
    sets(s, limits);
    expect(shown(s)).toMatchObject({
      limits: { running: 4, perSecond: 0.5, burst: 2, held: null },
      groupLimits: { running: null, perSecond: 7, burst: 1, onFailure: 'pass' },
      limitsSet: { by: 'alice', at: new Date(s.wall).toISOString() },
    });
    const [record] = s.store.disk.pending;
    expect(record).toMatchObject({ kind: 'limit', service: Buffer.from('titanic.schedule') });
    expect(ownOf('limit', record?.own ?? Buffer.alloc(0))).toMatchObject({
      ...{ service: Buffer.from('echo'), by: 'alice', running: '4', perSecond: '0.5', burst: '2' },
      ...{ groupRunning: '', groupPerSecond: '7', groupBurst: '', onFailure: '' },
    });
    sets(s, null, { by: 'bob' });
    const told = { service: 'echo', who: 'alice' };
    expect([s.told('service.limited'), s.told('service.unlimited')]).toEqual([
      [
        {
          ...{ name: 'service.limited', ...told },
          limits: '4 running, 0.5 per second (burst 2); each group 7 per second',
        },
      ],
      [{ name: 'service.unlimited', ...told, who: 'bob' }],
    ]);
  });

  it('have a service listed that does not exist yet, and are counted', async () => {
    const s = titanicStage();
    sets(s, { running: 1 });
    s.after(700_000);
    expect(s.broker.listing.serviceCount).toBe(1);
    expect(
      (await scrape(s.broker, { titanic: () => s.titanic.figures })).value('titanic_limits'),
    ).toBe(1);
    sets(s, null);
    s.after(700_000);
    expect(s.broker.listing.allServices(s.now)).toEqual([]);
    expect(
      (await scrape(s.broker, { titanic: () => s.titanic.figures })).value('titanic_limits'),
    ).toBe(0);
  });

  it('are set once, however often that is said, and replaced in one batch', () => {
    const s = titanicStage();
    expect([sets(s, null), sets(s, { running: 1 }), sets(s, { running: 1 })]).toEqual([
      ...[DONE, DONE, DONE],
    ]);
    expect(s.told('service.limited')).toHaveLength(1);
    s.holdsStore();
    const second = begins(s, { running: 2 });
    expect(sets(s, { running: 3 })).toMatchObject({ text: 'its limits are being set: try again' });
    // Whether the batch is on disk or not when the process ends: there is one record.
    const without = s.crashes();
    expect([second(), without.store.disk.pending.length]).toEqual([null, 1]);
    expect(shown(without)).toMatchObject({ limits: { running: 1 } });
    without.holdsStore();
    begins(without, { running: 2 });
    without.answers('commit');
    const s2 = without.crashes();
    expect(s2.store.disk.pending).toHaveLength(1);
    expect(shown(s2)).toMatchObject({ limits: { running: 2 } });
  });

  it('are none if the store does not take them, or while the node is not active', () => {
    const s = titanicStage();
    s.store.failure = { kind: 'full', message: 'no space' };
    expect(sets(s, { running: 1 })).toMatchObject({ kind: 'trouble' });
    s.store.failure = null;
    s.after(60_000);
    requests(s, 2);
    expect(worker(s).inbox()).toHaveLength(2);
    s.deactivates();
    expect(sets(s, { running: 1 })).toMatchObject({ text: 'this node is not active' });
    s.activates();
  });

  it('are those of at most 1000 services', () => {
    const s = titanicStage({ titanic: { maxOpen: 5000 } });
    for (let n = 0; n < 1000; n++) {
      expect(sets(s, { running: 1 }, { service: `s${n}` })).toEqual(DONE);
    }
    const full = { text: 'the limits of at most 1000 services can be stored' };
    expect(sets(s, { running: 1 })).toMatchObject(full);
    expect(sets(s, { running: 2 }, { service: 's7' })).toEqual(DONE);
    expect(sets(s, null, { service: 's7' })).toEqual(DONE);
    expect(sets(s, { running: 1 })).toEqual(DONE);
  });

  it('end with a sweep of the store, after decades', () => {
    const s = titanicStage();
    sets(s, { running: 1 });
    s.wallOffset += 36 * 365 * 86_400_000;
    s.after(90_000);
    expect(s.store.disk.rows).toEqual([]);
    requests(s, 2);
    expect(worker(s).inbox()).toHaveLength(2);
  });
});

describe('limits of operators after a start', () => {
  it('hold for the first request', () => {
    const before = titanicStage();
    sets(before, { running: 2 });
    const s = before.crashes();
    const w = worker(s);
    requests(s, 4);
    s.after(SPAN_MS);
    expect(w.inbox()).toHaveLength(2);
  });

  it('hold when a node becomes active: nothing starts before they are read, but the rest is not waited for', () => {
    const s = titanicStage({ titanic: { maxOpen: 100_000 } });
    s.store.disk.piece = 10;
    for (let n = 0; n < 25; n++) s.submits('other', 'x');
    sets(s, { running: 1 });
    s.deactivates();
    s.holdsStore();
    const [w, v] = [worker(s), worker(s, 'echo.other')];
    s.activates();
    requests(s, 2);
    requests(s, 2, 'echo.other');
    s.after(SPAN_MS);
    expect([w.inbox(), v.inbox()]).toEqual([[], []]);
    expect(shown(s)).toMatchObject({
      limits: { held: 'what operators have limited is still being read from the store' },
    });
    // The first part of the list has the limits, whatever is before them.
    s.answers('list');
    s.after(SPAN_MS);
    expect([w.inbox(), v.inbox()].map((got) => got.length)).toEqual([1, 2]);
    expect(sets(s, null)).toMatchObject({
      text: expect.stringContaining('still being read') as unknown,
    });
    s.freesStore();
    expect(sets(s, null)).toEqual(DONE);
    expect(w.inbox()).toHaveLength(1);
  });

  it('do not have a node wait that knows of none', () => {
    const s = titanicStage().deactivates();
    const w = worker(s);
    s.holdsStore().activates();
    requests(s, 1);
    expect(w.inbox()).toHaveLength(1);
    s.freesStore();
  });

  it('are forgotten by a node that was not active when they were taken away', () => {
    const s = titanicStage();
    sets(s, { running: 1 });
    s.deactivates();
    const other = titanicStage({ disk: s.store.disk });
    expect(sets(other, null)).toEqual(DONE);
    s.titanic.counted(s.store.disk.counts);
    s.activates();
    requests(s, 3);
    expect(worker(s).inbox()).toHaveLength(3);
  });

  it('that only a later version understands do not hold, and are told', () => {
    const before = titanicStage();
    sets(before, { running: 1, group: { onFailure: 'pass' } });
    const [record] = before.store.disk.pending;
    const at = record?.own.lastIndexOf('pass') ?? 0;
    record?.own.write('skip', at);
    const s = before.crashes();
    s.turn();
    requests(s, 3);
    expect(worker(s).inbox()).toHaveLength(3);
    expect(s.told('service.limit_unreadable')).toHaveLength(1);
  });
});

describe('limits that two nodes have set', () => {
  it('after a split, the later ones hold, and all are taken away together', () => {
    const other = titanicStage({ seed: 7 });
    other.after(60_000);
    sets(other, { running: 2 }, { by: 'bob' });
    const s = titanicStage({ replica: new StageReplica() });
    sets(s, { running: 1 });
    s.merges(other.store.disk);
    expect(s.store.disk.pending).toHaveLength(2);
    expect(shown(s)).toMatchObject({ limits: { running: 2 }, limitsSet: { by: 'bob' } });
    expect(sets(s, { running: 5 })).toEqual(DONE);
    expect(s.store.disk.pending).toHaveLength(1);
    expect(shown(s)).toMatchObject({ limits: { running: 5 } });
  });

  it('hold at the other brokers of the store, until they are taken away there', () => {
    const other = titanicStage();
    sets(other, { running: 1 });
    const s = titanicStage({ claims: new StageClaims(), disk: other.store.disk });
    s.after(LIST_MS);
    requests(s, 3);
    const w = worker(s);
    s.after(SPAN_MS);
    expect(w.inbox()).toHaveLength(1);
    sets(other, null);
    s.after(LIST_MS);
    expect(w.inbox()).toHaveLength(2);
  });

  it('are taken away also at a broker that has not listed them yet, which looks first', () => {
    const other = titanicStage();
    const claims = new StageClaims();
    const s = titanicStage({ claims, disk: other.store.disk });
    s.after(1);
    sets(other, { running: 1 });
    expect(s.store.disk.pending).toHaveLength(1);
    expect(sets(s, null)).toEqual(DONE);
    expect(s.store.disk.pending).toEqual([]);
    sets(other, { running: 2 });
    // Those that another broker set are replaced.
    expect(sets(s, { running: 3 })).toEqual(DONE);
    expect(s.store.disk.pending).toHaveLength(1);
    expect(shown(s)).toMatchObject({ limits: { running: 3 } });
  });

  it('are refused in time if the store cannot be listed', () => {
    const claims = new StageClaims();
    const s = titanicStage({ claims, leaseMs: 1e9, storeTimeoutMs: 200 });
    claims.answer();
    claims.areListsHeld = true;
    const answered = begins(s, { running: 1 });
    s.after(100);
    expect(answered()).toBeNull();
    s.after(600);
    expect(answered()).toMatchObject({ kind: 'trouble' });
    claims.areListsHeld = false;
    s.after(1000);
    expect(s.store.disk.pending).toEqual([]);
  });
});
