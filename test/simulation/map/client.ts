/**
 * A client of the map that is written from the RFC and D56, and knows nothing of the SDK: it reads a
 * subtree, writes keys, and sends a change again until it has seen it published.
 */
import { isDeletion, type MapRecord } from '../../../src/extensions/map/machine/record.js';
import { compareNumbers, icanhaz, kvset, type MapNumber } from '../../../src/wire/chp-client.js';
import type { SimTimer } from '../world/clock.js';
import type { SimRandom } from '../world/random.js';
import type { MapPart } from './part.js';
import { bytesIn, type MapLink, type Message } from './ports.js';
import { type MapActor, type MapHabits, Writing } from './writing.js';
import { type Floors, readRecord, textOf } from './watch.js';

const SILENCE_MS = 5000;
const AGAIN_MS = 2000;
const REDIAL_MS = 200;
const STOP_MAX_MS = 500;

interface Waiting {
  readonly key: string;
  readonly value: string;
  readonly ttlS: number;
  readonly uuid: Buffer;
}

export class PlainMapClient implements MapActor {
  readonly name: string;
  readonly habits: MapHabits;
  /** What it has; meaningful while it is synced. */
  #content = new Map<string, MapRecord>();
  isSynced = false;
  /** Changes that it has seen published, in all. */
  acknowledged = 0;
  readonly #part: MapPart;
  readonly #random: SimRandom;
  readonly #writing: Writing;
  #at: number;
  #updates: MapLink | null = null;
  #snapshots: MapLink | null = null;
  readonly #writers: (MapLink | null)[];
  /** Counts connections: what belongs to an earlier one is ignored. */
  #session = 0;
  #heardAt = 0;
  #isGreeted = false;
  #fresh = new Map<string, MapRecord>();
  #held: MapRecord[] = [];
  #floors: Floors = new Map();
  #number: MapNumber = { epoch: 0, counter: 0 };
  #waiting: Waiting[] = [];
  #isGone = false;
  #silence: SimTimer | null = null;

