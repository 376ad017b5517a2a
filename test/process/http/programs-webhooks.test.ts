import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type Socket } from 'node:net';

import { Client } from '../../../src/sdk/client.js';
import { ServiceError } from '../../../src/sdk/service-error.js';
import { makeCertificate } from '../../support/certificate.js';
import { run } from '../../support/child.js';
import { startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { listening } from '../../support/free-ports.js';
import { ask, httpOf, tokenOf, type Reply } from '../../support/http.js';
import { endStands, openStand, OTHER, ProgramStand, TOKENS } from '../../support/programs.js';
import { newSecret, signatureOf, WebhookReceiver } from '../../support/webhook-receiver.js';
import { until } from '../../support/until.js';

const receivers: WebhookReceiver[] = [];

afterEach(async () => {
  await endStands();
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
});

/** @param hosts further ones that webhooks may go to */
async function open(
  hosts: readonly string[] = [],
  ...sets: readonly string[]
): Promise<{ stand: ProgramStand; receiver: WebhookReceiver }> {
  const receiver = await WebhookReceiver.open();
  receivers.push(receiver);
  const stand = await openStand('{}', ...receiver.sets(...hosts), ...sets);
  return { stand, receiver };
}

function uuidOf({ status, text, json }: Reply): string {
  expect([status, text]).toEqual([202, text]);
  return (json as { readonly uuid: string }).uuid;
}

function failed({ status, json }: Reply): unknown {
  return [status, (json as { readonly error: unknown }).error];
}

/** The history of what tells of a request: its attempts' reasons. */
async function reasonsOf({ daemon }: ProgramStand, uuid: string): Promise<string[] | null> {
  const history = async (of: string): Promise<unknown> => {
    const url = `${httpOf(daemon)}/api/v1/titanic/requests/${of}`;
    return (await ask(url, { token: tokenOf(daemon) })).json;
  };
  const { partner } = (await history(uuid)) as { partner?: string };
  const { deliveries } = (await history(partner ?? uuid)) as {
    deliveries?: readonly { reason: string }[];
  };
  return deliveries?.map(({ reason }) => reason) ?? null;
}

describe('a webhook', () => {
  it('tells of a reply, of a failure and of a cancelled request, signed with each secret', async () => {
    const { stand, receiver } = await open();
    receiver.writeSecrets(newSecret(), newSecret());
    stand.daemon.signal('SIGHUP');
    await stand.daemon.waitFor('config.reloaded');
    await stand.serve((asked) => {
      if (asked.text() === 'fail') throw new ServiceError('bad_page', 'No', { retry: false });
      return 'done';
    });
    const headers = receiver.header('/hook?of=1');
    const replied = uuidOf(await stand.request('x', { headers }));
    await receiver.until(1);
    const dead = uuidOf(await stand.request('fail', { headers }));
    await receiver.until(2);
    const cancelled = uuidOf(await stand.request('x', { headers }, '', 'idle'));
    await stand.get(`/titanic/requests/${cancelled}`, { method: 'DELETE' });
    const all = await receiver.until(3);
    const location = (uuid: string): string => `/api/v1/titanic/requests/${uuid}/result`;
    const none = { code: null, reason: null };
    expect(all.map(({ json }) => json)).toMatchObject([
      {
        type: 'request.replied',
        data: {
          uuid: replied,
          service: 'work',
          outcome: 'replied',
          location: location(replied),
          ...none,
        },
      },
      {
        type: 'request.dead',
        data: {
          uuid: dead,
          outcome: 'dead',
          code: 'bad_page',
          reason: 'No',
          location: location(dead),
        },
      },
      {
        type: 'request.cancelled',
        data: { uuid: cancelled, service: 'idle', location: null, ...none },
      },
    ]);
    for (const webhook of all) {
      expect(webhook.path).toBe('/hook?of=1');
      expect(webhook.headers['webhook-id']).toBe(`${String(webhook.json.data['uuid'])}-0`);
      expect(webhook.headers['webhook-signature']).toBe(signatureOf(webhook, receiver.secrets));
    }
    expect((await stand.get(`/titanic/requests/${replied}/result`)).text).toBe('done');
  });

  it('is an option of the SDK and of the commands, of durable requests and of schedules', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    const { endpoint } = stand.daemon;
    const webhook = (path: string): string => `${receiver.origin}${path}`;
    const client = new Client({ endpoints: [endpoint] });
    const { uuid } = await client.enqueue('work', 'x', { webhook: webhook('/sdk') });
    const [first] = await receiver.until(1);
    expect([first?.path, first?.json.data]).toMatchObject(['/sdk', { uuid, outcome: 'replied' }]);
    const cron = '* * * * * *';
    await client.schedule('often', 'work', 'x', { cron, webhook: webhook('/schedule') });
    const all = await receiver.until(3);
    expect(all.slice(1).map(({ path }) => path)).toEqual(['/schedule', '/schedule']);
    await client.unschedule('often');
    const asked = ['request', '--durable', '--no-wait', '--endpoint', endpoint, 'work', 'x'];
    expect(await run([...asked, '--webhook', webhook('/command')])).toMatchObject({ status: 0 });
    await until(() => receiver.received.some(({ path }) => path === '/command'), 'it is told');
    // The same rule as over HTTP holds for where it may go.
    const other = { webhook: 'https://other.example/' };
    const refused = { code: 'ERR_TITANIC_REFUSED', details: { status: 400 } };
    await expect(client.enqueue('work', 'x', other)).rejects.toMatchObject(refused);
    const schedule = client.schedule('never', 'work', 'x', { cron, ...other });
    await expect(schedule).rejects.toMatchObject(refused);
    await client.close();
    const headers = { prefer: 'respond-async', 'majordomo-header-ttl-ms': '5' };
    expect(failed(await stand.request('x', { headers }))).toMatchObject([
      400,
      { code: 'ERR_HTTP_PARAMETER' },
    ]);
  });

  it('needs no program and no HTTP: clients over ZeroMQ may name one', async () => {
    const receiver = await WebhookReceiver.open();
    receivers.push(receiver);
    const daemon = await startDaemon({ sets: receiver.sets() });
    const stand = new ProgramStand(daemon, []);
    await stand.serve(() => 'done');
    const client = new Client({ endpoints: [daemon.endpoint] });
    const { uuid } = await client.enqueue('work', 'x', { webhook: `${receiver.origin}/sdk` });
    const [told] = await receiver.until(1);
    expect(told?.json.data).toMatchObject({ uuid, outcome: 'replied' });
    await client.close();
  });

  it('is tried again with the same id while its receiver is down, and over a kill of the broker', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    await receiver.close();
    const uuid = uuidOf(await stand.request('x', { headers: receiver.header() }));
    await until(async () => (await reasonsOf(stand, uuid))?.length === 1, 'one attempt failed');
    expect((await reasonsOf(stand, uuid))?.[0]).toContain('ECONNREFUSED');
    await stand.close();
    const again = await stand.killed();
    receiver.answering = (response) => response.writeHead(500).end('later');
    await receiver.listen();
    await receiver.until(1);
    receiver.answering = (response) => response.writeHead(200).end('thanks');
    const [first, second] = await receiver.until(2);
    expect(second?.json).toEqual(first?.json);
    expect(second?.headers['webhook-id']).toBe(`${uuid}-0`);
    await until(async () => (await reasonsOf(again, uuid)) === null, 'it is done with');
    expect(receiver.received).toHaveLength(2);
  });

  it('whose receiver is killed with the broker between the end and the webhook is told by the next broker', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    receiver.answering = () => undefined;
    const uuid = uuidOf(await stand.request('x', { headers: receiver.header() }));
    // It is being sent, and never answered.
    await receiver.until(1);
    await stand.close();
    await stand.killed();
    receiver.answering = (response) => response.writeHead(204).end();
    const [, second] = await receiver.until(2);
    expect(second?.json.data).toMatchObject({ uuid, outcome: 'replied' });
  });

  it('is sent over TLS to a name whose certificate is trusted', async () => {
    const receiver = await WebhookReceiver.open();
    receivers.push(receiver);
    const { keyFile, certFile, pem } = makeCertificate(temporaryDirectory(), 'localhost');
    const paths: string[] = [];
    const server = createTlsServer({ key: readFileSync(keyFile), cert: pem }, (asked, response) => {
      paths.push(`${asked.headers.host ?? ''}${asked.url ?? ''}`);
      asked.resume().once('end', () => response.writeHead(204).end());
    });
    const origin = `https://localhost:${await listening(server)}`;
    const sets = [
      ...['http.listen=127.0.0.1:0', 'limits.quotas={shop: {}}', TOKENS],
      ...receiver.sets(origin, '127.0.0.0/8', '::1/128'),
    ];
    const environment = { NODE_EXTRA_CA_CERTS: certFile };
    const stand = new ProgramStand(await startDaemon({ sets, environment }), sets);
    await stand.serve(() => 'done');
    const headers = { ...receiver.header(), 'majordomo-webhook': `${origin}/a%20b?c=1` };
    const uuid = uuidOf(await stand.request('x', { headers }));
    await until(async () => (await reasonsOf(stand, uuid)) === null, 'it is done with');
    expect(paths).toEqual([`${origin.slice('https://'.length)}/a%20b?c=1`]);
    server.close();
    server.closeAllConnections();
  });

  it('that is answered 503 with Retry-After is sent again after that pause', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    const times: number[] = [];
    receiver.answering = (response) => {
      times.push(performance.now());
      const fields = times.length === 1 ? { 'retry-after': '4' } : {};
      response.writeHead(times.length === 1 ? 503 : 204, fields).end();
    };
    uuidOf(await stand.request('x', { headers: receiver.header() }));
    await receiver.until(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(3900);
  });

  it('that is answered 410 is given up, and can be retried by an operator', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    receiver.answering = (response) => response.writeHead(410).end();
    uuidOf(await stand.request('x', { headers: receiver.header() }));
    await stand.daemon.waitFor('titanic.died');
    const found = await ask(
      `${httpOf(stand.daemon)}/api/v1/titanic/requests?state=dead&service=titanic.webhook`,
      { token: tokenOf(stand.daemon) },
    );
    const { items } = found.json as { items: readonly { uuid: string; reason: string }[] };
    expect(items).toMatchObject([{ reason: expect.stringContaining('webhook.410') as unknown }]);
    receiver.answering = (response) => response.writeHead(204).end();
    const retry = `${httpOf(stand.daemon)}/api/v1/titanic/requests/${items[0]?.uuid ?? ''}/retry`;
    await ask(retry, { method: 'POST', token: tokenOf(stand.daemon) });
    await receiver.until(2);
    const page = await stand.metrics();
    expect(page.value('titanic_completed_total{service="titanic.webhook"}')).toBe(1);
  });
});

