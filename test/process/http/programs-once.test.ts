/** Requests with `Majordomo-Once`, without and with an `Idempotency-Key`. */
import { ServiceError } from '../../../src/sdk/service-error.js';
import type { Reply } from '../../support/http.js';
import { endStands, openStand, type ProgramStand } from '../../support/programs.js';
import { until } from '../../support/until.js';

const ONCE = { 'majordomo-once': 'true' };
const STREAM = { accept: 'text/event-stream' };
const never = (): Promise<string> => new Promise(() => undefined);

afterEach(endStands);

function codeOf({ status, json }: Reply): unknown {
  const { error } = json as { readonly error: { readonly code: string; readonly message: string } };
  return [status, error.code, error.message];
}

/** A stand with two workers, of which the first that gets a request never answers. */
async function twoWorkers(): Promise<[ProgramStand, string[]]> {
  const stand = await openStand();
  const got: string[] = [];
  for (const _ of [1, 2]) {
    await stand.serve((asked) => {
      got.push(asked.text());
      return got.length === 1 ? never() : 'done';
    });
  }
  return [stand, got];
}

it('a request that may run once is answered as any other', async () => {
  const stand = await openStand();
  await stand.serve((asked) => `${asked.text()} ${asked.headers['tenant'] ?? ''}`);
  const headers = { ...ONCE, 'majordomo-header-tenant': 'acme' };
  expect((await stand.request('x', { headers })).text).toBe('x acme');
  const all = await stand.requestsOnOne([headers, headers]);
  expect(all.match(/x acme/g)).toHaveLength(2);
  expect((await stand.request('x', { headers: { ...headers, ...STREAM } })).text).toContain(
    'reply',
  );
  await stand.untilNothingIsHeld();
});

it('one whose worker gives it up is 502, and no other worker gets it', async () => {
  const stand = await openStand();
  const got: string[] = [];
  for (const _ of [1, 2]) {
    await stand.serve((asked) => {
      got.push(asked.text());
      throw new ServiceError('busy', 'not now', { retry: true });
    });
  }
  expect((await stand.request('once', { headers: ONCE })).status).toBe(422);
  expect(got).toEqual(['once']);
});

it.each([
  ['', {}],
  [' as events', STREAM],
])('one whose worker is lost is 502%s, and says what is known', async (_, headers) => {
  const [stand, got] = await twoWorkers();
  const asked = stand.request('x', { headers: { ...ONCE, ...headers } });
  await until(() => got.length === 1, 'a worker has it');
  await stand.close();
  expect(codeOf(await asked)).toEqual([
    ...[502, 'ERR_HTTP_OUTCOME_UNKNOWN', expect.stringMatching(/^outcome unknown: delivered to /)],
  ]);
  expect(got).toEqual(['x']);
});

it('one that gets no answer in time is 502 if a worker has it, and 504 if none', async () => {
  const stand = await openStand();
  await stand.serve(never);
  const query = '?timeoutMs=100';
  expect(codeOf(await stand.request('x', { headers: ONCE }, query))).toEqual([
    ...[502, 'ERR_HTTP_OUTCOME_UNKNOWN', 'outcome unknown: there was no reply in time'],
  ]);
  const waiting = await stand.request('x', { headers: ONCE }, query);
  expect(codeOf(waiting)).toEqual([504, 'ERR_HTTP_EXPIRED', expect.any(String)]);
});

it('with a key that the node cannot know it is 502 directly after a start, and does not run', async () => {
  const stand = await openStand();
  const got: string[] = [];
  await stand.serve((asked) => {
    got.push(asked.text());
    return 'done';
  });
  const keyed = { 'idempotency-key': 'one' };
  const refused = await stand.request('x', { headers: { ...ONCE, ...keyed } });
  expect(codeOf(refused)).toEqual([
    ...[502, 'ERR_HTTP_OUTCOME_UNKNOWN', expect.stringMatching(/ran before; in \d+ s the key is/)],
  ]);
  expect(got).toEqual([]);
  // The key is not taken by that; and a request of another kind is another one.
  expect((await stand.request('x', { headers: keyed })).text).toBe('done');
  const another = await stand.request('x', { headers: { ...ONCE, ...keyed } });
  expect(another.status).toBe(422);
});
