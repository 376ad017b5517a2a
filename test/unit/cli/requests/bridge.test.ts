/** What `majordomo worker --to` sends to a web server, and what it makes of the answer. */
import { checkHttp } from '../../../../src/cli/requests/bridge/open.js';
import { targetOf } from '../../../../src/cli/requests/bridge/target.js';
import { headersFor, outcomeOf } from '../../../../src/cli/requests/bridge/web-answer.js';

const NOW = Date.UTC(2026, 0, 1);

function outcome(status: number, retryAfter?: string): ReturnType<typeof outcomeOf> {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  return outcomeOf(status, headers, Buffer.from('<p>No\n <b>room</b>'), NOW);
}

describe('an answer of a web server', () => {
  it('is the reply if its status is 2xx', () => {
    const frames = [Buffer.from('<p>No\n <b>room</b>')];
    for (const status of [200, 201, 204, 299]) {
      expect(outcome(status)).toEqual({ kind: 'reply', frames });
    }
  });

  it('with 408, 425, 429 and 503 is for another worker, and asks for a pause', () => {
    for (const status of [408, 425, 429, 503]) {
      expect(outcome(status)).toMatchObject({
        kind: 'failed',
        pauseMs: 0,
        error: { serviceCode: `http-${status}`, message: 'No room', retry: 'elsewhere' },
      });
    }
  });

  it('with any other status ends the request, without a pause', () => {
    for (const status of [301, 307, 400, 404, 418, 422, 500, 501, 502, 504]) {
      expect(outcome(status, '5')).toMatchObject({
        kind: 'failed',
        pauseMs: null,
        error: { serviceCode: `http-${status}`, retry: true },
      });
    }
  });

  it.each([
    ['7', 7000],
    ['86400', 60_000],
    [new Date(NOW + 9000).toUTCString(), 9000],
    [new Date(NOW - 9000).toUTCString(), 0],
    [new Date(NOW + 9e9).toUTCString(), 60_000],
    ['soon', 0],
    ['-1', 0],
    ['', 0],
  ])('asks for a pause by Retry-After, of a minute at most: %s', (text, pauseMs) => {
    expect(outcome(503, text)).toMatchObject({ pauseMs });
  });

  it('gives at most 200 characters of its text', () => {
    const long = outcomeOf(500, {}, Buffer.from('😀'.repeat(1000)), NOW);
    expect(long.kind === 'failed' && long.error.message.length).toBe(200);
    expect(outcomeOf(500, {}, Buffer.alloc(0), NOW)).toMatchObject({ error: { message: '' } });
  });
});

describe('the headers of a POST', () => {
  const given = { frames: [Buffer.from('ab'), Buffer.from('c')], deadlineMs: 0 };
  const post = (headers: Record<string, string>, deadlineMs = 0, login?: string, type?: string) =>
    headersFor({ ...given, headers, deadlineMs }, type, login, 'id', 1000);

  it('are those of the request, but not those of its own connection and body', () => {
    const own = { host: 'a', 'content-length': '9', connection: 'close', 'transfer-encoding': 'x' };
    expect(post({ ...own, traceparent: 't', 'x-tenant': 'é', bad: 'a\r\nb', worse: '漢' })).toEqual(
      {
        'content-length': '3',
        'content-type': 'application/octet-stream',
        'x-request-id': 'id',
        'x-tenant': 'é',
        traceparent: 't',
      },
    );
  });

  it('say of what type the body is, which name it has and how long its client waits', () => {
    expect(post({ 'content-type': 'image/png', 'x-request-id': 'mine' }, 1500.5)).toMatchObject({
      'content-type': 'image/png',
      'x-request-id': 'mine',
      'majordomo-timeout-ms': '501',
    });
    expect(post({ 'content-type': 'image/png' }, 900, undefined, 'text/csv')).toMatchObject({
      'content-type': 'text/csv',
      'majordomo-timeout-ms': '0',
    });
  });

  it('leave out a type of the body that HTTP cannot carry', () => {
    expect(post({ 'content-type': '漢' })).toMatchObject({
      'content-type': 'application/octet-stream',
    });
  });

  it('have no login of a client where the URL has one', () => {
    expect(post({ authorization: 'Bearer x' })).toHaveProperty('authorization');
    expect(post({ authorization: 'Bearer x' }, 0, 'user:secret')).not.toHaveProperty(
      'authorization',
    );
  });
});

it('a URL says what kind of server it is', () => {
  expect(targetOf('tcp://gpu1:5555').web).toBeNull();
  expect(targetOf('ipc:///run/a:b').web).toBeNull();
  expect(targetOf('http://user:p%40ss@[::1]/do?a=1')).toMatchObject({
    shown: 'http://…@[::1]/do?…',
    web: { isSecure: false, hostname: '::1', port: 80, path: '/do?a=1', auth: 'user:p@ss' },
  });
  expect(targetOf('https://api.example').web).toMatchObject({ isSecure: true, port: 443 });
  expect(targetOf('unix:/run/app.sock').web).toEqual({
    isSecure: false,
    socketPath: '/run/app.sock',
    path: '/',
  });
  expect(targetOf('unix:/run/app.sock:/do?x=1').web).toMatchObject({ path: '/do?x=1' });
  expect(targetOf('unix:/run/app.sock:/é%20').web).toMatchObject({ path: '/é%20' });
  for (const wrong of [
    'unix:/run/a:/b c',
    'unix:/run/a:/漢',
    '',
    'gpu1:5555',
    'ftp://a',
    'http://',
    'unix:',
    'udp://a:1',
    'tcp://a',
  ]) {
    expect(() => targetOf(wrong)).toThrow('--to');
  }
});

it('--proxy-env is refused by a Node.js whose agents know no proxy', () => {
  expect(() => checkHttp({ proxyEnv: true }, new Set(['--use-env-proxy']))).not.toThrow();
  expect(() => checkHttp({ proxyEnv: true }, new Set())).toThrow('needs Node.js 22.21 or later');
});