describe('a URL that is not allowed', () => {
  it('is refused before anything is stored; so is a webhook of a plain request, or without the feature', async () => {
    const { stand, receiver } = await open(['.example.org', 'hooks.example.com:8443']);
    const refusal = async (url: string): Promise<unknown> =>
      failed(
        await stand.request('x', { headers: { ...receiver.header(), 'majordomo-webhook': url } }),
      );
    const code = 'ERR_HTTP_PARAMETER';
    for (const url of [
      ...[
        'http://127.0.0.1:1/',
        'https://127.0.0.1/',
        'https://example.org/',
        'http://a.example.org/',
      ],
      ...['https://hooks.example.com/', 'https://localhost/', 'http://2130706433:1/'],
    ]) {
      const { protocol, host } = new URL(url);
      const message = `webhook: ${protocol}//${host} is not in http.webhookHosts`;
      expect(await refusal(url)).toEqual([400, { code, message }]);
    }
    expect(await refusal('ftp://a.example.org/')).toMatchObject([400, { code }]);
    expect(await refusal('https://user:password@a.example.org/')).toMatchObject([400, { code }]);
    expect(await refusal('nothing')).toMatchObject([400, { code }]);
    const plain = { 'majordomo-webhook': receiver.origin };
    expect(failed(await stand.request('x', { headers: plain }))).toMatchObject([400, { code }]);
    const off = await openStand();
    expect(failed(await off.request('x', { headers: receiver.header() }))).toEqual([
      ...[400, { code, message: 'webhook: webhooks are off: see http.webhookHosts' }],
    ]);
    const counts = await ask(`${httpOf(stand.daemon)}/api/v1/titanic/counts`, {
      token: tokenOf(stand.daemon),
    });
    expect(counts.json).toMatchObject({ pending: 0, replied: 0, dead: 0 });
  });

  it('a name that resolves to an address that is not public gets nothing, unless its network is listed', async () => {
    const { stand, receiver } = await open();
    const { port } = new URL(receiver.origin);
    const named = `http://localhost:${port}`;
    const closed = await stand.killed(`http.webhookHosts=${named}`);
    await closed.serve(() => 'done');
    const headers = { ...receiver.header(), 'majordomo-webhook': named };
    const uuid = uuidOf(await closed.request('x', { headers }));
    await until(async () => (await reasonsOf(closed, uuid))?.length === 1, 'it was refused');
    expect((await reasonsOf(closed, uuid))?.[0]).toContain('not a public address');
    expect(receiver.received).toEqual([]);
    await closed.close();
    await closed.killed(`http.webhookHosts=${named} 127.0.0.0/8 ::1/128`);
    await receiver.until(1);
  });
});

