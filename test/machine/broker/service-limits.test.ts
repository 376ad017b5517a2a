/** Limits of services and of their groups: how many run at once, and how many start per second (D118). */
import { START } from '../../../src/broker/listing.js';
import { Holdings } from '../../../src/core/holdings.js';
import type { RunLimit } from '../../../src/broker/options.js';
import { rules } from '../../support/rights.js';
import { seededRandom } from '../../support/stage-random.js';
import { endStages, stage, type Stage } from '../../support/stage.js';
import { got, send } from '../../support/groups.js';
import type { FrameLike, WorkerActor } from '../../support/stage-peers.js';

afterEach(endStages);

/** Of the stage: three heartbeats of a second. */
const SPAN_MS = 3000;
const NONE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };

interface Given {
  readonly service?: Partial<RunLimit>;
  readonly group?: Partial<RunLimit>;
}

/** Sets the limits of the service `echo`. */
function limit(s: Stage, given: Given): void {
  const full = (part?: Partial<RunLimit>): RunLimit | null =>
    part === undefined ? null : { ...NONE, ...part };
  const limits = { service: full(given.service), group: full(given.group), holds: false };
  s.input((broker) => {
    broker.setServiceLimits((name) => (name.toString() === 'echo' ? limits : null));
  });
  s.turn();
}

function limited(given: Given): Stage {
  const s = stage();
  limit(s, given);
  return s;
}

/** Numbers from 0 to below `most`. */
function randomNumbers(seed: number): (most: number) => number {
  const fill = seededRandom(seed);
  const bytes = Buffer.alloc(4);
  return (most) => {
    fill(bytes);
    return bytes.readUInt32LE() % most;
  };
}

const worker = (s: Stage, name = 'w', credit = 10): WorkerActor =>
  s.worker(name).ready('echo', { credit });

