/** What requests with an `Idempotency-Key` share, for how long, and what bounds it. */
import { type Answer, json } from '../../../src/admin/http/answer.js';
import type { Connected } from '../../../src/admin/http/route.js';
import { Holdings, type MemoryAccount } from '../../../src/core/holdings.js';
import { EXPIRED } from '../../../src/extensions/programs/answers.js';
import { KeyedRequests, Lease } from '../../../src/extensions/programs/keyed.js';
import { fakeTimers } from '../../support/fake-timers.js';

const RESUME_MS = 10_000;
const FIRST = 'the digest of one request';
const OTHER = 'the digest of another one';
const ORDER = { token: 'shop', service: Buffer.from('work'), key: 'order-7' };
const GOOD: Answer = {
  ...{ status: 200, type: 'text/plain', headers: {}, isCounted: true },
  body: Buffer.from('done'),
};

let holdings: Holdings;
let keys: KeyedRequests;
let keysMax: number;
/** The keys of requests that were taken back, or ended. */
let ended: string[];
/** Keys that were refused, and the quota that is used up. */
let refused: [key: string, quota: string | null][];

fakeTimers();
beforeEach(() => {
  [holdings, keysMax, ended, refused] = [new Holdings(), 100, [], []];
  keys = table(RESUME_MS);
});

function table(resumeMs: number): KeyedRequests {
  return new KeyedRequests(resumeMs, {
    mayRequest: () => true,
    keysMax: () => keysMax,
    refused: ({ key }, _address, { quota }) => refused.push([key, quota]),
  });
}

function memoryOf(token: string): MemoryAccount {
  return holdings.use(`token:${token}`);
}

/** A client over HTTP, and what it was told. */
class Client implements Connected {
  readonly address = null;
  readonly told: string[] = [];
  readonly #left: (() => void)[] = [];

  readonly drop = (): void => this.leave();

  onClosed(then: () => void): void {
    this.#left.push(then);
  }

