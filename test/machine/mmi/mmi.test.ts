import type { Asker, BrokerHost } from '../../../src/broker/ports.js';
import { Frames } from '../../../src/core/frames.js';
import { Mmi } from '../../../src/mmi/mmi.js';
import { loadWords, NearNames } from '../../../src/mmi/why.js';
import type { BrokerStatus, DurableFigures, ServiceStatus } from '../../../src/wire/mmi-answers.js';
import { endStages, type Stage, stage, STAGE_STATUS } from '../../support/stage.js';
import type { ClientActor } from '../../support/stage-peers.js';
import { rules, TestKey } from '../../support/rights.js';

afterEach(endStages);

/** Asks, and returns the body of the answer. */
function ask(client: ClientActor, service: string, ...body: string[]): string {
  client.request(service, ...body);
  const [answer = '', ...others] = client.inbox();
  expect(others).toEqual([]);
  const command = client.version === 1 ? 'REPLY' : 'FINAL';
  expect(answer.startsWith(`${command} ${service} `)).toBe(true);
  return answer.slice(command.length + service.length + 2);
}

function json(answer: string): unknown {
  expect(answer.slice(0, 4)).toBe('200|');
  return JSON.parse(Buffer.from(answer.slice(4), 'latin1').toString('utf8'));
}

describe.each([1, 2] as const)('mmi.service, asked by 0.%i', (version) => {
  it('is 200 for a service with a worker, waiting or busy, and 404 without (8/MMI)', () => {
    const s = stage();
    const c1 = s.client('c1', { version });
    expect(ask(c1, 'mmi.service', 'echo')).toBe('404');
    const w1 = s.worker('w1').ready('echo');
    expect(ask(c1, 'mmi.service', 'echo')).toBe('200');
    s.client('c2').request('echo', 'hi');
    expect(ask(c1, 'mmi.service', 'echo')).toBe('200');
    w1.disconnect();
    expect(ask(c1, 'mmi.service', 'echo')).toBe('404');
  });

  it('is 404 for a name that only requests wait for (8/MMI)', () => {
    const s = stage();
    const c1 = s.client('c1', { version }).request('idle', 'hi');
    expect(ask(c1, 'mmi.service', 'idle')).toBe('404');
  });

  it.each([
    'mmi.service',
    'mmi.services',
    'mmi.why',
    'mmi.workers',
    'mmi.contract',
    'mmi.broker',
    'mmi.hello',
  ])('is 200 for %s itself (docs/protocol.md)', (name) => {
    const s = stage();
    expect(ask(s.client('c1', { version }), 'mmi.service', name)).toBe('200');
  });

  it('is 404 for an mmi.x that does not exist (docs/protocol.md)', () => {
    const s = stage();
    const c1 = s.client('c1', { version });
    expect(ask(c1, 'mmi.service', 'mmi.x')).toBe('404');
    expect(ask(c1, 'mmi.service', 'mmi.')).toBe('404');
  });

  it('is 200 for titanic.* while it is hosted (docs/protocol.md)', () => {
    const hosted = {
      prefix: Buffer.from('titanic.'),
      offers: (name: Buffer) => name.toString() === 'titanic.request',
      request: () => undefined,
    };
    const s = stage({ hosts: [hosted] });
    const c1 = s.client('c1', { version });
    expect(ask(c1, 'mmi.service', 'titanic.request')).toBe('200');
    expect(ask(c1, 'mmi.service', 'titanic.x')).toBe('404');
  });

  it('is 400 without a name, or with two (docs/protocol.md)', () => {
    const s = stage();
    const c1 = s.client('c1', { version });
    expect(ask(c1, 'mmi.service', '')).toBe('400');
    expect(ask(c1, 'mmi.service', 'echo', 'echo')).toBe('400');
  });

  it('is 404 for names that no service can have', () => {
    const s = stage();
    const c1 = s.client('c1', { version });
    expect(ask(c1, 'mmi.service', 'x'.repeat(256))).toBe('404');
    expect(ask(c1, 'mmi.service', '\xff\0')).toBe('404');
  });
});

describe('an mmi.x that does not exist', () => {
  it.each(['mmi.', 'mmi.x', 'mmi.Service', 'mmi.service.', 'mmi.\xff', `mmi.${'x'.repeat(251)}`])(
    '(%.20s) is answered 501 (8/MMI)',
    (name) => {
      const s = stage();
      expect(ask(s.client('c1'), name, 'anything', 'at all')).toBe('501');
    },
  );
});

