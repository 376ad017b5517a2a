/** Handles what becomes of connections, and changes to the rights of their keys. */
import { assert } from '../../core/assert.js';
import { BARE, DELIMITED } from '../../wire/dialect.js';
import { allows } from '../admission/access.js';
import type { BrokerCounters } from '../counters.js';
import type { BrokerEvents } from '../events.js';
import type { ClientScans } from '../lifecycle/client-scans.js';
import type { Registrations } from '../lifecycle/registrations.js';
import type { BrokerOptions, PeerIdentity } from '../options.js';
import { EVERYTHING } from '../rights.js';
import type { BrokerSink } from '../sink.js';
import type { Clients } from '../state/clients.js';
import { Grants, Peer } from '../state/entities.js';
import type { Identities } from '../state/identities.js';
import type { Peers } from '../state/peers.js';
import type { Revivals } from '../state/revivals.js';
import type { Workers } from '../state/workers.js';

const KEY_REMOVED = 'its key was removed from the keys file';

export interface ConnectionsDeps {
  readonly options: BrokerOptions;
  readonly sink: BrokerSink;
  readonly events: BrokerEvents;
  readonly counters: BrokerCounters;
  readonly peers: Peers;
  readonly identities: Identities;
  readonly clients: Clients;
  readonly workers: Workers;
  readonly revivals: Revivals;
  readonly scans: ClientScans;
  readonly registrations: Registrations;
}

export class Connections {
  readonly #options: BrokerOptions;
  readonly #sink: BrokerSink;
  readonly #events: BrokerEvents;
  readonly #counters: BrokerCounters;
  readonly #peers: Peers;
  readonly #identities: Identities;
  readonly #clients: Clients;
  readonly #workers: Workers;
  readonly #revivals: Revivals;
  readonly #scans: ClientScans;
  readonly #registrations: Registrations;

  constructor(deps: ConnectionsDeps) {
    this.#options = deps.options;
    this.#sink = deps.sink;
    this.#events = deps.events;
    this.#counters = deps.counters;
    this.#peers = deps.peers;
    this.#identities = deps.identities;
    this.#clients = deps.clients;
    this.#workers = deps.workers;
    this.#revivals = deps.revivals;
    this.#scans = deps.scans;
    this.#registrations = deps.registrations;
  }

  connected(id: number, given: PeerIdentity, now: number): void {
    assert(this.#peers.find(id) === null, 'a peer connects once');
    const { listener, routingId, key, address } = given;
    const rights = key === null ? null : (this.#options.rightsOf?.(listener, key) ?? null);
    const identity = this.#identities.join(given.identity, key, rights?.quota ?? null);
    // D70: another identity with this routing id is a different client.
    const name = given.ownRoutingId ? `${identity.name} ${routingId.toString('latin1')}` : null;
    const grants = new Grants(this.#options.listeners[listener] ?? EVERYTHING, rights);
    const peer = new Peer(id, listener, name, identity, address, grants);
    peer.publicKey = given.publicKey ?? null;
    this.#peers.add(peer);
    this.#clients.rejoin(peer);
    if (grants.rules.service !== null) this.#joinService(peer, given.socketType, now);
  }

  /** On a listener for one service (D30, D36, D37). */
  #joinService(peer: Peer, socketType: string | undefined, now: number): void {
    const isForWorkers = peer.grants.rules.client.isNone;
    if (!isForWorkers) peer.dialect = socketType === 'ROUTER' ? BARE : DELIMITED;
    else if (socketType === 'REQ') this.#revivals.connected(peer, now);
  }

  disconnected(peer: Peer, now: number): void {
    this.#revivals.forget(peer);
    // D15: counted as an expiry, because the worker did not announce that it leaves.
    if (peer.worker !== null) this.#registrations.lose(peer.worker, 'connection', now);
    const departed = this.#clients.leave(peer);
    if (departed !== null) this.#scans.start(departed, 'departed');
    this.#peers.remove(peer);
    peer.identity.hellos -= peer.hellos.count;
    this.#identities.leave(peer.identity);
  }

  /** The peer does not read: its output has reached `limits.outputBytes`. */
  full(peer: Peer): void {
    peer.full = true;
    if (peer.worker !== null) {
      this.#workers.fullChanged(peer.worker);
      return;
    }
    if (peer.closing) return;
    peer.closing = true;
    if (peer.client !== null) peer.client.slow = true;
    this.#events.emit({ name: 'client.closed', reason: 'slow_client' });
    this.#sink.close(peer.id);
  }

  drained(peer: Peer): void {
    peer.full = false;
    if (peer.worker !== null) this.#workers.fullChanged(peer.worker);
  }

  /** The transport ended a connection because of what it received on it. */
  rejected(
    listener: number,
    kind: string,
    reason: string,
    { address, key }: { readonly address: string; readonly key: string | null },
  ): void {
    this.#counters.connectionsRejected++;
    if (kind === 'too_large') this.#counters.malformed.too_large++;
    this.#events.emit({ name: 'connection.rejected', listener, kind, reason, address, key });
  }

  /** See `Broker.revoke`. */
  revoke(listener: number, publicKey: string): void {
    for (const peer of this.#peers.all()) {
      if (peer.publicKey !== publicKey || peer.listener !== listener || peer.closing) continue;
      peer.closing = true;
      this.rejected(listener, 'key', KEY_REMOVED, peer);
      this.#sink.close(peer.id);
    }
  }

  /** See `Broker.rightsChanged`. */
  rightsChanged(key: string, now: number): void {
    for (const peer of this.#peers.all()) {
      if (peer.key !== key) continue;
      const { grants, worker, identity } = peer;
      grants.lastAllowed = null;
      peer.lastForm = null;
      const quota = grants.rights?.quota ?? null;
      if (quota !== identity.quota) this.#identities.refresh(identity, quota);
      if (worker === null || allows(grants, 'worker', worker.service.name)) continue;
      this.#registrations.expel(worker, 'rights', now);
    }
    for (const client of this.#clients.all()) {
      if (client.identity.key === key) this.#scans.start(client, 'rights_changed');
    }
  }
}
