/**
 * Handles the requests of clients: checks quota, rights, whether this node serves and the limits,
 * in this order, and refuses or accepts the request.
 */
import { Frames } from '../../core/frames.js';
import { packedBytes, unpack } from '../../core/packed.js';
import { isVersion02 } from '../../wire/dialect.js';
import { Inbound } from '../../wire/inbound.js';
import { GROUP_BYTES_MAX } from '../../wire/mdp.js';
import {
  NO_REQUEST_OPTIONS,
  readRequestOptions,
  type RequestOptions,
} from '../../wire/request-options.js';
import { allows, mayBeClient, mayRequest } from '../admission/access.js';
import type { HeldMessage } from '../admission/held-messages.js';
import { NO_RIGHT, NO_WORKER, TOO_FAST, tooLarge } from '../admission/refusal.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import type { InternalRequests } from '../lifecycle/internal-requests.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import type { Replies } from '../lifecycle/replies.js';
import type { InternalRequest, InternalService } from '../ports.js';
import type { Peer, Session, KnownHello } from '../state/entities.js';
import { helloOf } from '../state/hellos.js';
import { SERVICE } from '../state/request-table.js';
import { LastOptions } from '../state/last-options.js';
import { readMessage, serviceOf } from './reading.js';
import { PeerAsker } from './peer-asker.js';

const LONG_GROUP = 'a group must be 0 to 255 bytes';
const NO_OPTIONS = 'a request to a service of the broker has neither options nor a group';
const NOT_LATER =
  'the id of a request of a session must be later than those before it, and at most 255 bytes long';

/** A request, and who sent it. */
interface Arrived {
  readonly peer: Peer;
  readonly inbound: Inbound;
  /** What its sender said about itself before. */
  readonly hello: KnownHello | null;
  /** The service of this process that it is for; `null`: it is for workers. */
  readonly internal: InternalService | null;
}

