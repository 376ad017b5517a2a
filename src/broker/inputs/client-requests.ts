/**
 * Handles the requests of clients: checks quota, rights, whether this node serves and the limits,
 * in this order, and refuses or accepts the request.
 */
import { Frames } from '../../core/frames.js';
import { packedBytes, unpack } from '../../core/packed.js';
import { Inbound } from '../../wire/inbound.js';
import { allows, mayBeClient, mayRequest } from '../admission/access.js';
import { type HeldMessage, HeldMessages } from '../admission/held-messages.js';
import { NO_RIGHT, NO_WORKER, TOO_FAST, tooLarge } from '../admission/refusal.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import type { InternalRequests } from '../lifecycle/internal-requests.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import type { Replies } from '../lifecycle/replies.js';
import type { InternalRequest, InternalService } from '../ports.js';
import type { Peer } from '../state/entities.js';
import { packedEnvelope } from '../state/hellos.js';
import { readMessage, serviceOf } from './reading.js';
import { PeerAsker } from './peer-asker.js';

export class ClientRequests {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #internalRequests: InternalRequests;
  readonly #lifecycle: Lifecycle;
  /** Requests held until it is known whether another broker has a worker (D65). */
  readonly #awaitingSearch = new HeldMessages();

  constructor(
    data: BrokerData,
    replies: Replies,
    internalRequests: InternalRequests,
    lifecycle: Lifecycle,
  ) {
    this.#data = data;
    this.#replies = replies;
    this.#internalRequests = internalRequests;
    this.#lifecycle = lifecycle;
  }

  request(peer: Peer, inbound: Inbound, now: number): void {
    const internal = this.#data.internals.of(inbound.frames, inbound.service);
    peer.identity.received++;
    if (!peer.identity.takesRequest(now)) {
      this.#replies.refuse(inbound, peer, TOO_FAST, internal !== null);
      return;
    }
    this.#afterQuota(peer, inbound, internal, now);
  }

  /** Refuses a message over the limits: only the frames before the body are here (D100). */
  tooLarge(peer: Peer, inbound: Inbound, reason: string): void {
    const isInternal = this.#data.internals.of(inbound.frames, inbound.service) !== null;
    peer.identity.received++;
    this.#replies.refuse(inbound, peer, tooLarge(reason), isInternal);
  }

  /** 10/FLP: only a node that serves answers, so that clients use another one (D38). */
  ping(peer: Peer): void {
    const { grants } = peer;
    if (this.#data.admission.isOpen && allows(grants, 'client', serviceOf(peer))) {
      this.#replies.pong(peer);
    }
  }

  #afterQuota(peer: Peer, inbound: Inbound, internal: InternalService | null, now: number): void {
    // `mmi.*` is answered on every listener, for every peer, in every state.
    if (internal?.answersWorkers !== true && !this.#isAdmitted(peer, inbound, internal)) return;
    if (internal === null) this.#toWorkers(peer, inbound, now);
    else this.#toInternal(internal, peer, inbound, now);
  }

