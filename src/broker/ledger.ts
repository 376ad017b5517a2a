/**
 * What the broker holds for requests (their records, the bytes of envelope and body, the PARTIALs
 * held back) and how it reaches their clients. `lifecycle.ts` decides where each request goes.
 */
import { Arena } from '../core/arena.js';
import { copyBytes } from '../core/bytes.js';
import { escapeName } from '../core/escape.js';
import { Frames } from '../core/frames.js';
import type { Holder, Holdings } from '../core/holdings.js';
import type { Label } from '../core/labels.js';
import { pack, packedBytes, unpack } from '../core/packed.js';
import type { Inbound } from '../wire/inbound.js';
import { EMPTY } from '../wire/mdp.js';
import { type Failure, failedFrames, failureLine } from '../wire/failure.js';
import { MMI_FAILED, MMI_REFUSED, type RefusalStatus } from '../wire/mmi.js';
import type { ReturnPath } from '../wire/outbound.js';
import type { Clients } from './state/clients.js';
import type { BrokerCounters, DroppedReply, RequestRefusal } from './counters.js';
import type { BrokerEvents } from './events.js';
import type { Following, RequestStep } from './request-trace.js';
import { type Identities, type Identity, overQuota } from './state/identities.js';
import type { BrokerLimits } from './options.js';
import { Reported } from './state/reported-failures.js';
import {
  ARRIVED_AT,
  BODY_BYTES,
  BYTES,
  CLIENT,
  ENVELOPE_BYTES,
  ENVELOPED,
  FLAGS,
  HELD,
  INTERNAL,
  LOST,
  NONE,
  recordAt,
  REPORTED,
  type RequestId,
  RequestList,
  type RequestTable,
  SERVICE,
  STORED,
  TELLS,
  VERSION_02,
} from './state/request-table.js';
import type { ServiceTable } from './state/service-table.js';
import type { BrokerSink } from './sink.js';
import type { Client, Peer, Service } from './state/entities.js';
import type { Tokens } from './state/tokens.js';

const REFUSED_NAME = Buffer.from(MMI_REFUSED);
const FAILED_NAME = Buffer.from(MMI_FAILED);

const PARTIAL_SENT: RequestStep = { name: 'partial.sent' };
const REPLIED: RequestStep = { name: 'request.ended', outcome: 'replied' };
const DROPPED: RequestStep = { name: 'request.ended', outcome: 'dropped' };

/** What the ledger works on. All of it belongs to one `Broker`. */
export interface LedgerDeps {
  readonly sink: BrokerSink;
  readonly events: BrokerEvents;
  readonly counters: BrokerCounters;
  readonly table: RequestTable;
  readonly tokens: Tokens;
  readonly identities: Identities;
  readonly clients: Clients;
  readonly services: ServiceTable;
  readonly following: Following;
}

/** Why a request gets no reply (D9, D11). */
export interface RefusalReply {
  readonly status: RefusalStatus;
  readonly text: string;
}

/** The limit that one more request would exceed. */
export interface Excess {
  readonly reason: 'limit' | 'quota';
  readonly text: string;
}

/** The PARTIALs of one request, packed one after the other: the first `bytes` of a growing buffer. */
interface HeldPartials {
  buffer: Buffer;
  bytes: number;
  frames: number;
  /** The identity that sent them, and so is charged for them. */
  readonly holder: Holder;
}

/**
 * Memory that a request takes besides its envelope and body: its record, and the unused part of its
 * slots.
 */
const RECORD_BYTES = 128;
/**
 * Bodies of stored requests that are at workers. They are charged to the keeper, not to an
 * identity.
 */
const KEEPER = 'titanic';

/** How a request ended, for a reply that may still arrive. */
export type LateReplyReason = 'answered' | 'too_late';