describe('mmi.why', () => {
  it('tells that no worker serves the name, and which one was possibly meant', () => {
    const s = stage();
    s.worker('w1').ready('tax.rate');
    const c1 = s.client('c1').request('tax.rat', 'waits');
    expect(ask(c1, 'mmi.why', 'tax.rat')).toBe('404|no worker serves it; did you mean "tax.rate"?');
    expect(ask(c1, 'mmi.why', 'something')).toBe('404|no worker serves it');
  });

  it('looks for names that were meant for some milliseconds a second, whoever asks, and once for all of them', () => {
    const near = new NearNames();
    let searches = 0;
    const served = (): Buffer[] => {
      searches++;
      return Array.from({ length: 900 }, (_, n) => Buffer.from(`service.${n}`));
    };
    const words = (name: string, now: number): string =>
      near.words('all', Buffer.from(name), served, now);
    for (let asked = 0; asked < 1000; asked++) {
      expect(words('servce.7', 0)).toBe('; did you mean "service.7"?');
    }
    expect(searches).toBe(1);
    for (let asked = 0; asked < 1000; asked++) words(`servce.${asked}`, 999);
    expect(searches).toBeLessThan(20);
    expect(words('servce.8', 1000)).toBe('; did you mean "service.8"?');
  });

  it('is 400 for a name that no service can have', () => {
    const s = stage();
    expect(ask(s.client('c1'), 'mmi.why', 'x'.repeat(256))).toBe('400');
  });

  it('tells what waits, and what the workers are at', () => {
    const s = stage();
    const c1 = s.client('c1');
    s.worker('w1').ready('echo');
    expect(ask(c1, 'mmi.why', 'echo')).toBe('200');
    c1.request('echo', '1');
    expect(ask(c1, 'mmi.why', 'echo')).toBe('200|its only worker has 1 request, and none waits');
    c1.request('echo', '2');
    expect(ask(c1, 'mmi.why', 'echo')).toBe('200|its only worker is busy, and 1 request waits');
    s.worker('w2').ready('echo');
    expect(ask(c1, 'mmi.why', 'echo')).toBe('200|its 2 workers have 2 requests, and none waits');
    c1.request('echo', '3').request('echo', '4');
    expect(ask(c1, 'mmi.why', 'echo')).toBe('200|all its 2 workers are busy, and 2 requests wait');
  });

  it('counts stored requests that wait, and not those that are not due', () => {
    const durable = { pending: 5, delayed: 2 } as DurableFigures;
    const load = { workersWaiting: 1, workersBusy: 0, free: 0, queued: 0, inFlight: 0, durable };
    const words = (change: object): string =>
      loadWords({ ...load, ...change } as ServiceStatus).join(', and ');
    expect(words({})).toBe('3 stored requests wait');
    expect(words({ workersWaiting: 0, workersBusy: 1, queued: 1 })).toBe(
      'its only worker is busy, and 1 request and 3 stored requests wait',
    );
    expect(words({ durable: { pending: 2, delayed: 2 } })).toBe('');
  });

  it('asks the other brokers of a fleet about a name that nobody serves here', () => {
    const s = stage();
    const mmi = new Mmi(s.broker.listing, () => STAGE_STATUS);
    const answers: string[] = [];
    const status = (): never => {
      throw new Error('nobody asks');
    };
    const interconnect = {
      ask: (service: Buffer, answer: (isServed: boolean) => void) => {
        answer(service.toString() === 'there');
      },
    };
    mmi.others = { interconnect, status };
    const host = {
      answer: (_: number, frames: readonly Buffer[]) => answers.push(frames.join('|')),
    } as Partial<BrokerHost> as BrokerHost;
    const asker = { isMmiMinimal: true } as Asker;
    for (const name of ['there', 'nowhere']) {
      const [service, frames] = [Buffer.from('mmi.why'), Frames.of(name)];
      mmi.request(
        { id: 1, service, frames, headers: -1, body: 0, takesParts: true, asker },
        host,
        0,
      );
    }
    expect(answers).toEqual(['200', '404|no worker serves it']);
    const hidden = { scope: 'x', mayRequest: () => false, mayServe: () => false };
    const other = { ...hidden, isMmiMinimal: false } as Partial<Asker> as Asker;
    const frames = Frames.of('there');
    const service = Buffer.from('mmi.why');
    mmi.request(
      { id: 1, service, frames, headers: -1, body: 0, takesParts: true, asker: other },
      host,
      0,
    );
    expect(answers[2]).toBe('404');
  });

  it('tells of a service, and names one, only to those who may ask or offer it (D72)', () => {
    const alice = new TestKey(['pay.*'], ['mine']);
    const all = new TestKey(true, true);
    const s = stage({ rightsOf: (_, key) => (key === 'alice' ? alice : all) });
    for (const name of ['pay.card', 'pay2card']) s.worker(name, { key: 'w' }).ready(name);
    const c1 = s.client('c1', { key: 'alice' });
    expect(ask(c1, 'mmi.why', 'pay2card')).toBe('404');
    expect(ask(c1, 'mmi.why', 'pay2carx')).toBe('404');
    expect(ask(c1, 'mmi.why', 'pay.carx')).toBe(
      '404|no worker serves it; did you mean "pay.card"?',
    );
  });

  it('tells strangers the status in words, and nothing else', () => {
    const s = stage({ listeners: [rules(true, true, 'minimal')] });
    const c1 = s.client('c1');
    s.worker('w1').ready('echo');
    c1.request('echo', '1').request('echo', '2');
    expect(ask(c1, 'mmi.why', 'echo')).toBe('200');
    expect(ask(c1, 'mmi.why', 'ech')).toBe('404|no worker serves it');
  });

  it('compares few letters, however many services there are, and however long their names', () => {
    const s = stage();
    s.batch(() => {
      for (let n = 0; n < 200; n++) {
        s.worker(`w${n}`).ready(`${'x'.repeat(100)}${String(n).padStart(3, '0')}`);
      }
    });
    const c1 = s.client('c1');
    const near = (n: string): string => ask(c1, 'mmi.why', `${'x'.repeat(100)}${n}`);
    expect(near('007y')).toContain('did you mean');
    expect(near('007y')).toContain(`${'x'.repeat(100)}007`);
    // That one is too far behind.
    expect(near('199y')).not.toContain(`${'x'.repeat(100)}199"`);
  });
});

