import type { Socket } from 'node:net';

/** Open connections of one address. */
export const OF_ADDRESS_MAX = 64;

/** The descriptors of the process that its listeners share. */
export interface Descriptors {
  readonly hasRoom: boolean;
  /** Notes that one more descriptor is used, or one less. */
  count(change: 1 | -1): void;
}

export interface ConnectionsOptions {
  /** Open connections in all. */
  readonly max: number;
  /** Open connections of one address, or of one token. */
  readonly ofGroupMax: number;
  /** A connection whose request is being answered makes no room for another: who admits asks `fullFor` before. */
  readonly closesOnlyIdle: boolean;
  /** How many connections need none of the shared descriptors. */
  readonly own: number;
  /** `null`: there are none. */
  readonly descriptors: Descriptors | null;
}

/** Idle or with half a request; being answered; getting a streamed answer. */
export type Stage = 'waiting' | 'answered' | 'streaming';
const STAGES: readonly Stage[] = ['waiting', 'answered', 'streaming'];

/** Identifies a connection. Over TLS, requests have another socket than the accepted one. */
type Key = string | Socket;

interface Slot {
  readonly key: Key;
  readonly socket: Socket;
  readonly name: string;
  readonly group: Group;
  stage: Stage;
}

/** The connections of one address, or of one token, by stage, in the order in which they entered it. */
type Group = Readonly<Record<Stage, Set<Slot>>>;

/**
 * Bounds the number of connections. A new one is always accepted, so that nobody can block `/livez`
 * by holding connections. If there are too many, the one that has been idle or in half a request
 * for longest is closed; if all are being answered, the oldest of those.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #groups = new Map<string, Group>();
  readonly #slots = new Map<Key, Slot>();
  #count = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /**
   * @param socket the accepted one, even if TLS runs over it
   * @param name of its group: an address, or that of a token
   */
  admit(socket: Socket, name: string): void {
    const group = this.#groups.get(name) ?? emptyGroup();
    if (sizeOf(group) >= this.#options.ofGroupMax) this.#evict(group);
    else if (this.#isFull) this.#evict(this.#largest());
    // A group that has lost its only connection is not there any more.
    this.#groups.set(name, group);
    const slot: Slot = { key: keyOf(socket), socket, name, group, stage: 'waiting' };
    group.waiting.add(slot);
    this.#slots.set(slot.key, slot);
    this.#change(1);
    socket.once('close', () => this.#forget(slot));
  }

  /** The name of the group that it is in; `null`: none. */
  nameOf(socket: Socket): string | null {
    return this.#slots.get(keyOf(socket))?.name ?? null;
  }

  /** Forgets a connection, which belongs elsewhere now. @returns the accepted socket; `null`: it is not here */
  release(socket: Socket): Socket | null {
    const slot = this.#slots.get(keyOf(socket));
    if (slot === undefined) return null;
    this.#forget(slot);
    return slot.socket;
  }

  /**
   * Why one more request may not be answered beside those that are: too many of its group, or of all.
   * @param isNew its connection is not here yet
   */
  fullFor(name: string, isNew: boolean): 'group' | 'all' | null {
    const group = this.#groups.get(name);
    if (group !== undefined && busy(group) >= this.#options.ofGroupMax) return 'group';
    let all = 0;
    for (const each of this.#groups.values()) all += busy(each);
    const isFull = all >= this.#options.max || (isNew && this.#isFull && all >= this.#count);
    return isFull ? 'all' : null;
  }

  get #isFull(): boolean {
    const { max, own, descriptors } = this.#options;
    return this.#count >= max || (this.#count >= own && descriptors?.hasRoom === false);
  }

  /** Notes the new stage of a connection. Ignores evicted ones. */
  moved(socket: Socket, stage: Stage): void {
    const slot = this.#slots.get(keyOf(socket));
    if (slot === undefined) return;
    slot.group[slot.stage].delete(slot);
    slot.stage = stage;
    slot.group[stage].add(slot);
  }

  /** The group with the most connections loses one: groups with few keep theirs. */
  #largest(): Group {
    const { closesOnlyIdle } = this.#options;
    let found = emptyGroup();
    for (const group of this.#groups.values()) {
      if (closesOnlyIdle && group.waiting.size === 0) continue;
      if (sizeOf(group) > sizeOf(found)) found = group;
    }
    return found;
  }

  #evict(group: Group): void {
    for (const stage of STAGES) {
      for (const slot of group[stage]) {
        this.#forget(slot);
        slot.socket.destroy();
        return;
      }
    }
  }

  #forget(slot: Slot): void {
    // The connection may have been evicted or released before it closes.
    if (slot.group[slot.stage].delete(slot)) {
      this.#slots.delete(slot.key);
      this.#change(-1);
    }
    if (sizeOf(slot.group) === 0 && this.#groups.get(slot.name) === slot.group) {
      this.#groups.delete(slot.name);
    }
  }

  #change(change: 1 | -1): void {
    const { own, descriptors } = this.#options;
    const before = this.#count;
    this.#count += change;
    if (Math.max(before, this.#count) > own) descriptors?.count(change);
  }
}

/** Counts the connections of which a request is being answered. */
function busy({ answered, streaming }: Group): number {
  return answered.size + streaming.size;
}

/** Kept for as long as their sockets. */
const KEYS = new WeakMap<Socket, Key>();

function keyOf(socket: Socket): Key {
  const known = KEYS.get(socket);
  if (known !== undefined) return known;
  const { remoteAddress, remotePort } = socket;
  const key = remotePort === undefined ? socket : `${remoteAddress ?? ''} ${remotePort}`;
  KEYS.set(socket, key);
  return key;
}

function emptyGroup(): Group {
  return { waiting: new Set(), answered: new Set(), streaming: new Set() };
}

function sizeOf({ waiting, answered, streaming }: Group): number {
  return waiting.size + answered.size + streaming.size;
}
