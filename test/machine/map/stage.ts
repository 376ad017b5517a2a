/**
 * A map machine with its store and peers, as a script drives it. Publications are told as
 * `epoch.counter key=value uuid properties`; a uuid of one character sixteen times is shown as one,
 * and one with a number as its writer's letter and the number.
 */
import { present } from '../../../src/core/assert.js';
import { Frames } from '../../../src/core/frames.js';
import type { MapEvent } from '../../../src/extensions/map/machine/map-events.js';
import { MapMachine } from '../../../src/extensions/map/machine/map-machine.js';
import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import type { RankedOutcome } from '../../../src/store/ranked.js';
import type { MapPeer, MapSink, PeerId } from '../../../src/extensions/map/machine/sink.js';
import { MapRows } from '../../support/map-rows.js';
import type { Completion, StoreFailure, Tombstones } from '../../../src/store/store.js';
import { readNumber } from '../../../src/wire/chp-client.js';

/** What a script says of a KVSET; all optional. */
export interface SetOptions {
  /** See `uuidText`. */
  readonly uuid?: string;
  readonly ttl?: number;
  readonly properties?: string;
  /** Its identity; `key:NAME`: it has that key. */
  readonly writer?: string;
}

interface Batch {
  readonly number: number;
  readonly changes: readonly MapRecord[];
  readonly outcome: RankedOutcome;
}

interface Listing {
  readonly after: string;
  readonly completion: Completion<readonly MapRecord[]>;
}

const FULL: StoreFailure = { kind: 'full', message: 'the disk is full' };
const LISTED_MAX = 3;

/** Transactions of a later stage have higher numbers. */
const OPENING_TRANSACTIONS = 2 ** 32;
let openings = 0;

export class Stage implements MapSink {
  readonly machine: MapMachine;
  readonly tables: MapRows;
  /** Effects in order, since `news` was last called. */
  told: string[] = [];
  events: MapEvent[] = [];
  now = 1000;
  /** Whether batches wait for the peer. */
  isPaired = false;
  tombstones: Tombstones = 'none';
  refusal: string | null = null;
  isHandingOver = false;
  /** Nobody may write what begins with it. */
  forbidden: string;
  /** What waits, in bytes, by identity. */
  readonly held = new Map<string, number>();
  /** Nobody may hold more than this. */
  heldMax = Infinity;
  /** Batches at the store. */
  readonly batches: Batch[] = [];
  readonly #connected = new Set<PeerId>();
  #number: number;
  #listing: Listing | null = null;

  constructor({ bytesMax = 1_000_000, tables = new MapRows(), forbidden = '/secret/' } = {}) {
    this.tables = tables;
    this.forbidden = forbidden;
    this.#number = ++openings * OPENING_TRANSACTIONS;
    const refusal = (): string | null => this.refusal;
    const isHandingOver = (): boolean => this.isHandingOver;
    this.machine = new MapMachine(
      {
        bytesMax,
        mayWrite: (_, key) => !key.toString().startsWith(this.forbidden),
        mayHold: (identity, bytes) => (this.held.get(identity) ?? 0) + bytes <= this.heldMax,
        held: (identity, change) => {
          const bytes = (this.held.get(identity) ?? 0) + change;
          if (bytes === 0) this.held.delete(identity);
          else this.held.set(identity, bytes);
        },
      },
      {
        now: () => this.now,
        sink: this,
        store: {
          listMap: (after, completion) => {
            this.#listing = { after, completion };
          },
        },
        replica: {
          get refusal() {
            return refusal();
          },
          get isHandingOver() {
            return isHandingOver();
          },
          commit: (changes, outcome) => this.#commit(changes, outcome),
        },
        events: {
          emit: (event) => {
            this.events.push(event);
          },
        },
      },
    );
  }

  /** A stage whose machine has loaded everything and serves. */
  static serving(options: ConstructorParameters<typeof Stage>[0] = {}, epoch = 1): Stage {
    const stage = new Stage(options);
    stage.load();
    stage.activate(epoch);
    stage.news();
    return stage;
  }

