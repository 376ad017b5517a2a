/** Three brokers and a database whose standby is promoted while clients of all of them store requests. */
import { present } from '../../src/core/assert.js';
import type { Client } from '../../src/sdk/client.js';
import { ask, atEnd, clientOf, endAll, serve } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { clusterWithStandby } from '../support/postgres-cluster.js';
import { describeWithPostgres } from '../support/postgres.js';
import { Receipts } from '../support/receipts.js';
import { until } from '../support/until.js';

const NAMES = ['a', 'b', 'c'];
/** Of each kind, at each broker, before the primary is killed, and again after it. */
const RECEIPTS = 40;
/** Uuids that are asked for at a time. */
const ASKED = 50;

/** Waits for the reply. Without the store the answer is 500; a stored request is never unknown. */
async function replyTo(client: Client, uuid: string): Promise<string> {
  for (;;) {
    const [status = '', reply = ''] = await ask(client, 'titanic.wait', uuid, '5000');
    if (status === '200') return reply;
    expect(status).toMatch(/^(300|500)/);
  }
}

/**
 * Clients that each store a request under a key at two brokers at once, and wait for its reply at the
 * second one, time and again.
 */
class Keyed {
  /** Uuid and reply of each key. */
  readonly done = new Map<string, { readonly uuid: string; readonly reply: string }>();
  readonly #running: Promise<void>[];
  #isOver = false;

  constructor(brokers: readonly Daemon[]) {
    this.#running = brokers.map((broker, n) => {
      const other = present(brokers[(n + 1) % brokers.length], 'another broker');
      return this.#store(clientOf(broker), clientOf(other), n);
    });
  }

  async #store(first: Client, second: Client, lane: number): Promise<void> {
    for (let n = 0; !this.#isOver; n++) {
      const key = `${lane}-${n}`;
      const storing = [first, second].map((client) => submit(client, serviceOf(lane), key));
      const [uuid = '', again] = await Promise.all(storing);
      expect(again).toBe(uuid);
      this.done.set(key, { uuid, reply: await replyTo(second, uuid) });
    }
  }

  /** Waits until each client has `RECEIPTS` more replies. */
  async progress(what: string): Promise<void> {
    const countOf = (lane: number): number => {
      return [...this.done.keys()].filter((key) => key.startsWith(`${lane}-`)).length;
    };
    const before = this.#running.map((_running, lane) => countOf(lane));
    const going = until(
      () => before.every((count, lane) => countOf(lane) >= count + RECEIPTS),
      what,
    );
    // A wrong answer is the better message.
    await Promise.race([going, Promise.all(this.#running)]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }
}

/** Of the requests that are stored at the broker with this number; its worker is at the next one. */
function serviceOf(lane: number): string {
  return `kept-${lane}`;
}

async function submit(client: Client, service: string, key: string): Promise<string> {
  const [status, uuid = ''] = await ask(client, 'titanic.submit', `{"key":"${key}"}`, service, key);
  expect(status).toBe('200');
  return uuid;
}

describeWithPostgres('three brokers, and a database with a synchronous standby', () => {
  afterEach(endAll);

  it('promoted while the primary is killed: no receipt is missing, each request has one reply, and all three serve', async () => {
    const { primary, standby, database } = await clusterWithStandby();
    atEnd(async () => {
      await Promise.all([primary.remove(), standby.remove()]);
    });
    const hosts = `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`;
    // However long the promotion takes, nothing is refused, and no session ends.
    const starting = NAMES.map((name) =>
      startDaemon({
        sets: [
          ...[`node.name=${name}`, `titanic.store=postgresql://postgres@${hosts}/${database}`],
          ...['titanic.storeTimeoutMs=60000', 'fleet.leaseMs=60000', 'http.listen=127.0.0.1:0'],
        ],
      }),
    );
    const brokers = await Promise.all(starting);
    // Every run of a worker gives another reply: a second one that took the place of the first shows.
    let runs = 0;
    for (const lane of brokers.keys()) {
      const next = present(brokers[(lane + 1) % brokers.length], 'the next broker');
      serve(next, serviceOf(lane), (text) => `${text} ${++runs}`, { concurrency: 4 });
    }

    const keyed = new Keyed(brokers);
    const receipts = brokers.map(({ endpoint }, lane) => {
      return new Receipts(endpoint, 2, serviceOf(lane));
    });
    const progress = async (what: string): Promise<void> => {
      const before = receipts.map(({ given }) => given.length);
      await keyed.progress(what);
      await until(
        () => receipts.every(({ given }, n) => given.length >= (before[n] ?? 0) + RECEIPTS),
        what,
      );
    };
    await progress('all three store and serve');
    await primary.kill();
    await standby.sql('SELECT pg_promote()');
    await progress('all three store and serve with the other server');
    await Promise.all([keyed.stop(), ...receipts.map((each) => each.stop())]);

    for (const each of receipts) {
      expect(each.refused).toEqual([]);
      expect(await each.missing(standby, database)).toEqual([]);
    }
    const uuids = [...receipts.flatMap(({ given }) => given), ...keyed.done.values()].map(
      ({ uuid }) => uuid,
    );
    expect(new Set(uuids).size).toBe(uuids.length);
    const replies = await Promise.all(brokers.map((broker) => repliesAt(broker, uuids)));
    for (const other of replies.slice(1)) expect(other).toEqual(replies[0]);
    for (const { uuid, reply } of keyed.done.values()) expect(replies[0]?.get(uuid)).toBe(reply);
    // Nor is anything there that nobody has a receipt for: what was sent again was stored once.
    const [stored] = await standby.sql(
      'SELECT count(*)::int AS n, (count(*) FILTER (WHERE state <> 2))::int AS open FROM majordomo.request',
      database,
    );
    expect(stored).toEqual({ n: uuids.length, open: 0 });

    for (const [lane, broker] of brokers.entries()) {
      await broker.waitFor('store.switched');
      const { http } = await broker.waitFor('broker.ready');
      await until(async () => {
        const answer = await fetch(`${String(http)}/readyz`);
        return answer.status === 200 && !(await answer.text()).includes('store_');
      }, 'ready');
      // Keys are known everywhere, and new requests are served.
      const client = clientOf(broker);
      for (const [key, { uuid }] of keyed.done) {
        if (key.startsWith(`${lane}-`)) {
          expect(await submit(client, serviceOf(lane), key)).toBe(uuid);
        }
      }
      const uuid = await submit(client, serviceOf(lane), 'afterwards');
      expect(await replyTo(client, uuid)).toMatch(/^afterwards \d+$/);
    }
    // A broker that has ended has written its whole log.
    await Promise.all(brokers.map((broker) => broker.stop()));
    for (const broker of brokers) expect(broker.logged('store.switched')).toHaveLength(1);
  });
});

async function repliesAt(broker: Daemon, uuids: readonly string[]): Promise<Map<string, string>> {
  const client = clientOf(broker);
  const replies = new Map<string, string>();
  for (let at = 0; at < uuids.length; at += ASKED) {
    const asked = uuids.slice(at, at + ASKED).map(async (uuid) => {
      replies.set(uuid, await replyTo(client, uuid));
    });
    await Promise.all(asked);
  }
  return replies;
}
