/**
 * What a store has besides requests, beside a load of those: schedules that are due every second, schedules that come
 * and go, pauses that are set and lifted, requests whose ends are told by webhooks, and a map.
 *
 * All the while, what was acknowledged is there: a schedule, a pause, the value of a key. In the end, every due time
 * that was stepped over has stored one request; every request with a webhook was told of, with one id and one
 * outcome; and nothing was told that nobody asked for.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { present } from '../../src/core/assert.js';
import { codeOf, messageOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import { ServiceError, Worker } from '../../src/sdk/worker.js';
import { uuidText } from '../../src/wire/tsp.js';
import { ownOf } from '../../src/store/own-fields.js';
import type { SimRandom } from '../simulation/world/random.js';
import type { Daemon } from '../support/daemon.js';
import { freePorts, freePortsInARow } from '../support/free-ports.js';
import { ask, httpOf, tokenOf } from '../support/http.js';
import { contentOf, MapLoad } from '../support/map-load.js';
import { silent } from '../support/silent.js';
import { sqliteContent } from '../support/sqlite-content.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** The services of what schedules store and of others, one that always fails, and one that has no worker. */
const TICKS = 'ticks';
const SERVED = 'served';
const FAILING = 'failing';
const NOBODY = 'nobody';
/** They are due every second; the last one of them is also paused, and the requests of the first have webhooks. */
const TICKING = ['tick-0', 'tick-1', 'tick-2'] as const;
const [TOLD, , PAUSED] = TICKING;
const COMING = ['yearly-0', 'yearly-1', 'yearly-2'] as const;
/** Of the load. */
const PAUSED_SERVICES = ['beta', 'gamma'] as const;
const LANES = 6;
const STEP_MS = 60;
const PORTS_OF_MAP = 3;
/** What the expiry of a request waits for. */
const TTL_MS_MAX = 1500;
const REFUSED_OF = 20;
/** Where processes are killed again and again on a busy machine. */
const LONG_MS = 600_000;
const SHOWN_MAX = 20;
const LOOKS = 100;
const LOOK_MS = 50;

type Outcome = 'replied' | 'dead' | 'cancelled' | 'expired' | 'ended';

/** A request with a webhook, and how it may have ended. */
interface Told {
  readonly uuid: string;
  readonly outcomes: readonly Outcome[];
  /** False of what a schedule stored while the broker was ended. */
  readonly isOver: boolean;
}

/** What one lane has ordered: as it was acknowledged; `null`: unknown, since nothing was answered. */
interface Switch {
  readonly name: string;
  isOn: boolean | null;
}

/** What operators pause: its path over HTTP, and whether it is paused now. */
interface Pausable {
  readonly of: string;
  readonly isOn: boolean;
}

export class KindsLoad {
  readonly sets: readonly string[];
  readonly #receiver: WebhookReceiver;
  readonly #map: MapLoad;
  readonly #client: Client;
  readonly #workers: Worker[];
  readonly #random: SimRandom;
  readonly #wrong: string[] = [];
  readonly #told = new Map<string, Told>();
  readonly #paused: readonly Switch[] = [...PAUSED_SERVICES, PAUSED].map(newSwitch);
  readonly #coming: readonly Switch[] = COMING.map(newSwitch);
  #orders = 0;
  #finishedAt = Infinity;
  #daemon: Daemon | null = null;
  #lanes: Promise<void>[] = [];
  #isOver = false;

  static async open(endpoint: string, random: SimRandom): Promise<KindsLoad> {
    const [http = 0] = await freePorts(1);
    const map = `tcp://127.0.0.1:${await freePortsInARow(PORTS_OF_MAP)}`;
    const receiver = await WebhookReceiver.open();
    return new KindsLoad(endpoint, receiver, map, http, random);
  }

