/** What holds for workers of every kind. What differs between the kinds is in `KINDS`. */
import { rules, TestKey } from '../../support/rights.js';
import { endStages, type Stage } from '../../support/stage.js';
import { StageInternalClient, SUBMITTERS } from '../../support/stage-internal-client.js';
import type { Connection, ConnectionOptions } from '../../support/stage-peers.js';
import { MDP, paranoid, pirateStage, plain, simple } from '../../support/stage-pirates.js';

afterEach(endStages);

type Sign = 'DISCONNECT' | 'closed' | 'nothing';
type KindName = '0.1' | '0.2' | 'spp' | 'ppp';

interface Kind {
  readonly kind: KindName;
  /** What it notices when it is refused or has done wrong. */
  readonly disconnected: Sign;
  /** What it notices when it is disconnected and has done nothing wrong. */
  readonly toldToLeave: Sign;
  /** `null`: it knows none. Otherwise: whether those that it sends while busy keep its request. */
  readonly heartbeatsKeepRequest: boolean | null;
  /** After its late reply it is a worker again without READY. */
  readonly isBackWithLateReply: boolean;
}

/** 7/MDP, 18/MDP; D33 to D35 of docs/protocol.md for the others. */
const KINDS: readonly Kind[] = [
  {
    kind: '0.1',
    disconnected: 'DISCONNECT',
    toldToLeave: 'DISCONNECT',
    heartbeatsKeepRequest: true,
    isBackWithLateReply: false,
  },
  {
    kind: '0.2',
    disconnected: 'DISCONNECT',
    toldToLeave: 'DISCONNECT',
    heartbeatsKeepRequest: true,
    isBackWithLateReply: false,
  },
  {
    kind: 'spp',
    disconnected: 'closed',
    toldToLeave: 'nothing',
    heartbeatsKeepRequest: null,
    isBackWithLateReply: true,
  },
  {
    kind: 'ppp',
    disconnected: 'closed',
    toldToLeave: 'nothing',
    heartbeatsKeepRequest: false,
    isBackWithLateReply: false,
  },
];

/** A worker of `echo`. */
interface AnyWorker {
  readonly connection: Connection;
  ready(): void;
  heartbeat(): void;
  /** Replies to the request that it got last. */
  replies(...body: string[]): void;
  /** Bodies of the requests since the last call. */
  requests(): string[];
  /** What it noticed, other than requests and heartbeats, since the last call of `requests`. */
  noticed(): Sign;
}

function mdp(s: Stage, name: string, version: 1 | 2, options: ConnectionOptions): AnyWorker {
  const w = s.worker(name, { listener: MDP, version, ...options });
  let last: Buffer = Buffer.alloc(0);
  let inbox: string[] = [];
  const read = (): void => {
    const came = w.inbox();
    if (came.some((message) => message.startsWith('REQUEST '))) last = w.token();
    inbox.push(...came);
  };
  return {
    connection: w.connection,
    ready: () => w.ready('echo'),
    heartbeat: () => w.heartbeat(),
    replies: (...body) => w.final(body, { token: last }),
    requests: () => {
      read();
      const requests = inbox.filter((message) => message.startsWith('REQUEST '));
      inbox = [];
      return requests.map((message) => message.slice('REQUEST '.length));
    },
    noticed: () => {
      read();
      if (w.connection.closedByBroker) return 'closed';
      return inbox.includes('DISCONNECT') ? 'DISCONNECT' : 'nothing';
    },
  };
}

function pirate(
  s: Stage,
  name: string,
  kind: 'spp' | 'ppp',
  options: ConnectionOptions,
): AnyWorker {
  const w = kind === 'spp' ? simple(s, name, options) : paranoid(s, name, options);
  return {
    connection: w.connection,
    ready: () => w.ready(),
    heartbeat: () => w.heartbeat(),
    replies: (...body) => w.final(...body),
    requests: () => w.requests(),
    noticed: () => (w.connection.closedByBroker ? 'closed' : 'nothing'),
  };
}

function connect(
  s: Stage,
  name: string,
  kind: KindName,
  options: ConnectionOptions = {},
): AnyWorker {
  if (kind === 'spp' || kind === 'ppp') return pirate(s, name, kind, options);
  return mdp(s, name, kind === '0.1' ? 1 : 2, options);
}

function worker(s: Stage, name: string, kind: KindName, options?: ConnectionOptions): AnyWorker {
  const w = connect(s, name, kind, options);
  w.ready();
  return w;
}

/** A worker that takes what others lose. */
function other(s: Stage): AnyWorker {
  return worker(s, 'other', '0.2');
}

