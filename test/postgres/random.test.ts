import fc from 'fast-check';

import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { verifyDatabase } from '../../src/extensions/postgres/examine.js';
import { isWork, numberOfKind } from '../../src/store/record-kind.js';
import {
  ANY_OWNER,
  type Change,
  type ChangeResult,
  type ClaimedRequest,
  type ClaimOrder,
  type ClaimStore,
  NO_TURNS,
  STATES,
  type StoreCounts,
  type StoredRequest,
} from '../../src/store/store.js';
import { MemoryDisk } from '../support/memory-disk.js';
import type { Entry } from '../../src/testing/memory-rows.js';
import { endAll } from '../support/daemon-users.js';
import type { Cluster } from '../support/postgres-cluster.js';
import { openDatabaseStore } from '../support/postgres-place.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { randomBatches } from '../support/random-changes.js';
import { acceptKind, acceptWithWebhook, KEPT_KINDS, LATER_KIND } from '../support/record-kinds.js';
import { NOON, uuidOf } from '../support/store-changes.js';
import { StoreUser } from '../support/store-user.js';

const cluster = sharedCluster();
const RUNS = 6;
const TIMEOUT_MS = 60_000;
const MANY = 100;

afterEach(endAll);

/** A store in a database, and the one in memory that it is compared with. */
class Both {
  readonly #server: Cluster;
  readonly #name: string;
  readonly #disk: MemoryDisk;
  readonly #memory: StoreUser;
  readonly #database: StoreUser;

  static async make(): Promise<Both> {
    const server = await cluster();
    const name = await server.database();
    const { store } = await openDatabaseStore(server.url(name), TIMEOUT_MS);
    const disk = new MemoryDisk({ schedule: (_call, work) => setImmediate(work) });
    return new Both(server, name, disk, await StoreUser.open(disk.openStore), store);
  }

  private constructor(
    server: Cluster,
    name: string,
    disk: MemoryDisk,
    memory: StoreUser,
    database: StoreUser,
  ) {
    this.#server = server;
    this.#name = name;
    this.#disk = disk;
    this.#memory = memory;
    this.#database = database;
  }

  async commit(batch: readonly Change[]): Promise<void> {
    const changes = batch.map(laterKeys);
    // In a database, what is pending expires with a sweep, too.
    if (changes.some((change) => change.kind === 'sweep' && this.#expires(change.now))) return;
    const [theirs, ours] = [
      await this.#memory.tryCommit(changes),
      await this.#database.tryCommit(changes),
    ];
    if (!('results' in theirs) || !('results' in ours)) {
      expect(outcomeOf(ours)).toEqual(outcomeOf(theirs));
      return;
    }
    expect(ours.results.map(({ kind }) => kind)).toEqual(theirs.results.map(({ kind }) => kind));
    const isUntold = await this.#endUntold(changes, theirs.results);
    if (!isUntold) expect(outcomeOf(ours)).toEqual(outcomeOf(theirs));
  }

  #expires(now: number): boolean {
    return this.#disk.entries.some(
      ({ request }) => request.state === 'pending' && request.expiresAt <= now,
    );
  }

