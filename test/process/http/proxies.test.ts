/** Programs behind a proxy (docs/http.md, behind a proxy, and a load balancer). */
import { request } from 'node:http';

import type { Handler } from '../../../src/sdk/worker/handler.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf } from '../../support/http.js';
import { endStands, openStand, type ProgramStand, SHOP } from '../../support/programs.js';
import { documented, killProxies, startHaproxy, startNginx } from '../../support/proxies.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

afterEach(async () => {
  killProxies();
  await endStands();
});

/** A request at a worker. */
interface Asked {
  readonly answer: (reply: string) => void;
  readonly isCancelled: () => boolean;
}

const HEADERS = { authorization: `Bearer ${SHOP}` };

/** Two workers of `work`. @returns what they were asked, in order */
async function served(stand: ProgramStand): Promise<readonly Asked[]> {
  const all: Asked[] = [];
  const handle: Handler = ({ signal }) =>
    new Promise<string>((resolve, reject) => {
      all.push({ answer: resolve, isCancelled: () => signal.aborted });
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  await stand.serve(handle);
  await stand.serve(handle);
  return all;
}

/** @returns status and text, which may be the proxy's own */
async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  service = 'work',
): Promise<readonly [number, string]> {
  const path = `${url}/api/v1/services/${encodeURIComponent(service)}/requests?timeoutMs=60000`;
  const answer = await fetch(path, { method: 'POST', headers: HEADERS, body });
  return [answer.status, await answer.text()];
}

/** Sends a request, and leaves as soon as the worker has it. */
async function leave(url: string, asked: readonly Asked[]): Promise<void> {
  const options = { method: 'POST', headers: HEADERS, agent: false };
  const sent = request(`${url}/api/v1/services/work/requests`, options);
  sent.on('error', () => undefined);
  sent.end('x');
  const before = asked.length;
  await until(() => asked.length > before, 'the worker has the request');
  sent.destroy();
}

async function whenAnswering(url: string): Promise<string> {
  const livez = async (): Promise<boolean> => {
    return (await fetch(`${url}/livez`).catch(() => null))?.status === 200;
  };
  await until(livez, `${url} answers`);
  return url;
}

/** nginx that is as short of patience as this, in place of its 60 s, with the lines of the document and with its own ones. */
async function nginx(
  stand: ProgramStand,
): Promise<{ readonly url: string; readonly bare: string }> {
  const [port = 0, other = 0] = await freePorts(2);
  const http = httpOf(stand.daemon);
  const lines = documented('nginx').replace('http://127.0.0.1:5580', http);
  const bare = `location /mq/ { proxy_pass ${http}/; }`;
  await startNginx(
    `proxy_read_timeout 1s; server { listen 127.0.0.1:${port};\n${lines}}\n` +
      `server { listen 127.0.0.1:${other}; ${bare} }`,
  );
  return {
    url: await whenAnswering(`http://127.0.0.1:${port}/mq`),
    bare: await whenAnswering(`http://127.0.0.1:${other}/mq`),
  };
}

/** HAProxy with the lines of the document, changed like this. */
async function haproxy(
  stand: ProgramStand,
  change = (lines: string): string => lines,
): Promise<string> {
  const [port = 0] = await freePorts(1);
  const lines = documented('haproxy')
    .replace('10.0.0.1:5580', new URL(httpOf(stand.daemon)).host)
    .replace(/^ *server backup .*\n/m, '');
  await startHaproxy(
    `${change(lines)}frontend http\n  bind 127.0.0.1:${port}\n  default_backend majordomo\n`,
  );
  return await whenAnswering(`http://127.0.0.1:${port}`);
}

describe('behind nginx with the lines of the document', () => {
  itWithTool('nginx', 'a program waits for longer than nginx does by itself', async () => {
    const stand = await openStand();
    const asked = await served(stand);
    const { url, bare } = await nginx(stand);
    const answer = post(url, 'x');
    await until(() => asked.length === 1, 'the worker has the request');
    expect(await post(bare, 'x')).toEqual([504, expect.any(String)]);
    asked[0]?.answer('at last');
    expect(await answer).toEqual([200, 'at last']);
  });

  itWithTool('nginx', 'it sends a body over 1 MiB', async () => {
    const stand = await openStand();
    await stand.serve(({ frames }) => String(frames[0]?.length));
    const { url, bare } = await nginx(stand);
    const body = Buffer.alloc(15 * 1024 * 1024);
    expect(await post(bare, body.subarray(0, 2 * 1024 * 1024))).toEqual([413, expect.any(String)]);
    expect(await post(url, body)).toEqual([200, String(body.length)]);
  });

  itWithTool('nginx', 'it asks a service with a slash in its name', async () => {
    const stand = await openStand();
    await stand.serve(() => 'done', 'work/deep');
    const { url, bare } = await nginx(stand);
    expect(await post(bare, 'x', 'work/deep')).toEqual([404, expect.any(String)]);
    expect(await post(url, 'x', 'work/deep')).toEqual([200, 'done']);
  });

  itWithTool('nginx', 'its request is cancelled when it leaves', async () => {
    const stand = await openStand();
    const asked = await served(stand);
    const { url } = await nginx(stand);
    await leave(url, asked);
    await until(() => asked[0]?.isCancelled() === true, 'the worker is told');
  });
});

describe('behind HAProxy with the lines of the document', () => {
  itWithTool('haproxy', 'a request is cancelled when its program leaves', async () => {
    const stand = await openStand();
    const asked = await served(stand);
    const bare = await haproxy(stand, (lines) => lines.replace(/^ *option abortonclose.*\n/m, ''));
    await leave(bare, asked);
    await leave(await haproxy(stand), asked);
    await until(() => asked[1]?.isCancelled() === true, 'the worker is told');
    expect(asked[0]?.isCancelled()).toBe(false);
  });
});
