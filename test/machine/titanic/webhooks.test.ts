/** Webhooks: what tells of the end of a stored request is stored with it, and is due with that end. */
import type { InternalWorker } from '../../../src/broker/ports.js';
import { Frames } from '../../../src/core/frames.js';
import type { ShownHistory } from '../../../src/titanic/operator/operator-api.js';
import { outcomeOfNumber } from '../../../src/store/outcomes.js';
import { ownOf } from '../../../src/store/own-fields.js';
import { retriesOf, WEBHOOKS } from '../../../src/titanic/machine/requests/webhooks.js';
import { TestKey } from '../../support/rights.js';
import { StageReplica } from '../../support/stage-replica.js';
import {
  endTitanicStages,
  type TitanicStage,
  titanicStage,
  type TitanicStageOptions,
} from '../../support/titanic-stage.js';

const workers: StageWorker[] = [];

afterEach(() => {
  for (const worker of workers.splice(0)) worker.leaves();
  endTitanicStages();
});

const URL = 'https://hooks.example/x';
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

class StageWorker implements InternalWorker {
  readonly #stage: TitanicStage;
  readonly taken: number[] = [];
  readonly withdrawn: number[] = [];
  /** Of each that it took: the uuid of its request, its URL, the service of the request. */
  messages: string[] = [];
  free = 10;

  constructor(stage: TitanicStage) {
    this.#stage = stage;
    stage.broker.storedDeliveries.serve(WEBHOOKS, this);
    stage.titanic.acceptWebhooks((url) => (url === URL ? null : 'not allowed'));
    stage.turn();
    workers.push(this);
  }

  /** It finishes what it has, and takes no more. */
  leaves(): void {
    this.free = 0;
    while (this.taken.length > 0) this.replies('204');
  }

  room(): number {
    return this.free - this.taken.length;
  }

  take(reference: number): void {
    const { requests } = this.#stage.titanic.operatorHost();
    const uuid = requests.dispatcher.index.uuid(reference);
    const request = this.#stage.store.disk.row(uuid)?.request;
    const own = request === undefined ? null : ownOf('webhook', request.own);
    this.taken.push(reference);
    const partner = request?.partner.toString('hex').toUpperCase();
    this.messages.push([partner, own?.url, own?.service].join('|'));
  }

  withdraw(reference: number): void {
    this.withdrawn.push(reference);
    this.taken.splice(this.taken.indexOf(reference), 1);
  }

  /** The uuids of the requests of those that it has. */
  get uuids(): string[] {
    return this.messages.splice(0).map((message) => message.slice(0, 32));
  }

  #report(report: (reference: number) => void): void {
    const reference = this.taken.shift();
    if (reference === undefined) throw new Error('it has none');
    this.#stage.titanic.setTime(this.#stage.now, this.#stage.wall);
    this.#stage.titanic.dispatched(reference, { number: 0, name: null, address: '' });
    report(reference);
    this.#stage.turn();
  }

  /** It has no place for the first one that it has. */
  defers(): number {
    const reference = this.taken.shift() ?? -1;
    this.messages.shift();
    this.#stage.titanic.deferred(reference);
    this.#stage.turn();
    return reference;
  }

  calls(reference: number): void {
    this.#stage.titanic.setTime(this.#stage.now, this.#stage.wall);
    this.#stage.titanic.called(reference);
    this.#stage.turn();
  }

  replies(...frames: string[]): void {
    this.#report((reference) => {
      this.#stage.titanic.replied(reference, Frames.of(...frames), 0, null);
    });
  }

  fails(kind: 'error' | 'final' = 'error', pauseMs = 0): void {
    this.#report((reference) => {
      const failure = { kind, code: 'webhook.500', text: '', detail: [] };
      this.#stage.titanic.failed(reference, 'webhook.500', false, failure, pauseMs);
    });
  }
}

function scene(options: TitanicStageOptions = {}): { s: TitanicStage; hooks: StageWorker } {
  const s = titanicStage(options);
  return { s, hooks: new StageWorker(s) };
}

