/**
 * What nodes promise of the map (D47 to D54), checked at each of their effects and at each snapshot that a
 * client has.
 */
import {
  isDeletion,
  isSameContent,
  type MapRecord,
  recordOf,
} from '../../../src/extensions/map/machine/record.js';
import { isReservedKey } from '../../../src/extensions/map/machine/service-keys.js';
import { Frames } from '../../../src/core/frames.js';
import {
  compareNumbers,
  isUpTo,
  KEY,
  type MapNumber,
  NUMBER,
  readNumber,
  readProperties,
  PROPERTIES,
  writerOf,
} from '../../../src/wire/chp-client.js';
import { hold } from '../world/failure.js';
import type { Message } from './ports.js';

const MS_PER_S = 1000;
/** For so long a node knows the uuids of changes (D50). */
const KNOWN_MS = 10_000;
const ZERO: MapNumber = { epoch: 0, counter: 0 };

/** A node, as it is when it does something. */
export interface WatchedNode {
  readonly name: string;
  /** It may answer clients. */
  readonly mayAnswer: boolean;
  /** What it shows, another node has on its disk; or there is no other one. */
  readonly isFixing: boolean;
  /** Its disk, and that of its peer while that is in sync. */
  readonly disks: () => readonly (readonly MapRecord[])[];
}

/** A time to live that runs. */
interface Life {
  readonly since: number;
  readonly ttlMs: number;
  /** It was shown without a uuid: not both disks have it (D50). */
  readonly isDoubtful: boolean;
}

/** What is known of one node. */
interface Known {
  last: MapNumber;
  /** By key. */
  readonly lives: Map<string, Life>;
  servingSince: number;
  /** By uuid: the numbers of the changes that it gave to its disk, and when it published each. */
  readonly given: Map<string, string>;
  readonly shownAt: Map<string, number>;
}

/** Lowest numbers, by key, that whoever asks now may be told. */
export type Floors = ReadonlyMap<string, MapNumber>;

export class MapWatch {
  /** Nodes may serve at the same time: numbers need not rise from one to the other. */
  isSplit = false;
  readonly figures = { published: 0, expired: 0, snapshots: 0, fixed: 0, judged: 0 };
  readonly #nodes = new Map<string, Known>();
  readonly #numbers = new Set<string>();
  #last: MapNumber = ZERO;
  /** What both disks have, of what was shown. */
  readonly #floors = new Map<string, MapNumber>();
  readonly #fixedLives = new Map<string, Life>();
  /** When each uuid was first given to a disk, or shown. */
  readonly #firstShown = new Map<string, number>();
  /** The highest number of a deletion, by key, that a node gave to its disk. */
  readonly #deleted = new Map<string, MapNumber>();
  /** By key and writer: the last of its changes that was shown. */
  readonly #furthest = new Map<string, MapRecord>();

  // ---------------------------------------------------------------- effects

  /** It begins to serve: times to live begin anew. */
  serves({ name }: WatchedNode, now: number): void {
    const known = this.#of(name);
    known.servingSince = now;
    for (const each of [known.lives, known.given, known.shownAt]) each.clear();
  }