export class Ledger {
  /** All requests with a time to live, in order of arrival. */
  readonly byArrival: RequestList;
  readonly #deps: LedgerDeps;
  readonly #arena = new Arena();
  /** PARTIALs held for 0.1 clients, packed (D10). */
  readonly #partials = new Map<RequestId, HeldPartials>();
  readonly #reported = new Reported();
  readonly #path: ReturnPath = {
    version: 1,
    enveloped: false,
    envelope: EMPTY,
    envelopeStart: 0,
    envelopeEnd: 0,
  };
  #heldBytes = 0;
  #internal = 0;
  /** Envelopes of those requests. Some wait for as long as their clients like (`titanic.wait`). */
  #internalBytes = 0;
  #stored = 0;
  readonly #keeper: Holder;
  limits: BrokerLimits;

  constructor(deps: LedgerDeps, limits: BrokerLimits, holdings: Holdings) {
    this.#deps = deps;
    this.#keeper = holdings.use(KEEPER);
    this.limits = limits;
    this.byArrival = RequestList.byArrival(deps.table);
  }

  /** Requests of clients held for worker services. */
  get held(): number {
    return this.#deps.table.count - this.#internal - this.#stored;
  }

  /**
   * The limit that one more request for an internal service would exceed; these have their own
   * limits.
   */
  overInternalLimit(inbound: Inbound, identity: Identity | null): Excess | null {
    const { queuedRequests, queuedBytes } = this.limits;
    const bytes = packedBytes(inbound.frames, 0, inbound.envelopeFrames);
    const hasRoom =
      this.#internal < queuedRequests && this.#internalBytes + bytes <= queuedBytes && this.hasRoom;
    if (!hasRoom) return excess('limit', 'too many requests are waiting for internal services');
    return identity === null ? null : overIdentity(identity, bytes);
  }

  /** False if no request of any size can be held. */
  get hasRoom(): boolean {
    return this.#arena.hasRoom;
  }

  /** Bytes held: envelopes, bodies and PARTIALs. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** The limit that one more request of `identity` for `service` would exceed, or `null`. */
  overLimit(service: Service | null, inbound: Inbound, identity: Identity): Excess | null {
    const limits = this.limits;
    const { frames } = inbound;
    const bytes =
      packedBytes(frames, 0, inbound.envelopeFrames) +
      packedBytes(frames, inbound.body, frames.count);
    if (this.held >= limits.queuedRequests) {
      return excess('limit', 'limits.queuedRequests is reached');
    }
    if (this.#heldBytes + bytes > limits.queuedBytes) {
      return excess('limit', 'limits.queuedBytes is reached');
    }
    if (!this.hasRoom) return excess('limit', "the broker's memory arena is full");
    if (service !== null && service.namedBy !== null) {
      if (service.queue.count >= limits.queuedRequestsPerService) {
        return excess('limit', 'limits.queuedRequestsPerService is reached');
      }
      return overIdentity(identity, bytes);
    }
    const { services } = this.#deps;
    if (services.count - services.withWorkers >= limits.services) {
      return excess('limit', 'limits.services is reached by services without workers');
    }
    if (identity.services >= identity.quotas.services) {
      return excess('quota', overQuota('services'));
    }
    return overIdentity(identity, bytes);
  }

  /** Copies a request for a worker service. This is the only copy of its body. */
  add(inbound: Inbound, peer: Peer, now: number): RequestId {
    const { frames, body } = inbound;
    const id = this.#store(inbound, peer, frames, body, frames.count);
    this.#deps.table.setTime(id, ARRIVED_AT, now);
    this.byArrival.pushBack(id);
    return id;
  }

  /** Makes a record for a request of the internal client. The caller then calls `setBody`. */
  addStored(): RequestId {
    const { table } = this.#deps;
    const id = table.allocate();
    table.set(id, FLAGS, STORED);
    table.set(id, CLIENT, NONE);
    table.set(id, BYTES, NONE);
    this.#stored++;
    return id;
  }

  /** Copies the packed body of a stored request that has none at present. */
  setBody(id: RequestId, body: Buffer): void {
    const { table } = this.#deps;
    const handle = this.#arena.allocate(body.length);
    copyBytes(body, 0, body.length, this.#arena.buffer(handle), this.#arena.offset(handle));
    table.set(id, BYTES, handle);
    table.set(id, BODY_BYTES, body.length);
    this.#heldBytes += body.length;
    this.#keeper.add('requests', body.length);
  }

  /** Drops the body: between two deliveries only the keeper has it. */
  dropBody(id: RequestId): void {
    const { table } = this.#deps;
    const handle = table.get(id, BYTES);
    if (handle === NONE) return;
    const bytes = table.get(id, BODY_BYTES);
    this.#heldBytes -= bytes;
    if (table.is(id, STORED)) this.#keeper.add('requests', -bytes);
    this.#arena.free(handle);
    table.set(id, BYTES, NONE);
    table.set(id, BODY_BYTES, 0);
  }

  /** Keeps envelope and name of a request that an internal service answers. */
  addInternal(inbound: Inbound, peer: Peer): RequestId {
    const id = this.#store(inbound, peer, inbound.frames, inbound.service, inbound.service + 1);
    const { table } = this.#deps;
    table.raise(id, INTERNAL);
    this.#internal++;
    this.#internalBytes += table.get(id, ENVELOPE_BYTES);
    return id;
  }

  /**
   * The body of a request as packed frames at `[start, end)` of a buffer. The object is reused.
   * (For an internal service: its name.)
   */
  readonly body: { buffer: Buffer; start: number; end: number } = {
    buffer: EMPTY,
    start: 0,
    end: 0,
  };

  locateBody(id: RequestId): void {
    const { table } = this.#deps;
    const handle = table.get(id, BYTES);
    this.body.buffer = this.#arena.buffer(handle);
    this.body.start = this.#arena.offset(handle) + table.get(id, ENVELOPE_BYTES);
    this.body.end = this.body.start + table.get(id, BODY_BYTES);
  }

  /** The packed envelope of a request, as a copy. */
  envelope(id: RequestId): Buffer {
    const path = this.#returnPath(id);
    return Buffer.from(path.envelope.subarray(path.envelopeStart, path.envelopeEnd));
  }

  clientOf(id: RequestId): Client | null {
    return this.#deps.clients.byId(this.#deps.table.get(id, CLIENT));
  }

  serviceOf(id: RequestId): Service {
    return this.#deps.services.byId(this.#deps.table.get(id, SERVICE));
  }

  /** True if the reply can be sent to nobody, now or later. */
  isClientGone(id: RequestId): boolean {
    if (this.#deps.table.is(id, STORED)) return false;
    return this.clientOf(id)?.departed ?? true;
  }

  /** True if the client chose its own routing id and may reconnect under it (D26). */
  mayReturn(id: RequestId): boolean {
    return (this.clientOf(id)?.name ?? null) !== null;
  }

  // ---------------------------------------------------------------- to the client

  /**
   * Sends the reply, or a part of it, if the client is connected.
   * @returns false if it is not; a whole reply is then counted as dropped
   */
  reply(id: RequestId, final: boolean, frames: Frames, from: number, now: number): boolean {
    const { counters, sink, table, following } = this.#deps;
    const client = this.clientOf(id);
    if (client?.peer && !client.peer.closing) {
      const { name, label } = this.serviceOf(id);
      if (final) counters.requests.countReplied(label, now - table.getTime(id, ARRIVED_AT));
      sink.reply(client.peer.id, this.#returnPath(id), final, name, frames, from);
      if (following.isOn) following.tell(id, final ? REPLIED : PARTIAL_SENT);
      return true;
    }
    const slow = client?.slow === true;
    if (final) {
      if (following.isOn) following.tell(id, DROPPED);
      this.countDroppedReply(slow ? 'slow_client' : 'client_gone');
    }
    return false;
  }

  /** Sends the reply of an internal service. */
  replyInternal(id: RequestId, frames: Frames): void {
    const client = this.clientOf(id);
    if (!client?.peer || client.peer.closing) return;
    const name = this.internalName(id);
    this.#deps.sink.reply(client.peer.id, this.#returnPath(id), true, name, frames, 0);
  }

  /** The service that a request of an internal service is for; valid while it is held. */
  internalName(id: RequestId): Buffer {
    const name = new Frames();
    this.locateBody(id);
    unpack(this.body.buffer, this.body.start, this.body.end, name);
    return name.view(0);
  }

  /** Tells the client why there will be no reply, if the client asked for that (D11). */
  tell(id: RequestId, refusal: RefusalReply): void {
    const client = this.clientOf(id);
    if (!this.#deps.table.is(id, TELLS) || !client?.peer || client.peer.closing) return;
    const isInternal = this.#deps.table.is(id, INTERNAL);
    const name = isInternal ? this.internalName(id) : this.serviceOf(id).name;
    const body = Frames.of(refusal.status, name, refusal.text);
    this.#deps.sink.reply(client.peer.id, this.#returnPath(id), true, REFUSED_NAME, body, 0);
  }

  /** Keeps what a worker reported about a request that is passed on to another worker (D61). */
  keepReported(id: RequestId, failure: Failure, holder: Holder): void {
    const { table } = this.#deps;
    if (this.#reported.keep(id, failure, holder)) table.raise(id, REPORTED);
    else table.lower(id, REPORTED);
  }

  /** What a worker last reported about the request, if it was kept. */
  reported(id: RequestId): Failure | null {
    return this.#deps.table.is(id, REPORTED) ? this.#reported.of(id) : null;
  }

  /**
   * Tells the client that the request failed, if the client said that it understands failures
   * (D62).
   */
  tellFailure(id: RequestId, failure: Failure): void {
    const client = this.clientOf(id);
    if (!this.#deps.table.is(id, TELLS) || !client?.peer || client.peer.closing) return;
    const path = this.#returnPath(id);
    const { envelope, envelopeStart, envelopeEnd } = path;
    const hello = client.peer.hellos.of(envelope, envelopeStart, envelopeEnd);
    if (hello?.hearsFailures !== true) {
      this.tell(id, { status: '502', text: failureLine(failure) });
      return;
    }
    const body = failedFrames(this.serviceOf(id).name, failure);
    this.#deps.sink.reply(client.peer.id, path, true, FAILED_NAME, body, 0);
  }

  /**
   * Refuses a request that was not accepted: with silence, or with D11's refusal.
   * @param isInternal for a service of this process: the refusal then appears only in the log
   */
  refuse(
    inbound: Inbound,
    peer: Peer,
    reason: RequestRefusal,
    refusal: RefusalReply,
    isInternal: boolean,
  ): void {
    const { frames } = inbound;
    const { requests } = this.#deps.counters;
    const shown = escapeName(frames.view(inbound.service));
    const label = isInternal ? null : requests.labels.of(shown);
    if (label !== null) requests.countReceived(label);
    this.countRefusal(reason, shown, label, refusal.text, peer);
    if (peer.hellos.count === 0) return;
    const envelope = packedEnvelope(inbound);
    if (peer.hellos.of(envelope, 0, envelope.length) === null) return;
    const path = this.#path;
    path.version = inbound.version;
    path.enveloped = inbound.enveloped;
    path.envelope = envelope;
    path.envelopeStart = 0;
    path.envelopeEnd = envelope.length;
    const body = Frames.of(refusal.status, frames.view(inbound.service), refusal.text);
    this.#deps.sink.reply(peer.id, path, true, REFUSED_NAME, body, 0);
  }

  /** The client said that it does not want to wait for a worker. */
  refusesToWait(inbound: Inbound, { hellos }: Peer): boolean {
    if (hellos.count === 0) return false;
    const envelope = packedEnvelope(inbound);
    return hellos.of(envelope, 0, envelope.length)?.refusesToWait === true;
  }

  /** @param label `null` for a request that no metric counts */
  countRefusal(
    reason: RequestRefusal,
    shown: string,
    label: Label | null,
    text: string,
    from: { readonly key: string | null; readonly address: string },
  ): void {
    const { counters, events } = this.#deps;
    if (label !== null) counters.requests.countRefused(label, reason);
    const { key, address } = from;
    events.emit({ name: 'request.refused', service: shown, reason, text, key, address });
  }

  countDroppedReply(reason: DroppedReply): void {
    this.#deps.counters.repliesDropped[reason]++;
    this.#deps.events.emit({ name: 'reply.dropped', reason });
  }

  // ---------------------------------------------------------------- PARTIALs held back

  /**
   * Keeps a PARTIAL for a 0.1 client.
   * @param holder of the worker that sent it
   * @returns false if the limit for held PARTIALs is exceeded
   */
  hold(id: RequestId, frames: Frames, from: number, holder: Holder): boolean {
    const bytes = packedBytes(frames, from, frames.count);
    const parts = this.#partials.get(id) ?? { buffer: EMPTY, bytes: 0, frames: 0, holder };
    if (parts.bytes + bytes > parts.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(parts.bytes + bytes, parts.buffer.length * 2));
      parts.buffer.copy(grown, 0, 0, parts.bytes);
      parts.buffer = grown;
    }
    pack(frames, from, frames.count, parts.buffer, parts.bytes, false);
    parts.bytes += bytes;
    parts.frames += frames.count - from;
    this.#partials.set(id, parts);
    this.#deps.table.raise(id, HELD);
    this.#heldBytes += bytes;
    const mayHold = parts.holder.mayHold(bytes);
    parts.holder.add('requests', bytes);
    const { messageBytes, frames: framesMax, queuedBytes } = this.limits;
    if (!mayHold || this.#heldBytes > queuedBytes) return false;
    return parts.bytes <= messageBytes && parts.frames <= framesMax;
  }

  /** The frames of all PARTIALs held for the request, then those of `frames`; `null` if none are. */
  joined(id: RequestId, frames: Frames, from: number): Frames | null {
    if (!this.#deps.table.is(id, HELD)) return null;
    const parts = this.#partials.get(id);
    if (parts === undefined) return null;
    const joined = new Frames();
    unpack(parts.buffer, 0, parts.bytes, joined);
    for (let index = from; index < frames.count; index++) {
      joined.push(frames.buffer(index), frames.start(index), frames.end(index));
    }
    return joined;
  }

  /** True if a reply joined from PARTIALs exceeds the maximum size of a message (D10). */
  isTooLarge(joined: Frames): boolean {
    const { messageBytes, frames } = this.limits;
    return joined.count > frames || packedBytes(joined, 0, joined.count) > messageBytes;
  }

  dropPartials(id: RequestId): void {
    if (!this.#deps.table.is(id, HELD)) return;
    const parts = this.#partials.get(id);
    if (parts === undefined) return;
    this.#heldBytes -= parts.bytes;
    parts.holder.add('requests', -parts.bytes);
    this.#partials.delete(id);
    this.#deps.table.lower(id, HELD);
  }

  // ---------------------------------------------------------------- the end

  /** Forgets the request, which must be in no queue and at no worker. */
  release(id: RequestId, outcome: LateReplyReason): void {
    const { table, clients, identities, tokens, following } = this.#deps;
    if (following.isOn) following.forget(id);
    if (table.is(id, HELD | REPORTED)) this.#dropKept(id);
    if (table.get(id, LOST) !== 0) tokens.outlive(id, outcome);
    const client = this.clientOf(id);
    if (client !== null) {
      const { identity } = client;
      const bytes = table.get(id, ENVELOPE_BYTES) + table.get(id, BODY_BYTES) + RECORD_BYTES;
      identity.holder.add('requests', -bytes);
      identity.outstanding--;
      client.requests.remove(id);
      clients.settled(client);
      identities.settled(identity);
    }
    if (this.byArrival.has(id)) this.byArrival.remove(id);
    if (table.is(id, INTERNAL)) {
      this.#internal--;
      this.#internalBytes -= table.get(id, ENVELOPE_BYTES);
    }
    this.#heldBytes -= table.get(id, ENVELOPE_BYTES);
    this.dropBody(id);
    if (table.is(id, STORED)) this.#stored--;
    table.free(id);
  }

  // ---------------------------------------------------------------- parts

  /** Drops what was kept from its deliveries. */
  #dropKept(id: RequestId): void {
    this.dropPartials(id);
    this.#reported.drop(id);
  }

  /** Makes the record, with the envelope and the frames `[from, to)` as its body. */
  #store(inbound: Inbound, peer: Peer, frames: Frames, from: number, to: number): RequestId {
    const { table, clients } = this.#deps;
    const envelopeBytes = packedBytes(frames, 0, inbound.envelopeFrames);
    const bodyBytes = packedBytes(frames, from, to);
    const handle = this.#arena.allocate(envelopeBytes + bodyBytes);
    const buffer = this.#arena.buffer(handle);
    const offset = this.#arena.offset(handle);
    const bodyAt = pack(frames, 0, inbound.envelopeFrames, buffer, offset, true);
    pack(frames, from, to, buffer, bodyAt, false);
    let flags = 0;
    if (inbound.version === 2) flags |= VERSION_02;
    if (inbound.enveloped) flags |= ENVELOPED;
    if (peer.hellos.of(buffer, offset, bodyAt) !== null) flags |= TELLS;
    const id = table.allocate();
    const client = clients.of(peer);
    const page = table.page(id);
    const at = recordAt(id);
    page[at + FLAGS] = flags;
    page[at + BYTES] = handle;
    page[at + ENVELOPE_BYTES] = envelopeBytes;
    page[at + BODY_BYTES] = bodyBytes;
    page[at + CLIENT] = client.id;
    client.requests.pushBack(id);
    peer.identity.outstanding++;
    peer.identity.holder.add('requests', envelopeBytes + bodyBytes + RECORD_BYTES);
    this.#heldBytes += envelopeBytes + bodyBytes;
    return id;
  }

  #returnPath(id: RequestId): ReturnPath {
    const { table } = this.#deps;
    const handle = table.get(id, BYTES);
    const path = this.#path;
    path.version = table.is(id, VERSION_02) ? 2 : 1;
    path.enveloped = table.is(id, ENVELOPED);
    path.envelope = this.#arena.buffer(handle);
    path.envelopeStart = this.#arena.offset(handle);
    path.envelopeEnd = path.envelopeStart + table.get(id, ENVELOPE_BYTES);
    return path;
  }
}

function packedEnvelope({ frames, envelopeFrames }: Inbound): Buffer {
  const envelope = Buffer.allocUnsafe(packedBytes(frames, 0, envelopeFrames));
  pack(frames, 0, envelopeFrames, envelope, 0, true);
  return envelope;
}

function excess(reason: 'limit' | 'quota', text: string): Excess {
  return { reason, text };
}

/** The limit of its identity that `bytes` more for one more request would exceed (D75, D77). */
function overIdentity({ quotas, outstanding, holder }: Identity, bytes: number): Excess | null {
  if (outstanding >= quotas.outstanding) return excess('quota', overQuota('outstanding'));
  if (holder.requests + bytes > quotas.queuedBytes) {
    return excess('quota', overQuota('queuedBytes'));
  }
  return holder.mayHold(bytes) ? null : excess('limit', 'limits.memoryBytes is reached');
}
