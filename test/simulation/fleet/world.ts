/**
 * A simulated fleet: brokers with their fleet machines, workers and clients of each, and a bus that
 * loses, repeats and delays packs; brokers are killed, stopped and started; NATS goes and returns.
 * Then everything works again, and nothing may be left.
 */
import { readEntries, readPack } from '../../../src/extensions/fleet/machine/codec.js';
import { UNANSWERED_BYTES_MAX } from '../../../src/extensions/fleet/machine/options.js';
import { type FleetStage, FleetWorld, STAGE_FLEET } from '../../support/fleet-stage.js';
import type { ClientActor, WorkerActor } from '../../support/stage-peers.js';
import { Tally } from '../actors/tally.js';
import { hold } from '../world/failure.js';
import { SimRandom } from '../world/random.js';

const SERVICES = ['echo', 'sum', 'big'] as const;
const STEPS = 120;
const STEP_MS_MAX = 400;
/** Longer than every time-out: time to live of requests, silence, renewals. */
const CALM_MS = 90_000;
/** Most is done in this time. */
const WORK_MS = 8000;
/**
 * For so long, dead workers may keep their requests, and these the 8 MiB between two brokers (D86).
 * Below the time to live of requests.
 */
const BUSY_MS = 20_000;
const MAX_DELIVERIES = 3;
const BIG_BYTES = 3 * 1024 * 1024;
const HEARTBEAT_MS = 1000;
const ID_BYTES_MAX = 20;

/** A body begins with the id of its request and a space; much may follow. */
function idOf(body: string): string {
  return body.slice(0, body.indexOf(' '));
}

interface Asked {
  readonly id: string;
  readonly client: SimClient;
  /** Packs with it that its origin has sent. */
  sent: number;
  /** Times that a worker of another broker, or of its own, got it. */
  ranAway: number;
  ranHere: number;
  ends: number;
  /** PARTIALs that its client got. */
  parts: number;
}

interface SimClient {
  readonly actor: ClientActor;
  readonly broker: FleetStage;
}

interface SimWorker {
  readonly actor: WorkerActor;
  readonly broker: FleetStage;
  readonly service: string;
  readonly credit: number;
  /** Requests that it has, by the text of their bodies. */
  readonly open: string[];
}

export class SimFleet {
  readonly tally: Tally = new Tally();
  readonly #random: SimRandom;
  readonly #world: FleetWorld;
  readonly #asked = new Map<string, Asked>();
  #clients: SimClient[] = [];
  #workers: SimWorker[] = [];
  #last = 0;
  #names = 0;
  #isCalm = false;
  readonly #lossOfHundred: number;
  readonly #delayMs: number;

