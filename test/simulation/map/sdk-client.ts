/** A client of the map whose decisions are those of the SDK: its machine, with simulated connections. */
import { Frames } from '../../../src/core/frames.js';
import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import { MapClient } from '../../../src/sdk/map/map-client.js';
import type { OwnChange } from '../../../src/sdk/map/own-changes.js';
import { icanhaz, kvset } from '../../../src/wire/chp-client.js';
import { violated } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import type { MapPart } from './part.js';
import { bytesIn, type MapLink, type MapNetwork, type Message } from './ports.js';
import { type Floors, readRecord } from './watch.js';
import { type MapActor, type MapHabits, Writing } from './writing.js';

const REDIAL_MS = 200;
const HANDSHAKE_MS = 20;
/**
 * Shorter than usual. A change whose echo was missed, and which another one has overwritten, is never acknowledged.
 */
const TIMEOUT_MS = 5000;
const PLENTY = 1_000_000;

export class SdkMapClient implements MapActor {
  readonly name: string;
  readonly habits: MapHabits;
  acknowledged = 0;
  readonly #part: MapPart;
  readonly #random: SimRandom;
  readonly #machine: MapClient;
  readonly #writing: Writing;
  readonly #updates: (MapLink | null)[];
  readonly #writers: (MapLink | null)[];
  #asker: MapLink | null = null;
  /** Counts questions: what an earlier one brings is ignored. */
  #ask = 0;
  #floors: Floors = new Map();
  #fresh = new Map<string, MapRecord>();
  readonly #waiting = new Map<string, number>();
  #givesUp = false;
  #isGone = false;
  #timerAt = Infinity;