  /** A message for subscribers. */
  published(node: WatchedNode, message: Message, now: number): void {
    const key = String(message[KEY]);
    hold(node.mayAnswer, `${node.name} publishes ${key}, and does not lead (D53)`);
    if (key === 'HUGZ') return;
    this.figures.published++;
    const change = this.#read(message);
    const known = this.#of(node.name);
    const number = textOf(change);
    hold(!this.#numbers.has(number), `number ${number} is given twice (D48)`);
    this.#numbers.add(number);
    hold(compareNumbers(change, known.last) > 0, `${number} is not above the last one (D48)`);
    known.last = change;
    const isAbove = compareNumbers(change, this.#last) > 0;
    hold(isAbove || this.isSplit, `${number} comes after ${textOf(this.#last)} (D48)`);
    if (isAbove) this.#last = change;
    if (isReservedKey(key)) return;
    const { given, shownAt } = known;
    if (given.get(change.uuid) === number) shownAt.set(change.uuid, now);
    const writer = writerOf(change.uuid);
    const name = `${key} ${writer}`;
    if (writer !== '' && change.uuid > (this.#furthest.get(name)?.uuid ?? '')) {
      this.#furthest.set(name, change);
    }
    this.#isStored(node, change);
    this.#live(node, known, change, now);
  }

  /** What is shown is on the disk; in sync, on both. */
  #isStored(node: WatchedNode, change: MapRecord): void {
    if (change.uuid === '' && !isDeletion(change)) return;
    const { key } = change;
    for (const disk of node.disks()) {
      const here = rowOf(disk, key);
      // A later change of the same batch may be there, or its deletion have left nothing.
      const row = here ?? this.#deleted.get(key) ?? null;
      const isLater = row !== null && compareNumbers(row, change) > 0;
      const isSame = isDeletion(change)
        ? here === null || isDeletion(here)
        : here !== null && isSameContent(here, change);
      const problem = `${node.name} shows ${key} ${textOf(change)}, which is not on a disk (D50)`;
      hold(isSame || isLater, problem);
    }
    if (!node.isFixing) return;
    this.figures.fixed++;
    const row = rowOf(node.disks()[0] ?? [], key);
    // A deletion may have left no tombstone, and a repeated one is not written.
    const floor = row ?? this.#deleted.get(key) ?? ZERO;
    const before = this.#floors.get(key) ?? ZERO;
    if (compareNumbers(floor, before) > 0) this.#floors.set(key, floor);
  }

  #live(node: WatchedNode, known: Known, change: MapRecord, now: number): void {
    const { key, uuid, ttlS } = change;
    // A change that is shown again does not live longer, nor if it was shown without its uuid first.
    const before = known.lives.get(key);
    const shownAt =
      this.#firstShown.get(uuid) ?? (before?.isDoubtful === true ? before.since : now);
    const isDoubtful = uuid === '';
    if (!isDoubtful) this.#firstShown.set(uuid, shownAt);
    const life = { since: isDoubtful ? now : shownAt, ttlMs: ttlS * MS_PER_S, isDoubtful };
    if (isDeletion(change)) {
      known.lives.delete(key);
      this.#fixedLives.delete(key);
      return;
    }
    known.lives.set(key, life);
    if (node.isFixing) this.#fixedLives.set(key, life);
    else this.#fixedLives.delete(key);
  }

  /** A message of a snapshot. */
  answered(node: WatchedNode, message: Message): void {
    const key = String(message[KEY]);
    hold(node.mayAnswer, `${node.name} answers with ${key}, and does not lead (D53)`);
  }

  /** Changes are given to the disk of a node that serves. */
  committing(node: WatchedNode, changes: readonly MapRecord[], now: number): void {
    for (const change of changes) {
      const { key, uuid } = change;
      // All writers here give uuids.
      if (uuid === '') this.#expires(node, change, now);
      else this.#isNew(node, change, now);
      // It may be shown now, after a restart, or never.
      this.#fixedLives.delete(key);
      if (uuid !== '' && !this.#firstShown.has(uuid)) this.#firstShown.set(uuid, now);
      const before = this.#deleted.get(key) ?? ZERO;
      if (isDeletion(change) && compareNumbers(change, before) > 0) this.#deleted.set(key, change);
    }
  }

  #isNew(node: WatchedNode, change: MapRecord, now: number): void {
    const { key, uuid } = change;
    const { given, shownAt } = this.#of(node.name);
    const row = rowOf(node.disks()[0] ?? [], key);
    // Renewals are told as deletions.
    const isBack = row !== null && row.uuid !== uuid && isUpTo(uuid, row.uuid);
    hold(!isBack || isDeletion(change), `${key} goes back at ${node.name} (D121)`);
    const isNew = now >= (shownAt.get(uuid) ?? -Infinity) + KNOWN_MS;
    // A merge brought an earlier change of its writer: the node makes the later one again.
    const isRestored = row !== null && row.uuid !== uuid && isUpTo(row.uuid, uuid);
    hold(isNew || isRestored, `${key} is changed twice by one change at ${node.name} (D50)`);
    given.set(uuid, textOf(change));
  }

  #expires(node: WatchedNode, { key }: MapRecord, now: number): void {
    this.figures.expired++;
    const { lives, servingSince } = this.#of(node.name);
    const own = lives.get(key);
    const fixed = this.isSplit ? undefined : this.#fixedLives.get(key);
    for (const life of [own, fixed]) {
      if (life === undefined) continue;
      hold(life.ttlMs > 0, `${key} expires at ${node.name}, and has no time to live (D51)`);
      hold(now >= life.since + life.ttlMs, `${key} expires too early at ${node.name} (D51)`);
    }
    const row = rowOf(node.disks()[0] ?? [], key);
    if (row === null || own !== undefined) return;
    const least = servingSince + row.ttlS * MS_PER_S;
    hold(now >= least, `${key} expires too early at ${node.name}, which has just begun (D51)`);
  }

  /** Nobody has died, and all is over: of no key there is a change whose writer had a later one of it shown (D121). */
  ends(disk: readonly MapRecord[]): void {
    for (const record of disk) {
      const { key, uuid, value } = record;
      const furthest = this.#furthest.get(`${key} ${writerOf(uuid)}`);
      if (furthest === undefined) continue;
      this.figures.judged++;
      // Nothing is written of a renewal.
      const isThere = uuid >= furthest.uuid || isSameContent(record, furthest);
      hold(isThere, `${key} went back to ${String(value)} (D121)`);
    }
  }

  // ---------------------------------------------------------------- clients

  /** For a client that asks now. */
  floors(): Floors {
    return new Map(this.#floors);
  }

  /** A client has a whole snapshot. */
  snapshot(
    who: string,
    subtree: string,
    content: ReadonlyMap<string, MapRecord>,
    floors: Floors,
  ): void {
    this.figures.snapshots++;
    for (const [key, floor] of floors) {
      if (!key.startsWith(subtree)) continue;
      const record = content.get(key);
      const number = record ?? this.#deleted.get(key) ?? ZERO;
      const is = record === undefined ? 'nothing' : textOf(record);
      hold(
        compareNumbers(number, floor) >= 0,
        `${who} is told ${is} of ${key}: ${textOf(floor)} is lost (D21)`,
      );
    }
  }

  #of(name: string): Known {
    const before = this.#nodes.get(name);
    if (before !== undefined) return before;
    const known: Known = {
      ...{ last: ZERO, lives: new Map(), servingSince: 0, given: new Map(), shownAt: new Map() },
    };
    this.#nodes.set(name, known);
    return known;
  }

  #read(message: Message): MapRecord {
    return readRecord(message);
  }
}

/** A record that was published, or is part of a snapshot. */
export function readRecord(message: Message): MapRecord {
  const { epoch, counter } = readNumber(message[NUMBER] ?? Buffer.alloc(8), 0);
  const ttl = readProperties(String(message[PROPERTIES]));
  const ttlS = typeof ttl === 'number' ? ttl : 0;
  return { ...recordOf(Frames.of(...message), ttlS), epoch, counter };
}

export function textOf({ epoch, counter }: MapNumber): string {
  return `${epoch}.${counter}`;
}

function rowOf(disk: readonly MapRecord[], key: string): MapRecord | null {
  return disk.find((record) => record.key === key) ?? null;
}