describe('limits of what runs at once', () => {
  it('hold for each group, and not for requests without one', () => {
    const s = limited({ group: { running: 2 } });
    const w = worker(s);
    send(s.client('c'), 'a1 a2 a3 a4 b1 b2 b3 -1 -2 -3');
    expect(got(w)).toBe('a1 a2 b1 b2 -1 -2 -3');
    w.final('ok');
    expect(got(w)).toBe('a3');
    expect(s.broker.load.requestsOut).toBe(7);
  });

  it('hold for the service', () => {
    const s = limited({ service: { running: 3 } });
    const [w, other] = [worker(s), worker(s, 'other')];
    send(s.client('c'), 'a1 a2 b1 -1 -2');
    expect(`${got(w)} ${got(other)}`.split(' ')).toHaveLength(3);
    w.final('ok');
    expect(`${got(w)}${got(other)}`).not.toBe('');
    expect(s.broker.load.requestsOut).toBe(3);
  });

  it.each<[string, (w: WorkerActor) => void, string]>([
    ['a reply', (w) => w.final('ok'), 'a2'],
    ['FAIL', (w) => w.fails(['error', 'code', 'text']), 'a2'],
    ['FAIL retry', (w) => w.fails(['retry', 'code', 'text']), 'a1'],
    ['RETURN', (w) => w.returns('no place'), 'a1'],
    ['the loss of the worker', (w) => w.connection.disconnect(), 'a1'],
  ])('let the next one start after %s', (_, end, next) => {
    const s = limited({ group: { running: 1 } });
    const w = worker(s, 'w', 1);
    send(s.client('c'), 'a1 a2 b1');
    expect(got(w)).toBe('a1');
    const other = worker(s, 'other', 2);
    expect(got(other)).toBe('b1');
    end(w);
    expect(`${got(w)}${got(other)}`).toBe(next);
  });

  it('count what is at workers when they are set, and let all start when they are gone', () => {
    const s = stage();
    const w = worker(s);
    const c = s.client('c');
    send(c, 'a1 a2 b1');
    expect(got(w)).toBe('a1 a2 b1');
    limit(s, { group: { running: 2 } });
    send(c, 'a3 b2 b3');
    expect(got(w)).toBe('b2');
    limit(s, { group: { running: 3 } });
    expect(got(w)).toBe('a3 b3');
    send(c, 'a4');
    expect(got(w)).toBe('');
    limit(s, {});
    expect(got(w)).toBe('a4');
    for (let n = 0; n < 7; n++) w.final('ok');
    limit(s, { group: { running: 1 } });
    send(c, 'a5 a6');
    expect(got(w)).toBe('a5');
  });

  it('count also what is still to come back from a lost worker when they are set', () => {
    const s = stage();
    const w = worker(s, 'w', 10_000);
    // More than one turn gives back.
    const c = s.client('c');
    for (let n = 0; n < 2100; n++) c.request('echo', `${n}`);
    s.batch(() => {
      w.connection.disconnect();
      s.input((broker) => {
        const service = { ...NONE, running: 1 };
        broker.setServiceLimits(() => ({ service, group: null, holds: false }));
      });
    });
    expect(s.broker.load.requestsOut).toBe(0);
    expect(worker(s, 'other').inbox()).toHaveLength(1);
  });

  it('of one service are set without a look at the others', () => {
    const s = stage({ limits: { services: 5000 } });
    const c = s.client('c');
    for (let n = 0; n < 500; n++) c.request(`named-${n}`, 'x');
    let looks = 0;
    const ofOne = (running: number) => ({
      service: { ...NONE, running },
      group: null,
      holds: false,
    });
    s.input((broker) => {
      broker.setServiceLimits(() => {
        looks++;
        return null;
      });
    });
    looks = 0;
    const w = worker(s);
    send(c, '-1 -2 -3');
    const echo = ofOne(4);
    for (const other of [1, 2, null]) {
      const set = new Map([['echo', echo]]);
      if (other !== null) set.set('named-7', ofOne(other));
      s.input((broker) => broker.storedDeliveries.setLimits(set));
      s.turn();
    }
    // Of each broker: of the stage, and its shadow.
    expect(looks).toBeLessThanOrEqual(4);
    send(c, '-4 -5');
    expect(got(w)).toBe('-1 -2 -3 -4');
  });

  it('let nothing with such a limit start until the workers had time to come back', () => {
    const s = limited({ group: { running: 1 } });
    s.input((broker) => broker.begin(s.now));
    const w = worker(s);
    w.heartbeatsEvery(1000);
    send(s.client('c'), 'a1 -1');
    expect(got(w)).toBe('-1');
    s.after(SPAN_MS - 1);
    expect(got(w)).toBe('');
    s.after(1);
    expect(got(w)).toBe('a1');
  });

  it('let nothing of it start then that waited before, either', () => {
    const s = limited({ group: { running: 1 } });
    send(s.client('c'), 'a1 b1 -1 a2');
    s.input((broker, now) => broker.begin(now));
    const w = worker(s).heartbeatsEvery(1000);
    expect(got(w)).toBe('-1');
    s.after(SPAN_MS);
    expect(got(w)).toBe('a1 b1');
  });

  it('leave nothing behind when they go, nor when their services are many', () => {
    const holdings = new Holdings();
    const s = stage({ holdings, limits: { services: 5000 } });
    const held = (): number => holdings.use('broker').requests;
    const before = held();
    limit(s, { group: { perSecond: 0.1 } });
    const w = worker(s);
    const c = s.client('c');
    send(c, 'a1 b1');
    expect(got(w)).toBe('a1 b1');
    w.final('ok').final('ok');
    expect(held()).toBeGreaterThan(before);
    limit(s, {});
    expect(held()).toBe(before);
    // More than are remembered, all of them limited, and none with a full bucket.
    const slow = { running: Infinity, perSecond: 0.001, burst: 1 };
    s.input((broker) => {
      broker.setServiceLimits(() => ({ service: slow, group: null, holds: false }));
      broker.begin(s.now);
    });
    for (let n = 0; n < 1500; n++) c.request(`named-${n}`, 'x');
    expect(s.broker.listing.serviceCount).toBe(1501);
    s.after(60_000);
    expect(s.broker.listing.serviceCount).toBeLessThan(1100);
    s.input((broker) => broker.setServiceLimits(() => null));
    s.turn();
  });

  it('leave requests that nobody wants any more to their end', () => {
    const s = limited({ group: { running: 1 } });
    const w = worker(s);
    const gone = s.client('gone');
    send(gone, 'a1 a2 b1 b2');
    gone.connection.disconnect();
    send(s.client('c'), 'a3');
    s.after(10);
    expect(got(w)).toBe('a1 b1');
    w.final('ok').final('ok');
    expect(got(w)).toBe('a3');
  });
});