  constructor(part: MapPart) {
    const { name, habits, nodes, clock, random } = part;
    this.name = name;
    this.habits = habits;
    this.#part = part;
    this.#random = random;
    this.#updates = nodes.map(() => null);
    this.#writers = nodes.map(() => null);
    this.#machine = this.#machineFor();
    this.#writing = new Writing(habits, clock, random.fork(-1), {
      isWaiting: (key) => (this.#waiting.get(key) ?? 0) > 0,
      set: (key, value, ttlS) => this.#set(key, value, ttlS),
    });
  }

  #machineFor(): MapClient {
    const { nodes } = this.#part;
    const options = {
      ...{ endpoints: nodes.length, subtree: this.habits.subtree },
      ...{ bytesMax: PLENTY, changesMax: PLENTY },
    };
    const sink = {
      ask: (endpoint: number) => this.#askAt(endpoint),
      stopAsking: () => this.#stopAsking(),
      send: (endpoint: number, change: OwnChange) => this.#send(endpoint, change),
      changed: () => undefined,
      replaced: () => undefined,
      synced: (endpoint: number) => {
        this.#part.note(`follows node ${endpoint}`);
        this.#part.watch.snapshot(this.name, this.habits.subtree, this.#fresh, this.#floors);
      },
      lost: (endpoint: number, reason: string) => {
        this.#part.note(`loses node ${endpoint}: ${reason}`);
      },
      unserved: () => this.#part.note('says that no node serves'),
      failed: (error: Error) => violated(`${this.name}: ${error.message}`),
    };
    const word = this.#random.fork(-2);
    return new MapClient(
      options,
      sink,
      () => word.word() / 0x1_0000_0000,
      (target) => word.fill(target),
    );
  }

  get isSynced(): boolean {
    return this.#machine.isSynced;
  }

  get isSettled(): boolean {
    return this.isSynced && (this.#givesUp || this.#machine.outstanding === 0);
  }

  get values(): ReadonlyMap<string, string> {
    return new Map(
      Array.from(this.#machine.values, ([key, value]) => [key, value.toString('latin1')]),
    );
  }

  start(): void {
    this.#machine.start(this.#part.clock.now);
    for (const index of this.#part.nodes.keys()) {
      this.#subscribe(index);
      this.#dialWriter(index);
    }
    this.#writing.start();
    this.#arm();
  }

  rest(givesUp: boolean): void {
    this.#givesUp = givesUp;
    this.#writing.rest();
  }

  leave(): void {
    this.#isGone = true;
    this.#writing.end();
    for (const link of [...this.#updates, ...this.#writers, this.#asker]) link?.close();
  }

  // ---------------------------------------------------------------- connections

  /** Everything that happens passes here. */
  #enter(part: () => void): void {
    if (this.#isGone) return;
    part();
    this.#arm();
  }

  #arm(): void {
    const at = Math.max(this.#machine.dueAt, this.#part.clock.now);
    if (at >= this.#timerAt || at === Infinity) return;
    this.#timerAt = at;
    this.#part.clock.at(Math.ceil(at), () => {
      if (this.#timerAt !== at) return;
      this.#timerAt = Infinity;
      this.#enter(() => this.#machine.tick(this.#part.clock.now));
    });
  }

  #dial(
    network: MapNetwork | undefined,
    received: (message: Message) => void,
    lost: () => void,
  ): MapLink | null {
    const actor = {
      received: (message: Message) => this.#enter(() => received(message)),
      lost: () => this.#enter(lost),
    };
    return network?.dial(this.#part.dialled, actor, this.#random.fork(this.#random.word())) ?? null;
  }

  #later(part: () => void): void {
    this.#part.clock.after(this.#random.int(1, REDIAL_MS), () => this.#enter(part));
  }

  #subscribe(index: number): void {
    const link = this.#dial(
      this.#part.nodes[index]?.updates.network,
      (message) => this.#published(index, message),
      () => {
        this.#updates[index] = null;
        this.#machine.unsubscribed(index, this.#part.clock.now);
        this.#later(() => this.#subscribe(index));
      },
    );
    this.#updates[index] = link;
    const { subtree } = this.habits;
    for (const topic of subtree === '' ? [''] : [subtree, 'HUGZ']) {
      link?.send([Buffer.from(`\x01${topic}`)], topic.length + 1);
    }
    this.#machine.subscribed(index);
  }

  #published(index: number, message: Message): void {
    const isCurrent = this.#machine.current === index;
    if (isCurrent && String(message[0]) !== 'HUGZ') this.#part.told(readRecord(message));
    this.#machine.published(index, Frames.of(...message), this.#part.clock.now);
    if (isCurrent && this.#random.chance(this.habits.stopChance)) this.#stopReading(index);
  }

  #stopReading(index: number): void {
    const link = this.#updates[index];
    link?.stopReading();
    this.#part.clock.after(this.#random.int(0, 500), () => link?.resumeReading());
  }

  #dialWriter(index: number): void {
    const link = this.#dial(
      this.#part.nodes[index]?.writers.network,
      () => undefined,
      () => {
        this.#writers[index] = null;
        this.#machine.unwritable(index);
        this.#later(() => this.#dialWriter(index));
      },
    );
    this.#writers[index] = link;
    this.#part.clock.after(this.#random.int(0, HANDSHAKE_MS), () => {
      this.#enter(() => {
        if (this.#writers[index] === link) this.#machine.writable(index);
      });
    });
  }

  // ---------------------------------------------------------------- effects

  #askAt(endpoint: number): void {
    this.#stopAsking();
    const ask = this.#ask;
    this.#fresh = new Map();
    this.#floors = this.#part.watch.floors();
    this.#asker = this.#dial(
      this.#part.nodes[endpoint]?.snapshots.network,
      (message) => {
        if (ask !== this.#ask) return;
        if (String(message[0]) !== 'KTHXBAI') {
          const record = readRecord(message);
          this.#fresh.set(record.key, record);
        }
        this.#machine.answered(Frames.of(...message), this.#part.clock.now);
      },
      () => {
        if (ask === this.#ask) this.#machine.askFailed(this.#part.clock.now);
      },
    );
    const message = icanhaz(Buffer.from(this.habits.subtree));
    this.#asker?.send(message, bytesIn(message));
  }

  #stopAsking(): void {
    this.#ask++;
    this.#asker?.close();
    this.#asker = null;
  }

  #set(name: string, value: string, ttlS: number): void {
    this.#part.note(`sets ${name}=${value} ttl=${ttlS}`);
    this.#waiting.set(name, (this.#waiting.get(name) ?? 0) + 1);
    const request = {
      ...{ key: Buffer.from(name), value: Buffer.from(value), timeoutMs: TIMEOUT_MS },
      properties: Buffer.from(ttlS === 0 ? '' : `ttl=${ttlS}\n`),
      settled: (error: Error | null) => {
        this.#waiting.set(name, (this.#waiting.get(name) ?? 0) - 1);
        if (error === null) this.acknowledged++;
      },
    };
    this.#enter(() => {
      this.#machine.change(request, this.#part.clock.now);
    });
  }

  #send(endpoint: number, { request: { key, properties, value }, uuid }: OwnChange): void {
    const message = kvset(key, uuid, properties, value);
    this.#writers[endpoint]?.send(message, bytesIn(message));
  }
}