describe.each(KINDS)('a worker of kind $kind', (given) => {
  const { kind } = given;

  it('serves clients of all kinds, one request at a time', () => {
    const s = pirateStage();
    const w = worker(s, 'w', kind);
    const c1 = s.client('c1', { version: 1 }).request('echo', 'one');
    const c2 = s.client('c2').request('echo', 'two');
    const c3 = plain(s, 'c3');
    c3.sends('', 'three');
    for (const [request, reply] of [
      ['one', 'ONE'],
      ['two', 'TWO'],
      ['three', 'THREE'],
    ] as const) {
      expect(w.requests()).toEqual([request]);
      w.replies(reply);
    }
    expect(c1.inbox()).toEqual(['REPLY echo ONE']);
    expect(c2.inbox()).toEqual(['FINAL echo TWO']);
    expect(c3.raw()).toEqual([['', 'THREE']]);
  });

  it('gets and sends bodies of several frames, empty ones among them', () => {
    const s = pirateStage();
    const w = worker(s, 'w', kind);
    const c = s.client('c').request('echo', 'a', '', 'c');
    expect(w.requests()).toEqual(['a||c']);
    w.replies('', 'B', '');
    expect(c.inbox()).toEqual(['FINAL echo |B|']);
  });

  it('that did not ask for headers gets the body alone (D67)', () => {
    const s = pirateStage();
    const w = worker(s, 'w', kind);
    s.client('c').requestWithHeaders('echo', 5000, '{"a":"b"}', 'x', 'y');
    expect(w.requests()).toEqual(['x|y']);
  });

  it('loses its request with its connection, and another worker gets it (D6)', () => {
    const s = pirateStage();
    const w = worker(s, 'w', kind);
    const c = s.client('c').request('echo', 'x').request('echo', 'y');
    expect(w.requests()).toEqual(['x']);
    w.connection.disconnect();
    expect(s.events('request.requeued')).toMatchObject([{ service: 'echo', deliveries: 1 }]);
    const next = other(s);
    expect(next.requests()).toEqual(['x']);
    next.replies('X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
  });

  it('loses its request busyTimeoutMs after the dispatch if it sends nothing (D5, D35)', () => {
    const s = pirateStage({ busyTimeoutMs: 5000 });
    const w = worker(s, 'w', kind);
    s.client('c').request('echo', 'x');
    expect(w.requests()).toEqual(['x']);
    s.after(4999);
    expect(s.broker.load).toMatchObject({ workers: 1, requestsOut: 1 });
    s.after(1);
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
    expect(other(s).requests()).toEqual(['x']);
  });

  it('that was lost in silence may still reply, once (D8)', () => {
    const s = pirateStage({ busyTimeoutMs: 5000 });
    const w = worker(s, 'w', kind);
    const c = s.client('c').request('echo', 'x');
    expect(w.requests()).toEqual(['x']);
    s.after(5000);
    const second = other(s);
    expect(second.requests()).toEqual(['x']);
    // Whether it is alive, only the connection of a Simple Pirate shows.
    expect(w.connection.closedByBroker).toBe(kind !== 'spp');
    if (kind !== 'spp') {
      w.connection.disconnect();
      w.connection.connect();
    }
    w.replies('late');
    expect(c.inbox()).toEqual(['FINAL echo late']);
    expect(w.noticed()).toBe(given.isBackWithLateReply ? 'nothing' : given.toldToLeave);
    expect(s.broker.load.workers).toBe(given.isBackWithLateReply ? 2 : 1);
    second.replies('too late');
    expect(c.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
    expect(s.broker.load.requests).toBe(0);
    if (!given.isBackWithLateReply) w.ready();
    s.client('c2').request('echo', '1').request('echo', '2');
    expect(w.requests()).toEqual([given.isBackWithLateReply ? '1' : '2']);
  });

  it('takes turns with others: the least recently used comes first', () => {
    const s = pirateStage();
    const [w1, w2, w3] = [1, 2, 3].map((n) => worker(s, `w${n}`, kind));
    const c = s.client('c');
    const takes = (w: AnyWorker | undefined, body: string): void => {
      c.request('echo', body);
      expect(w?.requests()).toEqual([body]);
    };
    takes(w1, '1');
    takes(w2, '2');
    w2?.replies('2');
    w1?.replies('1');
    takes(w3, '3');
    takes(w2, '4');
    takes(w1, '5');
    expect(s.broker.load.requestsOut).toBe(3);
  });

  it('over limits.workers is refused, and is admitted when there is room', () => {
    const s = pirateStage({ limits: { workers: 1 } });
    const first = other(s);
    const w = worker(s, 'w', kind);
    expect(w.noticed()).toBe(given.disconnected);
    expect(s.broker.counters.workersRefused.limit).toBe(1);
    expect(s.broker.load.workers).toBe(1);
    first.connection.disconnect();
    if (given.disconnected === 'closed') {
      w.connection.disconnect();
      w.connection.connect();
    }
    w.ready();
    s.client('c').request('echo', 'x');
    expect(w.requests()).toEqual(['x']);
  });

  it('whose key loses the right is disconnected, and its request goes to another (D73)', () => {
    const bob = new TestKey(false, true);
    const s = pirateStage({ rightsOf: () => bob });
    const w = worker(s, 'w', kind, { key: 'bob' });
    const stays = worker(s, 'stays', kind);
    s.client('c').request('echo', 'x');
    expect(w.requests()).toEqual(['x']);
    bob.may(false, false);
    s.input((broker, now) => broker.connections.rightsChanged('bob', now));
    expect(w.noticed()).toBe(given.disconnected);
    expect(stays.noticed()).toBe('nothing');
    expect(stays.requests()).toEqual(['x']);
    expect(s.broker.counters.workersLost.rights).toBe(1);
  });

  it('without the right is refused (D72)', () => {
    const s = pirateStage({ rightsOf: () => new TestKey(true, ['other']) });
    const w = worker(s, 'w', kind, { key: 'bob' });
    expect(w.noticed()).toBe(given.disconnected);
    expect(s.events('worker.refused')).toMatchObject([{ reason: 'rights', key: 'bob' }]);
    expect(s.broker.load.workers).toBe(0);
  });

  it('is disconnected while the broker drains: idle at once, busy after its reply', () => {
    const s = pirateStage();
    const busy = worker(s, 'busy', kind);
    const c = s.client('c').request('echo', 'x').request('echo', 'y');
    expect(busy.requests()).toEqual(['x']);
    const late = connect(s, 'late', kind);
    s.input((broker, now) => broker.drain(now));
    expect(busy.noticed()).toBe('nothing');
    expect(s.broker.load).toMatchObject({ workers: 1, requestsOut: 1 });
    busy.replies('X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
    expect(busy.noticed()).toBe(given.toldToLeave);
    late.ready();
    expect(late.noticed()).toBe(given.toldToLeave);
    expect(s.broker.load).toMatchObject({ workers: 0, requestsOut: 0 });
    expect([...busy.requests(), ...late.requests()]).toEqual([]);
  });

  it('that does not read gets no request until it reads again', () => {
    const s = pirateStage();
    const w = worker(s, 'w', kind);
    const next = other(s);
    w.connection.fills();
    const c = s.client('c').request('echo', 'x').request('echo', 'y');
    expect([w.requests(), next.requests()]).toEqual([[], ['x']]);
    w.connection.drains();
    expect(w.requests()).toEqual(['y']);
    w.replies('Y');
    expect(c.inbox()).toEqual(['FINAL echo Y']);
  });

  it.each(SUBMITTERS)(
    'answers %s requests, and what it loses is reported to their submitter',
    (from) => {
      const s = pirateStage();
      const internal = new StageInternalClient(s, from);
      const w = worker(s, 'w', kind);
      expect(internal.submits(1, 'echo', 'a', '', 'c')).toBe(true);
      expect(w.requests()).toEqual(['a||c']);
      w.replies('A', 'B');
      expect(internal.heard()).toEqual(expect.arrayContaining(['1 replied A|B']));
      expect(internal.submits(2)).toBe(true);
      expect(w.requests()).toEqual(['s2']);
      w.connection.disconnect();
      expect(internal.heard()).toEqual(expect.arrayContaining(['2 failed connection']));
      internal.withdraws(2);
    },
  );

  it('is bound to what its listener allows', () => {
    const service = Buffer.from('echo');
    const s = pirateStage({
      listeners: [rules(true, ['no']), rules(true, false), { ...rules(false, ['no']), service }],
    });
    expect(worker(s, 'w', kind).noticed()).toBe(given.disconnected);
    expect(s.broker.counters.workersRefused.rights).toBe(1);
  });
});

describe.each(KINDS.filter(({ heartbeatsKeepRequest }) => heartbeatsKeepRequest !== null))(
  'a worker of kind $kind that sends heartbeats while busy',
  ({ kind, heartbeatsKeepRequest: keeps }) => {
    it(`${keeps === true ? 'keeps' : 'loses'} its request after busyTimeoutMs (D5, D35)`, () => {
      const s = pirateStage({ busyTimeoutMs: 5000 });
      const w = worker(s, 'w', kind);
      s.client('c').request('echo', 'x');
      for (let beat = 0; beat < 8; beat++) {
        s.after(900);
        if (s.broker.load.workers === 1) w.heartbeat();
      }
      const left = keeps === true ? 1 : 0;
      expect(s.broker.load).toMatchObject({ workers: left, requestsOut: left, requests: 1 });
    });
  },
);