  /** A broker closes the webhook of a request that was not stored; in memory, it was not stored either. */
  async #endUntold(changes: readonly Change[], results: readonly ChangeResult[]): Promise<boolean> {
    const over = changes.flatMap((change, at): Change[] => {
      const kind = results[at]?.kind;
      if (change.kind !== 'accept' || change.request.partner.length === 0) return [];
      if (kind !== 'known' && kind !== 'another') return [];
      const uuid = change.request.partner;
      return [{ kind: 'close', uuid, at: NOON, keyUntil: NOON, by: ANY_OWNER }];
    });
    for (const user of [this.#memory, this.#database]) await user.commit(...over);
    return over.length > 0;
  }

  /** What may be claimed is claimed, as the store in memory says, and given back. */
  async claim(): Promise<void> {
    const due = this.#disk.entries.filter(
      ({ request: { kind, state, notBefore } }) =>
        state === 'pending' && notBefore <= Date.now() && (isWork(kind) || kind === 'schedule'),
    );
    const names = ['echo', 'upper', 'titanic.webhook', 'titanic.schedule'];
    const wanted = names.flatMap((name) =>
      [true, false].map((isSchedules) => ({
        ...{ service: Buffer.from(name), isSchedules, most: MANY, turns: NO_TURNS },
      })),
    );
    const claimed = await this.#claim({ wanted, released: [], known: null });
    expect(inOrder(claimed.map(({ request }) => request))).toEqual(
      inOrder(due.map(({ request }) => request)),
    );
    const bodies = new Map(due.map(({ request, body }) => [nameOf(request), body]));
    for (const { request, content } of claimed) {
      expect(content?.body).toEqual(bodies.get(nameOf(request)));
    }
    const released = claimed.map(({ request: { uuid }, claim }) => ({ uuid, claim }));
    expect(await this.#claim({ wanted: [], released, known: null })).toEqual([]);
  }

  async #claim(order: ClaimOrder): Promise<readonly ClaimedRequest[]> {
    return await new Promise((done, failed) => {
      (this.#database.store as ClaimStore).claim(order, { done, failed });
    });
  }

  /** Both have the same rows, counts and lists, also when the database is opened again. */
  async compare(): Promise<void> {
    const { entries } = this.#disk;
    const rows = await this.#server.sql(
      `SELECT encode(r.id::text::bytea, 'escape') AS id, r.kind, r.state, r.attempts_ever::int, r.key, r.extra,
        b.frames, array_agg(a.reason ORDER BY a.n) AS reasons
      FROM majordomo.request r JOIN majordomo.body b ON b.id = r.id AND b.kind = 1
        LEFT JOIN majordomo.attempt a ON a.id = r.id
      GROUP BY r.id, b.frames ORDER BY r.id`,
      this.#name,
    );
    expect(
      rows.map((row) => ({ ...row, reasons: (row['reasons'] as (Buffer | null)[]).map(textOf) })),
    ).toEqual([...entries].sort((a, b) => a.request.uuid.compare(b.request.uuid)).map(rowOf));
    for (const { request } of entries) {
      const found = await this.#database.lookUp(request.uuid);
      expect(found).toMatchObject(await this.#memory.lookUp(request.uuid));
    }
    const kept = await new Promise<readonly StoredRequest[]>((done, failed) => {
      (this.#database.store as ClaimStore).listKept(0, { done, failed });
    });
    const isKept = ({ request: { kind } }: Entry): boolean =>
      KEPT_KINDS.some((kept) => kept === kind);
    expect(inOrder(kept)).toEqual(inOrder(entries.filter(isKept).map(({ request }) => request)));
    const { store: again } = await openDatabaseStore(this.#server.url(this.#name), TIMEOUT_MS);
    const { owners, services } = this.#disk.content();
    const { counts } = again.recovered;
    expect(sorted(counts.owners, ({ owner }) => owner)).toEqual(owners);
    expect(sorted(counts.services, ({ service }) => service.toString('latin1'))).toEqual(services);
    await again.close();
  }

  async problems(): Promise<readonly string[]> {
    const address = databaseAddressOf(this.#server.url(this.#name));
    if (typeof address === 'string') throw new Error(address);
    const login = { address, passwordFile: null, isLoopback: true };
    const examined = { login, name: this.#name, storeId: null };
    return (await verifyDatabase(examined, () => undefined)).problems;
  }

  async sql(text: string): Promise<void> {
    await this.#server.sql(text, this.#name);
  }
}

function textOf(value: Buffer | null): string | null {
  return value === null ? null : value.toString();
}

function rowOf({ request, attemptsEver, key, extra, body, attempts }: Entry): object {
  const digits = request.uuid.toString('hex');
  const id = [8, 12, 16, 20].reduceRight(
    (text, at) => `${text.slice(0, at)}-${text.slice(at)}`,
    digits,
  );
  const reasons = attempts.length === 0 ? [null] : attempts.map(({ reason }) => reason);
  return {
    ...{ id, kind: numberOfKind(request.kind), state: STATES.indexOf(request.state) + 1 },
    ...{ attempts_ever: attemptsEver, key, extra, frames: body, reasons },
  };
}

function nameOf({ uuid }: StoredRequest): string {
  return uuid.toString('hex');
}

/** Requests by their uuids, without their numbers, which each store gives. */
function inOrder(requests: readonly StoredRequest[]): object[] {
  return sorted(requests, nameOf).map((request) => ({ ...request, number: 0 }));
}

function sorted<Item>(items: readonly Item[], nameOfItem: (item: Item) => string): Item[] {
  return [...items].sort((a, b) => (nameOfItem(a) < nameOfItem(b) ? -1 : 1));
}

/** Results and counts, without what each store says in its own way. */
function outcomeOf(outcome: Awaited<ReturnType<StoreUser['tryCommit']>>): object {
  if ('failure' in outcome) return outcome;
  const results = outcome.results.map((result): object => {
    if (result.kind === 'reopened') return { ...result, request: inOrder([result.request]) };
    if (result.kind !== 'swept') return result;
    const services = sorted(result.services, ({ service }) => String(service));
    // A shared store tells none.
    return { ...result, services, gone: [] };
  });
  const {
    bytes: _,
    nextNumber: __,
    owners: ___,
    services: ____,
    ...counts
  }: StoreCounts = outcome.counts;
  return { results, counts };
}

/**
 * A database forgets a key whose time is over when its request is swept with the next sweep, not with this one: its
 * statement sees the keys as they were before it.
 */
function laterKeys(change: Change): Change {
  if (change.kind !== 'sweep') return change;
  return { ...change, keyUntil: Math.max(change.keyUntil, change.now + 1) };
}

/** Batches that end where a store in memory does at once what a broker does after the batch. */
function piecesOf(changes: readonly Change[]): Change[][] {
  const pieces: Change[][] = [[]];
  for (const change of changes) {
    if (change.kind === 'sweep') pieces.push([]);
    pieces.at(-1)?.push(change);
    const mayLeave =
      change.kind === 'accept' && change.key !== null && change.request.partner.length > 0;
    if (change.kind === 'sweep' || mayLeave) pieces.push([]);
  }
  return pieces.filter(({ length }) => length > 0);
}

describeWithPostgres('a database against memory, any changes of every kind in any order', () => {
  it('they answer every batch alike, let the same be claimed, and have the same content', async () => {
    await fc.assert(
      fc.asyncProperty(randomBatches, async (batches) => {
        const both = await Both.make();
        for (const batch of batches) {
          for (const piece of piecesOf(batch)) await both.commit(piece);
          await both.claim();
        }
        await both.compare();
        expect(await both.problems()).toEqual([]);
        await endAll();
      }),
      { numRuns: RUNS },
    );
  });

  it('verify finds records that cannot be what their kind says', async () => {
    const both = await Both.make();
    await both.commit([
      ...[11, 21, 31].flatMap((n) => acceptWithWebhook(n, n + 1)),
      acceptKind('schedule', 41),
      acceptKind('pause', 42),
      acceptKind(LATER_KIND, 43, { partner: uuidOf(11) }),
    ]);
    expect(await both.problems()).toEqual([]);
    const of = (n: number): string => `id = encode('\\x${uuidOf(n).toString('hex')}', 'hex')::uuid`;
    const damages = [
      [`partner = '' WHERE ${of(12)}`, 'webhooks that tell of no request: 1'],
      [`kind = 0 WHERE ${of(22)}`, 'requests and webhooks whose partner does not name them: 3'],
      [
        `partner = (SELECT partner FROM majordomo.request WHERE ${of(32)}), kind = 3 WHERE ${of(43)}`,
        'webhooks that tell of the same request as another one: 2',
      ],
      [`state = 3 WHERE ${of(41)}`, 'records not sent to workers, but not pending: 1'],
      [`partner = '\\x00' WHERE ${of(41)}`, 'records not sent to workers, but with a partner: 1'],
      [`key = 'k' WHERE ${of(42)}`, 'records that are no requests, but have an idempotency key: 1'],
      [
        `not_before = expires_at - 1 WHERE ${of(42)}`,
        'pauses and limits that are due at a time: 1',
      ],
    ] as const;
    for (const [damage, problem] of damages) {
      await both.sql(`UPDATE majordomo.request SET ${damage}`);
      expect(await both.problems()).toContain(problem);
    }
  });
});
