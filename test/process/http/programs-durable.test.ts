import { Client } from '../../../src/sdk/client.js';
import { ServiceError } from '../../../src/sdk/service-error.js';
import { type Reply, tokenOf } from '../../support/http.js';
import { endStands, failed, openStand, OTHER } from '../../support/programs.js';

afterEach(endStands);

const NEVER = 'F'.repeat(32);
/** With a body that is text, Node.js would send the bytes of headers as UTF-8. */
const BODY = Buffer.from('a');

/** The uuid of a request that was stored just now. */
function uuidOf({ status, headers, json }: Reply): string {
  const { uuid } = json as { readonly uuid: string };
  expect([status, headers.location]).toEqual([202, `/api/v1/titanic/requests/${uuid}/result`]);
  return uuid;
}

describe('a durable request over HTTP', () => {
  it('is 202 with its result’s Location; the result waits, is the reply, and ends with DELETE', async () => {
    const stand = await openStand();
    const headers = { prefer: 'respond-async', 'majordomo-header-tenant': 'acme' };
    const stored = await stand.request('page', { headers });
    const uuid = uuidOf(stored);
    expect(stored.headers['preference-applied']).toBe('respond-async');
    const path = `/titanic/requests/${uuid}`;
    const pending = await stand.get(`${path}/result`);
    expect(pending).toMatchObject({ status: 202, json: { uuid, state: 'pending' } });
    expect(pending.headers['retry-after']).toBe('1');
    const waiting = stand.get(`${path}/result?waitMs=60000`, { headers: { accept: 'text/plain' } });
    await stand.serve((asked) => [`${asked.text()} for `, asked.headers['tenant'] ?? '']);
    expect(await waiting).toMatchObject({
      ...{ status: 200, text: 'page for acme' },
      headers: { 'content-type': 'text/plain' },
    });
    expect((await stand.get(`${path}/result`)).text).toBe('page for acme');
    const closed = await stand.get(path, { method: 'DELETE' });
    expect(closed).toMatchObject({ status: 200, json: { uuid, state: 'closed' } });
    expect(failed(await stand.get(`${path}/result`))).toEqual([404, 'ERR_HTTP_NOT_FOUND']);
    expect(failed(await stand.get(path, { method: 'DELETE' }))).toEqual([
      404,
      'ERR_HTTP_NOT_FOUND',
    ]);
    expect(failed(await stand.get(`/titanic/requests/${NEVER}/result`))).toEqual([
      ...[404, 'ERR_HTTP_NOT_FOUND'],
    ]);
    await stand.untilNothingIsHeld();
  });

  it('with the same idempotency key is stored once', async () => {
    const stand = await openStand();
    const headers = { 'idempotency-key': 'order-7' };
    const first = uuidOf(await stand.request('a', { headers }, '?durable=true'));
    expect(uuidOf(await stand.request('a', { headers }, '?durable=true'))).toBe(first);
    const other = { 'idempotency-key': 'order-8' };
    expect(uuidOf(await stand.request('a', { headers: other }, '?durable=true'))).not.toBe(first);
  });

  it('on a kept connection is stored under its own idempotency key', async () => {
    const stand = await openStand();
    const keys = ['order-1', 'order-2', 'order-3', 'order-2'];
    const all = keys.map((key) => ({ 'idempotency-key': key }));
    const answers = await stand.requestsOnOne(all, '?durable=true');
    const uuids = [...answers.matchAll(/"uuid":"(\w+)"/g)].map(([, uuid]) => uuid);
    expect(uuids.map((uuid) => uuids.indexOf(uuid))).toEqual([0, 1, 2, 1]);
  });

  it('has its group, which is part of what its key names, and differs on a kept connection (D118)', async () => {
    const stand = await openStand();
    const headers = { 'idempotency-key': 'k', 'majordomo-group': 'tenant 7' };
    const uuid = uuidOf(await stand.request(BODY, { headers }, '?durable=true'));
    const others = { ...headers, 'majordomo-group': 'b' };
    const other = await stand.request(BODY, { headers: others }, '?durable=true');
    expect(failed(other)).toEqual([422, 'ERR_HTTP_KEY_REUSED']);
    await stand.requestsOnOne(
      ['a', 'b', 'a'].map((group) => ({ 'majordomo-group': group })),
      '?durable=true',
    );
    const listed = async (query: string, token = tokenOf(stand.daemon)): Promise<unknown[]> => {
      const { json } = await stand.get(`/titanic/requests${query}`, { token });
      return (json as { readonly items: { readonly group: unknown }[] }).items.map(
        ({ group }) => group,
      );
    };
    expect((await listed('')).sort()).toEqual(['a', 'a', 'b', 'tenant 7']);
    expect(await listed('?group=a')).toEqual(['a', 'a']);
    const { json } = await stand.get(`/titanic/requests/${uuid}`, { token: tokenOf(stand.daemon) });
    expect(json).toMatchObject({ group: 'tenant 7' });
    const wrong = await stand.request(BODY, { headers: { 'majordomo-group': '' } });
    expect(failed(wrong)).toEqual([400, 'ERR_HTTP_PARAMETER']);
  });

  it('with its idempotency key in quotation marks is the same as without them', async () => {
    const stand = await openStand();
    const send = async (key: string): Promise<Reply> => {
      return await stand.request('a', { headers: { 'idempotency-key': key } }, '?durable=true');
    };
    const uuid = uuidOf(await send('order-7'));
    expect((await send('"order-7"')).json).toMatchObject({ uuid, existed: true });
    const escaped = uuidOf(await send('"a \\"b\\" \\\\c"'));
    expect((await send('a "b" \\c')).json).toMatchObject({ uuid: escaped, existed: true });
    for (const wrong of [
      '"',
      '"order-7',
      '"order-7" ;a=1',
      '"a"b"',
      '"a\\b"',
      '"\xc3\xa9"',
      '""',
    ]) {
      const refused = await send(wrong);
      expect(failed(refused)).toEqual([400, 'ERR_HTTP_PARAMETER']);
    }
    expect((await send('"order-7')).text).toContain('no string of RFC 8941');
  });

  it('that 0.1.0 stored under a key with its quotation marks is found with them', async () => {
    const stand = await openStand();
    const send = async (key: string): Promise<Reply> => {
      return await stand.request('x', { headers: { 'idempotency-key': key } }, '?durable=true');
    };
    // What 0.1.0 took for the key `"order-7"`.
    const uuid = uuidOf(await send('"\\"order-7\\""'));
    expect((await send('"order-7"')).json).toMatchObject({ uuid, existed: true });
    await stand.get(`/titanic/requests/${uuid}`, { method: 'DELETE' });
    const keys = ['"order-8"', '"order-7"', 'order-7'];
    const all = keys.map((key) => ({ 'idempotency-key': key }));
    const answers = await stand.requestsOnOne(all, '?durable=true');
    const states = [...answers.matchAll(/"uuid":"(\w+)","state":"(\w+)"/g)];
    expect(states.map(([, of, state]) => [of === uuid, state])).toEqual([
      ...[
        [false, 'pending'],
        [true, 'closed'],
        [false, 'pending'],
      ],
    ]);
  });

  it('an idempotency key names one request: another is 422; what existed is said (D112)', async () => {
    const stand = await openStand();
    const headers = { 'idempotency-key': 'order-7' };
    const send = (body = 'a', query = '?durable=true'): Promise<Reply> =>
      stand.request(body, { headers }, query);
    const first = await send();
    const uuid = uuidOf(first);
    expect(first.json).toEqual({ uuid, state: 'pending', existed: false, note: null });
    expect((await send()).json).toEqual({ uuid, state: 'pending', existed: true, note: null });
    for (const other of [await send('b'), await send('a', '?durable=true&priority=1')]) {
      expect(failed(other)).toEqual([422, 'ERR_HTTP_KEY_REUSED']);
      expect(other.headers.location).toBeUndefined();
    }
    await stand.serve(() => {
      throw new ServiceError('bad', 'No', { retry: false });
    });
    await stand.get(`/titanic/requests/${uuid}/result?waitMs=60000`);
    const note = expect.stringContaining('To begin anew, use another key');
    expect((await send()).json).toEqual({ uuid, state: 'dead', existed: true, note });
    await stand.get(`/titanic/requests/${uuid}`, { method: 'DELETE' });
    expect((await send()).json).toEqual({ uuid, state: 'closed', existed: true, note });
  });

  it('lives for ttlMs after its delayMs is over, also if that is longer (D109)', async () => {
    const stand = await openStand();
    const query = '?durable=true&delayMs=5000&ttlMs=1000';
    const uuid = uuidOf(await stand.request('later', {}, query));
    const token = tokenOf(stand.daemon);
    const { json } = await stand.get(`/titanic/requests/${uuid}`, { token });
    const [accepted = 0, notBefore = 0, expires = 0] = ['acceptedAt', 'notBefore', 'expiresAt'].map(
      (name) => Date.parse(String(Reflect.get(json as object, name))),
    );
    expect([notBefore - accepted, expires - notBefore]).toEqual([5000, 1000]);
  });

  it('is 400 with an idempotency key or a header that is not UTF-8, and nothing is stored', async () => {
    const stand = await openStand();
    for (const text of ['\xff', '\xfe', 'M\xfcller']) {
      for (const name of ['idempotency-key', 'majordomo-header-customer', 'content-type']) {
        const refused = await stand.request(BODY, { headers: { [name]: text } }, '?durable=true');
        expect(failed(refused)).toEqual([400, 'ERR_HTTP_PARAMETER']);
        expect(refused.text).toMatch(/: its bytes are not UTF-8/);
      }
    }
    const key = (text: string): string => Buffer.from(text).toString('latin1');
    const stored = ['Müller', 'Möller'].map(async (name) =>
      uuidOf(
        await stand.request('a', { headers: { 'idempotency-key': key(name) } }, '?durable=true'),
      ),
    );
    expect(new Set(await Promise.all(stored)).size).toBe(2);
  });

  it('is cancelled by DELETE before a worker has it', async () => {
    const stand = await openStand();
    const uuid = uuidOf(await stand.request('cancelled', {}, '?durable=true'));
    await stand.get(`/titanic/requests/${uuid}`, { method: 'DELETE' });
    const seen: string[] = [];
    await stand.serve((asked) => {
      seen.push(asked.text());
      return 'done';
    });
    const last = uuidOf(await stand.request('last', {}, '?durable=true'));
    expect((await stand.get(`/titanic/requests/${last}/result?waitMs=60000`)).text).toBe('done');
    expect(seen).toEqual(['last']);
  });

  it('that is dead has the failure of its worker as result', async () => {
    const stand = await openStand();
    await stand.serve(() => {
      throw new ServiceError('bad_page', 'No such page', { retry: false });
    });
    const uuid = uuidOf(await stand.request('x', {}, '?durable=true&maxAttempts=1&priority=-5'));
    const result = await stand.get(`/titanic/requests/${uuid}/result?waitMs=60000`);
    expect(result).toMatchObject({
      status: 422,
      json: { error: { serviceCode: 'bad_page', message: 'No such page' } },
    });
  });

  it('belongs to its token: others neither see nor end it', async () => {
    const stand = await openStand();
    const uuid = uuidOf(await stand.request('x', {}, '?durable=true'));
    const path = `/titanic/requests/${uuid}`;
    expect(failed(await stand.get(`${path}/result`, { token: OTHER }))).toEqual([
      ...[404, 'ERR_HTTP_NOT_FOUND'],
    ]);
    const ends = async (of: string): Promise<unknown> => {
      const { status, json } = await stand.get(of, { method: 'DELETE', token: OTHER });
      return [status, json];
    };
    // The answers for another one’s, and for one that does not exist, are the same.
    expect(await ends(path)).toEqual(await ends(`/titanic/requests/${NEVER}`));
    expect(await ends(path)).toMatchObject([404, { error: { code: 'ERR_HTTP_NOT_FOUND' } }]);
    const client = new Client({ endpoints: [stand.daemon.endpoint] });
    await expect(client.job(uuid).result({ timeoutMs: 2000 })).rejects.toThrow();
    await client.close();
    expect((await stand.get(`${path}/result`)).status).toBe(202);
  });

  it('over the quota `stored` is 429; without a store it is 404', async () => {
    const stand = await openStand('{stored: 1}');
    uuidOf(await stand.request('x', {}, '?durable=true'));
    const refused = await stand.request('x', {}, '?durable=true');
    expect(failed(refused)).toEqual([429, 'ERR_HTTP_LIMIT']);
    expect(refused.headers['retry-after']).toBe('1');
    const off = await openStand('{}', 'titanic.enabled=false');
    expect(failed(await off.request('x', {}, '?durable=true'))).toEqual([
      404,
      'ERR_HTTP_NOT_FOUND',
    ]);
    expect(failed(await off.get(`/titanic/requests/${NEVER}/result`))).toEqual([
      ...[404, 'ERR_HTTP_NOT_FOUND'],
    ]);
  });
});