describe('a hostile receiver', () => {
  it('that redirects is not followed', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    const other = await WebhookReceiver.open();
    receivers.push(other);
    receiver.answering = (response) => {
      response.writeHead(307, { location: `${other.origin}/inside` }).end();
    };
    const uuid = uuidOf(await stand.request('x', { headers: receiver.header() }));
    await until(async () => (await reasonsOf(stand, uuid))?.length === 1, 'one attempt failed');
    expect((await reasonsOf(stand, uuid))?.[0]).toContain('answered 307');
    expect(other.received).toEqual([]);
  });

  it('that never answers, or answers without end, delays no other, and loses its connection', async () => {
    const { stand, receiver } = await open();
    await stand.serve(() => 'done');
    const endless: Socket[] = [];
    let ended = 0;
    const server = createServer((socket) => {
      endless.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const timer = setInterval(() => socket.write(Buffer.alloc(65_536)), 1);
        socket.once('close', () => {
          clearInterval(timer);
          ended++;
        });
      });
    });
    const silent = createServer((socket) => {
      endless.push(socket);
      socket.on('error', () => undefined);
    });
    const large = `http://127.0.0.1:${await listening(server)}`;
    const never = `http://127.0.0.1:${await listening(silent)}`;
    try {
      const more = await stand.killed(`http.webhookHosts=${receiver.origin} ${large} ${never}`);
      await more.serve(() => 'done');
      const send = (url: string): Promise<Reply> =>
        more.request('x', { headers: { ...receiver.header(), 'majordomo-webhook': url } });
      await Promise.all(Array.from({ length: 20 }, () => send(never)));
      const told = uuidOf(await send(large));
      // With its status, whatever follows it, it is told.
      await until(() => ended === 1, 'the endless answer was cut off');
      await until(async () => (await reasonsOf(more, told)) === null, 'it is done with');
      await Promise.all(Array.from({ length: 20 }, () => send(receiver.origin)));
      await receiver.until(20);
    } finally {
      for (const socket of endless) socket.destroy();
      server.close();
      silent.close();
    }
  });

  it('that never answers has one webhook at a time; hundreds wait in the store, and another is told', async () => {
    const sockets = new Set<Socket>();
    let [connections, atOnce] = [0, 0];
    const silent = createServer((socket) => {
      connections++;
      sockets.add(socket);
      atOnce = Math.max(atOnce, sockets.size);
      socket.on('error', () => undefined).resume();
      socket.once('close', () => sockets.delete(socket));
    });
    const never = `http://127.0.0.1:${await listening(silent)}`;
    const { stand, receiver } = await open([never]);
    try {
      for (const service of ['work', 'other']) await stand.serve(() => 'done', service);
      const headers = { ...receiver.header(), 'majordomo-webhook': never };
      await Promise.all(Array.from({ length: 300 }, () => stand.request('x', { headers })));
      await stand.request('x', { headers: receiver.header(), token: OTHER }, '', 'other');
      const [told] = await receiver.until(1);
      expect(told?.json).toMatchObject({ data: { service: 'other', outcome: 'replied' } });
      const failed = Object.values(
        (await stand.metrics()).counted('titanic_attempts_failed_total'),
      );
      expect(atOnce).toBe(1);
      expect(failed.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(connections);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});