describe('mmi.services', () => {
  it('tells of every service with a worker or a waiting request, by these keys', () => {
    const s = stage();
    s.worker('w1').ready('echo', { credit: 2 });
    s.worker('w2').ready('echo');
    const c1 = s.client('c1').request('echo', '1').request('idle', '2').request('idle', '3');
    expect(json(ask(c1, 'mmi.services', ''))).toEqual([
      {
        service: 'echo',
        paused: false,
        contracts: 0,
        workersWaiting: 1,
        workersBusy: 1,
        free: 2,
        queued: 0,
        inFlight: 1,
        plain: null,
        durable: null,
      },
      {
        service: 'idle',
        paused: false,
        contracts: 0,
        workersWaiting: 0,
        workersBusy: 0,
        free: 0,
        queued: 2,
        inFlight: 0,
        plain: null,
        durable: null,
      },
    ]);
  });

  it('is an empty list where there is nothing', () => {
    expect(json(ask(stage().client('c1'), 'mmi.services', ''))).toEqual([]);
  });

  it('shows names percent-escaped (D3)', () => {
    const s = stage();
    s.worker('w1').ready('%\xff"\n');
    expect(json(ask(s.client('c1'), 'mmi.services', ''))).toMatchObject([
      { service: '%25%FF"%0A' },
    ]);
  });
});

describe('mmi.workers', () => {
  it('tells of every worker by these keys, and of no routing id', () => {
    const s = stage();
    s.worker('w1', { version: 1, routingId: 'secret' }).ready('echo');
    s.after(250);
    s.worker('w2').ready('a%b', { credit: 7, name: 'vm é:7' });
    s.after(250);
    const c1 = s.client('c1').request('a%b', '1').request('a%b', '2');
    const answer = ask(c1, 'mmi.workers', '');
    expect(json(answer)).toEqual([
      {
        service: 'echo',
        state: 'waiting',
        version: '0.1',
        inFlight: 0,
        credit: 1,
        sinceMs: 500,
        key: null,
        name: null,
        number: expect.any(Number) as unknown,
      },
      {
        service: 'a%25b',
        state: 'busy',
        version: '0.2',
        inFlight: 2,
        credit: 7,
        sinceMs: 250,
        key: null,
        name: 'vm %C3%A9:7',
        number: expect.any(Number) as unknown,
      },
    ]);
    expect(answer).not.toContain('secret');
  });

  it('tells of one service, if it is named', () => {
    const s = stage();
    s.worker('w1').ready('echo');
    s.worker('w2').ready('other');
    expect(json(ask(s.client('c1'), 'mmi.workers', 'other'))).toMatchObject([{ service: 'other' }]);
  });

  it('is 404 for a service without workers, 400 for frames too many', () => {
    const s = stage();
    const c1 = s.client('c1').request('idle', 'hi');
    expect(ask(c1, 'mmi.workers', 'idle')).toBe('404');
    expect(ask(c1, 'mmi.workers', 'nobody')).toBe('404');
    expect(ask(c1, 'mmi.workers', '', '')).toBe('400');
  });

  it('is an empty list where nobody is registered', () => {
    expect(json(ask(stage().client('c1'), 'mmi.workers', ''))).toEqual([]);
  });
});