  constructor(part: MapPart) {
    const { name, habits, nodes, clock, random } = part;
    this.name = name;
    this.habits = habits;
    this.#part = part;
    this.#random = random;
    this.#at = random.int(0, nodes.length - 1);
    this.#writers = nodes.map(() => null);
    this.#writing = new Writing(habits, clock, random.fork(-1), {
      isWaiting: (key) => this.#waiting.some((each) => each.key === key),
      set: (key, value, ttlS) => {
        // What is late renews nothing.
        if (key === habits.own?.key) {
          this.#waiting = this.#waiting.filter((each) => each.key !== key);
        }
        this.#set(key, value, ttlS);
      },
    });
  }

  start(): void {
    for (const index of this.#part.nodes.keys()) this.#dialWriter(index);
    this.#begin();
    this.#writing.start();
    this.#sendAgain();
  }

  /**
   * It makes no more changes, and goes on reading and renewing. @param givesUp also on those that it has not seen
   * published: a full map takes none
   */
  rest(givesUp: boolean): void {
    this.#writing.rest();
    if (givesUp) this.#waiting = [];
  }

  /** It dies, without a word. */
  leave(): void {
    this.#isGone = true;
    this.#writing.end();
    for (const link of [this.#updates, this.#snapshots, ...this.#writers]) link?.close();
  }

  /** Keys and values. */
  get values(): ReadonlyMap<string, string> {
    return new Map(Array.from(this.#content, ([key, { value }]) => [key, String(value)]));
  }

  /** All its changes are acknowledged, and it has a map. */
  get isSettled(): boolean {
    return this.isSynced && this.#waiting.length === 0;
  }

  // ---------------------------------------------------------------- reading

  #begin(): void {
    const session = ++this.#session;
    this.isSynced = false;
    this.#isGreeted = false;
    this.#updates?.close();
    this.#snapshots?.close();
    this.#part.note(`begins at node ${this.#at}`);
    const node = this.#part.nodes[this.#at] ?? this.#part.nodes[0];
    if (node === undefined) return;
    const lost = (): void => {
      if (session === this.#session && !this.#isGone) this.#elsewhere();
    };
    this.#updates = node.updates.network.dial(
      this.#part.dialled,
      { received: (message) => this.#current(session, () => this.#published(message)), lost },
      this.#random.fork(3 * session),
    );
    this.#snapshots = node.snapshots.network.dial(
      this.#part.dialled,
      { received: (message) => this.#current(session, () => this.#synced(message)), lost },
      this.#random.fork(3 * session + 1),
    );
    this.#subscribe('HUGZ');
    this.#subscribe(this.habits.subtree);
    // The node may need a vote before it greets anybody.
    this.#ask();
    this.#heard();
  }

  #current(session: number, part: () => void): void {
    if (session !== this.#session || this.#isGone) return;
    this.#heard();
    part();
    if (this.#random.chance(this.habits.stopChance)) this.#stopReading();
  }

  #heard(): void {
    this.#heardAt = this.#part.clock.now;
    if (this.#silence !== null) return;
    const look = (at: number): void => {
      this.#silence = this.#part.clock.at(at, () => {
        this.#silence = null;
        if (this.#isGone) return;
        const until = this.#heardAt + SILENCE_MS;
        if (this.#part.clock.now >= until) this.#elsewhere();
        else look(until);
      });
    };
    look(this.#heardAt + SILENCE_MS);
  }

  #elsewhere(): void {
    this.#session++;
    this.isSynced = false;
    this.#at = (this.#at + 1) % this.#part.nodes.length;
    this.#part.clock.after(this.#random.int(1, REDIAL_MS), () => {
      if (!this.#isGone) this.#begin();
    });
  }

  #stopReading(): void {
    const links = [this.#updates, this.#snapshots];
    for (const link of links) link?.stopReading();
    this.#part.clock.after(this.#random.int(0, STOP_MAX_MS), () => {
      for (const link of links) link?.resumeReading();
    });
  }

  #subscribe(topic: string): void {
    this.#updates?.send([Buffer.from(`\x01${topic}`)], topic.length + 1);
  }

  #ask(): void {
    this.#fresh = new Map();
    this.#held = [];
    this.#floors = this.#part.watch.floors();
    const message = icanhaz(Buffer.from(this.habits.subtree));
    this.#snapshots?.send(message, bytesIn(message));
  }

  #synced(message: Message): void {
    if (String(message[0]) !== 'KTHXBAI') {
      const record = readRecord(message);
      this.#fresh.set(record.key, record);
      return;
    }
    // It was asked before updates were sure to come.
    if (!this.#isGreeted || this.isSynced) return;
    this.#number = readRecord(message);
    this.#part.note(`has a snapshot up to ${textOf(this.#number)}`);
    this.#part.watch.snapshot(this.name, this.habits.subtree, this.#fresh, this.#floors);
    this.#content = this.#fresh;
    this.isSynced = true;
    for (const change of this.#held) this.#apply(change);
    this.#sendAll();
  }

  #published(message: Message): void {
    if (String(message[0]) === 'HUGZ') {
      if (this.#isGreeted) return;
      this.#isGreeted = true;
      // Answers to an earlier question may still come: on another connection they are not mixed up.
      this.#redialSnapshots();
      this.#ask();
      return;
    }
    const change = readRecord(message);
    this.#part.told(change);
    if (this.isSynced) this.#apply(change);
    else this.#held.push(change);
    const uuid = change.uuid;
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter((each) => each.uuid.toString('latin1') !== uuid);
    if (this.#waiting.length < before) this.acknowledged++;
  }

  #redialSnapshots(): void {
    this.#snapshots?.close();
    const session = this.#session;
    const node = this.#part.nodes[this.#at];
    this.#snapshots =
      node?.snapshots.network.dial(
        this.#part.dialled,
        {
          received: (message) => this.#current(session, () => this.#synced(message)),
          lost: () => {
            if (session === this.#session && !this.#isGone) this.#elsewhere();
          },
        },
        this.#random.fork(3 * session + 2),
      ) ?? null;
  }

  #apply(change: MapRecord): void {
    if (compareNumbers(change, this.#number) <= 0) return;
    this.#number = change;
    if (isDeletion(change)) this.#content.delete(change.key);
    else this.#content.set(change.key, change);
  }

  // ---------------------------------------------------------------- writing

  #dialWriter(index: number): void {
    if (this.#isGone) return;
    const link: MapLink | undefined = this.#part.nodes[index]?.writers.network.dial(
      this.#part.dialled,
      {
        received: () => undefined,
        lost: () => {
          this.#writers[index] = null;
          this.#part.clock.after(this.#random.int(1, REDIAL_MS), () => this.#dialWriter(index));
        },
      },
      this.#random.fork(this.#random.word()),
    );
    this.#writers[index] = link ?? null;
  }

  #set(key: string, value: string, ttlS: number): void {
    const uuid = Buffer.alloc(16);
    this.#random.fill(uuid);
    const waiting = { key, value, ttlS, uuid };
    this.#waiting.push(waiting);
    this.#send(waiting);
  }

  #sendAgain(): void {
    this.#part.clock.after(AGAIN_MS, () => {
      if (this.#isGone) return;
      this.#sendAll();
      this.#sendAgain();
    });
  }

  #sendAll(): void {
    for (const waiting of this.#waiting) this.#send(waiting);
  }

  #send({ key, value, ttlS, uuid }: Waiting): void {
    const properties = ttlS === 0 ? '' : `ttl=${ttlS}\n`;
    const message = kvset(Buffer.from(key), uuid, Buffer.from(properties), Buffer.from(value));
    this.#part.note(`sets ${key}=${value} ttl=${ttlS} ${uuid.toString('hex', 0, 3)}`);
    for (const link of this.#writers) link?.send(message, bytesIn(message));
  }
}