function submits(s: TitanicStage, options: object = {}): string {
  return s.submits('echo', 'hi', { webhook: URL, ...options });
}

/** The uuid of what tells of a request. */
function webhookOf(s: TitanicStage, uuid: string): Buffer {
  const request = Buffer.from(uuid, 'hex');
  const found = s.store.disk.rows.find(
    ({ request: { partner, kind } }) => kind === 'webhook' && partner.equals(request),
  );
  return found?.request.uuid ?? Buffer.alloc(16);
}

/** The state of what tells of a request, and the outcome of that. */
function webhook(s: TitanicStage, uuid: string): unknown {
  const row = s.store.disk.row(webhookOf(s, uuid));
  if (row === undefined) return 'absent';
  return [row.request.state, outcomeOfNumber(row.request.outcome)];
}

/** How often an operator retried what tells of a request. */
function retriesOfWebhook(s: TitanicStage, uuid: string): number | null {
  const row = s.store.disk.row(webhookOf(s, uuid));
  return row === undefined ? null : retriesOf(row.request);
}

describe('the webhook of a stored request', () => {
  it('is stored with it, for its owner, and waits for its end', () => {
    const { s, hooks } = scene();
    const uuid = submits(s);
    expect(webhook(s, uuid)).toEqual(['pending', 'none']);
    const [first, second] = s.store.disk.rows.map(({ request: { service } }) => service.toString());
    expect([first, second].sort()).toEqual(['echo', 'titanic.webhook']);
    s.after(MINUTE_MS);
    expect(hooks.messages).toEqual([]);
  });

  it('is due with the reply, and is gone once it is told', () => {
    const { s, hooks } = scene();
    const uuid = submits(s);
    s.worker('w').ready('echo').final('done');
    expect(webhook(s, uuid)).toEqual(['pending', 'replied']);
    // It was not sent before.
    expect(s.store.disk.row(webhookOf(s, uuid))?.request).toMatchObject({ attempts: 0 });
    expect(hooks.messages).toHaveLength(1);
    expect(hooks.messages[0]).toBe(`${uuid}|${URL}|echo`);
    hooks.replies('204');
    expect(webhook(s, uuid)).toBe('absent');
    expect(s.stands(uuid)).toBe('replied');
    s.after(HOUR_MS);
    expect(hooks.messages).toHaveLength(1);
  });

  it('is due when the request dies, and is kept: an operator may have it tried again', () => {
    const { s, hooks } = scene();
    const uuid = submits(s, { maxAttempts: 1 });
    const w = s.worker('w').ready('echo');
    w.fails(['final', 'bad', 'no']);
    expect(webhook(s, uuid)).toEqual(['pending', 'dead']);
    hooks.replies('204', 'dead');
    expect(webhook(s, uuid)).toEqual(['replied', 'dead']);
    expect(hooks.uuids).toEqual([uuid]);
    const retried = s.operates<null>((operator, answer) => {
      operator.retry(Buffer.from(uuid, 'hex'), 'alice', answer);
    });
    expect(retried()).toEqual({ kind: 'done', value: null });
    expect(hooks.uuids).toEqual([]);
    w.final('done');
    expect(hooks.uuids).toEqual([uuid]);
    expect(retriesOfWebhook(s, uuid)).toBe(0);
    hooks.replies('204');
    expect(webhook(s, uuid)).toBe('absent');
  });

  it('is due when the request is cancelled by its client or an operator, or expires', () => {
    const { s, hooks } = scene();
    const [closed, cancelled, expired] = [1, 2, 3].map(() => submits(s, { ttlMs: MINUTE_MS }));
    s.asks('close', closed ?? '');
    s.operates<null>((operator, answer) => {
      operator.cancel(Buffer.from(cancelled ?? '', 'hex'), 'alice', answer);
    });
    expect(hooks.uuids).toEqual([closed, cancelled]);
    s.after(MINUTE_MS);
    expect(hooks.uuids).toEqual([expired]);
    expect([closed, cancelled, expired].map((uuid) => webhook(s, uuid ?? ''))).toEqual([
      ...[
        ['pending', 'cancelled'],
        ['pending', 'cancelled'],
        ['pending', 'expired'],
      ],
    ]);
  });

  it('says nothing when a result is deleted that was told', () => {
    const { s, hooks } = scene();
    const uuid = submits(s);
    s.worker('w').ready('echo').final('done');
    hooks.replies('204');
    s.asks('close', uuid);
    expect(hooks.messages).toHaveLength(1);
    expect(s.store.disk.rows).toEqual([]);
  });

  it('is not stored twice: the first request of a key has its own', () => {
    const { s, hooks } = scene();
    const uuid = submits(s, { key: 'order-7' });
    expect(submits(s, { key: 'order-7' })).toBe(uuid);
    expect(s.store.disk.rows).toHaveLength(2);
    s.worker('w').ready('echo').final('done');
    expect(hooks.uuids).toEqual([uuid]);
  });

  it('is one of what a key names: without it, the key is refused, and no webhook stays (D112)', () => {
    const { s } = scene();
    submits(s, { key: 'order-7' });
    s.submits('echo', 'hi', { key: 'order-8' });
    for (const options of [{ key: 'order-7' }, { key: 'order-8', webhook: URL }]) {
      expect(s.asks('submit', JSON.stringify(options), 'echo', 'hi')).toMatch(/^409 /);
    }
    s.turn();
    expect(s.store.disk.rows).toHaveLength(3);
  });

  it('is refused before anything is stored if its URL is not allowed, or webhooks are off', () => {
    const { s } = scene();
    const options = JSON.stringify({ webhook: 'https://other.example/' });
    expect(s.asks('submit', options, 'echo', 'x')).toBe('400 webhook: not allowed');
    const off = titanicStage();
    expect(off.asks('submit', JSON.stringify({ webhook: URL }), 'echo', 'x')).toMatch(
      /^400 webhook: no webhooks are allowed/,
    );
    expect([...s.store.disk.rows, ...off.store.disk.rows]).toEqual([]);
    // The messages were well-formed.
    expect(s.told('titanic.malformed')).toEqual([]);
    expect(s.told('titanic.refused')).toMatchObject([
      { reason: 'webhook', text: 'webhook: not allowed' },
    ]);
  });

  it('is tried again with growing pauses, dies, and can be retried', () => {
    const { s, hooks } = scene({ titanic: { replyTtlMs: 1000 * HOUR_MS } });
    const uuid = submits(s);
    s.worker('w').ready('echo').final('done');
    let told = 0;
    for (; told < 20; told++) {
      expect(hooks.uuids).toEqual([uuid]);
      hooks.fails();
      s.after(7 * HOUR_MS);
    }
    expect(hooks.uuids).toEqual([]);
    expect(webhook(s, uuid)).toEqual(['dead', 'replied']);
    expect(s.told('titanic.died')).toHaveLength(1);
    s.operates<null>((operator, answer) => operator.retry(webhookOf(s, uuid), 'alice', answer));
    expect(retriesOfWebhook(s, uuid)).toBe(1);
    // The request that it tells of has ended as before.
    expect(s.stands(uuid)).toBe('replied');
    expect(hooks.uuids).toEqual([uuid]);
    hooks.replies('204');
    expect(webhook(s, uuid)).toBe('absent');
  });

  it('pauses for 1 to 2 s first, then twice as long each time, up to 3 to 6 h', () => {
    const { s, hooks } = scene();
    submits(s);
    s.worker('w').ready('echo').final('done');
    let wholeMs = 2000;
    for (let attempt = 1; attempt < 20; attempt++) {
      hooks.fails();
      s.after(wholeMs / 2 - 1);
      expect(hooks.taken).toEqual([]);
      s.after(wholeMs / 2 + 1);
      expect(hooks.taken).toHaveLength(1);
      wholeMs = Math.min(2 * wholeMs, 6 * HOUR_MS);
    }
  });

  it('pauses for as long as the receiver asks, all attempts', () => {
    const { s, hooks } = scene();
    const uuid = submits(s);
    s.worker('w').ready('echo').final('done');
    for (let attempt = 1; attempt < 20; attempt++) {
      hooks.fails('error', 6 * HOUR_MS);
      s.after(6 * HOUR_MS - 1);
      expect(hooks.taken).toEqual([]);
      s.after(1);
      expect(hooks.taken).toHaveLength(1);
    }
    hooks.fails();
    expect(webhook(s, uuid)).toEqual(['dead', 'replied']);
  });

  it('gets all its attempts, however short replies and requests are kept', () => {
    const titanic = { replyTtlMs: 12 * HOUR_MS, requestTtlMs: MINUTE_MS };
    const { s, hooks } = scene({ titanic });
    const uuid = submits(s);
    s.after(2 * MINUTE_MS);
    expect([s.stands(uuid), webhook(s, uuid)]).toEqual(['absent', ['pending', 'expired']]);
    const attempts = (): number => {
      let told = 0;
      for (const until = s.now + 40 * HOUR_MS; s.now < until;) {
        s.after(MINUTE_MS);
        if (hooks.taken.length === 0) continue;
        hooks.fails();
        told++;
      }
      expect(webhook(s, uuid)).toEqual(['dead', 'expired']);
      return told;
    };
    expect(attempts()).toBe(20);
    s.operates<null>((operator, answer) => operator.retry(webhookOf(s, uuid), 'alice', answer));
    expect(attempts()).toBe(20);
  });

  it.each([1, 4096])(
    'is told of a request that expired while no process ran, for however long (%i listed at a time)',
    (piece) => {
      const { s } = scene();
      s.store.disk.piece = piece;
      const uuid = submits(s);
      s.wallOffset += 90 * 24 * HOUR_MS;
      const next = s.crashes();
      const hooks = new StageWorker(next);
      next.after(2 * MINUTE_MS);
      expect([next.stands(uuid), webhook(next, uuid)]).toEqual(['absent', ['pending', 'expired']]);
      hooks.fails();
      next.after(MINUTE_MS);
      expect(hooks.uuids).toEqual([uuid, uuid]);
    },
  );

  it('counts as a request of its own in limits, also before it is stored', () => {
    const { s } = scene({ titanic: { maxOpen: 3 } });
    const options = JSON.stringify({ webhook: URL });
    s.holdsStore();
    const first = s.client('first').request('titanic.submit', options, 'echo', 'x');
    expect(s.asks('submit', options, 'echo', 'x')).toBe('500 titanic.maxOpen is reached');
    s.answers('commit');
    expect(first.inbox()).toHaveLength(1);
    expect(s.asks('submit', options, 'echo', 'x')).toBe('500 titanic.maxOpen is reached');
    const plain = s.client('plain').request('titanic.submit', '{}', 'echo', 'x');
    s.answers('commit');
    expect(plain.inbox().join()).toContain('200');
  });

  it('waits while its worker has no room, and while an operator pauses its service', () => {
    const { s, hooks } = scene();
    hooks.free = 1;
    const w = s.worker('w').ready('echo', { credit: 3 });
    const uuids = [1, 2, 3].map(() => submits(s));
    for (const _ of uuids) w.final('done');
    expect(hooks.uuids).toHaveLength(1);
    s.operates<null>((operator, answer) => {
      operator.setPaused({ kind: 'service', of: WEBHOOKS }, true, 'alice', answer);
    });
    hooks.replies('204');
    expect(hooks.uuids).toEqual([]);
    s.operates<null>((operator, answer) => {
      operator.setPaused({ kind: 'service', of: WEBHOOKS }, false, 'alice', answer);
    });
    expect(hooks.uuids).toHaveLength(1);
    hooks.replies('204');
    expect(hooks.uuids).toHaveLength(1);
  });
});