  leave(): void {
    for (const then of this.#left.splice(0)) then();
  }

  /** Sends a request with a key. @returns ends it, if it was begun */
  async send(of = ORDER, { digest = FIRST, timeoutMs = 60_000, isUnsure = false } = {}) {
    const known = keys.find(of, digest);
    if (known !== null) {
      this.#hear(known.wait(this, { timeoutMs, answer: EXPIRED }));
      await settled();
      return null;
    }
    const lease = new Lease(this);
    lease.onClosed(() => ended.push(of.key));
    const request = keys.begin(of, digest, lease, memoryOf(of.token), isUnsure);
    this.#hear(request.wait(this, null));
    await settled();
    return async (answer = GOOD, mayHaveRun = true): Promise<void> => {
      request.end(answer, mayHaveRun);
      await settled();
    };
  }

  #hear(answer: Promise<Answer>): void {
    void answer.then(({ status, headers, body }) => {
      this.told.push(`${headers['idempotency-status'] ?? '-'} ${status} ${String(body).trim()}`);
    });
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
}

async function after(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await settled();
}

async function toldLater(options = {}): Promise<string | undefined> {
  const client = new Client();
  await client.send(ORDER, options);
  return client.told[0];
}

it('all who have the key while the request runs get its answer, and later ones as long as it is kept', async () => {
  const [first, second, third] = [new Client(), new Client(), new Client()];
  const end = await first.send();
  for (const client of [second, third]) expect(await client.send()).toBeNull();
  expect([first, second, third].flatMap(({ told }) => told)).toEqual([]);
  await end?.();
  expect([first, second, third].map(({ told }) => told)).toEqual([
    ['new 200 done'],
    ['joined 200 done'],
    ['joined 200 done'],
  ]);
  await after(RESUME_MS - 1);
  expect(await toldLater()).toBe('kept 200 done');
  expect(memoryOf('shop').requests).toBeGreaterThan(0);
  await after(1);
  expect(memoryOf('shop').requests).toBe(0);
  expect(await new Client().send()).not.toBeNull();
});

it('another request with the key is refused, while it runs and as long as it is kept', async () => {
  const end = await new Client().send();
  const another = { digest: OTHER };
  await expect(new Client().send(ORDER, another)).rejects.toThrow('is another one');
  await end?.();
  await expect(new Client().send(ORDER, another)).rejects.toThrow('is another one');
  await after(RESUME_MS);
  expect(await new Client().send(ORDER, another)).not.toBeNull();
});

it('the same key of another token, or for another service, is another key', async () => {
  for (const of of [
    ORDER,
    { ...ORDER, token: 'bank' },
    { ...ORDER, service: Buffer.from('wor') },
    // Where the service ends decides.
    { ...ORDER, service: Buffer.from('work\0order'), key: '7' },
  ]) {
    expect(await new Client().send(of, { digest: of.key + of.token })).not.toBeNull();
  }
});

it('a request whose clients have all left is cancelled after resumeMs, unless one comes back', async () => {
  const [first, second] = [new Client(), new Client()];
  const end = await first.send();
  await second.send();
  first.leave();
  await after(2 * RESUME_MS);
  second.leave();
  await after(RESUME_MS - 1);
  expect(ended).toEqual([]);
  const third = new Client();
  expect(await third.send()).toBeNull();
  await after(2 * RESUME_MS);
  expect(ended).toEqual([]);
  third.leave();
  await after(RESUME_MS);
  expect([ended, memoryOf('shop').requests]).toEqual([['order-7'], 0]);
  // What its call says of its end comes too late for the next one.
  const next = new Client();
  await next.send();
  await end?.(json({}, 503));
  expect([next.told, jest.getTimerCount()]).toEqual([[], 0]);
});

it('a request that ends while nobody waits is answered to who comes back', async () => {
  const first = new Client();
  const end = await first.send();
  first.leave();
  await after(RESUME_MS / 2);
  await end?.();
  await after(RESUME_MS / 2);
  expect(await toldLater()).toBe('kept 200 done');
  expect(ended).toEqual(['order-7']);
});

it('with resumeMs 0 a request is shared while it runs, and ends with its last client', async () => {
  keys = table(0);
  const [first, second] = [new Client(), new Client()];
  await first.send();
  await second.send();
  first.leave();
  expect(ended).toEqual([]);
  second.leave();
  expect([ended, memoryOf('shop').requests]).toEqual([['order-7'], 0]);
  const end = await first.send();
  await end?.();
  expect(await new Client().send()).not.toBeNull();
});

it('a refusal is told to all who wait, without a status, and the key is free again', async () => {
  const [first, second] = [new Client(), new Client()];
  const end = await first.send();
  await second.send();
  await end?.(json({ no: 1 }, 429), false);
  expect([...first.told, ...second.told]).toEqual(['- 429 {"no":1}', '- 429 {"no":1}']);
  expect(await new Client().send()).not.toBeNull();
});

it('a client waits as long as it said, and the request goes on without it', async () => {
  const [first, second] = [new Client(), new Client()];
  const end = await first.send();
  await second.send(ORDER, { timeoutMs: 1000 });
  await after(1500);
  expect(second.told).toEqual([expect.stringMatching(/^joined 504 /)]);
  second.leave();
  await end?.();
  expect([first.told, second.told.length]).toEqual([['new 200 done'], 1]);
});

it('clients that join and leave again and again leave nothing behind', async () => {
  await new Client().send();
  const before = memoryOf('shop').requests;
  for (let count = 0; count < 1000; count++) {
    const client = new Client();
    await client.send();
    client.leave();
  }
  expect([memoryOf('shop').requests, jest.getTimerCount()]).toEqual([before, 0]);
});

it('a request is not begun by a client that has gone while its body was read', () => {
  const client = new Client();
  const lease = new Lease(client);
  lease.onClosed(() => ended.push('left'));
  client.leave();
  lease.end();
  expect([ended, lease.hasEnded]).toEqual([['left'], true]);
});

describe('what one token makes the node remember', () => {
  const orders = (count: number) =>
    Array.from({ length: count }, (_each, index) => ({ ...ORDER, key: `order ${index}` }));

  it('is bounded in keys by its quota `sessions`, and counts', async () => {
    keysMax = 3;
    for (const of of orders(3)) await new Client().send(of);
    await expect(new Client().send()).rejects.toThrow('the quota `sessions` of this token');
    const [known = ORDER] = orders(1);
    expect(await new Client().send(known)).toBeNull();
    expect(memoryOf('shop').requests).toBeGreaterThan(3 * 1024);
    expect(refused).toEqual([['order-7', 'sessions']]);
    expect(await new Client().send({ ...ORDER, token: 'bank' })).not.toBeNull();
  });

  it('is bounded in bytes of answers by its quota `outputBytes`: one that is over it is told, but not kept', async () => {
    memoryOf('shop').outputMax = 10;
    const large = { ...GOOD, body: Buffer.alloc(6, 'x') };
    const [one = ORDER, two = ORDER, three = ORDER, four = ORDER] = orders(4);
    const client = new Client();
    const [endOne, endTwo, endThree] = [
      await new Client().send(one),
      await client.send(two),
      await new Client().send(three),
    ];
    await endOne?.(large);
    await endTwo?.(large);
    expect(client.told).toEqual(['new 200 xxxxxx']);
    const again = new Client();
    await again.send(two);
    expect(again.told).toEqual([expect.stringMatching(/^kept 502 .*was not kept: the quota/)]);
    // It never runs again while the key is known; with the bytes used up, no other begins.
    await endThree?.(GOOD);
    await expect(new Client().send(four)).rejects.toThrow('the quota `outputBytes` of this token');
    expect(refused).toEqual([['order 3', 'outputBytes']]);
    await after(RESUME_MS);
    expect(await new Client().send(four)).not.toBeNull();
  });

  it('is bounded by limits.memoryBytes, with that of all others', async () => {
    holdings = new Holdings(8192);
    const errors: string[] = [];
    for (const of of orders(20)) {
      await new Client().send(of).catch((error: unknown) => errors.push(String(error)));
    }
    expect(errors.length).toBeGreaterThan(10);
    expect(errors[0]).toContain('limits.memoryBytes is reached');
    expect(refused).toHaveLength(errors.length);
    expect(holdings.bytes).toBeLessThanOrEqual(8192 * 1.125);
  });
});

describe('a key that is unknown here', () => {
  it('may have been used before as long as its client may come back, and the answers say so', async () => {
    expect(keys.unsureMs(0)).toBe(Infinity);
    keys.serves(1000);
    expect([1000, 15_999, 16_000].map((now) => keys.unsureMs(now))).toEqual([15_000, 1, 0]);
    keys.serves(null);
    expect(keys.unsureMs(1e9)).toBe(Infinity);
    const [first, second] = [new Client(), new Client()];
    const end = await first.send(ORDER, { isUnsure: true });
    await second.send();
    await end?.();
    expect([...first.told, ...second.told]).toEqual(['unknown 200 done', 'unknown 200 done']);
    expect(await toldLater()).toBe('unknown 200 done');
  });
});