  constructor(seed: number) {
    this.#random = new SimRandom(seed);
    const random = this.#random;
    this.#lossOfHundred = below(random, 4) === 0 ? 0 : below(random, 15);
    this.#delayMs = below(random, 3) === 0 ? 0 : below(random, 300);
    this.#world = new FleetWorld({
      maxDeliveries: MAX_DELIVERIES,
      requestTtlMs: 30_000,
      busyTimeoutMs: BUSY_MS,
      limits: { messageBytes: 16_000_000 },
      payloadMax: below(random, 3) === 0 ? 8192 : 1024 * 1024,
    });
    this.#world.fate = (subject, bytes, from, to) => this.#fate(subject, bytes, from, to);
  }

  run(): void {
    const brokers = 2 + below(this.#random, 4);
    for (let n = 0; n < brokers; n++) this.#startBroker();
    for (let step = 0; step < STEPS; step++) {
      this.#act();
      this.#pass(below(this.#random, STEP_MS_MAX));
    }
    this.#calm();
  }

  // ---------------------------------------------------------------- the bus

  #fate(subject: string, bytes: Buffer, from: string, to: string): readonly number[] {
    this.#watch(bytes, from, to);
    if (this.#isCalm) return [0];
    const random = this.#random;
    if (below(random, 100) < this.#lossOfHundred) {
      this.tally.fault('packs lost');
      return [];
    }
    const late = (): number => (this.#delayMs === 0 ? 0 : below(random, this.#delayMs));
    if (below(random, 20) === 0) {
      this.tally.fault('packs repeated');
      return [late(), late() + below(random, 3000)];
    }
    return [subject.includes('.to.') && below(random, 10) === 0 ? late() + 700 : late()];
  }

  /** No request travels twice: it is sent by the broker of its client only. */
  #watch(bytes: Buffer, from: string, to: string): void {
    const pack = readPack(bytes, STAGE_FLEET);
    hold(typeof pack !== 'string', 'brokers send packs');
    if (pack.chunk !== null) return;
    for (const entry of readEntries(pack.entries) ?? []) {
      if (entry.kind !== 'request') continue;
      const id = idOf(entry.body.toString('latin1', 2, ID_BYTES_MAX));
      const asked = this.#asked.get(id);
      hold(asked !== undefined, `a request that somebody sent travels, not ${id}`);
      hold(asked.client.broker.name === from, `request ${id} leaves its own broker, not ${from}`);
      hold(to !== from, 'no broker sends to itself');
      asked.sent++;
    }
  }

  // ---------------------------------------------------------------- acts

  #act(): void {
    const random = this.#random;
    const running = this.#world.stages.filter(({ isPaused }) => !isPaused);
    const broker = pick(random, running);
    const dice = below(random, 100);
    if (broker === undefined || dice < 2) this.#startBroker();
    else if (dice < 50) this.#request(broker);
    else if (dice < 62) this.#startWorker(broker);
    else if (dice < 67) this.#stopWorker();
    else if (dice < 70) this.#leave();
    else if (dice < 73) this.#kill(pick(random, this.#world.stages));
    else if (dice < 77) this.#stop(broker);
    else if (dice < 83) this.#continue();
    else if (dice < 85) this.#nats();
  }

  #startBroker(): void {
    if (this.#world.stages.length >= 5) return;
    this.tally.fault('brokers start');
    this.#world.broker(`n${this.#names++}`);
  }

  #kill(broker: FleetStage | undefined): void {
    if (broker === undefined || this.#world.stages.length < 2) return;
    this.tally.fault('brokers killed');
    this.#world.kill(broker);
    this.#clients = this.#clients.filter((each) => each.broker !== broker);
    this.#workers = this.#workers.filter((each) => each.broker !== broker);
  }

  #stop(broker: FleetStage): void {
    this.tally.fault('brokers stopped');
    broker.stops();
  }

  #continue(): void {
    const stopped = pick(
      this.#random,
      this.#world.stages.filter(({ isPaused }) => isPaused),
    );
    stopped?.continues();
  }

  #nats(): void {
    const world = this.#world;
    if (world.isUp) {
      this.tally.fault('NATS stopped');
      world.goesDown();
    } else {
      world.comesBack();
    }
  }

  #startWorker(broker: FleetStage): void {
    const random = this.#random;
    const service = SERVICES[below(random, SERVICES.length)] ?? 'echo';
    const credit = 1 + below(random, 5);
    const actor = broker.worker(`w${this.#names++}`).ready(service, { credit });
    actor.heartbeatsEvery(HEARTBEAT_MS);
    this.#workers.push({ actor, broker, service, credit, open: [] });
  }

  #stopWorker(): void {
    const worker = pick(
      this.#random,
      this.#workers.filter(({ broker }) => !broker.isPaused),
    );
    if (worker === undefined) return;
    this.tally.fault('workers lost');
    this.#workers.splice(this.#workers.indexOf(worker), 1);
    worker.actor.fallsSilent();
    if (below(this.#random, 2) === 0) worker.actor.disconnect();
  }

  #leave(): void {
    const client = pick(
      this.#random,
      this.#clients.filter(({ broker }) => !broker.isPaused),
    );
    if (client === undefined) return;
    this.tally.fault('clients leave');
    this.#clients.splice(this.#clients.indexOf(client), 1);
    client.actor.disconnect();
  }

  #request(broker: FleetStage): void {
    const random = this.#random;
    let client = pick(
      random,
      this.#clients.filter((each) => each.broker === broker),
    );
    if (client === undefined || below(random, 10) === 0) {
      const actor = broker.client(`c${this.#names++}`).hello('{"failures":true}');
      client = { actor, broker };
      this.#clients.push(client);
    }
    for (let n = 1 + below(random, 6); n > 0; n--) {
      const id = `r${++this.#last}`;
      const service = SERVICES[below(random, SERVICES.length)] ?? 'echo';
      const isBig = service === 'big' && below(random, 3) === 0;
      const body = isBig ? `${id} ${' '.repeat(BIG_BYTES)}` : `${id} `;
      this.#asked.set(id, { id, client, sent: 0, ranAway: 0, ranHere: 0, ends: 0, parts: 0 });
      this.tally.requests++;
      client.actor.request(service, body);
    }
  }

  // ---------------------------------------------------------------- time

  #pass(ms: number, stepMs = 50): void {
    for (let left = ms; left > 0; left -= stepMs) {
      this.#world.after(Math.min(left, stepMs));
      this.#work();
      this.#read();
      this.#check();
    }
  }

  #work(): void {
    const random = this.#random;
    for (const worker of this.#workers) {
      if (worker.broker.isPaused) continue;
      this.#take(worker);
      while (worker.open.length > 0 && below(random, 3) > 0) {
        const body = worker.open.shift() ?? '';
        const id = idOf(body);
        const dice = this.#isCalm ? 99 : below(random, 100);
        if (dice < 5) worker.actor.returns('busy', { of: body });
        else if (dice < 10) worker.actor.fails(['retry', 'later', ''], { of: body });
        else if (dice < 13) worker.actor.fails(['error', 'bad', id], { of: body });
        else if (dice < 25) {
          worker.actor.partial(`${id} 1`, { of: body }).partial(`${id} 2`, { of: body });
          worker.actor.final(`${id} after 2`, { of: body });
        } else worker.actor.final(id, { of: body });
      }
    }
  }

  #take(worker: SimWorker): void {
    for (const line of worker.actor.inbox()) {
      if (!line.startsWith('REQUEST ')) continue;
      const body = line.slice('REQUEST '.length);
      const asked = this.#asked.get(idOf(body));
      hold(asked !== undefined, 'workers get requests of clients');
      const isHere = asked.client.broker === worker.broker;
      if (isHere) asked.ranHere++;
      else asked.ranAway++;
      if (!isHere) this.tally.figures.set('bridged', (this.tally.figures.get('bridged') ?? 0) + 1);
      const isLarge = body.length > 8000;
      hold(isLarge || asked.ranAway <= asked.sent, `${asked.id} runs once for each pack with it`);
      const ran = asked.ranAway + asked.ranHere;
      hold(ran <= MAX_DELIVERIES, `${asked.id} runs at most ${MAX_DELIVERIES} times, not ${ran}`);
      worker.open.push(body);
      hold(worker.open.length <= worker.credit, 'a worker gets no more than its credit');
    }
  }

  #read(): void {
    for (const client of this.#clients) {
      if (client.broker.isPaused) continue;
      for (const line of client.actor.inbox()) {
        const id = /\br\d+\b/.exec(line)?.[0] ?? '';
        const asked = this.#asked.get(id);
        // Refusals name no request.
        if (asked === undefined) continue;
        hold(asked.client === client, `the reply to ${id} goes to its client`);
        if (line.startsWith('PARTIAL')) asked.parts++;
        if (!line.startsWith('FINAL')) continue;
        const parts = line.endsWith(' after 2') ? 2 : 0;
        hold(asked.parts === parts, `${id} has all its parts: ${parts}, not ${asked.parts}`);
        asked.ends++;
        this.tally.replies++;
        hold(asked.ends === 1, `${id} has one reply`);
      }
    }
  }

  #check(): void {
    for (const broker of this.#world.stages) {
      const { held } = broker.machine.load;
      const credit = this.#workers
        .filter((worker) => worker.broker === broker)
        .reduce((sum, worker) => sum + worker.credit, 0);
      // Those of workers that were lost in silence may still be answered.
      const { expired, connection } = broker.broker.counters.workersLost;
      const isSure = expired + connection === 0 && !broker.isPaused;
      // While its own clients wait, others have twice their shares of its workers, at least two each.
      const most = 3 * (credit + this.#lostCredit(broker)) + 2 * this.#world.stages.length;
      hold(!isSure || held <= most, `no more waits at a holder than its places: ${held}`);
      for (const { isSelf, out, outBytes } of broker.members()) {
        const isBounded = isSelf || out <= 1 || outBytes <= UNANSWERED_BYTES_MAX;
        hold(isBounded, `at most 8 MiB are unanswered between two brokers, not ${outBytes}`);
      }
    }
  }

  /** Workers that the broker has not lost yet. */
  #lostCredit(broker: FleetStage): number {
    const here = this.#workers.filter((worker) => worker.broker === broker).length;
    return 5 * Math.max(0, broker.broker.load.workers - here);
  }

  // ---------------------------------------------------------------- the end

  #calm(): void {
    this.#isCalm = true;
    const world = this.#world;
    for (const stage of world.stages) if (stage.isPaused) stage.continues();
    if (!world.isUp) world.comesBack();
    const last = world.stages[0];
    hold(last !== undefined, 'a broker is left');
    for (const service of SERVICES) {
      const actor = last.worker(`end ${service}`).ready(service, { credit: 5 });
      actor.heartbeatsEvery(HEARTBEAT_MS);
      this.#workers.push({ actor, broker: last, service, credit: 5, open: [] });
    }
    this.#pass(WORK_MS);
    this.#pass(BUSY_MS + 3000 - WORK_MS, 1000);
    for (const stage of world.stages) {
      for (const service of SERVICES) {
        const waiting = stage.broker.remote.waiting(Buffer.from(service));
        hold(waiting === 0, `nothing waits for ever at ${stage.name}: ${waiting} do`);
      }
    }
    this.#pass(CALM_MS - BUSY_MS - 3000, 1000);
    for (const stage of world.stages) {
      const { requests } = stage.broker.load;
      hold(requests === 0, `nothing is left at ${stage.name}: ${requests} are`);
      const { out } = stage.machine.load;
      hold(out === 0, `nothing of ${stage.name} is out at others: ${out} are`);
    }
  }
}

/** A whole number from 0, below `limit`. */
function below(random: SimRandom, limit: number): number {
  return random.int(0, limit - 1);
}

function pick<T>(random: SimRandom, from: readonly T[]): T | undefined {
  return from[below(random, from.length)];
}
