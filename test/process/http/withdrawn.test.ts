import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { codeOf } from '../../../src/core/errors.js';
import { startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { httpOf, RawHttp, type Reply } from '../../support/http.js';
import { endStands, failed, OTHER, ProgramStand, SHOP } from '../../support/programs.js';
import { until } from '../../support/until.js';

const NEW = 'another-token-of-the-shop';
const STREAM = { accept: 'text/event-stream' };
const raws: RawHttp[] = [];

let stand: ProgramStand;
let file: string;
/** Why handlers were told to stop. */
let told: unknown[];
let reloads: number;

interface Token {
  readonly name: string;
  readonly token: string;
  readonly client: string;
}

const SHOP_TOKEN: Token = { name: 'shop', token: SHOP, client: 'work, later' };
const OTHER_TOKEN: Token = { name: 'other', token: OTHER, client: 'work' };

function write(...tokens: readonly Token[]): void {
  const all = tokens.map(
    ({ name, token, client }) =>
      `    - {name: ${name}, role: request, token: ${token}, client: [${client}]}\n`,
  );
  writeFileSync(file, `http:\n  tokens:\n${all.join('')}`);
}

/** SIGHUP, with these tokens. */
async function reload(...tokens: readonly Token[]): Promise<void> {
  write(...tokens);
  stand.daemon.signal('SIGHUP');
  await stand.daemon.waitFor('config.reloaded', ++reloads);
}

beforeEach(async () => {
  file = join(temporaryDirectory(), 'majordomo.yaml');
  told = [];
  reloads = 0;
  write(SHOP_TOKEN, OTHER_TOKEN);
  stand = new ProgramStand(await startDaemon({ file, sets: ['http.listen=127.0.0.1:0'] }), []);
});

afterEach(async () => {
  for (const { socket } of raws.splice(0)) socket.destroy();
  await endStands();
});

/** A worker that has one request at a time. @returns what answers each that it got */
async function serve(): Promise<readonly ((reply: string) => void)[]> {
  const served: ((reply: string) => void)[] = [];
  await stand.serve((asked, { partial }) => {
    partial('part');
    return new Promise((resolve, reject) => {
      served.push(resolve);
      asked.signal.addEventListener('abort', () => {
        told.push(codeOf(asked.signal.reason));
        reject(asked.signal.reason as Error);
      });
    });
  });
  return served;
}

/** The code of the event that ends a stream. */
function failedAs({ status, text }: Reply): unknown {
  return [status, /event: error\ndata: \{"error":\{"code":"(\w+)"/.exec(text)?.[1]];
}

/** A request whose body has begun to arrive. */
function upload(token: string): RawHttp {
  const raw = new RawHttp(httpOf(stand.daemon));
  raws.push(raw);
  const head = 'POST /api/v1/services/work/requests HTTP/1.1';
  raw.send(
    head,
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Content-Length: 1000000',
    '',
  );
  raw.socket.write('x');
  return raw;
}

async function stored(): Promise<string> {
  const { json } = await stand.request('x', {}, '?durable=true', 'later');
  return (json as { readonly uuid: string }).uuid;
}

describe.each([
  ['that is gone', []],
  ['with a new secret', [{ ...SHOP_TOKEN, token: NEW }]],
])('a token %s', (_, tokens) => {
  it('ends what it started: what waits, and what a worker has, which is told', async () => {
    const served = await serve();
    const first = stand.request('x');
    await stand.untilWaiting(1);
    const second = stand.request('x');
    const others = stand.request('x', { token: OTHER });
    await stand.untilWaiting(3);
    await reload(...tokens, OTHER_TOKEN);
    expect((await Promise.all([first, second])).map(failed)).toEqual([
      ...[
        [401, 'ERR_HTTP_TOKEN'],
        [401, 'ERR_HTTP_TOKEN'],
      ],
    ]);
    await until(() => told.length === 1, 'the worker is told');
    // What another token started goes on.
    await stand.untilWaiting(1);
    await until(() => served.length === 2, 'the worker has the other one');
    served.at(-1)?.('yes');
    expect((await others).text).toBe('partyes');
    await stand.untilNothingIsHeld();
  });

  it('ends its streams, its long polls and its uploads', async () => {
    await serve();
    const stream = stand.request('x', { headers: STREAM });
    await stand.untilWaiting(1);
    const uuid = await stored();
    const poll = stand.get(`/titanic/requests/${uuid}/result?waitMs=60000`);
    const raw = upload(SHOP);
    const isHere = async (): Promise<boolean> =>
      ((await stand.metrics()).value('memory_held_bytes{kind="input"}') ?? 0) > 0;
    await until(isHere, 'the body begins');
    await reload(...tokens, OTHER_TOKEN);
    expect(failedAs(await stream)).toEqual([200, 'ERR_HTTP_TOKEN']);
    expect(failed(await poll)).toEqual([401, 'ERR_HTTP_TOKEN']);
    await raw.until('401 Unauthorized');
    await until(() => told.length === 1, 'the worker is told');
  });

  it('leaves what it stored, which is served', async () => {
    const uuid = await stored();
    await reload(...tokens, OTHER_TOKEN);
    const seen: string[] = [];
    await stand.serve((asked) => {
      seen.push(asked.text());
      return 'done';
    }, 'later');
    await until(() => seen.length === 1, 'it is served');
    await reload({ ...SHOP_TOKEN, token: NEW });
    const path = `/titanic/requests/${uuid}/result?waitMs=60000`;
    expect(await stand.get(path, { token: NEW })).toMatchObject({ status: 200, text: 'done' });
  });
});

describe('a token that may no longer send requests to a service', () => {
  it('has those ended that it sent there, wherever they are, and no others, until it may again', async () => {
    const served = await serve();
    const stream = stand.request('x', { headers: STREAM });
    await stand.untilWaiting(1);
    const second = stand.request('x');
    await stand.untilWaiting(2);
    const uuid = await stored();
    const poll = stand.get(`/titanic/requests/${uuid}/result?waitMs=60000`);
    await reload({ ...SHOP_TOKEN, client: 'later' }, OTHER_TOKEN);
    expect(failedAs(await stream)).toEqual([200, 'ERR_HTTP_FORBIDDEN']);
    expect(failed(await second)).toEqual([403, 'ERR_HTTP_FORBIDDEN']);
    await until(() => told.length === 1, 'the worker is told');
    // The one that waited was refused (D73).
    await stand.daemon.waitFor('request.refused');
    expect(stand.daemon.logged('request.refused')).toMatchObject([{ key: 'token:shop' }]);
    await stand.serve(() => 'done', 'later');
    expect((await poll).text).toBe('done');
    await stand.untilNothingIsHeld();
    await reload(SHOP_TOKEN, OTHER_TOKEN);
    const again = stand.request('x');
    await until(() => served.length === 2, 'the worker has it');
    served[1]?.('yes');
    expect((await again).status).toBe(200);
  });
});

it('a token that may no longer send requests to a service has none of its Idempotency-Keys answered there', async () => {
  const served = await serve();
  const keyed = { headers: { 'idempotency-key': 'one' } };
  const waiting = stand.request('x', { headers: { 'idempotency-key': 'two' } });
  await until(() => served.length === 1, 'the worker has it');
  await reload({ ...SHOP_TOKEN, client: 'later' }, OTHER_TOKEN);
  expect(failed(await waiting)).toEqual([403, 'ERR_HTTP_FORBIDDEN']);
  await until(() => told.length === 1, 'the worker is told');
  await reload(SHOP_TOKEN, OTHER_TOKEN);
  const first = stand.request('x', keyed);
  await until(() => served.length === 2, 'the worker has the next one');
  served[1]?.('yes');
  expect((await first).text).toBe('partyes');
  await reload({ ...SHOP_TOKEN, client: 'later' }, OTHER_TOKEN);
  expect(failed(await stand.request('x', keyed))).toEqual([403, 'ERR_HTTP_FORBIDDEN']);
});

it('tokens of which one is refused stay all as they were, with their rights', async () => {
  await stand.serve(() => 'done');
  const tokens = [{ ...SHOP_TOKEN, client: 'later' }, OTHER_TOKEN];
  write(...tokens);
  const tokenFile = join(temporaryDirectory(), 'missing');
  appendFileSync(
    file,
    `    - {name: more, role: request, tokenFile: ${tokenFile}, client: [work]}\n`,
  );
  stand.daemon.signal('SIGHUP');
  expect(await stand.daemon.waitFor('config.reloaded', ++reloads)).toMatchObject({ applied: [] });
  expect(stand.daemon.logged('http.tokens_refused')).toHaveLength(1);
  expect(await stand.request('x')).toMatchObject({ status: 200, text: 'done' });
  await reload(...tokens);
  expect(failed(await stand.request('x'))).toEqual([403, 'ERR_HTTP_FORBIDDEN']);
});

describe('a token with two secrets', () => {
  const both = `[${SHOP}, ${NEW}]`;

  it('replaces one by the other without a failed request, new, waiting or streamed', async () => {
    const served = await serve();
    const waiting = stand.request('x');
    await stand.untilWaiting(1);
    await reload({ ...SHOP_TOKEN, token: both }, OTHER_TOKEN);
    const { to } = stand.daemon.logged('config.reloaded').at(-1)?.['applied'] as never;
    expect(JSON.stringify([to, stand.daemon.stdout])).not.toContain(NEW);
    expect(await stand.daemon.waitFor('http.tokens_renewed')).toMatchObject({ tokens: ['shop'] });
    // A program's requests with one secret go on when the other is gone.
    await until(() => served.length === 1, 'the worker has it');
    served[0]?.('old');
    expect((await waiting).text).toBe('partold');
    const stored = await stand.request('x', {}, '?durable=true', 'later');
    const next = stand.request('x', { token: NEW, headers: STREAM });
    await until(() => served.length === 2, 'the worker has the one of the new secret');
    await reload({ ...SHOP_TOKEN, token: NEW }, OTHER_TOKEN);
    served[1]?.('new');
    expect(await next).toMatchObject({ status: 200, text: expect.stringContaining('new') });
    expect(failed(await stand.request('x'))).toEqual([401, 'ERR_HTTP_TOKEN']);
    expect(told).toEqual([]);
    // What the old one has stored belongs to the token, whatever its secret.
    const { uuid } = stored.json as { readonly uuid: string };
    const found = await stand.get(`/titanic/requests/${uuid}/result`, { token: NEW });
    expect(found.status).toBe(202);
  });

  it('ends what the one started that is removed, and nothing of the other', async () => {
    await reload({ ...SHOP_TOKEN, token: both }, OTHER_TOKEN);
    const served = await serve();
    const old = stand.request('x');
    await until(() => served.length === 1, 'the worker has it');
    const next = stand.request('x', { token: NEW });
    await stand.untilWaiting(2);
    await reload({ ...SHOP_TOKEN, token: NEW }, OTHER_TOKEN);
    expect(failed(await old)).toEqual([401, 'ERR_HTTP_TOKEN']);
    await until(() => served.length === 2, 'the worker has the other one');
    served[1]?.('yes');
    expect((await next).text).toBe('partyes');
  });
});
