/** Schedules (D80) of brokers that share a database (D90). */
import { setTimeout as pause } from 'node:timers/promises';

import { assert, present } from '../../src/core/assert.js';
import type { Client } from '../../src/sdk/client.js';
import { run } from '../support/child.js';
import { clientOf, endAll, serve } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import type { Cluster } from '../support/postgres-cluster.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { until } from '../support/until.js';

/** For the case that waits for its end. Elsewhere a machine that stalls must not end one. */
const LEASE_MS = 3000;
/** A session ends at the earliest when another broker has seen it for a whole lease without a renewal. */
const TAKEN_OVER_MS = 6 * LEASE_MS;
const SECOND_MS = 1000;
/** Wide enough that a machine which stalls for seconds stores every due time: of several, only the last is made up. */
const EVERY_FOUR_SECONDS = '*/4 * * * * *';
const LIST_INTERVAL_MS = 200;
const EVERY_SECOND = '* * * * * *';

const cluster = sharedCluster();

afterEach(endAll);

/** What a schedule has stored: its key is unique, so no due time is here twice. */
interface Firing {
  readonly name: string;
  readonly due: number;
  /** When it was stored, by the clock of the database. */
  readonly storedAt: number;
}

/** A database with brokers on it. */
class Fleet {
  readonly #server: Cluster;
  readonly #database: string;

  static async make(): Promise<Fleet> {
    const server = await cluster();
    return new Fleet(server, await server.database());
  }

  private constructor(server: Cluster, database: string) {
    this.#server = server;
    this.#database = database;
  }

  async broker(name: string, more: readonly string[] = []): Promise<Daemon> {
    const store = `titanic.store=${this.#server.url(this.#database)}`;
    // A hundred that are due every four seconds.
    const often = 'limits.perPeer={schedules: 1500}';
    return await startDaemon({ sets: [store, often, `node.name=${name}`, ...more] });
  }

  async brokers(...names: [string, string, string]): Promise<[Daemon, Daemon, Daemon]> {
    const [a, b, c] = names;
    return await Promise.all([this.broker(a), this.broker(b), this.broker(c)]);
  }

  async #sql(text: string): Promise<Record<string, unknown>[]> {
    return await this.#server.sql(text, this.#database);
  }

  /** Of all schedules, in the order of their due times. */
  async allFirings(): Promise<Firing[]> {
    const rows = await this.#sql('SELECT key, taken_at FROM majordomo.key');
    const firings = rows.flatMap(({ key, taken_at: at }) => {
      const text = (key as Buffer).toString('latin1');
      const [, name, due = ''] = /schedule:([^:]*):(.*)$/.exec(text) ?? [];
      return name === undefined ? [] : [{ name, due: Date.parse(due), storedAt: Number(at) }];
    });
    return firings.sort((one, other) => one.due - other.due);
  }

  async firings(name: string): Promise<Firing[]> {
    return (await this.allFirings()).filter((each) => each.name === name);
  }

  /** The names of the brokers that have claimed a schedule. */
  async holders(): Promise<string[]> {
    const rows = await this.#sql(
      `SELECT b.node FROM majordomo.request r LEFT JOIN majordomo.broker b USING (session)
       WHERE r.service = 'titanic.schedule' AND r.state = 1`,
    );
    return rows.map(({ node }) => (node === null ? 'nobody' : (node as Buffer).toString()));
  }

  async now(): Promise<number> {
    const [row] = await this.#sql('SELECT extract(epoch FROM now()) * 1000 AS now');
    return Number(row?.['now']);
  }

  async untilFired(name: string, count: number): Promise<Firing[]> {
    await until(async () => (await this.firings(name)).length >= count, `${name} is due`);
    return await this.firings(name);
  }
}

function duesOf(firings: readonly Firing[]): number[] {
  return firings.map(({ due }) => due);
}

/** All of these due times, none left out. */
function consecutive(from: number, count: number, everyMs: number): number[] {
  return Array.from({ length: count }, (_, at) => from + at * everyMs);
}

