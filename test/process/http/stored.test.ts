import type { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { killAll, run } from '../../support/child.js';
import { atEnd, clientOf, endUsers } from '../../support/daemon-users.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, RawHttp, type Reply, tokenOf } from '../../support/http.js';
import { allRoutes } from '../../support/http-ports.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { until } from '../../support/until.js';

const HTTP = 'http.listen=127.0.0.1:0';
const NEVER = 'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF';
const HOSTILE = '<img src=x onerror=alert(1)>\u0000\u001b[31m%';

/** For cases that store nothing. */
let empty: Stand;

beforeAll(async () => {
  empty = await Stand.open();
});

afterEach(async () => {
  await endUsers();
  await killAll(empty.daemon);
});

afterAll(removeDaemons);

interface Item {
  readonly uuid: string;
  readonly reason: string | null;
  readonly service: string;
  readonly state: string;
  readonly attempts: number;
}

interface List {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** A daemon, and what a test does with its stored requests. */
class Stand {
  readonly daemon: Daemon;
  readonly client: Client;
  readonly url: string;
  readonly token: string;

  constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.client = clientOf(daemon);
    this.url = `${httpOf(daemon)}/api/v1/titanic`;
    this.token = tokenOf(daemon);
  }

  static async open(...sets: readonly string[]): Promise<Stand> {
    return new Stand(await startDaemon({ sets: [HTTP, ...sets] }));
  }

  async submits(service: string, options: object = {}): Promise<string> {
    return (await this.client.submit(service, 'body', options)).uuid;
  }

  get(path: string): Promise<Reply> {
    return ask(this.url + path, { token: this.token });
  }

  post(path: string, body: object = {}): Promise<Reply> {
    return ask(this.url + path, { method: 'POST', token: this.token, body: JSON.stringify(body) });
  }

  async list(query = ''): Promise<List> {
    const { status, json } = await this.get(`/requests${query}`);
    expect(status).toBe(200);
    return json as List;
  }

  async uuids(query = ''): Promise<string[]> {
    return (await this.list(query)).items.map(({ uuid }) => uuid).sort();
  }

  /** A worker whose handler answers, or fails. */
  worker(service: string, handler: () => string | Promise<string>): Worker {
    const worker = new Worker({ endpoints: [this.daemon.endpoint], service }, handler);
    atEnd(() => worker.close({ graceMs: 0 }));
    void worker.run();
    return worker;
  }

  /** Waits until this many requests of a service are in that state. */
  async until(state: string, service: string, count: number): Promise<string[]> {
    let found: string[] = [];
    await until(async () => {
      found = await this.uuids(`?state=${state}&service=${encodeURIComponent(service)}`);
      return found.length === count;
    }, `${count} requests are ${state}`);
    return found;
  }

  /** Stores this many requests whose only attempt fails. */
  async dead(service: string, count: number): Promise<string[]> {
    const stored = Array.from({ length: count }, () => this.submits(service, { maxAttempts: 1 }));
    const uuids = await Promise.all(stored);
    const worker = this.worker(service, () => Promise.reject(new Error('it fails')));
    await this.until('dead', service, count);
    await worker.close({ graceMs: 0 });
    // A retried request must not go to a worker that is leaving.
    const workers = `${httpOf(this.daemon)}/api/v1/workers?service=${encodeURIComponent(service)}`;
    await until(
      async () => ((await ask(workers)).json as List).items.length === 0,
      'the worker is gone',
    );
    return uuids.sort();
  }
}

function refusal(code: string, message: string): object {
  return { error: { code, message: expect.stringContaining(message) } };
}

describe('without a token (contract §4: uuids are credentials)', () => {
  it('no answer and no event has a whole uuid, and none is found by halving the list', async () => {
    const stand = await Stand.open('titanic.maxAttempts=1');
    const uuids = await Promise.all(['a', 'b', 'c'].map((service) => stand.submits(service)));
    const dead = await stand.dead('work', 1);
    const all = [...uuids, ...dead];
    const url = httpOf(stand.daemon);
    const history = `/api/v1/titanic/requests/${all[0] ?? ''}`;
    const paths = (await allRoutes()).filter(({ method }) => method === 'GET');
    expect(paths.length).toBeGreaterThan(10);
    const events = new RawHttp(url);
    events.send('GET /api/v1/events HTTP/1.1', 'Host: localhost', '');
    await events.until('retry: ');
    await stand.post(`/requests/${dead[0] ?? ''}/retry`);
    await stand.post(`/requests/${dead[0] ?? ''}/cancel`);
    await events.until('titanic.cancelled');
    events.socket.destroy();
    const said = [events.received];
    for (const { path } of paths) {
      if (path === '/api/v1/events') continue;
      said.push((await ask(url + path.replace('/api/v1/titanic/requests/{uuid}', history))).text);
    }
    for (const text of said) {
      for (const uuid of all) expect(text.toUpperCase()).not.toContain(uuid);
    }
    const shown = await ask(url + history);
    expect(shown.json).toMatchObject({ uuid: `${all[0]?.slice(0, 16) ?? ''}…` });
    // The pages have all of them, in the same order as the list for token holders.
    const whole = (await stand.list()).items.map(({ uuid }) => `${uuid.slice(0, 16)}…`);
    const found: string[] = [];
    let cursor = '';
    do {
      const page = await ask(`${url}/api/v1/titanic/requests?limit=1${cursor}`);
      expect(page.text.toUpperCase()).not.toMatch(/[0-9A-F]{32}/);
      const { items, next } = page.json as List;
      found.push(...items.map(({ uuid }) => uuid));
      cursor = next === null ? '' : `&cursor=${next}`;
    } while (cursor !== '' && found.length < 10);
    expect(found).toEqual(whole);
    const chosen = await ask(`${url}/api/v1/titanic/requests?cursor=${all[0] ?? ''}`);
    expect(chosen).toMatchObject({ status: 400, json: refusal('ERR_HTTP_PARAMETER', 'cursor') });
    const short = encodeURIComponent(whole[0] ?? '');
    const half = await stand.post(`/requests/${short}/cancel`);
    expect(half).toMatchObject({ status: 400, json: refusal('ERR_HTTP_PARAMETER', 'token') });
  });
});

describe('without a token (docs/security.md)', () => {
  it.each([
    ['/requests?reason=a', 'reason'],
    ['/requests?pattern=a', 'pattern'],
    ['/requests?code=a', 'code'],
    ['/requests?header=a=b', 'header'],
    ['/requests?uuid=0123456789ABCDEF0', 'uuid'],
    ['/groups?by=reason', 'reason'],
    ['/groups?by=code', 'code'],
    ['/groups?by=service&reason=a', 'reason'],
  ])('%s is refused: its answer would tell what lists do not show', async (path, what) => {
    const { status, json } = await ask(empty.url + path);
    expect({ status, json }).toEqual({ status: 401, json: refusal('ERR_HTTP_TOKEN', what) });
    expect((await empty.get(path)).status).toBe(200);
  });

  it('lists, histories and events have what a worker calls itself, and not its address', async () => {
    const stand = await Stand.open();
    const url = httpOf(stand.daemon);
    stand.worker('work', () => Promise.reject(new Error('it fails')));
    const uuid = await stand.submits('work', { maxAttempts: 1 });
    await stand.until('dead', 'work', 1);
    const { workerName: name } = await stand.daemon.waitFor('worker.registered');
    expect(name).toMatch(new RegExp(`:${process.pid}$`));
    const workers = await ask(`${url}/api/v1/workers`);
    expect(workers.json).toMatchObject({ items: [{ name, address: null }] });
    const history = await ask(`${stand.url}/requests/${uuid}`);
    const whose = { worker: '1', workerName: name, workerAddress: null };
    expect(history.json).toMatchObject({ deliveries: [{ ...whose, reason: null }] });
    const events = new RawHttp(url);
    events.send('GET /api/v1/events HTTP/1.1', 'Host: localhost', '');
    await events.until('request.failed');
    events.socket.destroy();
    expect(events.received).toContain(`"workerName":"${String(name)}"`);
    expect(events.received).not.toContain('"address"');
  });

  it('groups by service have no uuid and no reason', async () => {
    const stand = await Stand.open();
    const [uuid = ''] = await stand.dead('work', 1);
    const shown = `${uuid.slice(0, 16)}…`;
    const { json } = await ask(`${stand.url}/groups?by=service&uuid=${uuid.slice(0, 16)}`);
    expect(json).toEqual({
      items: [
        {
          filter: { service: 'work', serviceMatch: 'exact' },
          count: 1,
          example: { uuid: shown, service: 'work', reason: null },
        },
      ],
      ...{ next: null, scanned: 1 },
    });
  });

  it('no answer and no event has a text of a worker, the name of a schedule, or a key of the map', async () => {
    const stand = await Stand.open(MAPS);
    const { client, daemon, token } = stand;
    const worker = stand.worker('work', () => Promise.reject(new Error('whispered')));
    const uuid = await stand.submits('work', { maxAttempts: 1 });
    await stand.until('dead', 'work', 1);
    await client.schedule('whispered', 'later', 'x', { cron: '0 0 29 2 *' });
    await expect(client.request('work', 'x')).rejects.toThrow('whispered');
    const set = ['map', 'set', '/whispered', 'x', '--map', mapOf(daemon)];
    expect(await run(set)).toMatchObject({ status: 0, stderr: '' });
    await worker.close({ graceMs: 0 });
    const url = httpOf(daemon);
    const paths = (await allRoutes()).filter(({ method }) => method === 'GET');
    const read = async (path: string, given?: string): Promise<string> => {
      if (path !== '/api/v1/events') {
        const options = given === undefined ? {} : { token: given };
        return (await ask(url + path.replace('{uuid}', uuid), options)).text;
      }
      const reader = new RawHttp(url);
      const bearer = given === undefined ? [] : [`Authorization: Bearer ${given}`];
      reader.send(`GET ${path} HTTP/1.1`, 'Host: localhost', ...bearer, '');
      await reader.until('event: request.failed');
      await reader.until('event: titanic.died');
      reader.socket.destroy();
      return reader.received;
    };
    const telling: string[] = [];
    for (const { path } of paths) {
      expect([path, await read(path)]).toEqual([path, expect.not.stringContaining('whispered')]);
      if ((await read(path, token)).includes('whispered')) telling.push(path);
    }
    expect(telling.sort()).toEqual([
      '/api/v1/events',
      '/api/v1/map',
      '/api/v1/titanic/requests',
      '/api/v1/titanic/requests/{uuid}',
      '/api/v1/titanic/schedules',
    ]);
  });
});

describe('/api/v1/titanic/requests (contract §4)', () => {
  it('lists stored requests by state and service, whose names are escaped', async () => {
    const stand = await Stand.open();
    const shown = '<img src=x onerror=alert(1)>%00%1B[31m%25';
    const hostile = await stand.submits(HOSTILE, { priority: 7 });
    const dead = await stand.dead('work', 2);
    expect((await stand.list('?state=pending')).items).toMatchObject([
      {
        ...{ uuid: hostile, service: shown, state: 'pending', priority: 7, maxAttempts: 10 },
        acceptedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        ...{ reason: null, reasonAt: null, owner: null, shared: false },
      },
    ]);
    expect(await stand.uuids('?state=dead')).toEqual(dead);
    for (const { reason } of (await stand.list('?state=dead')).items) expect(reason).toMatch(/\w/);
    expect(await stand.uuids()).toEqual([...dead, hostile].sort());
    expect(await stand.uuids(`?service=${encodeURIComponent(shown)}`)).toEqual([hostile]);
    expect(await stand.uuids('?state=closed')).toEqual([]);
    expect(await stand.uuids('?olderThanMs=3600000')).toEqual([]);
  });

  it('shows the history of one request, with the delivery in progress', async () => {
    const stand = await Stand.open();
    const uuid = await stand.submits('slow', { idempotencyKey: 'order-17' });
    let answer: (text: string) => void = () => {};
    stand.worker('slow', () => new Promise<string>((resolve) => (answer = resolve)));
    await stand.until('dispatched', 'slow', 1);
    expect(await stand.uuids('?state=pending')).toEqual([]);
    // Either case.
    expect((await stand.get(`/requests/${uuid.toLowerCase()}`)).json).toMatchObject({
      uuid,
      state: 'dispatched',
      hasKey: true,
      deliveries: [],
      delivery: { worker: '1', startedAt: expect.any(String) },
      reply: null,
      death: null,
    });
    answer('done');
    await stand.until('replied', 'slow', 1);
    expect((await stand.get(`/requests/${uuid}`)).json).toMatchObject({
      state: 'replied',
      delivery: null,
      reply: { bytes: 6, worker: '1', repliedAt: expect.any(String) },
    });
    const [dead = ''] = await stand.dead('work', 1);
    expect((await stand.get(`/requests/${dead}`)).json).toMatchObject({
      state: 'dead',
      attempts: 1,
      deliveries: [
        {
          ...{ worker: '2', workerName: expect.any(String), workerAddress: '127.0.0.1' },
          ...{ reason: expect.any(String), endedAt: expect.any(String) },
        },
      ],
      death: { reason: 'Error: it fails' },
    });
  });

  it('answers 404 for an unknown uuid, 400 naming a wrong parameter, 401 and 405 as everywhere', async () => {
    const stand = empty;
    expect(await stand.get(`/requests/${NEVER}`)).toMatchObject({
      status: 404,
      json: refusal('ERR_HTTP_NOT_FOUND', 'no such durable request'),
    });
    for (const [path, parameter] of [
      ['/requests/123', 'uuid'],
      ['/requests?state=lost', 'state'],
      ['/requests?limit=1001', 'limit'],
      ['/requests?cursor=next', 'cursor'],
      ['/requests?olderThanMs=5m', 'olderThanMs'],
      ['/requests?service=%25', 'service'],
      ['/requests?uuid=x', 'uuid'],
      ['/requests?number=1', 'number'],
    ] as const) {
      const json = refusal('ERR_HTTP_PARAMETER', `${parameter}: `);
      expect(await stand.get(path)).toMatchObject({ status: 400, json });
    }
    for (const path of [
      `/requests/${NEVER}/retry`,
      `/requests/${NEVER}/cancel`,
      '/purge',
      '/retry',
    ]) {
      expect((await stand.get(path)).status).toBe(405);
      expect((await ask(stand.url + path, { method: 'POST' })).status).toBe(401);
    }
    for (const path of [`/requests/${NEVER}/retry`, `/requests/${NEVER}/cancel`]) {
      expect((await stand.post(path)).status).toBe(404);
      expect((await stand.post(path, { force: true })).status).toBe(400);
    }
  });

  it('is absent if Titanic is disabled', async () => {
    const stand = await Stand.open('titanic.enabled=false');
    const json = refusal('ERR_HTTP_NOT_FOUND', 'titanic.enabled');
    expect(await stand.get('/requests')).toMatchObject({ status: 404, json });
    expect(await stand.post('/purge')).toMatchObject({ status: 404, json });
  });
});

describe('operator commands over HTTP (contract §4)', () => {
  it('a group of failures is counted, retried and cancelled, and no other; a dry run is no event', async () => {
    const stand = await Stand.open();
    const headers = { tenant: 'acme' };
    let fails = 0;
    const worker = stand.worker('work', () =>
      Promise.reject(new Error(`order ${++fails} is lost`)),
    );
    for (let n = 0; n < 3; n++) await stand.submits('work', { maxAttempts: 1, headers });
    const dead = await stand.until('dead', 'work', 3);
    await worker.close({ graceMs: 0 });
    const others = await stand.dead('other', 2);
    const page = (await stand.get('/groups?by=reason&state=dead')).json as {
      items: { filter: object; count: number }[];
    };
    const code = expect.stringMatching(/^[\w.-]+$/);
    expect(page.items).toEqual([
      {
        filter: { code, pattern: 'order # is lost' },
        count: 3,
        example: { uuid: dead[2], service: 'work', reason: expect.stringContaining('is lost') },
      },
      { filter: { code, pattern: 'it fails' }, count: 2, example: expect.any(Object) },
    ]);
    const group = page.items[0]?.filter ?? {};
    expect(await stand.uuids(`?${new URLSearchParams({ ...group }).toString()}`)).toEqual(dead);
    expect(await stand.uuids('?header=tenant=acme')).toEqual(dead);
    expect(await stand.uuids('?reason=ORDER%202')).toHaveLength(1);
    expect(await stand.uuids('?service=o&serviceMatch=prefix&diedAfter=1h')).toEqual(others);
    expect(await stand.uuids('?diedBefore=1h')).toEqual([]);
    const acted = stand.daemon.logged('operator.acted').length;
    const dry = await stand.post('/retry', { ...group, dryRun: true });
    expect(dry.json).toEqual({ count: 3, more: false, next: null, scanned: 5 });
    expect((await stand.post('/retry', group)).json).toMatchObject({ count: 3, more: false });
    expect(await stand.uuids('?state=pending')).toEqual(dead);
    expect(await stand.uuids('?state=dead')).toEqual(others);
    expect((await stand.post('/cancel', { header: 'tenant=acme' })).json).toMatchObject({
      count: 3,
    });
    expect(await stand.uuids()).toEqual(others);
    await stand.daemon.until(
      (daemon) => daemon.logged('titanic.cancelled').some(({ count }) => count === 3),
      'three cancelled in the log',
    );
    await stand.daemon.waitFor('operator.acted', acted + 2);
    const acts = stand.daemon.logged('operator.acted').slice(acted);
    expect(acts.map(({ act }) => act)).toEqual([
      'POST /api/v1/titanic/retry',
      'POST /api/v1/titanic/cancel',
    ]);
  });

  it.each([
    ['/retry', { state: 'replied' }, 'state: '],
    ['/purge', { state: 'dispatched' }, 'state: '],
    ['/purge', { service: 7 }, 'service: '],
    ['/purge', { service: '' }, 'service: '],
    ['/purge', { olderThanMs: -1 }, 'olderThanMs: '],
    ['/purge', { limit: 0 }, 'limit: '],
    ['/purge', { States: 'dead' }, 'States: '],
    ['/cancel', { state: 'replied' }, 'state: '],
    ['/cancel', { dryRun: 1 }, 'dryRun: '],
    ['/cancel', { cursor: 'x' }, 'cursor: '],
    ['/retry', { reason: '' }, 'reason: '],
    ['/retry', { reason: 'x'.repeat(257) }, 'reason: '],
    ['/retry', { pattern: 'x'.repeat(257) }, 'pattern: '],
    ['/retry', { code: 'a b' }, 'code: '],
    ['/retry', { header: 'tenant' }, 'header: '],
    ['/retry', { header: `tenant=${'x'.repeat(1024)}` }, 'header: '],
    ['/retry', { uuid: 'xyz' }, 'uuid: '],
    ['/retry', { acceptedAfter: '2026-13-01' }, 'acceptedAfter: '],
    ['/retry', { diedBefore: '5' }, 'diedBefore: '],
    ['/retry', { serviceMatch: 'prefix' }, 'serviceMatch: '],
    ['/retry', { service: 'a', serviceMatch: 'glob' }, 'serviceMatch: '],
    ['/retry', { olderThanMs: 1, acceptedBefore: '1s' }, 'olderThanMs: '],
  ])('%s with %j is 400, and says what is wrong', async (path, body, text) => {
    const { status, json } = await empty.post(path, body);
    expect(status).toBe(400);
    expect(json).toMatchObject({ error: { message: expect.stringContaining(text) } });
  });

  it('counts by state and service', async () => {
    const stand = await Stand.open();
    await stand.dead('work', 2);
    await stand.submits(HOSTILE);
    const none = { pending: 0, dispatched: 0, replied: 0, dead: 0 };
    expect((await stand.get('/counts')).json).toEqual({
      ...none,
      pending: 1,
      dead: 2,
      bytes: expect.any(Number),
      services: [
        { service: '<img src=x onerror=alert(1)>%00%1B[31m%25', ...none, pending: 1 },
        { service: 'work', ...none, dead: 2 },
      ],
    });
  });

  it('the effect of a command survives kill -9 of the broker', async () => {
    const stand = await Stand.open();
    const [retried = '', cancelled = ''] = await stand.dead('work', 2);
    expect((await stand.post(`/requests/${retried}/retry`)).status).toBe(200);
    expect(await stand.post(`/requests/${retried}/retry`)).toMatchObject({
      status: 409,
      json: refusal('ERR_HTTP_STATE', 'it is pending'),
    });
    expect((await stand.post(`/requests/${cancelled}/cancel`)).status).toBe(200);
    await stand.daemon.kill();
    const { dataDir } = stand.daemon;
    const again = new Stand(await startDaemon({ dataDir, sets: [HTTP] }));
    expect((await again.get(`/requests/${cancelled}`)).status).toBe(404);
    expect((await again.get(`/requests/${retried}`)).json).toMatchObject({
      state: 'pending',
      generation: 1,
    });
  });
});