  private constructor(
    endpoint: string,
    receiver: WebhookReceiver,
    map: string,
    http: number,
    random: SimRandom,
  ) {
    this.#random = random;
    this.#receiver = receiver;
    this.#map = new MapLoad([map]);
    this.sets = [`http.listen=127.0.0.1:${http}`, `map.listen=${map}`, ...receiver.sets()];
    const patient = { retryBaseMs: 20, retryMaxMs: 100, timeoutMs: 301_000 };
    this.#client = new Client({ endpoints: [endpoint], ...patient });
    const again = { heartbeatIntervalMs: 200, retryBaseMs: 20, retryMaxMs: 100 };
    const serve = (service: string, answer: () => string): Worker =>
      silent(new Worker({ endpoints: [endpoint], service, concurrency: 8, ...again }, answer));
    this.#workers = [
      serve(TICKS, () => 'done'),
      serve(SERVED, () => 'done'),
      serve(FAILING, () => {
        throw new ServiceError('as-it-happens', 'as it happens');
      }),
    ];
    // Receivers fail, too, and hear of it again.
    receiver.answering = (response) => {
      response.writeHead(random.int(1, REFUSED_OF) === 1 ? 503 : 204).end();
    };
  }

  // ---------------------------------------------------------------- while brokers are killed

  /** The broker that runs now; `null`: none does. */
  set daemon(daemon: Daemon | null) {
    this.#daemon = daemon;
  }

  async start(): Promise<void> {
    for (const worker of this.#workers) void worker.run();
    for (const name of TICKING) {
      const webhook = name === TOLD ? { webhook: this.#url } : {};
      await this.#client.schedule(name, TICKS, name, { cron: '* * * * * *', ...webhook });
    }
    this.#map.start();
    this.#lanes = [
      ...Array.from({ length: LANES }, () => this.#lane(() => this.#tell())),
      ...this.#coming.map((each) => this.#lane(() => this.#comeOrGo(each))),
      ...this.#paused.map((each) => this.#lane(() => this.#pauseOrResume(each))),
    ];
  }

  throwIfWrong(): void {
    const all = [...this.#wrong, ...this.#map.errors];
    const some = all.slice(0, SHOWN_MAX).join('; ');
    if (all.length > 0) throw new Error(`${all.length} wrong: ${some}`);
  }

  get #url(): string {
    return `${this.#receiver.origin}/told`;
  }

  async #lane(step: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await step().catch((error: unknown) => {
        if (codeOf(error) === undefined) throw error;
        this.#wrong.push(messageOf(error));
      });
      await pause(this.#random.int(0, STEP_MS));
    }
  }

  /** Stores a request with a webhook, and has it end, or leaves it to itself. */
  async #tell(): Promise<void> {
    const random = this.#random;
    const client = this.#client;
    const webhook = this.#url;
    switch (random.int(0, 4)) {
      case 0: {
        const job = await client.submit(FAILING, 'x', { webhook, maxAttempts: 2 });
        this.#expect(job.uuid, 'dead');
        return;
      }
      case 1: {
        const ttlMs = random.int(1, TTL_MS_MAX);
        const job = await client.submit(NOBODY, 'x', { webhook, ttlMs });
        this.#expect(job.uuid, 'expired');
        return;
      }
      case 2: {
        const job = await client.submit(NOBODY, 'x', { webhook });
        // Where a broker is killed between the end of one that it had not read yet and its webhook, how is not known.
        this.#expect(job.uuid, 'cancelled', 'ended');
        await job.close();
        return;
      }
      case 3: {
        const job = await client.submit(SERVED, 'x', { webhook });
        this.#expect(job.uuid, 'replied', 'cancelled', 'ended');
        await job.close();
        return;
      }
      default: {
        const job = await client.submit(SERVED, 'x', { webhook });
        this.#expect(job.uuid, 'replied');
        await job.result({ timeoutMs: LONG_MS });
        await job.close();
      }
    }
  }

  #expect(uuid: string, ...outcomes: readonly Outcome[]): void {
    this.#told.set(uuid, { uuid, outcomes, isOver: true });
  }

  async #comeOrGo(each: Switch): Promise<void> {
    const { name } = each;
    const known = each.isOn;
    if (known !== null) {
      const listed = await this.#client.schedules();
      if (listed.some((schedule) => schedule.name === name) !== known) {
        this.#wrong.push(`the schedule ${name} is ${known ? 'lost' : 'still there'}`);
      }
    }
    each.isOn = null;
    const isOn = known !== true;
    if (isOn) await this.#client.schedule(name, NOBODY, 'x', { cron: '@yearly' });
    else await this.#client.unschedule(name);
    each.isOn = isOn;
    this.#orders++;
  }

  async #pauseOrResume(each: Switch): Promise<void> {
    const daemon = this.#daemon;
    // Before that it does not know what is paused.
    if (daemon === null || daemon.logged('titanic.recovered').length === 0) return;
    const known = each.isOn;
    const seen = async (): Promise<Pausable | null> =>
      await this.#pathOf(daemon, each.name).catch(() => null);
    let path = await seen();
    // It reads what its pauses say after it has listed them.
    for (let left = LOOKS; path !== null && path.isOn !== (known ?? path.isOn); left--) {
      if (left === 0) {
        this.#wrong.push(
          `${each.name} was ${known === true ? 'paused' : 'resumed'}, and is not any more`,
        );
        return;
      }
      await pause(LOOK_MS);
      path = await seen();
    }
    if (path === null) return;
    each.isOn = null;
    const isOn = known !== true;
    const order = `${httpOf(daemon)}${path.of}/${isOn ? 'pause' : 'resume'}`;
    const answer = await ask(order, { method: 'POST', token: tokenOf(daemon) }).catch(() => null);
    if (answer?.status !== 200) return;
    each.isOn = isOn;
    this.#orders++;
  }

  /** Where it is paused, and whether it is now; `null`: it is not listed. */
  async #pathOf(daemon: Daemon, name: string): Promise<Pausable | null> {
    const isSchedule = name === PAUSED;
    const list = isSchedule ? '/api/v1/titanic/schedules' : '/api/v1/services';
    const { json, status } = await ask(`${httpOf(daemon)}${list}`, { token: tokenOf(daemon) });
    if (status !== 200) return null;
    const { items } = json as {
      readonly items: readonly {
        readonly name?: string;
        readonly service?: string;
        readonly uuid?: string;
        readonly paused: boolean;
      }[];
    };
    const found = items.find((item) => (item.name ?? item.service) === name);
    if (found === undefined) return null;
    return { of: `${list}/${isSchedule ? (found.uuid ?? '') : name}`, isOn: found.paused };
  }

  // ---------------------------------------------------------------- in the end

  /** Nothing is begun any more, and nothing is paused but a schedule. */
  async stop(daemon: Daemon): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
    await this.#map.stop();
    this.#daemon = daemon;
    await daemon.waitFor('titanic.recovered');
    for (const name of [...PAUSED_SERVICES, PAUSED]) {
      const path = await this.#pathOf(daemon, name);
      const order = name === PAUSED ? 'pause' : 'resume';
      if (path === null) continue;
      await ask(`${httpOf(daemon)}${path.of}/${order}`, { method: 'POST', token: tokenOf(daemon) });
    }
  }

  /** Waits until all is told, and looks at what was. */
  async finish(): Promise<void> {
    const heard = (): Set<string> =>
      new Set(this.#receiver.received.map(({ json }) => String(json.data['uuid'])));
    const untold = (): string[] => [...this.#told.keys()].filter((uuid) => !heard().has(uuid));
    await until(() => untold().length === 0, 'the webhook of each request').catch(() => {
      this.#wrong.push(`${untold().length} were never told, the first: ${untold()[0]}`);
    });
    // Schedules go on, and of what they store from now on nothing is known.
    this.#finishedAt = Date.now();
    await until(async () => (await this.#untoldSince()) === 0, 'the webhooks of due times');
    this.#checkComing(await this.#client.schedules());
    const { reader } = this.#map;
    await until(() => this.#map.wrong(contentOf(reader)).length === 0, 'the reader of the map');
    this.throwIfWrong();
  }

  /** How many webhooks wait that were stored before the end. */
  async #untoldSince(): Promise<number> {
    const daemon = present(this.#daemon, 'the last broker');
    const query = 'service=titanic.webhook&state=pending';
    const url = `${httpOf(daemon)}/api/v1/titanic/requests?${query}`;
    const { json } = await ask(url, { token: tokenOf(daemon) });
    const { items } = json as { readonly items: readonly { readonly acceptedAt: string }[] };
    return items.filter(({ acceptedAt }) => Date.parse(acceptedAt) < this.#finishedAt).length;
  }

  #checkComing(listed: readonly { readonly name: string }[]): void {
    const names = new Set(listed.map(({ name }) => name));
    for (const { name, isOn } of this.#coming) {
      if (isOn !== null && names.has(name) !== isOn) this.#wrong.push(`${name} is not as ordered`);
    }
    for (const name of TICKING) if (!names.has(name)) this.#wrong.push(`${name} is lost`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.#client.close();
    await this.#map.close();
  }

  /** The store after its broker has ended. @returns what was proven */
  async check(path: string): Promise<string> {
    await this.#receiver.close();
    const requests = sqliteContent(path).requests.filter(
      ({ request: { kind, acceptedAt } }) => kind !== 'webhook' || acceptedAt < this.#finishedAt,
    );
    const ofSchedules = requests.filter(({ request }) => String(request.service) === TICKS);
    for (const { request } of ofSchedules) {
      const isOver = request.acceptedAt < this.#finishedAt;
      if (request.partner.length > 0) {
        const uuid = uuidText(request.uuid);
        this.#told.set(uuid, { uuid, outcomes: ['replied'], isOver });
      }
    }
    this.#checkTold();
    this.#checkDueTimes(requests, ofSchedules);
    for (const { request } of requests) {
      const { kind, state, service, uuid } = request;
      const name = `${kind} ${uuidText(uuid)} of ${String(service)}`;
      const isKept = kind === 'schedule' || kind === 'pause' || String(service) === TICKS;
      const isDead = this.#told.get(uuidText(uuid))?.outcomes[0] === 'dead';
      // What tells of one that is dead is kept, since that may be tried again.
      const isOfDead =
        kind === 'webhook' &&
        state === 'replied' &&
        this.#told.get(uuidText(request.partner))?.outcomes[0] === 'dead';
      if (!isKept && !isDead && !isOfDead) this.#wrong.push(`${name} is ${state}, and nobody's`);
    }
    const pauses = requests.filter(({ request }) => request.kind === 'pause');
    if (pauses.length !== 1) this.#wrong.push(`${pauses.length} pauses, not one`);
    this.throwIfWrong();
    const { length: posts } = this.#receiver.received;
    return (
      `${this.#told.size} requests told in ${posts} webhooks, ${ofSchedules.length} due times, ` +
      `${this.#orders} schedules and pauses made and ended, ${this.#map.sets} changes of the map`
    );
  }

  #checkTold(): void {
    const heard = new Map<string, { readonly id: string; readonly outcome: string }>();
    for (const { headers, json } of this.#receiver.received) {
      const uuid = String(json.data['uuid']);
      const now = { id: String(headers['webhook-id']), outcome: String(json.data['outcome']) };
      const { id, outcome } = heard.get(uuid) ?? now;
      heard.set(uuid, now);
      if (id !== now.id) this.#wrong.push(`${uuid} was told with the ids ${id} and ${now.id}`);
      if (outcome !== now.outcome) {
        this.#wrong.push(`${uuid} was told to be ${outcome}, and to be ${now.outcome}`);
      }
      const told = this.#told.get(uuid);
      // Sent again after a crash, it was stored once more, because the first one had expired by then.
      const isAgain = now.outcome === 'expired' && json.data['service'] === NOBODY;
      if (told === undefined && isAgain) continue;
      if (told === undefined) {
        this.#wrong.push(`${uuid} was told (${now.outcome}), and is nobody's`);
      } else if (!told.outcomes.some((each) => each === now.outcome)) {
        this.#wrong.push(
          `${uuid} was told to be ${now.outcome}, not ${told.outcomes.join(' or ')}`,
        );
      }
    }
    for (const { uuid, isOver } of this.#told.values()) {
      if (isOver && !heard.has(uuid)) this.#wrong.push(`${uuid} was never told`);
    }
  }

  /** Each due time of a schedule has one request, and each request of one a due time of its own. */
  #checkDueTimes(all: Content['requests'], stored: Content['requests']): void {
    for (const name of TICKING) {
      const times = stored
        .map(({ key }) => key?.toString('latin1') ?? '')
        .filter((key) => key.includes(`${name}:`));
      const schedule = all.find(
        ({ request: { kind, own } }) => kind === 'schedule' && ownOf(kind, own)?.name === name,
      );
      if (schedule === undefined) {
        this.#wrong.push(`${name} is not in the store`);
        continue;
      }
      const { attempts } = schedule.request;
      // Those that a pause stepped over stored nothing: in a short run perhaps all.
      const isRight =
        name === PAUSED ? times.length <= attempts : times.length === attempts && times.length > 0;
      if (!isRight || new Set(times).size !== times.length) {
        this.#wrong.push(`${name} was due ${attempts} times, and stored ${times.length} requests`);
      }
    }
    const isOfOne = ({ key }: Content['requests'][number]): boolean =>
      TICKING.some((name) => key?.includes(`${name}:`) === true);
    const others = stored.filter((each) => !isOfOne(each));
    if (others.length > 0) {
      this.#wrong.push(`${others.length} requests of schedules without a time`);
    }
  }
}

type Content = ReturnType<typeof sqliteContent>;

function newSwitch(name: string): Switch {
  return { name, isOn: null };
}
