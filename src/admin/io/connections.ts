import type { Socket } from 'node:net';

/** Open connections of one address. */
const OF_ADDRESS_MAX = 64;

/** Idle or with half a request; being answered; getting a streamed answer. */
type Stage = 'waiting' | 'answered' | 'streaming';
const STAGES: readonly Stage[] = ['waiting', 'answered', 'streaming'];

/** Identifies a connection. Over TLS, requests have another socket than the accepted one. */
type Key = string | Socket;

interface Held {
  readonly key: Key;
  readonly socket: Socket;
  readonly group: Group;
  stage: Stage;
}

/** The connections of one address by stage, in the order in which they entered it. */
type Group = Readonly<Record<Stage, Set<Held>>>;

/**
 * Bounds the number of connections. A new one is always accepted, so that nobody can block `/livez`
 * by holding connections. If there are too many, the one that has been idle or in half a request
 * for longest is closed; if all are being answered, the oldest of those.
 */
export class Connections {
  readonly #max: number;
  readonly #groups = new Map<string, Group>();
  readonly #held = new Map<Key, Held>();
  #count = 0;

  /** @param max open connections of all addresses */
  constructor(max: number) {
    this.#max = max;
  }

  /** @param socket the accepted one, even if TLS runs over it */
  admit(socket: Socket): void {
    socket.on('error', () => undefined);
    const address = socket.remoteAddress ?? '';
    const group = this.#groups.get(address) ?? emptyGroup();
    this.#groups.set(address, group);
    if (sizeOf(group) >= OF_ADDRESS_MAX) this.#evict(group);
    else if (this.#count >= this.#max) this.#evict(largest(this.#groups));
    const held: Held = { key: keyOf(socket), socket, group, stage: 'waiting' };
    group.waiting.add(held);
    this.#held.set(held.key, held);
    this.#count++;
    socket.once('close', () => {
      this.#forget(held, address);
    });
  }

  /** Notes the new stage of a connection. Ignores evicted ones. */
  moved(socket: Socket, stage: Stage): void {
    const held = this.#held.get(keyOf(socket));
    if (held === undefined) return;
    held.group[held.stage].delete(held);
    held.stage = stage;
    held.group[stage].add(held);
  }

  #evict(group: Group): void {
    for (const stage of STAGES) {
      for (const held of group[stage]) {
        group[stage].delete(held);
        this.#held.delete(held.key);
        this.#count--;
        held.socket.destroy();
        return;
      }
    }
  }

  #forget(held: Held, address: string): void {
    // An evicted connection is no longer counted.
    if (held.group[held.stage].delete(held)) {
      this.#held.delete(held.key);
      this.#count--;
    }
    if (sizeOf(held.group) === 0 && this.#groups.get(address) === held.group) {
      this.#groups.delete(address);
    }
  }
}

function keyOf(socket: Socket): Key {
  const { remoteAddress, remotePort } = socket;
  return remotePort === undefined ? socket : `${remoteAddress ?? ''} ${remotePort}`;
}

function emptyGroup(): Group {
  return { waiting: new Set(), answered: new Set(), streaming: new Set() };
}

function sizeOf({ waiting, answered, streaming }: Group): number {
  return waiting.size + answered.size + streaming.size;
}

/** The address with the most connections loses one: addresses with few keep theirs. */
function largest(groups: ReadonlyMap<string, Group>): Group {
  let found = emptyGroup();
  for (const group of groups.values()) if (sizeOf(group) > sizeOf(found)) found = group;
  return found;
}