describe('what workers say that they run, which this broker has not out at them', () => {
  const asking = { credit: 10, group: true };

  /** A node of a pair whose workers are registered, and that takes over. */
  function takenOver(given: Given): { s: Stage; w: WorkerActor } {
    const s = limited(given);
    s.input((broker, now) => broker.setAdmission('refusing', now));
    const w = s.worker('w').ready('echo', asking).heartbeatsEvery(1000);
    w.inbox();
    s.input((broker, now) => broker.setAdmission('serving', now));
    s.turn();
    return { s, w };
  }

  it('is asked at a takeover, and counts until its end is said', () => {
    const { s, w } = takenOver({ group: { running: 2 } });
    expect(w.inbox()).toEqual(['RUNS?']);
    w.runs('echo', 'a', '2', 'b', '1');
    send(s.client('c'), 'a1 a2 b1 b2 c1');
    s.after(SPAN_MS);
    expect(got(w)).toBe('c   c1 b   b1');
    w.runs('echo', 'a', '1');
    expect(got(w)).toBe('a   a1');
    w.runs('echo', 'a', '0');
    expect(got(w)).toBe('a   a2');
    w.runs('echo', 'b', '0').final('ok', { of: 'b1' });
    expect(got(w)).toBe('b   b2');
  });

  it('is asked at READY while it may not be known, and only of a service that has limits', () => {
    const s = limited({ group: { running: 1 } });
    s.input((broker, now) => broker.begin(now));
    expect(s.worker('w').ready('echo', asking).inbox()).toEqual(['RUNS?']);
    expect(s.worker('other').ready('other', asking).inbox()).toEqual([]);
    expect(s.worker('old').ready('echo', { credit: 10 }).inbox()).toEqual([]);
    s.after(SPAN_MS);
    expect(s.worker('late').ready('echo', asking).inbox()).toEqual([]);
  });

  it('is asked when its service gets limits while it may not be known', () => {
    const s = stage();
    s.input((broker, now) => broker.begin(now));
    const w = s.worker('w').ready('echo', asking).heartbeatsEvery(1000);
    expect(w.inbox()).toEqual([]);
    limit(s, { group: { running: 1 } });
    expect(w.inbox()).toEqual(['RUNS?']);
    s.after(SPAN_MS);
    limit(s, { group: { running: 2 } });
    expect(w.inbox()).toEqual([]);
  });

  it('counts in the limit of its service, also of groups that have none', () => {
    const s = limited({ service: { running: 3 } });
    const w = s.worker('w').ready('echo', asking).runs('echo', 'a', '1', '', '1');
    send(s.client('c'), 'a1 -1');
    expect(w.inbox()).toEqual(['REQUEST a   a1']);
    w.runs('echo', '', '0');
    expect(w.inbox()).toEqual(['REQUEST -1']);
  });

  it.each<[string, (w: WorkerActor) => void]>([
    ['its connection ends', (w) => w.connection.disconnect()],
    ['it says 0', (w) => w.runs('echo', 'a', '0')],
  ])('counts of a worker that has no room to register, until %s', (_, end) => {
    const s = limited({ group: { running: 1 } });
    const full = s.worker('full').runs('echo', 'a', '1');
    const w = worker(s);
    send(s.client('c'), 'a1 b1');
    expect(got(w)).toBe('b1');
    end(full);
    expect(got(w)).toBe('a1');
  });

  it('counts again when limits change', () => {
    const s = stage();
    const w = s.worker('w').ready('echo', asking).runs('echo', 'a', '1');
    limit(s, { group: { running: 1 } });
    send(s.client('c'), 'a1');
    expect(got(w)).toBe('');
    limit(s, { group: { running: 2 } });
    expect(got(w)).toBe('a   a1');
    limit(s, {});
    w.runs('echo', 'a', '0').final('ok');
  });

  it('goes on when the worker is given up, if its connection stands, and it registers again', () => {
    const s = limited({ group: { running: 1 } });
    const w = s.worker('w').ready('echo', asking).runs('echo', 'a', '1');
    w.saysDisconnect().ready('echo', asking);
    send(s.client('c'), 'a1 b1');
    expect(got(w)).toBe('b   b1');
  });

  it.each<[string, FrameLike[]]>([
    ['another service than the one that it registered', ['other', 'a', '1']],
    ['more than a worker can run', ['echo', 'a', '6000', 'b', '6000']],
    ['a number that is none', ['echo', 'a', '-1']],
    ['a group that is too long', ['echo', 'a'.repeat(256), '1']],
    [
      'more than fits',
      ['echo', ...Array.from({ length: 5 }, (_, at) => [`${at}`.repeat(250), '1']).flat()],
    ],
    ['a group without a number', ['echo', 'a']],
    ['no group', ['echo']],
    ['no service', []],
  ])('is malformed with %s', (_, [service, ...groups]) => {
    const s = limited({ group: { running: 1 } });
    const w = s.worker('w').ready('echo', asking);
    w.connection.sends('MDPW02', '\x0c', ...(service === undefined ? [] : [service]), ...groups);
    expect(w.inbox()).toEqual(['DISCONNECT']);
    w.disconnect();
    expect(s.broker.load.services).toBe(0);
  });

  it('says nothing of a service that its sender may not serve, and holds no more than it says', () => {
    const holdings = new Holdings();
    const s = stage({ holdings, listeners: [{ ...rules(true, false) }] });
    s.worker('w').runs('echo', 'a', '1');
    expect(s.broker.load.services).toBe(0);
  });

  it('makes no service of a name that it may not say', () => {
    const s = limited({ group: { running: 1 } });
    for (const name of ['mmi.broker', 'other']) {
      s.worker(name).ready('echo', asking).runs(name, 'a', '1');
    }
    expect(s.broker.listing.serviceCount).toBe(1);
  });

  it('ends also if its worker could not register any more', () => {
    const s = stage({ limits: { workers: 1 } });
    limit(s, { group: { running: 1 } });
    const full = s.worker('full').runs('echo', 'a', '1');
    const w = worker(s);
    send(s.client('c'), 'a1');
    expect(got(w)).toBe('');
    full.runs('echo', 'a', '0');
    expect(got(w)).toBe('a1');
  });

  it('has no more room than there is memory', () => {
    const holdings = new Holdings(100_000);
    const s = stage({ holdings });
    limit(s, { group: { running: 1 } });
    for (let n = 0; n < 1000; n++) s.worker(`w${n % 10}`).runs('echo', `${n}`, '1');
    expect(holdings.bytes).toBeLessThan(120_000);
  });

  it('takes memory of its identity, as long as it runs', () => {
    const holdings = new Holdings();
    const s = stage({ holdings });
    const w = s.worker('w').ready('echo', asking);
    const bytes = (): number => holdings.bytes;
    const before = bytes();
    w.runs('echo', 'a', '3', 'b', '1').runs('echo', 'a', '2');
    expect(bytes() - before).toBeGreaterThan(2 * 100);
    w.runs('echo', 'a', '0', 'b', '0');
    expect(bytes()).toBe(before);
  });

  it('comes with what a worker gets of a group, if it asked for that', () => {
    const s = stage();
    const w = s.worker('w').ready('echo', { ...asking, headers: true });
    const c = s.client('c');
    c.connection.sends('MDPC02', '\x05', 'echo', '', 'é', '5000', '{"k":"v"}', 'one');
    c.connection.sends('MDPC02', '\x05', 'echo', '', 'g', '', '', 'two', 'three');
    c.requestWithHeaders('echo', 0, '{"k":"v"}', 'four');
    c.request('echo', 'five');
    expect(w.inbox()).toEqual([
      'REQUEST é 5000 {"k":"v"} one',
      'REQUEST g   two|three',
      'REQUEST  {"k":"v"} four',
      'REQUEST five',
    ]);
  });
});