describe('pages of mmi.services and mmi.workers (D74)', () => {
  function many(count: number): Stage {
    const s = stage({ limits: { services: 5000, workers: 5000 } });
    s.batch(() => {
      for (let n = 0; n < count; n++) s.worker(`w${n}`).ready(`s${n}`);
    });
    return s;
  }

  /** The frames of the answers, one after the other, until there is no cursor. */
  function pages(c1: ClientActor, service: string, limit: number): unknown[][] {
    const found: unknown[][] = [];
    let cursor: string | null = null;
    do {
      c1.connection.raw();
      c1.connection.sends('MDPC02', '\x01', service, '', JSON.stringify({ limit, cursor }));
      const answer: string = c1.inbox().at(-1) ?? '';
      const [, status, body, next] = /^FINAL \S+ (\d+)\|(\[.*\])(?:\|(.+))?$/s.exec(answer) ?? [];
      expect(status).toBe('200');
      found.push(JSON.parse(body ?? '') as unknown[]);
      cursor = next ?? null;
    } while (cursor !== null && found.length < 1000);
    return found;
  }

  it.each(['mmi.services', 'mmi.workers'])('%s tells every entry once', (service) => {
    const s = many(25);
    const found = pages(s.client('c1'), service, 10);
    expect(found.map((page) => page.length)).toEqual([10, 10, 5]);
    const names = found.flat().map((item) => (item as { service: string }).service);
    expect(new Set(names).size).toBe(25);
  });

  it('at most 1,000 of them come at once, also to who asks for no page', () => {
    const s = many(1001);
    const c1 = s.client('c1').request('mmi.services', '');
    const frames = (c1.inbox()[0] ?? '').split('|');
    expect(JSON.parse(frames[1] ?? '')).toHaveLength(1000);
    expect(frames).toHaveLength(3);
    expect(pages(c1, 'mmi.workers', 1000).map((page) => page.length)).toEqual([1000, 1]);
  });

  it('builds a list of over 1,000 once a second, a smaller one for each question (D76)', () => {
    const s = many(1001);
    const c1 = s.client('c1');
    const count = (): number => pages(c1, 'mmi.services', 1000).flat().length;
    expect(count()).toBe(1001);
    s.worker('late').ready('late');
    expect(count()).toBe(1001);
    s.after(1000);
    expect(count()).toBe(1002);
    const small = many(1);
    const c2 = small.client('c2');
    small.worker('late').ready('late');
    expect(pages(c2, 'mmi.services', 1000)[0]).toHaveLength(2);
  });

  it('of a list of over 1,000 those alone are put into words that are told, and once (D76)', () => {
    const s = many(1001);
    let looked = 0;
    s.broker.listing.setFigures({
      of: () => {
        looked++;
        return { plain: null, durable: null };
      },
    });
    const c1 = s.client('c1');
    for (const limit of [10, 5]) {
      c1.connection.raw();
      c1.connection.sends('MDPC02', '\x01', 'mmi.services', '', JSON.stringify({ limit }));
    }
    expect(looked).toBe(10);
  });

  it.each(['{', '[]', '{"limit":0}', '{"limit":1001}', '{"cursor":"x"}', '{"other":1}', '1'])(
    '400 for options that are none: %s',
    (options) => {
      expect(ask(stage().client('c1'), 'mmi.services', '', options)).toBe('400');
      expect(ask(stage().client('c1'), 'mmi.workers', '', options)).toBe('400');
    },
  );

  it('show what the asking key may ask or offer, and nothing else', () => {
    const alice = new TestKey(['pay.*'], ['mine']);
    const all = new TestKey(true, true);
    const s = stage({ rightsOf: (_, key) => (key === 'alice' ? alice : all) });
    for (const name of ['pay.card', 'admin', 'mine']) s.worker(name, { key: 'w' }).ready(name);
    const shown = (key: string, service: string): unknown[] =>
      (json(ask(s.client(key, { key }), service, '')) as { service: string }[])
        .map((item) => item.service)
        .sort();
    expect(shown('alice', 'mmi.services')).toEqual(['mine', 'pay.card']);
    expect(shown('alice', 'mmi.workers')).toEqual(['mine', 'pay.card']);
    expect(shown('carol', 'mmi.services')).toEqual(['admin', 'mine', 'pay.card']);
    expect(ask(s.client('c1', { key: 'alice' }), 'mmi.workers', 'admin')).toBe('404');
  });

  it('are no part of the minimal MMI of a listener for strangers', () => {
    const s = stage({ listeners: [rules(true, true, 'minimal')] });
    s.worker('w1').ready('echo');
    const c1 = s.client('c1');
    expect(ask(c1, 'mmi.services', '')).toBe('501');
    expect(ask(c1, 'mmi.workers', '')).toBe('501');
    expect(ask(c1, 'mmi.contract', 'echo')).toBe('501');
    expect(ask(c1, 'mmi.service', 'echo')).toBe('200');
    // Nor are they said to be there.
    for (const name of [
      'mmi.services',
      'mmi.workers',
      'mmi.contract',
      'mmi.fleet',
      'mmi.nothing',
    ]) {
      expect([name, ask(c1, 'mmi.service', name)]).toEqual([name, '404']);
    }
    for (const name of ['mmi.service', 'mmi.broker', 'mmi.hello']) {
      expect([name, ask(c1, 'mmi.service', name)]).toEqual([name, '200']);
    }
    // Nor are other ways into the node.
    const {
      http: _http,
      publicUrl: _publicUrl,
      events: _events,
      map: _map,
      ...minimal
    } = STAGE_STATUS;
    expect(json(ask(c1, 'mmi.broker', ''))).toEqual(minimal);
  });

  it('are not built for a peer that does not read (D76)', () => {
    let left = 1_000_000;
    const s = stage({ outputLeft: () => left });
    s.batch(() => {
      for (let n = 0; n < 100; n++) s.worker(`w${n}`).ready(`service-${n}`);
    });
    const c1 = s.client('c1').request('mmi.services', '');
    expect(c1.inbox()).toHaveLength(1);
    left = 5000;
    c1.request('mmi.services', '');
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.load.requests).toBe(0);
  });
});