  /** Whether a request is admitted; if not, it was refused or is held. */
  #isAdmitted(peer: Peer, inbound: Inbound, internal: InternalService | null): boolean {
    const { admission } = this.#data;
    const isInternal = internal !== null;
    const isAllowed = isInternal
      ? mayBeClient(peer.grants)
      : mayRequest(peer.grants, inbound.frames, inbound.service);
    if (!isAllowed) {
      this.#replies.refuse(inbound, peer, NO_RIGHT, isInternal);
      return false;
    }
    if (admission.isOpen) return true;
    const decision = admission.decide(inbound, peer, isInternal);
    if (decision === 'admitted') return true;
    if (decision !== 'held') this.#replies.refuse(inbound, peer, decision, isInternal);
    return false;
  }

  #toWorkers(peer: Peer, inbound: Inbound, now: number): void {
    const { services, limits, requests } = this.#data;
    const { frames, service: at } = inbound;
    let service = services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const isServed = service !== null && service.workers.size + service.remotes.size > 0;
    if (!isServed && this.#isUnserved(inbound, peer, now)) {
      const name = frames.view(at);
      const found = this.#data.interconnect?.seek(name) ?? 'absent';
      const isHeld =
        found === 'unknown' && this.#awaitingSearch.add(inbound.received, peer, keyOf(name));
      if (isHeld) return;
      if (found === 'absent') {
        this.#replies.refuse(inbound, peer, NO_WORKER, false);
        return;
      }
    }
    const bytes =
      packedBytes(frames, 0, inbound.envelopeFrames) +
      packedBytes(frames, inbound.contentFrom, frames.count);
    const refusal = limits.ofRequest(service, bytes, peer.identity);
    if (refusal !== null) {
      this.#replies.refuse(inbound, peer, refusal, false);
      return;
    }
    if (service === null) service = services.add(frames.view(at), peer.identity);
    else if (service.namedBy === null) services.use(service, peer.identity);
    this.#lifecycle.accept(requests.add(inbound, peer, now), service);
    const isPacked = frames.isPacked || peer.dialect !== null;
    if (isPacked && inbound.envelopeFrames <= 1 && inbound.headers < 0) {
      const { dialect, enveloped, envelopeFrames } = inbound;
      peer.lastForm = service.form(dialect, enveloped, envelopeFrames);
      peer.lastService = service;
    }
  }

  /** The service has no worker, and the client does not want to wait for one (D65). */
  #isUnserved(inbound: Inbound, { hellos }: Peer, now: number): boolean {
    if (hellos.isEmpty) return false;
    const envelope = packedEnvelope(inbound);
    const hello = hellos.of(envelope, 0, envelope.length);
    if (hello?.refusesToWait !== true) return false;
    return this.#data.absence.isCertain(inbound.frames.view(inbound.service), now);
  }

  #toInternal(internal: InternalService, peer: Peer, inbound: Inbound, now: number): void {
    const { limits, output } = this.#data;
    const { frames, service, headers, body } = inbound;
    // What is for all is answered at once, even if its sender has used up its quota.
    const identity = internal.answersWorkers === true ? null : peer.identity;
    const name = frames.view(service);
    const isQuery = internal.onlyAsks?.(name) === true;
    const refusal = limits.ofInternal(inbound, identity, isQuery);
    if (refusal !== null) {
      this.#replies.refuse(inbound, peer, refusal, true);
      return;
    }
    const id = this.#internalRequests.accept(inbound, peer, isQuery);
    peer.asker ??= new PeerAsker(peer, output);
    const request: InternalRequest = {
      id,
      service: name,
      frames,
      headers,
      body,
      asker: peer.asker,
    };
    internal.request(request, this.#internalRequests, now);
  }

  /** Decides again about the requests that are held, after the state of admission was set. */
  releaseHeld(now: number): void {
    this.#readmit(this.#data.admission.held.take(), now);
  }

  /** Decides again about those for a service that may now be known to have no worker anywhere. */
  seekAnswered(service: Buffer, now: number): void {
    this.#readmit(this.#awaitingSearch.take(keyOf(service)), now);
  }

  #readmit(held: readonly HeldMessage[], now: number): void {
    const { identities, peers, internals } = this.#data;
    const inbound = new Inbound();
    const frames = new Frames();
    for (const { peer, packed } of held) {
      identities.releaseIfUnused(peer.identity);
      // The peer disconnected, and its held requests end with it.
      if (!peers.has(peer) || peer.closing) continue;
      frames.clear();
      unpack(packed, 0, packed.length, frames);
      readMessage(inbound, peer, frames);
      const internal = internals.of(inbound.frames, inbound.service);
      this.#afterQuota(peer, inbound, internal, now);
    }
  }
}

/** The name of a service as text, one character per byte. */
function keyOf(service: Buffer): string {
  return service.toString('latin1');
}