describe('a request that a limit of its group holds', () => {
  const held = (): Stage => {
    const s = limited({ group: { running: 1 } });
    worker(s, 'w', 2);
    send(s.client('at-worker'), 'a1 b1');
    s.after(100);
    return s;
  };

  it('is refused like any other where nobody is served any more', () => {
    const s = held();
    const c = s.client('c').hello();
    send(c, 'a2 a3 b2');
    expect(s.broker.load.requests - s.broker.load.requestsOut).toBe(3);
    s.input((broker, now) => broker.setAdmission('refusing', now));
    s.turn();
    expect(s.broker.load.requests - s.broker.load.requestsOut).toBe(0);
    expect(c.inbox()).toEqual(Array(3).fill(expect.stringContaining('mmi.refused 503')));
  });

  it('waits like any other in the list of services', () => {
    const s = held();
    send(s.client('c'), 'a2');
    s.after(300);
    const { items } = s.broker.listing.servicePage(START, 10, null, () => true, s.now);
    expect(items.map(({ oldestQueuedMs }) => oldestQueuedMs)).toEqual([300]);
  });
});

describe('what an operator and a client are told', () => {
  it('names the limit that keeps a request from starting', () => {
    const s = limited({ group: { running: 1 }, service: { perSecond: 1, burst: 5 } });
    const w = worker(s);
    w.heartbeatsEvery(1000);
    const c = s.client('c').hello();
    send(c, 'a1 a2 a3 b1');
    const [seen] = s.broker.listing.servicePage(START, 10, null, () => true, s.now).items;
    expect(seen).toMatchObject({
      limits: { running: null, perSecond: 1, burst: 5, runs: 2, held: null },
      groupLimits: {
        running: 1,
        onFailure: 'pass',
        held: [{ group: 'a', queued: 2, why: '1 of 1 run' }],
      },
    });
    s.after(60_000);
    const told = 'FINAL mmi.refused 408|echo|a limit kept it from starting: group a: 1 of 1 run';
    expect(c.inbox()).toEqual([told, told]);
    expect(s.events('request.expired')).toMatchObject([{ reason: 'limited' }, {}]);
  });

  it('is what mmi.why says', () => {
    const s = limited({ group: { running: 1 } });
    worker(s);
    const c = s.client('c');
    send(c, 'a1 a2');
    c.request('mmi.why', 'echo');
    const words = 'a limit holds group a: 1 of 1 run, and 1 request waits';
    expect(c.inbox()).toEqual([`FINAL mmi.why 200|${words}`]);
  });

  it('says when the next one may start', () => {
    const s = limited({ service: { perSecond: 0.5 } });
    const w = worker(s);
    send(s.client('c'), '-1 -2');
    expect(got(w)).toBe('-1');
    const [seen] = s.broker.listing.servicePage(START, 10, null, () => true, s.now + 200).items;
    expect(seen?.limits?.held).toBe('next start in 1800 ms');
  });
});