describe('mmi.broker', () => {
  it('tells what the daemon gives it, by these keys', () => {
    const answer = json(ask(stage().client('c1'), 'mmi.broker', ''));
    expect(answer).toEqual(STAGE_STATUS);
    expect(Object.keys(answer as BrokerStatus)).toEqual([
      'version',
      'uptimeMs',
      'node',
      'role',
      'state',
      'epoch',
      'limits',
      'extensions',
      'pairHeartbeatMs',
      'http',
      'publicUrl',
      'events',
      'map',
    ]);
  });
});

describe('MMI', () => {
  it.each([['mmi.why'], ['mmi.why', 'a', 'b'], ['mmi.services', '', ''], ['mmi.broker', '', '']])(
    'is answered 400 for frames too few or too many (docs/protocol.md): %s %s %s',
    (service, ...body) => {
      expect(ask(stage().client('c1'), service, ...(body.length === 0 ? [''] : body))).toBe('400');
    },
  );

  it('is answered on listeners of any role (docs/protocol.md)', () => {
    const listeners = [
      rules(true, true),
      rules(true, false),
      rules(false, true),
      rules(false, false),
    ];
    const s = stage({ listeners });
    for (const listener of listeners.keys()) {
      expect(ask(s.client(`c${listener}`, { listener }), 'mmi.service', 'mmi.hello')).toBe('200');
    }
  });

  it('is answered over the connection of a worker (D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { over: w1.connection, version: 1 });
    expect(ask(c1, 'mmi.service', 'echo')).toBe('200');
  });

  it('returns the envelope whole (D1)', () => {
    const s = stage();
    expect(ask(s.client('c1', { envelope: ['hop', 'id'] }), 'mmi.service', 'x')).toBe('404');
  });

  it('does not count as a request for a worker service, and waits for nobody', () => {
    const s = stage({ limits: { queuedRequests: 1 } });
    const c1 = s.client('c1').request('idle', 'full now');
    expect(ask(c1, 'mmi.service', 'idle')).toBe('404');
    expect(s.broker.counters.requestsReceived).toBe(1);
    expect(s.broker.load.requests).toBe(1);
  });
});
