import { request } from 'node:http';

import { codeOf } from '../../../src/core/errors.js';
import { ServiceError } from '../../../src/sdk/service-error.js';
import { tokenOf } from '../../support/http.js';
import { endStands, failed, openStand, OTHER, SHOP } from '../../support/programs.js';
import { until } from '../../support/until.js';

afterEach(endStands);

const never = (): Promise<string> => new Promise(() => undefined);

describe('a request over HTTP', () => {
  it('is answered with the reply of a worker, which gets its body and headers', async () => {
    const stand = await openStand();
    await stand.serve((asked) => [asked.frames[0] ?? '', JSON.stringify(asked.headers)]);
    const body = Buffer.from([0, 0xff, 0x0a]);
    const headers = { 'majordomo-header-tenant': 'acme', 'content-type': 'image/png' };
    const reply = await stand.request(body, { headers });
    expect(reply).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(reply.text).toBe(`${body.toString('utf8')}{"content-type":"image/png","tenant":"acme"}`);
    const accept = { accept: 'application/json' };
    const json = await stand.request('{"a":1}', { headers: accept }, '', 'work');
    expect(json.headers['content-type']).toBe('application/json');
    expect((await stand.request('')).status).toBe(200);
    await stand.untilNothingIsHeld();
  });

  it('with another trace reaches its worker on a kept connection as on a new one', async () => {
    const stand = await openStand();
    const got: unknown[] = [];
    await stand.serve((asked) => {
      got.push([asked.text(), asked.headers]);
      return 'done';
    });
    const all = ['00-a-1', '00-b-2', '00-b-2', '00-longer-3', 'two words', '"\\'].map((trace) => ({
      ...{ traceparent: trace, tracestate: `of=${trace}`, 'x-request-id': trace },
      'majordomo-header-tenant': `for-${trace}`,
    }));
    for (const headers of all) await stand.request('x', { headers });
    const answers = await stand.requestsOnOne(all);
    expect(answers.match(/HTTP\/1.1 200 OK/g)).toHaveLength(all.length);
    expect(got.slice(all.length)).toEqual(got.slice(0, all.length));
    await stand.untilNothingIsHeld();
  });

  it('of any size has its own body and reply, also beside others, of which some are left', async () => {
    const stand = await openStand('{}', 'limits.outputBytes=64MiB');
    await stand.serve((asked) => asked.frames);
    const echoed = async (at: number): Promise<void> => {
      const body = String.fromCharCode(97 + (at % 26)).repeat(1000 + at * 40_000);
      const { status, text } = await stand.request(body);
      expect([at, status, text.length, text === body]).toEqual([at, 200, body.length, true]);
    };
    const left = async (at: number): Promise<void> => {
      const signal = AbortSignal.timeout(at);
      const url = `${stand.url}/services/work/requests`;
      const headers = { authorization: `Bearer ${SHOP}` };
      const body = 'z'.repeat(2_000_000);
      const answer = fetch(url, { method: 'POST', body, headers, signal });
      await answer.then((got) => got.text()).catch(() => undefined);
    };
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        Array.from({ length: 40 }, (_, at) => echoed(at)).concat(...[2, 9, 20].map(left)),
      );
    }
    await stand.untilNothingIsHeld();
  });

  it('of the largest size arrives, and a larger one is 413, also if its length is not known', async () => {
    const stand = await openStand('{}', 'limits.messageBytes=1MiB');
    await stand.serve((asked) => String(asked.frames[0]?.length));
    // With the id by which the request can be taken back, and the command: a byte each.
    const most = 1024 * 1024 - 1 - 'MDPC02'.length - 1 - 'work'.length - '60000'.length;
    expect((await stand.request(Buffer.alloc(most))).text).toBe(String(most));
    expect(failed(await stand.request(Buffer.alloc(most + 1)))).toEqual([
      413,
      'ERR_HTTP_TOO_LARGE',
    ]);
    const headers = { 'transfer-encoding': 'chunked' };
    expect(failed(await stand.request(Buffer.alloc(most + 1), { headers }))).toEqual([
      ...[413, 'ERR_HTTP_TOO_LARGE'],
    ]);
    expect(stand.daemon.logged('request.refused')[0]).toMatchObject({
      ...{ reason: 'too_large', key: 'token:shop' },
    });
    await stand.untilNothingIsHeld();
  });

  it('that a worker refuses to do is 422 with its code and details', async () => {
    const stand = await openStand();
    await stand.serve(() => {
      throw new ServiceError('card_declined', 'Declined', { details: { limit: 5 } });
    });
    const reply = await stand.request('x');
    expect(reply).toMatchObject({
      status: 422,
      json: {
        error: {
          ...{ code: 'ERR_HTTP_FAILED', serviceCode: 'card_declined', message: 'Declined' },
          detail: [{ encoding: 'utf8', data: '{"limit":5}' }],
        },
      },
    });
  });

  it('is 404 if nobody serves it', async () => {
    const beats = ['broker.heartbeatIntervalMs=20', 'broker.heartbeatLiveness=2'];
    const stand = await openStand('{}', ...beats);
    // Directly after its start a broker waits for workers to come back.
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    expect(failed(await stand.request('x', {}, '', 'idle'))).toEqual([404, 'ERR_HTTP_NO_WORKER']);
  });

  it('is 504 if nobody answers in time, at a worker or before', async () => {
    const stand = await openStand();
    await stand.serve(never);
    expect(failed(await stand.request('x', {}, '?timeoutMs=100'))).toEqual([
      504,
      'ERR_HTTP_EXPIRED',
    ]);
    // The worker has the first one: the second expires while it waits.
    expect(failed(await stand.request('x', {}, '?timeoutMs=100'))).toEqual([
      504,
      'ERR_HTTP_EXPIRED',
    ]);
    await stand.daemon.until(
      () => stand.daemon.logged('request.expired').length > 0,
      'the second expired',
    );
  });

  it('is 502 if its worker is lost with it', async () => {
    const stand = await openStand('{}', 'broker.maxDeliveries=1');
    let isAsked = false;
    await stand.serve(() => {
      isAsked = true;
      return never();
    });
    const reply = stand.request('x');
    await until(() => isAsked, 'the worker has it');
    await stand.close();
    expect(failed(await reply)).toEqual([502, 'ERR_HTTP_NO_REPLY']);
  });

  it('needs a token with the role, with the right to the service', async () => {
    const stand = await openStand();
    await stand.serve(() => 'yes');
    const as = async (token?: string): Promise<unknown> =>
      failed(await stand.request('x', token === undefined ? { token: '' } : { token }));
    expect(await as()).toEqual([401, 'ERR_HTTP_TOKEN']);
    expect(await as('wrong')).toEqual([401, 'ERR_HTTP_TOKEN']);
    expect(await as(tokenOf(stand.daemon))).toEqual([403, 'ERR_HTTP_ROLE']);
    expect(await as(OTHER)).toEqual([403, 'ERR_HTTP_FORBIDDEN']);
    expect(failed(await stand.get('/status'))).toEqual([403, 'ERR_HTTP_ROLE']);
    for (const service of ['mmi.services', 'titanic.request', 'mmi.hello']) {
      const reply = await stand.request('x', {}, '', service);
      expect(failed(reply)).toEqual([400, 'ERR_HTTP_PARAMETER']);
    }
    expect((await stand.request('x')).text).toBe('yes');
    expect(stand.daemon.logged('operator.acted')).toEqual([]);
  });

  it('over a quota of its token is 429 with Retry-After, and other tokens are served', async () => {
    const stand = await openStand('{outstanding: 2}');
    await stand.serve(never, 'work');
    await stand.serve(() => 'yes', 'other');
    const first = [1, 2].map(() => stand.request('x', {}, '?timeoutMs=2000'));
    await stand.untilWaiting(2);
    const refused = await stand.request('x');
    expect(failed(refused)).toEqual([429, 'ERR_HTTP_LIMIT']);
    expect(refused.headers['retry-after']).toBe('1');
    expect((await stand.request('x', { token: OTHER }, '', 'other')).text).toBe('yes');
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([504, 504]);
    const fast = await openStand('{requestsPerSecond: 3}');
    await fast.serve(() => 'yes');
    const statuses: number[] = [];
    for (let sent = 0; sent < 5; sent++) statuses.push((await fast.request('x')).status);
    expect(statuses.slice(0, 2)).toEqual([200, 200]);
    expect(statuses).toContain(429);
    const narrow = await openStand('{connections: 1}');
    await narrow.serve(never);
    const waiting = narrow.request('x', {}, '?timeoutMs=1000');
    await narrow.untilWaiting(1);
    expect(failed(await narrow.request('x'))).toEqual([429, 'ERR_HTTP_LIMIT']);
    expect((await waiting).status).toBe(504);
  });

  it('is cancelled when its client disconnects: no worker gets it', async () => {
    const stand = await openStand();
    const seen: string[] = [];
    let release = (): void => undefined;
    await stand.serve(async (asked) => {
      seen.push(String(asked.frames[0]));
      if (seen.length === 1) {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }
      return 'done';
    });
    const first = stand.request('first');
    await until(() => seen.length === 1, 'the worker is busy');
    const asked = request(`${stand.url}/services/work/requests`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${SHOP}` }, agent: false },
    });
    asked.on('error', () => undefined);
    asked.end('cancelled');
    await stand.untilWaiting(2);
    asked.destroy();
    await stand.untilWaiting(1);
    release();
    expect((await first).text).toBe('done');
    expect((await stand.request('last')).text).toBe('done');
    expect(seen).toEqual(['first', 'last']);
    await stand.untilNothingIsHeld();
  });

  it.each([
    ['its reply', {}],
    ['its events', { accept: 'text/event-stream' }],
  ])('is cancelled at its worker when the reader of %s disconnects', async (_, headers) => {
    const stand = await openStand();
    const told: unknown[] = [];
    await stand.serve((asked, { partial }) => {
      partial('part');
      return new Promise((__, reject) => {
        asked.signal.addEventListener('abort', () => {
          told.push(codeOf(asked.signal.reason));
          reject(asked.signal.reason as Error);
        });
      });
    });
    const asked = request(`${stand.url}/services/work/requests`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${SHOP}`, ...headers }, agent: false },
    });
    asked.on('error', () => undefined);
    const begun = new Promise((resolve) => asked.once('response', resolve));
    asked.end('x');
    await stand.untilWaiting(1);
    if ('accept' in headers) await begun;
    asked.destroy();
    await until(() => told.length === 1, 'the signal of the handler');
    expect(told).toEqual(['ERR_MDP_ABORTED']);
    await stand.untilWaiting(0);
    await stand.untilNothingIsHeld();
  });

  it('has a deadline, but not if its events are read: they may go on for longer', async () => {
    const stand = await openStand();
    const deadlines: number[] = [];
    await stand.serve((asked) => {
      deadlines.push(Number(Reflect.get(asked, 'deadlineMs')));
      return 'done';
    });
    await stand.request('x');
    await stand.request('x', { headers: { accept: 'text/event-stream' } });
    expect(deadlines.map((ms) => ms > 0)).toEqual([true, false]);
  });

  it.each([
    ['?timeoutMs=0', {}],
    ['?timeoutMs=600001', {}],
    ['?delayMs=5', {}],
    ['?durable=maybe', {}],
    ['?wait=1', {}],
    ['', { 'idempotency-key': 'a', accept: 'text/event-stream' }],
    ['', { 'idempotency-key': '"a' }],
    ['', { 'majordomo-once': 'maybe' }],
    ['?durable=true', { 'majordomo-once': 'true' }],
    ['', { 'majordomo-header-a_b': 'x' }],
  ])('with %s %j is 400 and says why', async (query, headers) => {
    const stand = await openStand();
    const reply = await stand.request('x', { headers }, query);
    expect(failed(reply)).toEqual([400, 'ERR_HTTP_PARAMETER']);
  });

  it('that waits is 503 when the broker stops', async () => {
    const stand = await openStand('{}', 'shutdown.graceMs=100');
    await stand.serve(never);
    const waiting = [1, 2].map(() => stand.request('x'));
    await stand.untilWaiting(2);
    const stopped = stand.daemon.stop();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([503, 503]);
    expect((await stopped).status).toBe(0);
  });
});

