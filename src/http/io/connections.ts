import type { Socket } from 'node:net';

/** Open at once, of one address. */
const OF_ADDRESS_MAX = 64;

/** What a connection does: nothing or half a request; being answered; an answer that goes on. */
type Stage = 'waiting' | 'answered' | 'streaming';
const STAGES: readonly Stage[] = ['waiting', 'answered', 'streaming'];

/** What tells a connection from others. Over TLS requests have another socket than was accepted. */
type Key = string | Socket;

interface Held {
  readonly key: Key;
  readonly socket: Socket;
  readonly group: Group;
  stage: Stage;
}

/** The connections of one address by what they do, each in the order in which they began it. */
type Group = Readonly<Record<Stage, Set<Held>>>;

/**
 * Bounds connections. A new one is always let in: where there are too many, the one goes that has
 * stood still for longest, or has sent half a request for longest; only where all are being answered,
 * the oldest of those. So nobody who holds connections keeps `/livez` from others.
 */
export class Connections {
  readonly #max: number;
  readonly #groups = new Map<string, Group>();
  readonly #held = new Map<Key, Held>();
  #count = 0;

  /** @param max open at once, of all addresses */
  constructor(max: number) {
    this.#max = max;
  }

  /** @param socket as it was accepted, also where TLS is spoken over it */
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

  /** What it does now. An evicted one does nothing any more. */
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
    // One that was evicted is not counted any more.
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

/** Whoever holds most pays: addresses with few connections keep them. */
function largest(groups: ReadonlyMap<string, Group>): Group {
  let found = emptyGroup();
  for (const group of groups.values()) if (sizeOf(group) > sizeOf(found)) found = group;
  return found;
}
