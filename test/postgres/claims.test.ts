/** What a database promises to several brokers (`ClaimStore`), with two stores open on one database. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from 'pg';

import { assert, present } from '../../src/core/assert.js';
import { databaseAddressOf } from '../../src/core/postgres-url.js';
import { openPostgresStore } from '../../src/extensions/postgres/postgres-store.js';
import { ownOfGroup } from '../../src/store/own-fields.js';
import { packHint } from '../../src/store/hint-codec.js';
import {
  type Change,
  type ChangeResult,
  type ClaimedRequest,
  type ClaimOrder,
  type ClaimStore,
  type Hint,
  NO_TURNS,
  type StoreFailure,
} from '../../src/store/store.js';
import { dueWebhook } from '../../src/titanic/machine/requests/webhooks.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { acceptWithWebhook, unitOf } from '../support/record-kinds.js';
import {
  accept,
  attempt,
  type ChangeOf,
  close,
  dead,
  NOON,
  reply,
  uuidOf,
} from '../support/store-changes.js';
import { until } from '../support/until.js';

const ECHO = Buffer.from('echo');
/** Longer than a busy machine stalls. */
const LEASE_MS = 5000;

function thrown({ message }: StoreFailure): never {
  throw new Error(message);
}

/** Which of the tests' requests these are. */
function namesOf(claimed: readonly ClaimedRequest[]): string[] {
  const known = Array.from({ length: 100 }, (_, n) => uuidOf(n));
  return claimed.map(({ request }) => {
    const n = known.findIndex((uuid) => uuid.equals(request.uuid));
    return n < 0 ? '?' : String(n);
  });
}

/** The store of one broker. */
class Broker {
  readonly store: ClaimStore;
  /** The hints of others. */
  readonly heard: readonly Hint[];
  /** What it has reported, by name. */
  readonly reports: ReadonlySet<string>;
  #transaction: number;

  static async open(url: string, directoryId = randomBytes(16).toString('hex')): Promise<Broker> {
    const address = databaseAddressOf(url);
    assert(typeof address !== 'string', 'an address');
    const heard: Hint[] = [];
    const reports = new Set<string>();
    const ignored = (): void => undefined;
    const { store, recovered } = await openPostgresStore(
      {
        login: { address, passwordFile: null, isLoopback: true, history: null },
        ...{
          name: 'test',
          timeoutMs: 5000,
          leaseMs: LEASE_MS,
          node: directoryId,
          directoryId,
          storeId: null,
        },
        hints: true,
      },
      {
        ...{
          arrived: ignored,
          fatal: thrown,
          counted: ignored,
          foundClaimed: ignored,
          taken: ignored,
        },
        hinted: (hint) => heard.push(hint),
      },
      ({ report }) => reports.add(report),
    );
    return new Broker(store, recovered.firstTransaction, heard, reports);
  }

  private constructor(
    store: ClaimStore,
    transaction: number,
    heard: readonly Hint[],
    reports: ReadonlySet<string>,
  ) {
    this.heard = heard;
    this.reports = reports;
    this.store = store;
    this.#transaction = transaction;
  }

  async commit(...changes: Change[]): Promise<string[]> {
    const number = this.#transaction++;
    const results = await new Promise<readonly ChangeResult[]>((done) => {
      const none = { tombstones: 'none', holds: null, peerHolds: 0 } as const;
      this.store.commit({ number, ...none }, changes, { done, failed: thrown });
    });
    return results.map(({ kind }) => kind);
  }

  /** Which of the tests' requests it got, with their claims: `3 (claim 2)`. */
  async claims(most: number, order: Partial<ClaimOrder> = {}, turns = NO_TURNS): Promise<string[]> {
    const claimed = await this.claim(most, order, turns);
    const names = namesOf(claimed);
    return claimed.map(({ claim }, at) => `${names[at] ?? ''} (claim ${claim})`);
  }

  async claim(
    most: number,
    order: Partial<ClaimOrder> = {},
    turns = NO_TURNS,
  ): Promise<readonly ClaimedRequest[]> {
    return await new Promise((done) => {
      const wanted = most === 0 ? [] : [{ service: ECHO, isSchedules: false, most, turns }];
      const whole = { wanted, released: [], known: null, ...order };
      this.store.claim(whole, { done, failed: thrown });
    });
  }
}

/** Those of other tests are due next year. */
function stored(n: number, more: Parameters<typeof accept>[1] = {}): ChangeOf<'accept'> {
  return accept(n, { notBefore: 0, ...more });
}