describeWithPostgres('schedules of brokers that share a database', () => {
  it('each due time is stored and served once, and none is missed', async () => {
    const fleet = await Fleet.make();
    const daemons = await fleet.brokers('a', 'b', 'c');
    const [a, , c] = daemons;
    const served = daemons.map((daemon) => serve(daemon, 'tick'));
    const made = await clientOf(a).schedule('s', 'tick', 'x', { cron: EVERY_FOUR_SECONDS });
    expect(await fleet.holders()).toEqual(['a']);
    await fleet.untilFired('s', 3);
    // A list shows it at every broker, and the command line, too.
    for (const daemon of daemons) {
      const [shown] = await clientOf(daemon).schedules();
      expect(shown).toMatchObject({ name: 's', service: 'tick', cron: EVERY_FOUR_SECONDS });
      expect(shown?.firings).toBeGreaterThanOrEqual(3);
    }
    const shown = await run(['durable', 'schedules', '--endpoint', c.endpoint]);
    expect(shown.stderr).toBe('');
    expect(shown.stdout).toContain(`s     ${EVERY_FOUR_SECONDS}`);
    expect(await clientOf(c).unschedule('s')).toBe(true);
    const firings = await fleet.firings('s');
    expect(duesOf(firings)).toEqual(
      consecutive(made.next.getTime(), firings.length, 4 * SECOND_MS),
    );
    await until(() => served.flat().length >= firings.length, 'all are served');
    expect(served.flat()).toEqual(firings.map(() => 'x'));
  });

  it('one goes on after the lease of the broker that had it, which was killed', async () => {
    const fleet = await Fleet.make();
    const lease = [`fleet.leaseMs=${LEASE_MS}`];
    const [a, b] = [await fleet.broker('a', lease), await fleet.broker('b', lease)];
    const served = serve(b, 'tick');
    await clientOf(a).schedule('s', 'tick', 'x', { cron: EVERY_SECOND });
    await fleet.untilFired('s', 2);
    expect(await fleet.holders()).toEqual(['a']);
    await a.kill();
    const before = await fleet.firings('s');
    const firings = await fleet.untilFired('s', before.length + 3);
    expect(await fleet.holders()).toEqual(['b']);
    const [first] = firings.slice(before.length);
    assert(first !== undefined, 'it was due again');
    expect(first.storedAt - (before.at(-1)?.storedAt ?? 0)).toBeLessThan(TAKEN_OVER_MS);
    // Of those that were missed, the last one was made up; the next may have become due while it was stored.
    expect(first.due).toBeGreaterThan((before.at(-1)?.due ?? 0) + SECOND_MS);
    expect(first.storedAt - first.due).toBeLessThan(2 * SECOND_MS);
    const [one] = await clientOf(b).schedules();
    expect(one?.firings).toBeGreaterThanOrEqual(firings.length);
    expect(await clientOf(b).unschedule('s')).toBe(true);
    const all = await fleet.firings('s');
    await until(() => served.length >= all.length, 'all are served');
    expect(served).toHaveLength(all.length);
  });

  it('one that another broker has is replaced, and ended, at once', async () => {
    const fleet = await Fleet.make();
    const [a, b, c] = await fleet.brokers('a', 'b', 'c');
    const served = serve(c, 'tick');
    await clientOf(a).schedule('s', 'tick', 'old', { cron: EVERY_SECOND });
    await fleet.untilFired('s', 2);
    expect(await fleet.holders()).toEqual(['a']);
    await clientOf(b).schedule('s', 'tick', 'new', { cron: EVERY_SECOND });
    const replacedAt = await fleet.now();
    expect(await fleet.holders()).toEqual(['b']);
    const later = async (): Promise<Firing[]> =>
      (await fleet.firings('s')).filter(({ due }) => due > replacedAt);
    await until(async () => (await later()).length >= 3, 'the new one is due');
    await until(() => served.at(-1) === 'new', 'it is served');
    // Of the same broker that had it before.
    expect(await clientOf(a).unschedule('s')).toBe(true);
    const endedAt = await fleet.now();
    expect(await fleet.holders()).toEqual([]);
    for (const daemon of [a, b, c]) expect(await clientOf(daemon).schedules()).toEqual([]);
    await until(async () => (await fleet.now()) > endedAt + 2 * SECOND_MS, 'two seconds pass');
    const firings = await fleet.firings('s');
    expect(firings.filter(({ due }) => due > endedAt)).toEqual([]);
    await until(() => served.length >= firings.length, 'all are served');
    const olds = firings.filter(({ due }) => due <= replacedAt).length;
    expect(served.slice(olds)).toEqual(firings.slice(olds).map(() => 'new'));
  });

  it('a hundred, made at all brokers, are each due once, also while they are listed all the time', async () => {
    const fleet = await Fleet.make();
    const daemons = await fleet.brokers('a', 'b', 'c');
    const served = daemons.map((daemon) => serve(daemon, 'tick', undefined, { concurrency: 20 }));
    const clients = daemons.map((daemon) => clientOf(daemon));
    const clientAt = (n: number): Client => present(clients[n % clients.length], 'a client');
    const names = Array.from({ length: 100 }, (_, n) => `s${n}`);
    const made = await Promise.all(
      names.map((name, n) =>
        clientAt(n).schedule(name, 'tick', name, { cron: EVERY_FOUR_SECONDS }),
      ),
    );
    const from = Math.max(...made.map((each) => each.next.getTime()));
    const upTo = from + 8 * SECOND_MS;
    while ((await fleet.now()) < upTo + SECOND_MS) {
      // Not without a pause: they would take the processor from the schedules.
      await pause(LIST_INTERVAL_MS);
      const lists = await Promise.all(clients.map((client) => client.schedules()));
      for (const list of lists) expect(list.map(({ name }) => name)).toEqual([...names].sort());
    }
    await Promise.all(names.map((name, n) => clientAt(n).unschedule(name)));
    const stored = await fleet.allFirings();
    for (const name of names) {
      const own = duesOf(stored.filter((each) => each.name === name));
      const dues = own.filter((due) => due >= from && due <= upTo);
      expect([name, dues]).toEqual([name, consecutive(from, 3, 4 * SECOND_MS)]);
    }
    await until(() => served.flat().length >= stored.length, 'all are served');
    expect(served.flat()).toHaveLength(stored.length);
  });
});
