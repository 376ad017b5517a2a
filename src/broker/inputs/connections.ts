/** Handles what becomes of connections, and changes to the rights of their keys. */
import type { RejectionKind } from '../../core/event-fields.js';
import { assert } from '../../core/assert.js';
import { BARE, DELIMITED } from '../../wire/dialect.js';
import { allows } from '../admission/access.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import type { ClientScans } from '../lifecycle/client-scans.js';
import type { Registrations } from '../lifecycle/registrations.js';
import type { Resumptions } from '../lifecycle/resumptions.js';
import type { PeerIdentity } from '../options.js';
import { EVERYTHING } from '../rights.js';
import { Grants, Peer } from '../state/entities.js';

const KEY_REMOVED = 'its key was removed from the keys file';

export class Connections {
  readonly #data: BrokerData;
  readonly #clientScans: ClientScans;
  readonly #resumptions: Resumptions;
  readonly #registrations: Registrations;

  constructor(
    data: BrokerData,
    clientScans: ClientScans,
    resumptions: Resumptions,
    registrations: Registrations,
  ) {
    this.#data = data;
    this.#clientScans = clientScans;
    this.#resumptions = resumptions;
    this.#registrations = registrations;
  }

  connected(id: number, given: PeerIdentity, now: number): void {
    const { peers, options, identities, clients } = this.#data;
    assert(peers.find(id) === null, 'a peer connects once');
    const { listener, routingId, key, address } = given;
    const rights = key === null ? null : (options.rightsOf?.(listener, key) ?? null);
    const identity = identities.join(given.identity, key, rights?.quota ?? null);
    // D70: another identity with this routing id is a different client.
    const name = given.ownRoutingId ? `${identity.name} ${routingId.toString('latin1')}` : null;
    const grants = new Grants(options.listeners[listener] ?? EVERYTHING, rights);
    const peer = new Peer(id, listener, name, identity, address, grants);
    peer.publicKey = given.publicKey ?? null;
    peers.add(peer);
    clients.rejoin(peer);
    if (peer.client !== null && peer.client.session !== null) {
      this.#resumptions.rejoined(peer.client.session, peer);
    }
    if (grants.rules.service !== null) this.#joinService(peer, given.socketType, now);
  }

  /** Prepares a peer of a listener for one service (D30, D36, D37). */
  #joinService(peer: Peer, socketType: string | undefined, now: number): void {
    const isForWorkers = peer.grants.rules.client.isNone;
    if (!isForWorkers) peer.dialect = socketType === 'ROUTER' ? BARE : DELIMITED;
    else if (socketType === 'REQ') this.#data.revivals.connected(peer, now);
  }

  disconnected(peer: Peer, now: number): void {
    const { revivals, clients, peers, identities } = this.#data;
    revivals.forget(peer);
    // D15: counted as an expiry, because the worker did not announce that it leaves.
    if (peer.worker !== null) this.#registrations.remove(peer.worker, 'connection', now);
    const ran = this.#data.earlierRuns.left(peer);
    if (ran !== null) this.#data.services.releaseIfUnused(ran);
    this.#resumptions.left(peer, now);
    const departed = clients.leave(peer);
    if (departed !== null) this.#clientScans.departed(departed);
    for (const other of clients.othersLeave(peer)) this.#clientScans.departed(other);
    peers.remove(peer);
    peer.identity.hellos -= peer.hellos.count;
    peer.hellos.clear();
    peer.options?.clear();
    peer.identity.proxies.delete(peer.id);
    identities.leave(peer.identity);
  }

  /** The peer does not read: its output has reached `limits.outputBytes`. */
  outputFull(peer: Peer): void {
    const { workers, events, sink } = this.#data;
    peer.full = true;
    if (peer.worker !== null) {
      workers.fullChanged(peer.worker);
      return;
    }
    if (peer.closing) return;
    peer.closing = true;
    if (peer.client !== null) peer.client.slow = true;
    const { key, address } = peer;
    events.emit({ name: 'client.closed', reason: 'slow_client', key, address });
    sink.close(peer.id);
  }

  drained(peer: Peer): void {
    peer.full = false;
    if (peer.worker !== null) this.#data.workers.fullChanged(peer.worker);
  }

  /** The transport ended a connection because of what it received on it. */
  rejected(
    listener: number,
    kind: RejectionKind,
    reason: string,
    { address, key }: { readonly address: string; readonly key: string | null },
  ): void {
    const { counters, events } = this.#data;
    counters.connectionsRejected[kind]++;
    if (kind === 'too_large') counters.malformed.too_large++;
    events.emit({ name: 'connection.rejected', listener, kind, reason, address, key });
  }

  /**
   * A key is no longer valid: the connections that use it end (D73).
   * @param publicKey in hexadecimal; connections of the same name with another key stay
   */
  revoke(listener: number, publicKey: string): void {
    for (const peer of this.#data.peers.all()) {
      if (peer.publicKey !== publicKey || peer.listener !== listener || peer.closing) continue;
      peer.closing = true;
      this.rejected(listener, 'key', KEY_REMOVED, peer);
      this.#resumptions.endAll(peer);
      this.#data.sink.close(peer.id);
    }
  }

  /**
   * The rights of a key changed. What the key may no longer do ends: its workers are disconnected and
   * its waiting requests are refused (D73). What it stored stays.
   * @param key the name of the key
   */
  rightsChanged(key: string, now: number): void {
    const { peers, identities, clients } = this.#data;
    for (const peer of peers.all()) {
      if (peer.key !== key) continue;
      const { grants, worker, identity } = peer;
      grants.lastAllowed = null;
      peer.lastForm = null;
      const quota = grants.rights?.quota ?? null;
      if (quota !== identity.quota) identities.refresh(identity, quota);
      if (worker === null || allows(grants, 'worker', worker.service.name)) continue;
      this.#registrations.disconnect(worker, 'rights', now);
    }
    for (const client of clients.all()) {
      if (client.identity.key === key) this.#clientScans.rightsChanged(client);
    }
  }
}