  #commit(changes: readonly MapRecord[], outcome: RankedOutcome): boolean {
    this.batches.push({ number: this.#number++, changes, outcome });
    return this.isPaired;
  }

  /** All records of the store are read. */
  load(): void {
    this.machine.open();
    while (this.listOne()) {
      // Until there is nothing to read.
    }
  }

  /** The store answers one reading. Returns false if there is none. */
  listOne(): boolean {
    const listing = this.#listing;
    if (listing === null) return false;
    this.#listing = null;
    listing.completion.done(this.tables.list(listing.after, LISTED_MAX));
    return true;
  }

  listFails(): void {
    const { completion } = present(this.#listing, 'a reading');
    this.#listing = null;
    completion.failed({ kind: 'busy', message: 'locked' });
  }

  activate(epoch: number): void {
    this.machine.activate(epoch, this.now);
    this.turn();
  }

  // ---------------------------------------------------------------- time and store

  /** Time passes, and the turn ends. */
  turn(ms = 0): void {
    this.now += ms;
    for (let turns = 0; this.machine.run(this.now); turns++) {
      if (turns > 10_000) throw new Error('it never ends');
    }
  }

  /** Time passes, with a turn every second. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) this.turn(Math.min(left, 1000));
  }

  /** The turn ends, and all that the store has got is committed. */
  commit(): void {
    this.turn();
    while (this.batches.length > 0) {
      this.commitOne();
      this.turn();
    }
  }

  /** The store commits its batch; the peer may have it later. */
  commitOne(): RankedOutcome {
    const { number, changes, outcome } = present(this.batches.shift(), 'a batch');
    const { tombstones } = this;
    this.tables.change({ number, tombstones, holds: null, peerHolds: 0 }, changes);
    this.machine.tombstoneBytesChanged(this.tables.tombstoneBytes);
    outcome.done(null);
    return outcome;
  }

  fail(failure = FULL): void {
    present(this.batches.shift(), 'a batch').outcome.failed(failure);
  }

  /** A transaction of another kind gets a number. */
  takeNumber(): number {
    return this.#number++;
  }

  // ---------------------------------------------------------------- peers

  /** KVSET; an empty value deletes. */
  set(key: string, value: string | Buffer, options: SetOptions = {}): void {
    const { uuid = '', ttl, properties, writer = 'w' } = options;
    const text = properties ?? (ttl === undefined ? '' : `ttl=${ttl}\n`);
    this.kvset([key, 'x', Buffer.from(uuidText(uuid), 'latin1'), text, value], writer);
  }

  kvset(frames: readonly (string | Buffer)[], writer = 'w'): void {
    this.machine.kvset(peerOf(writer), Frames.of(...frames), this.now);
  }

  /** The commands of one change until it is published. */
  put(key: string, value: string | Buffer, options: SetOptions = {}): void {
    this.set(key, value, options);
    this.commit();
  }

  connect(peer: PeerId, identity = `ip:${peer}`): void {
    this.#connected.add(peer);
    this.machine.snapshots.connected(peer, peerOf(identity));
  }

  /** ICANHAZ; the peer connects if it has not. */
  ask(peer: PeerId, subtree = '', identity = `ip:${peer}`): void {
    if (!this.#connected.has(peer)) this.connect(peer, identity);
    this.say(peer, 'ICANHAZ?', subtree);
  }

  say(peer: PeerId, ...frames: readonly string[]): void {
    this.machine.message(peer, Frames.of(...frames), this.now);
  }

  /** What a new client has after a snapshot, and the number of its end. */
  wholeMap(subtree = ''): { readonly map: object; readonly number: string } {
    const before = this.told;
    this.told = [];
    this.connect(999);
    this.say(999, 'ICANHAZ?', subtree);
    this.turn();
    this.machine.snapshots.disconnected(999);
    const lines = this.told.filter((line) => line.startsWith('999 '));
    this.told = [...before, ...this.told.filter((line) => !line.startsWith('999 '))];
    const end = lines.pop() ?? 'no end';
    const pairs = lines.map((line) => (line.split(' ')[2] ?? '').split('='));
    return { map: Object.fromEntries(pairs) as object, number: end.split(' ')[2] ?? '' };
  }

  // ---------------------------------------------------------------- effects

  publish(frames: Frames): void {
    this.told.push(shown(frames));
  }

  greet(subscriber: PeerId, frames: Frames): void {
    this.told.push(`${subscriber} ${shown(frames)}`);
  }

  closeSubscribers(): void {
    this.told.push('subscribers closed');
  }

  snapshot(peer: PeerId, frames: Frames): void {
    this.told.push(`${peer} ${shown(frames)}`);
  }

  close(peer: PeerId): void {
    this.told.push(`${peer} closed`);
  }

  vote(): void {
    this.told.push('vote');
  }

  /** What has been told since the last call, without HUGZ to all. */
  news(): string[] {
    const { told } = this;
    this.told = [];
    return told.filter((line) => line !== 'HUGZ 0.0');
  }
}

const NUMBERED = /^([a-z])(\d+)$/;

/** A letter stands for sixteen of them, a letter and a number for that change of the writer with this letter. */
export function uuidText(short: string): string {
  const [, letter, number] = NUMBERED.exec(short) ?? [];
  if (letter === undefined) return short.repeat(16);
  const bytes = Buffer.alloc(16, letter);
  bytes.writeUIntBE(Number(number), 0, 6);
  bytes.writeUIntBE(0x8c1280, 6, 3);
  return bytes.toString('latin1');
}

function uuidShown(text: string): string {
  const last = text.slice(-1);
  if (text === last.repeat(16)) return last;
  const number = Buffer.from(text, 'latin1').readUIntBE(0, 6);
  return text === uuidText(`${last}${number}`) ? `${last}${number}` : text;
}

function peerOf(identity: string): MapPeer {
  const key = identity.startsWith('key:') ? identity.slice('key:'.length) : null;
  return { identity, key, address: '127.0.0.1' };
}

/** `epoch.counter key=value uuid properties`, or `HUGZ number`, `KTHXBAI number subtree`. */
function shown(frames: Frames): string {
  const [key = '', number = Buffer.alloc(8), uuid = '', properties = '', value = ''] =
    frames.copyFrom(0);
  const { epoch, counter } = readNumber(number, 0);
  const name = String(key);
  const no = `${epoch}.${counter}`;
  if (name === 'HUGZ') return `HUGZ ${no}`;
  if (name === 'KTHXBAI') return `KTHXBAI ${no} ${String(value)}`.trim();
  const short = uuidShown(Buffer.from(uuid).toString('latin1'));
  const rest = [short, String(properties).trim()].filter((part) => part !== '');
  return [`${no} ${name}=${String(value)}`, ...rest].join(' ');
}