function failure(n: number, attempts: number): ChangeOf<'attempt'> {
  return { ...attempt(n, attempts), notBefore: 0 };
}

const cluster = sharedCluster();

describeWithPostgres('claims in a database', () => {
  let database: string;
  let url: string;
  let one: Broker;
  let other: Broker;

  beforeEach(async () => {
    const server = await cluster();
    database = await server.database();
    url = server.url(database);
    one = await Broker.open(url);
    other = await Broker.open(url);
  });

  afterEach(async () => {
    await one.store.close();
    await other.store.close();
  });

  it('come by priority, then in order, no more than wanted, and to one broker each', async () => {
    await one.commit(stored(1), stored(2, { priority: -1 }), stored(3, { priority: 5 }));
    await other.commit(stored(4), stored(5, { service: Buffer.from('other') }));
    expect(await other.claims(2)).toEqual(['3 (claim 2)', '1 (claim 2)']);
    const [both, rest] = await Promise.all([one.claims(9), other.claims(9)]);
    expect([...both, ...rest].sort()).toEqual(['2 (claim 2)', '4 (claim 2)']);
    expect(await one.claims(9)).toEqual([]);
  });

  it('come from each group in turn, those without a group being one', async () => {
    const of = (n: number, group: string | null, priority = 0): ChangeOf<'accept'> =>
      stored(n, { own: ownOfGroup(group), priority });
    await one.commit(of(1, 'a'), of(2, 'a'), of(3, 'a'), of(4, null), of(5, null), of(6, 'b'));
    const taken = await one.claim(2);
    expect(taken.map(({ isTurn }) => isTurn)).toEqual([true, true]);
    expect(namesOf(taken)).toEqual(['1', '6']);
    // Those behind the last group come first.
    const after = present(taken.at(-1), 'the last one').request.own;
    expect(await other.claims(2, {}, { ...NO_TURNS, after })).toEqual([
      '4 (claim 2)',
      '2 (claim 2)',
    ]);
    expect(await one.claims(9, {}, { ...NO_TURNS, after })).toEqual(['5 (claim 2)', '3 (claim 2)']);
    expect(await one.claims(9)).toEqual([]);
  });

  it('are not to be had of groups that are named, nor more of each group than are wanted', async () => {
    const of = (n: number, group: string, priority = 0): ChangeOf<'accept'> =>
      stored(n, { own: ownOfGroup(group), priority });
    await one.commit(
      of(1, 'a', 5),
      of(2, 'a', 5),
      of(3, 'b'),
      of(4, 'b'),
      of(5, 'c'),
      of(6, 'c', 5),
    );
    const held = [ownOfGroup('a')];
    // Of one priority at a time.
    expect(await one.claims(9, {}, { ...NO_TURNS, held, each: 1 })).toEqual(['6 (claim 2)']);
    const rest = await one.claims(9, {}, { ...NO_TURNS, held, each: 1 });
    expect(rest).toEqual(['3 (claim 2)', '5 (claim 2)']);
    expect(await one.claims(9, {}, { ...NO_TURNS, held })).toEqual(['4 (claim 2)']);
    expect(await one.claims(9, {}, { ...NO_TURNS, held })).toEqual([]);
    expect(await other.claims(9)).toEqual(['1 (claim 2)', '2 (claim 2)']);
  });

  it('of a group with few requests are not behind the flood of another one, nor is the flood read', async () => {
    const server = await cluster();
    await server.sql(
      `INSERT INTO majordomo.request (id, seq, service, owner, shared, priority, state, generation,
         attempts, attempts_ever, max_attempts, accepted_at, not_before, expires_at, body_bytes,
         reply_bytes, kind, partner, own, outcome, outcome_at)
       SELECT gen_random_uuid(), n, 'echo', 'anonymous', false, 0, 1, 0,
         0, 0, 10, 0, 0, 1e15, 1, 0, 0, '', '\\x${ownOfGroup('flood').toString('hex')}', 0, 0
       FROM generate_series(1, 20000) n`,
      database,
    );
    await one.commit(stored(1, { own: ownOfGroup('a') }), stored(2));
    const read = async (): Promise<number> => {
      const [row] = await server.sql(
        `SELECT sum(idx_tup_read)::int AS read FROM pg_stat_user_indexes WHERE schemaname = 'majordomo'`,
        database,
      );
      return Number(row?.['read']);
    };
    const before = await read();
    expect(await one.claims(3)).toEqual(['1 (claim 2)', '? (claim 2)', '2 (claim 2)']);
    // Nor with the flood's group named, of which nothing is to be had.
    const turns = { ...NO_TURNS, held: [ownOfGroup('flood')] };
    for (let n = 0; n < 10; n++) expect(await one.claims(3, {}, turns)).toEqual([]);
    await one.store.close();
    expect((await read()) - before).toBeLessThan(1000);
    one = await Broker.open(url);
  });

  it('bring small bodies along, and not large ones', async () => {
    const large = Buffer.alloc(20_000, 1);
    await one.commit(stored(1), stored(2, { body: large }));
    const [small, big] = await other.claim(2);
    expect(small?.content?.body).toEqual(Buffer.from('body 1'));
    expect([big?.content, big?.request.bodyBytes]).toEqual([null, large.length]);
  });

  it('begin with an acceptance, and then nobody else gets the request', async () => {
    await one.commit({ ...stored(1), claim: 1 });
    expect(await other.claims(9)).toEqual([]);
    expect(await one.commit({ ...failure(1, 1), claim: 1 })).toEqual(['done']);
    expect(await other.claims(9)).toEqual(['1 (claim 2)']);
  });

  it('fence failures and deaths, but not replies', async () => {
    await one.commit({ ...stored(1), claim: 1 }, { ...stored(2), claim: 1 });
    await one.claims(0, { released: [1, 2].map((n) => ({ uuid: uuidOf(n), claim: 1 })) });
    expect(await other.claims(9)).toEqual(['1 (claim 2)', '2 (claim 2)']);
    expect(await one.commit({ ...failure(1, 1), claim: 1 })).toEqual(['passed']);
    expect(await one.commit({ ...dead(1), claim: 2 })).toEqual(['passed']);
    expect(await one.commit(reply(1))).toEqual(['done']);
    expect(await other.commit(reply(1), { ...dead(2), claim: 2 })).toEqual(['passed', 'done']);
  });

  it('fence what a death makes due: the webhook of a request that another broker has waits on', async () => {
    const [webhook, request] = acceptWithWebhook(1, 2, { notBefore: 0 });
    const accepted = present(request, 'a request') as ChangeOf<'accept'>;
    await one.commit(present(webhook, 'a webhook'), { ...accepted, claim: 1 });
    await one.claims(0, { released: [{ uuid: uuidOf(1), claim: 1 }] });
    expect(await other.claims(9)).toEqual(['1 (claim 2)']);
    const ends = (claim: number): Change[] =>
      unitOf(dueWebhook(uuidOf(2), 0, 'dead', NOON, 0, claim), { ...dead(1), claim });
    expect(await one.commit(...ends(1))).toEqual(['passed', 'passed']);
    expect(await one.commit(...ends(2))).toEqual(['passed', 'passed']);
    expect(await other.commit(...ends(2))).toEqual(['reopened', 'done']);
  });

  it('what another session keeps locked is given back later: all else is claimed meanwhile', async () => {
    await one.commit({ ...stored(1), claim: 1 }, stored(2));
    expect(await one.claims(1)).toEqual(['2 (claim 2)']);
    const server = await cluster();
    const person = await server.session(database);
    await person.query('BEGIN');
    await person.query('SELECT 1 FROM majordomo.request FOR UPDATE');
    await other.commit(stored(3));
    const released = [{ uuid: uuidOf(1), claim: 1 }];
    expect(await one.claims(1, { released, known: released })).toEqual(['3 (claim 2)']);
    await person.query('ROLLBACK');
    await person.end();
    expect(await other.claims(9)).toEqual([]);
    await one.claims(0);
    expect(await other.claims(9)).toEqual(['1 (claim 2)', '2 (claim 3)']);
  });

  it('a step that keeps its claim, and one that does not', async () => {
    await one.commit({ ...stored(1), claim: 1 });
    await one.commit({ ...failure(1, 1), claim: 1, keepsClaim: true });
    expect(await other.claims(9)).toEqual([]);
    await one.commit({ ...failure(1, 2), claim: 1 });
    expect(await other.claims(9)).toEqual(['1 (claim 2)']);
  });

  it('what is to wait is claimed when its time has come', async () => {
    // Both claims are made before.
    const notBefore = Date.now() + 5000;
    await one.commit(stored(1, { notBefore }), stored(2));
    expect(await one.claims(9)).toEqual(['2 (claim 2)']);
    await until(async () => (await one.claims(9)).length === 1, 'its time has come');
    expect(Date.now()).toBeGreaterThanOrEqual(notBefore);
  });

  it('a release counts only with its claim; what is not known is freed, except what was accepted', async () => {
    await one.commit(stored(1), stored(2), { ...stored(3), claim: 1 });
    expect(await one.claims(9)).toEqual(['1 (claim 2)', '2 (claim 2)']);
    await one.claims(0, { released: [{ uuid: uuidOf(1), claim: 7 }] });
    expect(await other.claims(9)).toEqual([]);
    await one.claims(0, { known: [{ uuid: uuidOf(1), claim: 2 }] });
    expect(await other.claims(9)).toEqual(['2 (claim 3)']);
    // It knows an earlier claim of it, under which it makes a step: not this one.
    await one.claims(0, { known: [{ uuid: uuidOf(1), claim: 1 }] });
    expect(await other.claims(9)).toEqual(['1 (claim 3)']);
  });

  it('are hinted at to the other brokers, not to the one that tells', async () => {
    const hint = { services: [Buffer.from('echo')], ended: [Buffer.alloc(6, 7)] };
    await until(() => {
      one.store.hint(hint);
      return other.heard.length > 0;
    }, 'each knows of the other');
    expect(other.heard[0]).toEqual(hint);
    expect(one.heard).toEqual([]);
    const server = await cluster();
    const database = url.split('/').at(-1);
    await server.sql(`SELECT pg_notify('majordomo', 'no hint')`, database);
    const listening = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND query LIKE '%pg_notify%' AND pid <> pg_backend_pid()`;
    expect(await server.sql(listening, database)).not.toEqual([]);
    const before = other.heard.length;
    await until(() => {
      one.store.hint(hint);
      return other.heard.length > before;
    }, 'they listen again');
  });

  it('are hinted at by brokers only: not by a role that may connect, and nothing else', async () => {
    const server = await cluster();
    const database = url.split('/').at(-1) ?? '';
    const hintOf = (name: string): Hint => ({ services: [Buffer.from(name)], ended: [] });
    const notify = (name: string): string =>
      `SELECT pg_notify('majordomo', '${packHint(hintOf(name)).toString('base64')}')`;
    const isHeard = (name: string): boolean =>
      other.heard.some(({ services }) => services.some((each) => String(each) === name));
    await server.sql(
      `DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN END $$`,
    );
    const stranger = new Client(server.url(database, 'stranger'));
    await stranger.connect();
    // A broker of any version: its role may write to the store.
    const broker = await server.session(database);
    await until(async () => {
      await stranger.query(notify('forged'));
      await broker.query(notify('genuine'));
      return isHeard('genuine');
    }, 'it is known as a broker');
    await stranger.query(notify('forged'));
    await broker.query(notify('later'));
    await until(() => isHeard('later'), 'what was sent after all of that');
    expect(isHeard('forged')).toBe(false);
    expect(other.reports).not.toContain('flooded');
    await stranger.query(
      "SELECT count(pg_notify('majordomo', n::text)) FROM generate_series(1, 20000) n",
    );
    await until(() => other.reports.has('flooded'), 'it tells of the flood');
    await until(async () => {
      await broker.query(notify('after the flood'));
      return isHeard('after the flood');
    }, 'it listens again');
    await stranger.end();
    await broker.end();
  });

  it('are not to be had of a kind that only a later version knows, which does not expire either', async () => {
    const year = 365 * 86_400_000;
    const past = { notBefore: 0, acceptedAt: 0, expiresAt: 1 };
    await one.commit(stored(1, { kind: 'kind-9', ...past }), stored(2, { kind: 'webhook' }));
    expect(await other.claims(9)).toEqual(['2 (claim 2)']);
    await one.commit({ kind: 'sweep', now: Date.now() + year, keyUntil: 0, most: 100, kinds: 0 });
    const schedules = {
      wanted: [{ service: Buffer.from('echo'), isSchedules: true, most: 9, turns: NO_TURNS }],
    };
    expect(await other.claims(9, schedules)).toEqual([]);
    expect(await one.commit({ ...close(1, 0) })).toEqual(['done']);
  });

  it('of a broker that leaves are free at once, those of one that lives stay', async () => {
    await one.commit({ ...stored(1), claim: 1 });
    await one.store.close();
    expect(await other.claims(9)).toEqual(['1 (claim 2)']);
    await other.commit({ ...stored(2), claim: 1 });
    const third = await Broker.open(url);
    await sleep(LEASE_MS * 2);
    // It is alive.
    expect(await third.claims(9)).toEqual([]);
    await third.store.close();
  });
});