describe('the webhook of a schedule (D80)', () => {
  const EVERY_MINUTE = { name: 'n', cron: '* * * * *', webhook: URL };

  function scheduled(options: TitanicStageOptions = {}): { s: TitanicStage; hooks: StageWorker } {
    const both = scene({ ...options, titanic: { requestTtlMs: HOUR_MS, ...options.titanic } });
    expect(both.s.asks('schedule', JSON.stringify(EVERY_MINUTE), 'echo', 'hi')).toMatch(/^200/);
    return both;
  }

  /** The uuids of the requests for `echo` that are stored. */
  function made(s: TitanicStage): string[] {
    return s.store.disk.rows
      .filter(({ request }) => request.service.toString() === 'echo')
      .map(({ request }) => request.uuid.toString('hex').toUpperCase());
  }

  it('is told of the end of each request that it stores', () => {
    const { s, hooks } = scheduled();
    s.after(MINUTE_MS);
    const [first = ''] = made(s);
    expect(webhook(s, first)).toEqual(['pending', 'none']);
    s.worker('w1').ready('echo').final('done');
    expect(hooks.uuids).toEqual([first]);
    hooks.replies('204');
    expect(webhook(s, first)).toBe('absent');
    s.after(MINUTE_MS);
    s.worker('w2').ready('echo').final('done');
    const [second] = made(s).filter((uuid) => uuid !== first);
    expect(hooks.uuids).toEqual([second]);
  });

  it('is told of a request that an operator has it store at once', () => {
    const { s, hooks } = scheduled();
    const row = s.store.disk.rows.find(({ request }) => request.kind === 'schedule');
    s.operates<Buffer>((operator, answer) => {
      operator.fireSchedule(row?.request.uuid ?? Buffer.alloc(16), 'alice', answer);
    });
    const [uuid = ''] = made(s);
    expect(webhook(s, uuid)).toEqual(['pending', 'none']);
    s.worker('w').ready('echo').final('done');
    expect(hooks.uuids).toEqual([uuid]);
  });

  it('counts in limits, with which the request waits', () => {
    const { s } = scheduled({ titanic: { maxOpen: 2 } });
    s.after(MINUTE_MS);
    expect(made(s)).toEqual([]);
    expect(s.told('schedule.delayed')).toMatchObject([{ text: 'titanic.maxOpen is reached' }]);
  });

  it('is refused with the schedule if its URL is not allowed, or webhooks are off', () => {
    const { s } = scene();
    const asked = { ...EVERY_MINUTE, webhook: 'https://other.example/' };
    expect(s.asks('schedule', JSON.stringify(asked), 'echo', 'x')).toBe('400 webhook: not allowed');
    const off = titanicStage();
    expect(off.asks('schedule', JSON.stringify(EVERY_MINUTE), 'echo', 'x')).toMatch(
      /^400 webhook: no webhooks are allowed/,
    );
    expect([...s.store.disk.rows, ...off.store.disk.rows]).toEqual([]);
  });
});