describe('a request of several frames', () => {
  const type = 'multipart/mixed; boundary=x';

  it('is multipart/mixed, and so is its reply if that is wanted', async () => {
    const stand = await openStand();
    await stand.serve((asked) => [...asked.frames, asked.headers['content-type'] ?? 'no type']);
    const body = '--x\r\ncontent-type: text/plain\r\n\r\none\r\n--x\r\n\r\n\r\n--x--\r\n';
    const headers = { 'content-type': type, accept: 'multipart/mixed' };
    const { status, text } = await stand.request(body, { headers });
    const parts = Array.from(text.matchAll(/\r\n\r\n([^]*?)\r\n--/g), ([, part]) => part);
    expect([status, parts]).toEqual([200, ['one', '', 'no type']]);
    // A reply in that form is a request in that form.
    const again = /^--(\w+)/.exec(text)?.[1] ?? '';
    const echoed = { 'content-type': `multipart/mixed; boundary=${again}` };
    expect((await stand.request(text, { headers: echoed })).text).toBe('oneno typeno type');
  });

  it('with more parts than limits.frames is 413, one that is not whole 400', async () => {
    const stand = await openStand('{}', 'limits.frames=20');
    await stand.serve(() => 'yes');
    const headers = { 'content-type': type };
    const many = `${'--x\r\n\r\n1\r\n'.repeat(30)}--x--`;
    expect(failed(await stand.request(many, { headers }))).toEqual([413, 'ERR_HTTP_TOO_LARGE']);
    expect(failed(await stand.request('--x\r\n\r\n1', { headers }))).toEqual([
      ...[400, 'ERR_HTTP_PARAMETER'],
    ]);
    await stand.untilNothingIsHeld();
  });
});
