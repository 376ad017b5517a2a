/** `majordomo worker --to`: REP servers and web servers that nobody changed, as workers (D119). */
import { EventEmitter, once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server as HttpServer } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';

import { Client } from '../../src/sdk/client.js';
import { hurtServers } from '../chaos/bridge.js';
import { makeCertificate } from '../support/certificate.js';
import { Child, killAll, run } from '../support/child.js';
import { type Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { freePorts, listening } from '../support/free-ports.js';
import { LONG_TEST_MS } from '../support/patience.js';
import { itWithTool, toolAvailable } from '../support/tools.js';
import { compile, execute, killPrograms, type Program, python } from './support/program.js';

const BOTH = 'gcc and libzmq3-dev';
const PYZMQ = 'python3-zmq';
const IMAGE_BYTES = 5 * 1024 * 1024;

let directory: string;
let daemon: Daemon;
let client: Client;
const web: HttpServer[] = [];
const after: (() => void)[] = [];

beforeEach(async () => {
  directory = temporaryDirectory();
  daemon = await startDaemon();
  client = new Client({ endpoints: [daemon.endpoint], timeoutMs: 60_000 });
});

afterEach(async () => {
  await client.close();
  for (const end of after.splice(0)) end();
  for (const server of web.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  await killAll();
  await killPrograms();
  await removeDaemons();
});

/** Starts the worker of these servers; it is registered for those that are there. */
async function bridge(
  urls: readonly string[],
  there: readonly string[] = urls,
  ...options: readonly string[]
): Promise<Child> {
  const to = urls.flatMap((url) => ['--to', url]);
  const worker = new Child(['worker', 'work', '--endpoint', daemon.endpoint, ...options, ...to]);
  for (const url of there) {
    await says(worker, `work: registered at ${daemon.endpoint} for ${url}\n`);
  }
  return worker;
}

function says(worker: Child, text: string): Promise<void> {
  return worker.until(({ stderr }) => stderr.includes(text), text);
}

type Answer = (
  request: IncomingMessage,
  body: string,
) => readonly [status: number, body: string, headers?: Record<string, string>] | null;

/** A web server; `null` is no answer. */
async function webServer(answer: Answer, port = 0): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const given = answer(request, Buffer.concat(chunks).toString());
      if (given !== null) response.writeHead(given[0], given[2]).end(given[1]);
    });
  });
  web.push(server);
  if (port === 0) return `http://127.0.0.1:${await listening(server)}/`;
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${port}/`;
}

describe.each(['C', 'Python'])('a REP server in %s', (language) => {
  const start = (name: string, delayMs = 0): Program => {
    const url = `ipc://${directory}/${name}`;
    if (language === 'Python') return python('rep_server', url, delayMs);
    return execute(compile('rep_server', directory), url, delayMs);
  };
  const tool = language === 'C' ? BOTH : PYZMQ;

  itWithTool(
    tool,
    'gets the frames and answers with frames, byte for byte, also 5 MB',
    async () => {
      start('a');
      await bridge([`ipc://${directory}/a`]);
      const frames = ['', 'é', '\0', ''].map((text) => Buffer.from(text));
      expect((await client.request('work', frames)).frames).toEqual(frames);
      expect((await client.request('work', '')).frames).toEqual([Buffer.alloc(0)]);
      const image = Buffer.alloc(IMAGE_BYTES, 'image');
      expect((await client.request('work', image)).frames[0]?.equals(image)).toBe(true);
    },
  );

  itWithTool(
    tool,
    'that is killed with a request that may run once: nobody knows, and nobody else runs it',
    async () => {
      const [first, second] = [start('a', 1e6), start('b')];
      await first.waitFor('listening');
      const worker = await bridge([`ipc://${directory}/a`]);
      const reply = client.request('work', 'x', { once: true });
      await first.waitFor('request');
      const others = new Child([
        'worker',
        'work',
        '--endpoint',
        daemon.endpoint,
        '--to',
        `ipc://${directory}/b`,
      ]);
      await says(others, ' for ');
      await first.kill();
      await expect(reply).rejects.toMatchObject({ code: 'ERR_MDP_OUTCOME_UNKNOWN' });
      await says(worker, `ipc://${directory}/a: the connection is lost`);
      expect((await client.request('work', 'y', { once: true })).text()).toBe('y');
      expect(second.said('request')).toHaveLength(1);
    },
  );

  itWithTool(
    tool,
    'that takes too long: another one answers, and the late answer reaches nobody',
    async () => {
      start('a', 3000);
      const [a, b] = [`ipc://${directory}/a`, `ipc://${directory}/b`];
      const worker = await bridge([a, b], [a], '--timeout-ms', '300');
      const reply = client.request('work', 'x');
      await says(worker, `work: ${a}: no answer within 300 ms; no requests for 1 s\n`);
      const second = start('b');
      expect((await reply).text()).toBe('x');
      expect(second.said('request')).toHaveLength(1);
    },
  );
});