it('a webhook is sent while others have all places that there are (titanic.maxInFlight)', () => {
  const { s, hooks } = scene({ titanic: { maxInFlight: 2 } });
  const uuid = submits(s);
  const w = s.worker('w').ready('echo');
  for (let n = 0; n < 5; n++) s.submits('long', `l${n}`);
  s.worker('long').ready('long', { credit: 5 });
  w.final('done');
  expect(hooks.uuids).toEqual([uuid]);
  // One at a time, as long as there is no other place.
  const more = submits(s);
  w.final('done');
  expect(hooks.uuids).toEqual([]);
  hooks.replies('204');
  expect(hooks.uuids).toEqual([more]);
});

describe('a webhook whose receiver has no place', () => {
  /** One that is deferred. */
  function deferred(options: TitanicStageOptions = {}): {
    s: TitanicStage;
    hooks: StageWorker;
    w: ReturnType<TitanicStage['worker']>;
    uuid: string;
    reference: number;
  } {
    const { s, hooks } = scene(options);
    const uuid = submits(s);
    const w = s.worker('w').ready('echo');
    w.final('done');
    return { s, hooks, w, uuid, reference: hooks.defers() };
  }

  it('waits in the store until its worker calls for it, which is no attempt', () => {
    const { s, hooks, uuid, reference } = deferred();
    s.after(MINUTE_MS);
    expect(hooks.messages).toEqual([]);
    hooks.calls(reference);
    expect(hooks.uuids).toEqual([uuid]);
    expect(hooks.taken).toEqual([reference]);
    const row = s.store.disk.row(webhookOf(s, uuid));
    expect(row?.attempts).toEqual([]);
    // Only one that waits is called.
    hooks.calls(reference);
    expect(hooks.messages).toEqual([]);
    hooks.replies('204');
    expect(webhook(s, uuid)).toBe('absent');
  });

  it('holds no place of what may be in flight', () => {
    const { s, hooks, w, reference } = deferred({ titanic: { maxInFlight: 1 } });
    const second = submits(s);
    w.final('done');
    expect(hooks.uuids).toEqual([second]);
    hooks.replies('204');
    hooks.calls(reference);
    expect(hooks.messages).toHaveLength(1);
  });

  it('says what it waits for: the end of its request, then a place at its receiver', () => {
    const { s, uuid } = deferred();
    const waits = (): unknown => {
      const history = s.operates<ShownHistory>((operator, answer) => {
        operator.history(webhookOf(s, uuid), answer);
      });
      return history();
    };
    expect(waits()).toMatchObject({ value: { waiting: { reason: 'receiver', until: null } } });
    const running = submits(s);
    const [webhook] = s.store.disk.rows.filter(({ request: { partner } }) =>
      partner.equals(Buffer.from(running, 'hex')),
    );
    const history = s.operates<ShownHistory>((operator, answer) => {
      operator.history(webhook?.request.uuid ?? Buffer.alloc(16), answer);
    });
    expect(history()).toMatchObject({ value: { waiting: { reason: 'request', until: null } } });
  });

  it('is withdrawn from its worker when an operator ends it', () => {
    const { s, hooks, uuid, reference } = deferred();
    s.operates<null>((operator, answer) => operator.cancel(webhookOf(s, uuid), 'alice', answer));
    expect(webhook(s, uuid)).toBe('absent');
    expect(hooks.withdrawn).toEqual([reference]);
    hooks.calls(reference);
    expect(hooks.messages).toEqual([]);
  });

  it('is due again if its end could not be stored', () => {
    const { s, hooks, uuid, reference } = deferred();
    s.store.failure = { kind: 'busy', message: 'no space' };
    s.operates<null>((operator, answer) => operator.cancel(webhookOf(s, uuid), 'alice', answer));
    s.store.failure = null;
    s.after(MINUTE_MS);
    expect(hooks.withdrawn).toEqual([reference]);
    expect(hooks.uuids).toEqual([uuid]);
  });

  it('is told by the next process, and by the node that serves next', () => {
    const { s, hooks, uuid, reference } = deferred({ replica: new StageReplica() });
    s.deactivates();
    expect(hooks.withdrawn).toEqual([reference]);
    s.activates();
    expect(hooks.uuids).toEqual([uuid]);
    hooks.defers();
    const later = new StageWorker(s.crashes({ replica: new StageReplica() }));
    expect(later.uuids).toEqual([uuid]);
  });
});