describe('limits of what starts per second', () => {
  it('hold for each group, after a pause for as many as the burst', () => {
    const s = limited({ group: { perSecond: 10, burst: 2 } });
    const w = worker(s, 'w', 100);
    w.heartbeatsEvery(1000);
    const c = s.client('c');
    send(c, 'a1 a2 a3 a4 b1 -1');
    expect(got(w)).toBe('a1 a2 b1 -1');
    s.after(99);
    expect(got(w)).toBe('');
    s.after(1);
    expect(got(w)).toBe('a3');
    s.after(100);
    expect(got(w)).toBe('a4');
    s.after(1000);
    send(c, 'a5 a6 a7');
    expect(got(w)).toBe('a5 a6');
  });

  it('hold for the service, in each span of time', () => {
    const s = limited({ service: { perSecond: 50 } });
    const w = worker(s, 'w', 1000);
    w.heartbeatsEvery(1000);
    send(s.client('c'), Array.from({ length: 120 }, (_, n) => `-${n}`).join(' '));
    const counts = Array.from({ length: 10 }, () => {
      s.after(200);
      return w.inbox().length;
    });
    expect(counts).toEqual([11, ...Array<number>(9).fill(10)]);
  });

  it('are remembered while nothing waits, until they let all start again', () => {
    const s = limited({ group: { perSecond: 1, burst: 3 } });
    const w = worker(s, 'w', 100);
    w.heartbeatsEvery(1000);
    const c = s.client('c');
    send(c, 'a1 a2 a3');
    w.final('ok').final('ok').final('ok');
    s.after(1500);
    send(c, 'a4 a5');
    expect(got(w)).toBe('a1 a2 a3 a4');
    s.after(500);
    expect(got(w)).toBe('a5');
  });

  it('begin with an empty bucket', () => {
    const s = limited({ group: { perSecond: 10 } });
    s.input((broker) => broker.begin(s.now));
    const w = worker(s);
    send(s.client('c'), 'a1');
    s.after(99);
    expect(got(w)).toBe('');
    s.after(1);
    expect(got(w)).toBe('a1');
  });

  it('count a redelivery as a start', () => {
    const s = limited({ group: { perSecond: 10 } });
    const w = worker(s);
    send(s.client('c'), 'a1');
    w.returns('no place');
    expect(got(w)).toBe('a1');
    s.after(100);
    expect(got(w)).toBe('a1');
  });
});