itWithTool(PYZMQ, 'what a ROUTER answers without the empty frame of REQ fails', async () => {
  const url = `ipc://${directory}/router`;
  python('bare_router', url);
  await bridge([url]);
  await expect(client.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'bad-answer' });
});

describe('a web server', () => {
  it('gets a POST with the headers of the request, its time and a name for it', async () => {
    const seen: IncomingMessage[] = [];
    const url = await webServer((request, body) => [(seen.push(request), 200), `${body}!`]);
    await bridge([`${url}do?x=1`], [`${url}do?…`]);
    const headers = { traceparent: '00-a-b-01', 'content-type': 'text/plain', host: 'x', te: 'x' };
    const reply = await client.request('work', ['a', 'b'], { headers, timeoutMs: 50_000 });
    expect(reply.text()).toBe('ab!');
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/do?x=1',
      headers: {
        traceparent: '00-a-b-01',
        'content-type': 'text/plain',
        'content-length': '2',
        host: new URL(url).host,
        'majordomo-timeout-ms': expect.stringMatching(/^[45]\d{4}$/) as unknown,
        'x-request-id': expect.stringMatching(/^[\da-f-]{36}$/) as unknown,
      },
    });
    expect(seen[0]?.headers).not.toHaveProperty('te');
    for (let more = 0; more < 3; more++) await client.request('work', 'x');
    expect(new Set(seen.map(({ socket }) => socket)).size).toBe(1);
  });

  it('gets the name that a client gave its durable request with each attempt', async () => {
    const names: unknown[] = [];
    const url = await webServer(({ headers }) => [
      names.push(headers['x-request-id']) % 2 === 1 ? 500 : 200,
      String(headers['idempotency-key']),
    ]);
    await bridge([url]);
    for (const headers of [{ 'x-request-id': 'order-7' }, {}]) {
      const backoff = { baseMs: 100, maxMs: 100 };
      const job = await client.enqueue('work', 'x', { headers, backoff });
      expect((await job.result()).text()).toBe('undefined');
    }
    expect(names.slice(0, 2)).toEqual(['order-7', 'order-7']);
    expect(new Set(names).size).toBe(3);
    const headers = { 'idempotency-key': 'order-8' };
    // The next one is answered with 200.
    names.push('');
    expect((await client.request('work', 'x', { headers })).text()).toBe('order-8');
  });

  it('whose status is an error fails the request; redirects are not followed', async () => {
    const url = await webServer((_request, body) => [
      Number(body),
      '<h1>Not\n today</h1>',
      { location: '/x' },
    ]);
    await bridge([url]);
    await expect(client.request('work', '404')).rejects.toMatchObject({
      serviceCode: 'http-404',
      message: 'Not today',
    });
    await expect(client.request('work', '500')).rejects.toMatchObject({ serviceCode: 'http-500' });
    await expect(client.request('work', '302')).rejects.toMatchObject({
      serviceCode: 'http-302',
      message: 'redirects are not followed: /x',
    });
  });

  it('that is busy: another worker gets the request, and this one takes none for as long as it says', async () => {
    const busy = await webServer(() => [503, 'later', { 'retry-after': '3600' }]);
    const [port = 0] = await freePorts(1);
    const free = `http://127.0.0.1:${port}/`;
    const worker = await bridge([busy, free], [busy]);
    const reply = client.request('work', 'x');
    await says(worker, `work: ${busy}: http-503 later; no requests for 60 s\n`);
    await webServer((_request, body) => [200, body], port);
    expect((await reply).text()).toBe('x');
  });

  it('that asked for a pause of a minute: SIGTERM ends its worker at once', async () => {
    const url = await webServer(() => [503, 'later', { 'retry-after': '60' }]);
    const worker = await bridge([url]);
    void client.request('work', 'x').catch(() => undefined);
    await says(worker, 'no requests for 60 s');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0, stdout: '' });
  });

  it('that is busy with several at once is left alone for a second, not for each of them', async () => {
    const gone: (() => void)[] = [];
    const held = createServer((_request, response) => {
      gone.push(() => void response.writeHead(503).end('later'));
      if (gone.length === 4) for (const end of gone.splice(0)) end();
    });
    web.push(held);
    const url = `http://127.0.0.1:${await listening(held)}/`;
    const worker = await bridge([url], [url], '--concurrency', '4');
    const replies = ['a', 'b', 'c', 'd'].map((body) => client.request('work', body));
    for (const reply of replies) void reply.catch(() => undefined);
    await says(worker, `work: ${url}: http-503 later; no requests for 1 s\n`);
    await says(worker, `work: ${url}: http-503 later; no requests for 2 s\n`);
  });

  it('that is busy for a moment gets requests again while a slow one goes on, and then on all its places', async () => {
    let isBusy = true;
    const held: (() => void)[] = [];
    const changed = new EventEmitter();
    const server = createServer((request, response) => {
      if (request.headers['x-held'] === undefined) {
        response.writeHead(isBusy ? 503 : 200).end('ok');
        isBusy = false;
        return;
      }
      held.push(() => void response.end('held'));
      changed.emit('held');
    });
    web.push(server);
    const url = `http://127.0.0.1:${await listening(server)}/`;
    const worker = await bridge([url], [url], '--concurrency', '3');
    const hold = async (): Promise<Promise<{ text(): string }>[]> => {
      const reply = client.request('work', 'x', { headers: { 'x-held': '1' } });
      await once(changed, 'held');
      return [reply];
    };
    const [slow] = await hold();
    expect((await client.request('work', 'y')).text()).toBe('ok');
    expect(worker.stderr).toContain(`work: ${url}: http-503 ok; no requests for 1 s\n`);
    const both = [...(await hold()), ...(await hold())];
    // The three places are taken, also that of the worker that has left.
    held[0]?.();
    expect((await slow)?.text()).toBe('held');
    const third = await hold();
    for (const end of held) end();
    for (const reply of [...both, ...third]) expect((await reply).text()).toBe('held');
    expect(worker.stderr.split(' registered at ')).toHaveLength(3);
  });

  it('that takes connections but loses its requests does not get those of others', async () => {
    const lossy = createTcp((socket) => {
      socket.on('error', () => undefined).on('data', () => socket.destroy());
    });
    after.push(() => void lossy.close());
    const [good, port] = [await webServer((_request, body) => [200, body]), await listening(lossy)];
    const url = `http://127.0.0.1:${port}/`;
    const worker = await bridge([url, good]);
    const bodies = Array.from({ length: 100 }, (_, number) => `${number}`);
    const replies = await Promise.all(bodies.map((body) => client.request('work', body)));
    expect(replies.map((reply) => reply.text())).toEqual(bodies);
    expect(worker.stderr.split(`${url}: `).length).toBeLessThan(10);
  });

  it('behind a proxy that is away is not asked again and again', async () => {
    const [port = 0] = await freePorts(1);
    const url = 'http://127.0.0.1:1/';
    const worker = new Child(
      ['worker', 'work', '--endpoint', daemon.endpoint, '--proxy-env', '--to', url],
      { environment: { HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: '' } },
    );
    await says(worker, ' for ');
    const reply = client.request('work', 'x', { timeoutMs: 2500 });
    await expect(reply).rejects.toBeDefined();
    expect(worker.stderr.split('ECONNREFUSED').length - 1).toBeLessThan(4);
    expect(worker.stderr).toContain('ECONNREFUSED');
  });

  it('whose answer waits for a broker that is lost serves the other one, and ends in time', async () => {
    const other = await startDaemon();
    const asker = new Client({ endpoints: [other.endpoint], timeoutMs: 60_000 });
    const begun = Promise.withResolvers<undefined>();
    const answers: (() => void)[] = [];
    const server = createServer((request, response) => {
      if (request.headers['x-slow'] === undefined) return void response.end('ok');
      answers.push(() => response.end('late'));
      begun.resolve(undefined);
    });
    web.push(server);
    const url = `http://127.0.0.1:${await listening(server)}/`;
    const pair = ['--endpoint', other.endpoint, '--grace-ms', '1000'];
    const worker = await bridge([url], [url], ...pair);
    await says(worker, `registered at ${other.endpoint}`);
    void asker.request('work', 'x', { headers: { 'x-slow': '1' } }).catch(() => undefined);
    await begun.promise;
    await other.kill();
    await says(worker, `lost the connection to ${other.endpoint}`);
    for (const answer of answers) answer();
    expect((await client.request('work', 'x')).text()).toBe('ok');
    const registered = `registered at ${daemon.endpoint}`;
    const before = worker.stderr.split(registered).length;
    server.removeAllListeners('request');
    server.on('request', (request) => request.socket.destroy());
    const lost = client.request('work', 'x');
    await says(worker, 'socket hang up');
    server.removeAllListeners('request');
    server.on('request', (_request, response) => response.end('again'));
    expect((await lost).text()).toBe('again');
    await worker.until(({ stderr }) => stderr.split(registered).length > before, 'it is back');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0 });
    await asker.close();
  });

  it('that is not there: what was never written to it runs elsewhere, also with once', async () => {
    const url = await webServer((_request, body) => [200, body]);
    const [port = 0] = await freePorts(1);
    const other = `http://127.0.0.1:${port}/`;
    const worker = await bridge([url, other], [url]);
    web.splice(0)[0]?.close();
    const reply = client.request('work', 'x', { once: true });
    await says(worker, `work: ${url}: connect ECONNREFUSED`);
    await webServer((_request, body) => [200, `other ${body}`], port);
    expect((await reply).text()).toBe('other x');
  });

  it('whose connection ends in the middle: with once nobody knows', async () => {
    const url = await webServer((request) => (request.socket.destroy(), null));
    await bridge([url]);
    await expect(client.request('work', 'x', { once: true })).rejects.toMatchObject({
      code: 'ERR_MDP_OUTCOME_UNKNOWN',
    });
  });

  it('is told when nobody waits any more: the POST ends', async () => {
    let request: IncomingMessage | null = null;
    const begun = Promise.withResolvers<undefined>();
    const ended = Promise.withResolvers<undefined>();
    const url = await webServer((given) => {
      request = given;
      given.socket.once('close', () => ended.resolve(undefined));
      begun.resolve(undefined);
      return null;
    });
    await bridge([url]);
    const stop = new AbortController();
    const reply = client.request('work', 'x', { signal: stop.signal });
    await begun.promise;
    stop.abort();
    await expect(reply).rejects.toBeDefined();
    await ended.promise;
    expect(request).not.toBeNull();
  });

  it('with TLS is trusted with --ca, and without it named as one that is not', async () => {
    const { certFile, keyFile } = makeCertificate(directory, 'localhost');
    const options = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    const server = createSecure(options, (request, response) => void request.pipe(response));
    web.push(server);
    const url = `https://127.0.0.1:${await listening(server)}/`;
    const distrustful = await bridge([url], []);
    await says(distrustful, `work: ${url}: self-signed certificate (--ca`);
    await distrustful.kill();
    await bridge([url], [url], '--ca', certFile);
    expect((await client.request('work', ['se', 'cret'])).text()).toBe('secret');
    const { stdout } = await run(['doctor', '--to', url, '--ca', certFile]);
    expect(stdout).toContain(`ok       server ${url}: it takes connections`);
  });

  it('may listen at a socket file', async () => {
    const server = createServer((request, response) => response.end(request.url));
    web.push(server);
    await once(server.listen(`${directory}/app.sock`), 'listening');
    await bridge([`unix:${directory}/app.sock:/say`]);
    expect((await client.request('work', 'x')).text()).toBe('/say');
  });

  it('that speaks something else fails the request', async () => {
    const server = createTcp((socket) => socket.on('error', () => undefined).end('220 mail\r\n'));
    after.push(() => void server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    await bridge([`http://127.0.0.1:${(server.address() as AddressInfo).port}/`]);
    await expect(client.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'bad-answer' });
  });

  it('whose answer is larger than the broker takes fails', async () => {
    const small = await startDaemon({ sets: ['limits.messageBytes=1KiB'] });
    const url = await webServer(() => [200, 'x'.repeat(10_000)]);
    const worker = new Child(['worker', 'work', '--endpoint', small.endpoint, '--to', url]);
    await says(worker, ' for ');
    const asker = new Client({ endpoints: [small.endpoint] });
    await expect(asker.request('work', 'x')).rejects.toMatchObject({ serviceCode: 'too-large' });
    await asker.close();
  });
});

