/** What is done with a store in its measurements. Each returns how many requests a second. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { WALL_MS_MAX } from '../../src/core/numbers.js';
import type { Change, RequestUuid } from '../../src/store/store.js';
import { acceptOf, BODY_BYTES } from '../store/requests.js';
import type { StoreDriver } from './store-driver.js';

export const SERVICE = Buffer.from('echo');
const REPLY = Buffer.alloc(BODY_BYTES, 0x43);
/** As late as a stored time may be. */
const FOR_EVER = WALL_MS_MAX;
const BATCH_MAX = 256;
/** Each measurement begins so long before what it counts. */
export const WARMUP_SECONDS = 1;
/**
 * Whole lives, before each measurement: a store is a thread of its own, whose code is compiled as it
 * runs, which takes much of the CPU time of its first seconds. A broker runs for months.
 */
export const COMPILE_SECONDS = 5;

let last = 0;

/** New requests that are due at once. @param claim of the broker that accepts them; 0: none */
export function acceptances(count: number, claim = 0): Extract<Change, { kind: 'accept' }>[] {
  return Array.from({ length: count }, () => {
    const change = acceptOf(++last);
    const request = { ...change.request, acceptedAt: 0, notBefore: 0, expiresAt: FOR_EVER };
    return { ...change, request, ...(claim === 0 ? {} : { claim }) };
  });
}

function uuidsOf(changes: readonly Extract<Change, { kind: 'accept' }>[]): RequestUuid[] {
  return changes.map(({ request }) => request.uuid);
}

function replies(uuids: readonly RequestUuid[]): Change[] {
  const reply = { kind: 'reply', generation: 0, reply: REPLY, worker: '1', at: 0 } as const;
  return uuids.map((uuid) => ({ ...reply, uuid, expiresAt: FOR_EVER }));
}

function closes(uuids: readonly RequestUuid[]): Change[] {
  return uuids.map((uuid) => ({ kind: 'close', uuid, at: 0, keyUntil: 0, by: '' }));
}

/**
 * Repeats a step on several lanes at once until the time is over, after a warm-up. A step counts its
 * requests.
 */
export async function rate(
  seconds: number,
  lanes: number,
  step: (lane: number) => Promise<number>,
): Promise<number> {
  let done = 0;
  const from = performance.now() + WARMUP_SECONDS * 1000;
  const until = from + seconds * 1000;
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      while (performance.now() < until) {
        const count = await step(lane);
        if (count === 0) break;
        if (performance.now() >= from) done += count;
      }
    }),
  );
  return (done * 1000) / (performance.now() - from);
}

/** Batches of new requests, one in flight on each of the stores' `lanes`. */
export async function accepting(
  stores: readonly StoreDriver[],
  rows: number,
  seconds: number,
  lanes = 1,
): Promise<number> {
  return await rate(seconds, stores.length * lanes, async (lane) => {
    await stores[lane % stores.length]?.commit(acceptances(rows));
    return rows;
  });
}

/** Claims stored requests and stores replies, until the time is over or nothing is left. */
export async function claiming(
  stores: readonly StoreDriver[],
  rows: number,
  seconds: number,
): Promise<number> {
  return await rate(seconds, stores.length, async (lane) => {
    const store = stores[lane];
    const claimed = (await store?.claim(SERVICE, rows)) ?? [];
    const uuids = claimed.map(({ request }) => request.uuid);
    if (uuids.length > 0) await store?.commit(replies(uuids));
    return claimed.length;
  });
}

/** The same with a file: reads the bodies of stored requests, and stores replies. */
export async function reading(
  store: StoreDriver,
  waiting: readonly RequestUuid[],
  rows: number,
  seconds: number,
): Promise<number> {
  let at = 0;
  return await rate(seconds, 1, async () => {
    const uuids = waiting.slice(at, at + rows);
    at += uuids.length;
    if (uuids.length === 0) return 0;
    await store.load(uuids);
    await store.commit(replies(uuids));
    return uuids.length;
  });
}

/** Stores at least so many requests. */
export async function stocked(store: StoreDriver, count: number): Promise<RequestUuid[]> {
  const uuids: RequestUuid[] = [];
  while (uuids.length < count) {
    const changes = acceptances(BATCH_MAX);
    await store.commit(changes);
    uuids.push(...uuidsOf(changes));
  }
  return uuids;
}

/** Stores replies to these. */
export async function settle(store: StoreDriver, uuids: readonly RequestUuid[]): Promise<void> {
  for (let at = 0; at < uuids.length; at += BATCH_MAX) {
    await store.commit(replies(uuids.slice(at, at + BATCH_MAX)));
  }
}

/** How a request gets to the broker that serves it. */
export type Way = 'accepted claimed' | 'claimed' | 'loaded';

/** Whole lives of requests, 64 at a time: stored, served, replied, closed. */
export async function cycling(
  stores: readonly StoreDriver[],
  rows: number,
  seconds: number,
  way: Way,
): Promise<number> {
  return await rate(seconds, stores.length, async (lane) => {
    const store = stores[lane];
    if (store === undefined) return 0;
    const changes = acceptances(rows, way === 'accepted claimed' ? 1 : 0);
    await store.commit(changes);
    let uuids = uuidsOf(changes);
    if (way === 'loaded') await store.load(uuids);
    if (way === 'claimed') {
      uuids = (await store.claim(SERVICE, rows)).map(({ request }) => request.uuid);
    }
    await store.commit(replies(uuids));
    await store.commit(closes(uuids));
    return uuids.length;
  });
}

/** Works at full load until the code of the stores is compiled. Leaves hardly anything stored. */
export async function compiled(stores: readonly StoreDriver[], way: Way): Promise<void> {
  await cycling(stores, BATCH_MAX / 4, COMPILE_SECONDS - WARMUP_SECONDS, way);
}

/**
 * Requests that arrive at a rate of their own; what arrives while a batch is committed is the next one.
 * @returns how long each took until it was durable, in milliseconds, sorted
 */
export async function arriving(
  store: StoreDriver,
  perSecond: number,
  seconds: number,
): Promise<number[]> {
  const taken: number[] = [];
  const began = performance.now();
  const unmeasured = perSecond * WARMUP_SECONDS;
  const all = Math.floor(perSecond * seconds) + unmeasured;
  const dueAt = (n: number): number => began + (n * 1000) / perSecond;
  for (let done = 0; done < all;) {
    const now = performance.now();
    const due = Math.min(all, Math.floor(((now - began) * perSecond) / 1000) + 1) - done;
    if (due <= 0) {
      await sleep(Math.max(0, dueAt(done) - now));
      continue;
    }
    const count = Math.min(due, BATCH_MAX);
    await store.commit(acceptances(count));
    const at = performance.now();
    for (let n = done; n < done + count; n++) if (n >= unmeasured) taken.push(at - dueAt(n));
    done += count;
  }
  return taken.sort((a, b) => a - b);
}