describe('the webhook of another key’s request', () => {
  it('hears nothing of a close that is denied', () => {
    const { s, hooks } = scene({ rightsOf: () => new TestKey(true, true) });
    const alice = s.client('alice', { key: 'alice' });
    alice.request('titanic.submit', JSON.stringify({ webhook: URL }), 'echo', 'x');
    const uuid = /[0-9A-F]{32}/.exec(alice.inbox().join())?.[0] ?? '';
    s.client('bob', { key: 'bob' }).request('titanic.close', uuid);
    expect([s.stands(uuid), webhook(s, uuid)]).toEqual(['pending', ['pending', 'none']]);
    alice.request('titanic.close', uuid);
    expect(hooks.uuids).toEqual([uuid]);
  });
});

describe('a process that ends, or a node that steps down', () => {
  it('between the end of a request and its webhook: the next one tells it', () => {
    const { s } = scene();
    const uuid = submits(s);
    const w = s.worker('w').ready('echo');
    s.holdsStore();
    w.final('done');
    s.answers('commit');
    const next = s.crashes();
    const hooks = new StageWorker(next);
    expect([next.stands(uuid), webhook(next, uuid)]).toEqual(['replied', ['pending', 'replied']]);
    expect(hooks.uuids).toEqual([uuid]);
  });

  it('after a retry: the retry and the wait for the next end are in one transaction', () => {
    const { s, hooks } = scene();
    const uuid = submits(s, { maxAttempts: 1 });
    s.worker('w').ready('echo').fails(['final', 'bad', 'no']);
    hooks.replies('204', 'dead');
    s.holdsStore();
    s.operates<null>((operator, answer) => {
      operator.retry(Buffer.from(uuid, 'hex'), 'alice', answer);
    });
    s.answers('commit');
    const next = s.crashes();
    const later = new StageWorker(next);
    expect([next.stands(uuid), webhook(next, uuid)]).toEqual(['pending', ['pending', 'none']]);
    expect(later.uuids).toEqual([]);
    next.worker('w').ready('echo').final('done');
    expect(later.uuids).toEqual([uuid]);
  });

  it('of a request that goes in the moment in which it is retried: it is told', () => {
    const { s, hooks } = scene();
    const uuid = submits(s, { maxAttempts: 1 });
    s.worker('w').ready('echo').fails(['final', 'bad', 'no']);
    expect(hooks.uuids).toEqual([uuid]);
    hooks.fails();
    s.holdsStore().asks('close', uuid);
    s.operates<null>((operator, answer) => {
      operator.retry(Buffer.from(uuid, 'hex'), 'alice', answer);
    });
    for (const asked of ['commit', 'commit', 'load'] as const) s.answers(asked);
    expect([s.stands(uuid), hooks.uuids]).toEqual(['absent', [uuid]]);
  });

  it('before that end is on disk: neither has happened', () => {
    const { s } = scene();
    const uuid = submits(s);
    const w = s.worker('w').ready('echo');
    s.holdsStore();
    w.final('done');
    const next = s.crashes();
    const hooks = new StageWorker(next);
    expect([next.stands(uuid), hooks.uuids]).toEqual(['pending', []]);
    next.worker('w').ready('echo').final('done');
    expect(hooks.uuids).toEqual([uuid]);
  });

  it('while the receiver is away: it is tried again after its pause', () => {
    const { s, hooks } = scene();
    const uuid = submits(s);
    s.worker('w').ready('echo').final('done');
    hooks.fails();
    const next = s.crashes();
    const later = new StageWorker(next);
    expect(later.uuids).toEqual([]);
    next.after(MINUTE_MS);
    expect(later.uuids).toEqual([uuid]);
  });

  it('steps down: what is being sent is given up, and sent by the one that serves next', () => {
    const { s, hooks } = scene({ replica: new StageReplica() });
    const uuid = submits(s);
    s.worker('w').ready('echo').final('done');
    expect(hooks.uuids).toEqual([uuid]);
    const [reference] = hooks.taken;
    s.deactivates();
    expect(hooks.withdrawn).toEqual([reference]);
    s.activates();
    expect(hooks.uuids).toEqual([uuid]);
  });

  it('after a close of what was not listed yet, and before its webhook heard of it: it is told', () => {
    const { s } = scene({ replica: new StageReplica() });
    const uuid = submits(s);
    s.deactivates().holdsStore().activates();
    // The request is not known here: its webhook hears of its end in a further transaction.
    s.asks('close', uuid);
    s.answers('list');
    const next = s.crashes({ replica: new StageReplica() });
    const hooks = new StageWorker(next);
    const isClosed = next.stands(uuid) !== 'pending';
    expect(hooks.uuids).toEqual(isClosed ? [uuid] : []);
  });
});