it.each(['tcp', 'http'])('SIGTERM ends at once what waits for a server: %s', async (scheme) => {
  const [port = 0] = await freePorts(1);
  const worker = await bridge([`${scheme}://127.0.0.1:${port}`], []);
  await says(worker, '; waiting for it\n');
  worker.signal('SIGTERM');
  expect(await worker.finished()).toMatchObject({ status: 0 });
});

it('majordomo worker refuses what does not go together', async () => {
  const status = async (...args: readonly string[]): Promise<string> => {
    const { status: code, stderr } = await run(['worker', 'work', ...args]);
    expect(code).toBe(64);
    return stderr;
  };
  expect(await status()).toContain('a command is missing (-- COMMAND), or a server (--to URL)');
  expect(await status('--to', 'tcp://a:1', '--', 'cat')).toContain('exclude each other');
  expect(await status('--to', 'ftp://a:p@b')).toContain('--to ftp://…@b: not tcp://HOST:PORT');
  for (const url of ['tcp://a:1', 'http://a']) {
    expect(await status('--to', url, '--ca', 'x')).toContain('--ca is for web servers with TLS');
  }
  for (const [option, ...value] of [['--content-type', 'text/csv'], ['--proxy-env']] as const) {
    const wrong = await status('--to', 'tcp://a:1', option, ...value);
    expect(wrong).toContain(`${option} is for web servers`);
  }
  expect(await status('--to', 'unix:/a', '--proxy-env')).toContain('--proxy-env is for');
  expect(await status('--to', 'unix:/a:/b c')).toContain('unix:/a:/b c: HTTP cannot carry');
  const type = ['--content-type', 'a\nb'] as const;
  expect(await status('--to', 'http://a', ...type)).toContain('HTTP cannot carry this in a header');
  const output = ['--output-bytes', '16MiB'] as const;
  expect(await status('--to', 'http://a', ...output)).toContain('--output-bytes is for commands');
  expect(await status('--to', 'tcp://a')).toContain('--to');
  expect(await status('--to', 'https://a', '--ca', '/none')).toContain(
    '--ca /none cannot be read: ENOENT',
  );
});

