import { Client, type Peer, type Service, type Worker } from './entities.js';
import type { Identity } from './identities.js';
import { CLIENT, NONE, type RequestTable } from './request-table.js';

/**
 * The clients that the broker owes replies. A client ends with its connection, unless it has a session (D116), or
 * chose its own routing id and may reconnect under it (D26): then it still gets its replies.
 */
export class Clients {
  readonly #byId: (Client | null)[] = [];
  readonly #freeIds: number[] = [];
  readonly #away = new Map<string, Client>();
  readonly #table: RequestTable;
  #forgotten = 0;

  constructor(table: RequestTable) {
    this.#table = table;
  }

  /** Does not count clients that will not return and only have requests at workers. */
  get count(): number {
    return this.#byId.length - this.#freeIds.length - this.#forgotten;
  }

  *all(): IterableIterator<Client> {
    for (const client of this.#byId) if (client !== null) yield client;
  }

  /** @param id the CLIENT field of a request; -1 gives `null` */
  byId(id: number): Client | null {
    return this.#byId[id] ?? null;
  }

  /**
   * Which workers have requests of whom.
   * @param most workers that are told of one identity
   * @param looks services, workers and requests that are examined at most
   */
  holders(
    services: Iterable<Service>,
    most: number,
    looks: number,
  ): ReadonlyMap<Identity, ReadonlySet<Worker>> {
    const found = new Map<Identity, Set<Worker>>();
    let left = looks;
    for (const { workers } of services) {
      for (const worker of workers) {
        for (let id = worker.held.head; id !== NONE; id = worker.held.next(id)) {
          if (left-- <= 0) return found;
          const identity = this.byId(this.#table.get(id, CLIENT))?.identity;
          if (identity === undefined) continue;
          const holding = found.get(identity) ?? new Set();
          if (holding.size < most) found.set(identity, holding.add(worker));
        }
        if (left-- <= 0) return found;
      }
      if (left-- <= 0) return found;
    }
    return found;
  }

  /** The client behind a connection, made at its first request. */
  of(peer: Peer): Client {
    return (peer.client ??= this.#make(peer, peer.name));
  }

  /** Makes a further client behind a connection, which does not come back under the routing id of that. */
  add(peer: Peer): Client {
    const client = this.#make(peer, null);
    (peer.others ??= new Set()).add(client);
    return client;
  }

  #make(peer: Peer, name: string | null): Client {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const client = new Client(id, peer, name, this.#table);
    this.#byId[id] = client;
    return client;
  }

  /** A named peer connected: it takes over what it left behind. */
  rejoin(peer: Peer): void {
    if (peer.name === null) return;
    const client = this.#away.get(peer.name);
    if (client !== undefined) this.become(client, peer);
  }

  /** The client is the one of this connection now, which may have had another one. */
  become(client: Client, peer: Peer): void {
    const before = peer.client;
    peer.client = client;
    this.move(client, peer);
    if (before === null || before === client) return;
    (peer.others ??= new Set()).add(before);
    this.#releasedIfDone(before);
  }

  /** The client is behind this connection now. */
  move(client: Client, peer: Peer): void {
    if (client.name !== null) this.#forgetName(client.name, client);
    client.peer?.others?.delete(client);
    if (peer.client !== client) (peer.others ??= new Set()).add(client);
    client.peer = peer;
    client.address = peer.address;
    client.grants = peer.grants;
    client.slow = false;
  }

  /**
   * Takes note that a connection ended.
   * @returns the client if its waiting requests are now to be dropped
   */
  leave(peer: Peer): Client | null {
    const client = peer.client;
    if (client === null) return null;
    peer.client = null;
    // The session may have moved to another connection.
    if (client.peer === peer) client.peer = null;
    return client.peer === null ? this.depart(client) : null;
  }

  /** As `leave`, for the further clients behind it. */
  *othersLeave(peer: Peer): Generator<Client, undefined> {
    const { others } = peer;
    peer.others = null;
    for (const client of others ?? []) {
      if (client.peer !== peer) continue;
      client.peer = null;
      const departed = this.depart(client);
      if (departed !== null) yield departed;
    }
  }

  /**
   * The client has no connection.
   * @returns the client if it will not return, and its waiting requests are now to be dropped
   */
  depart(client: Client): Client | null {
    if (this.#releasedIfDone(client)) return null;
    if (client.name !== null) this.#away.set(client.name, client);
    if (client.name !== null || client.session !== null) return null;
    client.departed = true;
    return client;
  }

  /**
   * The client will not return and none of its requests wait. Requests at workers continue (D26).
   */
  forget(client: Client): void {
    if (!client.departed || client.isForgotten || this.#byId[client.id] !== client) return;
    if (this.#releasedIfDone(client)) return;
    client.isForgotten = true;
    this.#forgotten++;
  }

  /** A request of this client, or its session, ended. */
  requestEnded(client: Client): void {
    this.#releasedIfDone(client);
  }

  #releasedIfDone(client: Client): boolean {
    if (client.requests.count > 0 || client.session !== null) return false;
    if (client.peer?.client === client) return false;
    if (this.#byId[client.id] !== client) return false;
    client.peer?.others?.delete(client);
    if (client.isForgotten) this.#forgotten--;
    this.#byId[client.id] = null;
    this.#freeIds.push(client.id);
    if (client.name !== null) this.#forgetName(client.name, client);
    return true;
  }

  /** The client does not come back under its routing id. (A second connection may also have left requests under it.) */
  #forgetName(name: string, client: Client): void {
    if (this.#away.get(name) === client) this.#away.delete(name);
  }
}