export class ClientRequests {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #internalRequests: InternalRequests;
  readonly #lifecycle: Lifecycle;

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
    const hello = helloOf(inbound, peer.hellos);
    peer.identity.received++;
    const session = hello?.session ?? null;
    if (internal === null && session !== null && !takesNext(session, inbound, now)) {
      // The request has arrived before, or its sender counts wrongly.
      this.#malformed({ peer, inbound }, inbound.envelopeFrames - 1, NOT_LATER, true, null);
    } else if (peer.identity.takesRequest(now)) {
      this.#afterQuota({ peer, inbound, hello, internal }, now);
    } else {
      this.#replies.refuse(inbound, peer, hello, TOO_FAST, internal !== null);
    }
  }

  /**
   * A request breaks a rule that only its sender can keep.
   * @param at index of the frame that breaks it
   * @param session keeps the refusal if its sender is away
   */
  #malformed(
    { peer, inbound }: Pick<Arrived, 'peer' | 'inbound'>,
    at: number,
    rule: string,
    isTold: boolean,
    session: Session | null,
  ): void {
    const { counters, events } = this.#data;
    const { frames, service } = inbound;
    const { key, address } = peer;
    const name = frames.view(service);
    inbound.reject('client', at, rule);
    counters.malformed.client++;
    events.emit({ name: 'message.malformed', ...inbound.fault, key, address });
    if (isTold) this.#replies.refuseMalformed(inbound, peer, name, rule, session);
  }

  /** Reads the options of a request (D117). @returns false if they were refused */
  #takesOptions(request: Arrived): boolean {
    const { peer, inbound, hello, internal } = request;
    const { frames, options: at } = inbound;
    const options = optionsOf(peer, frames, at);
    const isPlain = frames.size(at) + frames.size(at + 1) === 0;
    let fault: string | null = null;
    if (internal !== null && !isPlain) fault = NO_OPTIONS;
    else if (typeof options === 'string') fault = options;
    else if (frames.size(at + 1) > GROUP_BYTES_MAX) fault = LONG_GROUP;
    else inbound.once = options.once;
    if (fault === null) return true;
    const index = fault === LONG_GROUP ? at + 1 : at;
    const session = internal === null ? (hello?.session ?? null) : null;
    this.#malformed(request, index, fault, hello !== null, session);
    return false;
  }

  /** Refuses a message over the limits: only the frames before the body are here (D100). */
  tooLarge(peer: Peer, inbound: Inbound, reason: string, now: number): void {
    const isInternal = this.#data.internals.of(inbound.frames, inbound.service) !== null;
    const hello = helloOf(inbound, peer.hellos);
    peer.identity.received++;
    const session = hello?.session ?? null;
    if (!isInternal && session !== null) takesNext(session, inbound, now);
    this.#replies.refuse(inbound, peer, hello, tooLarge(reason), isInternal);
  }

  /** 10/FLP: only a node that serves answers, so that clients use another one (D38). */
  ping(peer: Peer): void {
    const { grants } = peer;
    if (this.#data.admission.isOpen && allows(grants, 'client', serviceOf(peer))) {
      this.#replies.pong(peer);
    }
  }

  #afterQuota(request: Arrived, now: number): void {
    const { inbound, internal } = request;
    if (inbound.options >= 0 && !this.#takesOptions(request)) return;
    // `mmi.*` is answered on every listener, for every peer, in every state.
    if (internal?.answersWorkers !== true && !this.#isAdmitted(request)) return;
    if (internal === null) this.#toWorkers(request, now);
    else this.#toInternal(internal, request, now);
  }

  /** Whether a request is admitted; if not, it was refused or is held. */
  #isAdmitted({ peer, inbound, hello, internal }: Arrived): boolean {
    const { admission } = this.#data;
    const isInternal = internal !== null;
    const isAllowed = isInternal
      ? mayBeClient(peer.grants)
      : mayRequest(peer.grants, inbound.frames, inbound.service);
    if (!isAllowed) {
      this.#replies.refuse(inbound, peer, hello, NO_RIGHT, isInternal);
      return false;
    }
    if (admission.isOpen) return true;
    const decision = admission.decide(inbound, peer, hello, isInternal);
    if (decision === 'admitted') return true;
    if (decision !== 'held') this.#replies.refuse(inbound, peer, hello, decision, isInternal);
    return false;
  }

  #toWorkers({ peer, inbound, hello }: Arrived, now: number): void {
    const { services, limits, requests, absence, table } = this.#data;
    const { frames, service: at } = inbound;
    let service = services.find(frames.buffer(at), frames.start(at), frames.end(at));
    const group = inbound.options < 0 ? '' : textOf(frames, inbound.options + 1);
    const isGrouped = group !== '';
    // Other brokers get no request with a group.
    const isServed =
      service !== null && service.workers.size + (isGrouped ? 0 : service.remotes.size) > 0;
    // For a client that does not want to wait then (D65).
    const certainAt =
      isServed || hello?.refusesToWait !== true ? Infinity : absence.certainAt(frames.view(at));
    if (certainAt <= now) {
      const name = frames.view(at);
      const found = (isGrouped ? null : this.#data.interconnect?.seek(name)) ?? 'absent';
      const isHeld =
        found === 'unknown' && this.#data.awaitingSearch.add(inbound, peer, hello, keyOf(name));
      if (isHeld) return;
      if (found === 'absent') {
        this.#replies.refuse(inbound, peer, hello, NO_WORKER, false);
        return;
      }
    }
    const bytes =
      packedBytes(frames, 0, inbound.envelopeFrames) +
      packedBytes(frames, inbound.contentFrom, frames.count);
    const refusal = limits.ofRequest(service, bytes, peer.identity);
    if (refusal !== null) {
      this.#replies.refuse(inbound, peer, hello, refusal, false);
      return;
    }
    if (service === null) service = services.add(frames.view(at), peer.identity);
    else if (service.namedBy === null) services.use(service, peer.identity);
    const id = requests.add(inbound, peer, hello, now);
    table.set(id, SERVICE, service.id);
    if (isGrouped) requests.setGroup(id, group, peer.identity.memory);
    this.#lifecycle.accept(id, service);
    if (certainAt > now && certainAt < Infinity) {
      requests.unserved.keep(id, certainAt, peer.identity.memory);
    }
    const isPacked = frames.isPacked || peer.dialect !== null;
    if (isPacked && inbound.envelopeFrames <= 1 && inbound.options < 0) {
      const { dialect, enveloped, envelopeFrames } = inbound;
      peer.lastForm = service.form(dialect, enveloped, envelopeFrames);
      peer.lastService = service;
    }
  }

  #toInternal(internal: InternalService, { peer, inbound, hello }: Arrived, now: number): void {
    const { limits, output } = this.#data;
    const { frames, service, headers, body } = inbound;
    // What is for all is answered at once, even if its sender has used up its quota.
    const identity = internal.answersWorkers === true ? null : peer.identity;
    const name = frames.view(service);
    const isQuery = internal.onlyAsks?.(name) === true;
    const refusal = limits.ofInternal(inbound, identity, isQuery);
    if (refusal !== null) {
      this.#replies.refuse(inbound, peer, hello, refusal, true);
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
      takesParts: isVersion02(inbound.dialect),
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
    this.#readmit(this.#data.awaitingSearch.take(keyOf(service)), now);
  }

  #readmit(held: readonly HeldMessage[], now: number): void {
    const { identities, peers, internals } = this.#data;
    const inbound = new Inbound();
    const frames = new Frames();
    for (const { peer, hello, packed } of held) {
      identities.releaseIfUnused(peer.identity);
      const session = hello?.session ?? null;
      const isHere = peers.has(peer) && !peer.closing;
      // The peer disconnected, and its held requests end with it, unless its session goes on.
      if (!isHere && session?.hasEnded !== false) continue;
      const from = session?.client.peer ?? peer;
      frames.clear();
      unpack(packed, 0, packed.length, frames);
      readMessage(inbound, from, frames);
      const internal = internals.of(inbound.frames, inbound.service);
      if (!isHere && internal !== null) continue;
      this.#afterQuota({ peer: from, inbound, hello, internal }, now);
    }
  }
}

/** Whether the request is later than all before it of its session (D116). */
function takesNext(session: Session, inbound: Inbound, now: number): boolean {
  const { frames } = inbound;
  const at = session.indexOfId(inbound);
  if (at < 0) return true;
  session.recent?.heard(now);
  return session.takes(frames.buffer(at), frames.start(at), frames.end(at));
}

/** The name of a service as text, one character per byte. */
function keyOf(service: Buffer): string {
  return service.toString('latin1');
}

/** The options in this frame, or what is wrong with them. */
function optionsOf(peer: Peer, frames: Frames, at: number): RequestOptions | string {
  if (frames.size(at) === 0) return NO_REQUEST_OPTIONS;
  const frame = frames.view(at);
  // Nobody would release what is kept for a connection that has ended.
  if (peer.isGone) return readRequestOptions(frame);
  return (peer.options ??= new LastOptions(peer.identity.memory)).read(frame);
}

/** The bytes of a frame, one character per byte. */
function textOf(frames: Frames, at: number): string {
  return frames.buffer(at).toString('latin1', frames.start(at), frames.end(at));
}