it('--ca is a file with certificates that can be read, for majordomo doctor too', async () => {
  const { certFile } = makeCertificate(directory, 'localhost');
  const file = `${directory}/ca.pem`;
  const refusal = async (text: string, ...line: readonly string[]): Promise<string> => {
    writeFileSync(file, text);
    const { status, stderr } = await run([...line, '--ca', file]);
    expect(status).toBe(64);
    return stderr;
  };
  const to = ['--to', 'https://127.0.0.1:1'] as const;
  const empty = `--ca ${file} has no certificate (PEM)`;
  expect(await refusal('secret', 'worker', 'work', ...to)).toContain(empty);
  expect(await refusal('', 'doctor', ...to)).toContain(empty);
  expect(await refusal('', 'doctor')).toContain('--ca is for web servers with TLS');
  const damaged = readFileSync(certFile, 'utf8').replace('\nM', '\n%');
  expect(await refusal(readFileSync(certFile, 'utf8') + damaged, 'doctor', ...to)).toContain(
    `--ca ${file}: certificate 2 is damaged`,
  );
});

describe('unchanged clients do not notice that servers are killed and stopped', () => {
  itWithTool(
    toolAvailable(BOTH) ? PYZMQ : BOTH,
    'REP servers, of which the same pair alone makes a client hang',
    async () => {
      const tally = await hurtServers({ kind: 'rep', count: 20, stopEach: 5 });
      expect(tally).toMatchObject({ kills: 16, stops: 4, hangsAlone: true });
    },
    LONG_TEST_MS,
  );

  itWithTool(
    PYZMQ,
    'web servers',
    async () => {
      expect(await hurtServers({ kind: 'web', count: 20, stopEach: 5 })).toMatchObject({
        kills: 16,
        stops: 4,
      });
    },
    LONG_TEST_MS,
  );
});