describe('limits, at random', () => {
  it.each(Array.from({ length: 40 }, (_, n) => n))(
    'are exact by the count of the workers: %i',
    (seed) => {
      const random = randomNumbers(seed);
      const [running, all] = [1 + random(3), 2 + random(6)];
      const s = limited({ group: { running }, service: { running: all } });
      const c = s.client('c');
      let names = 0;
      let workers: WorkerActor[] = [];
      const has = new Map<WorkerActor, string[]>();
      const look = (): void => {
        for (const w of workers) {
          const new_ = got(w);
          if (new_ !== '') has.get(w)?.push(...new_.split(' '));
        }
        const out = [...has.values()].flat();
        expect(out.length).toBeLessThanOrEqual(all);
        const groups = new Map<string, number>();
        for (const body of out) groups.set(body[0] ?? '', (groups.get(body[0] ?? '') ?? 0) + 1);
        for (const [group, count] of groups) {
          if (group !== '-') expect(count).toBeLessThanOrEqual(running);
        }
      };
      for (let step = 0; step < 300; step++) {
        const at = workers[random(Math.max(1, workers.length))];
        const held = at === undefined ? [] : (has.get(at) ?? []);
        const what = random(8);
        if (what < 3) send(c, `${'abc-'[random(4)]}${step}`);
        else if (what === 3 && workers.length < 4) {
          const added = worker(s, `w${names++}`, 1 + random(4));
          workers.push(added);
          has.set(added, []);
        } else if (what === 4 && at !== undefined && random(4) === 0) {
          at.connection.disconnect();
          workers = workers.filter((each) => each !== at);
          has.delete(at);
        } else if (at !== undefined && held.length > 0) {
          held.shift();
          if (what === 5) at.returns('no place');
          else if (what === 6) at.fails(['error', 'code', 'text']);
          else at.final('ok');
        }
        look();
      }
      // Nothing is forgotten: all of it comes to an end.
      for (let turns = 0; s.broker.load.requests > 0 && turns < 2000; turns++) {
        if (workers.length === 0) {
          const last = worker(s, 'last', 4);
          workers.push(last);
          has.set(last, []);
        }
        look();
        for (const w of workers) for (const _ of has.get(w)?.splice(0) ?? []) w.final('ok');
      }
      expect(s.broker.load.requests).toBe(0);
    },
  );
});
