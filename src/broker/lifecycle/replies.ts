/** What is sent to clients: replies, and why there will be none. */
import { Words } from '../../core/bytes.js';
import { escapeName } from '../../core/escape.js';
import { Frames } from '../../core/frames.js';
import { type Failure, failedFrames, codedReason } from '../../wire/failure.js';
import { BARE } from '../../wire/dialect.js';
import { PONG } from '../../wire/flp-client.js';
import type { Inbound } from '../../wire/inbound.js';
import { EMPTY } from '../../wire/mdp.js';
import { MMI_FAILED, MMI_HELLO, MMI_REFUSED, type RefusalStatus } from '../../wire/mmi.js';
import { packedReply, type ReturnPath, type SentMessage } from '../../wire/outbound.js';
import type { Refusal } from '../admission/refusal.js';
import type { DroppedReply } from '../counters.js';
import type { RequestStep } from '../request-trace.js';
import type { Client, Peer, Session, KnownHello } from '../state/entities.js';
import { type HelloPlace, packedEnvelope } from '../state/hellos.js';
import {
  ARRIVED_AT,
  HEARS_FAILURES,
  INTERNAL,
  type RequestId,
  STREAMED,
  UNDERSTANDS_REFUSALS,
} from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';

const NO_WORDS = new Words(EMPTY);
const REFUSED_NAME = Buffer.from(MMI_REFUSED);
const HELLO_NAME = Buffer.from(MMI_HELLO);
const FAILED_NAME = Buffer.from(MMI_FAILED);

const PONG_FRAMES = Frames.of(PONG);

const PARTIAL_SENT: RequestStep = { name: 'partial.sent' };
const REPLIED: RequestStep = { name: 'request.ended', outcome: 'replied' };
const KEPT: RequestStep = { name: 'request.ended', outcome: 'kept' };
const DROPPED: RequestStep = { name: 'request.ended', outcome: 'dropped' };

export class Replies {
  readonly #data: BrokerData;
  /** The way back to the client of a request that was not accepted. */
  readonly #path: ReturnPath = {
    dialect: 1,
    enveloped: false,
    envelope: NO_WORDS,
    envelopeStart: 0,
    envelopeEnd: 0,
  };

  constructor(data: BrokerData) {
    this.#data = data;
  }

  // ---------------------------------------------------------------- replies

  /** Sends the reply, or keeps it for a client that may come back; otherwise counts it as dropped. */
  reply(id: RequestId, frames: Frames, from: number, now: number): void {
    const { requests, tracer, counters, table } = this.#data;
    const client = requests.clientOf(id);
    const { name, counts } = requests.serviceOf(id);
    const outcome = client === null ? DROPPED : this.#end(id, client, name, frames, from);
    if (tracer.isOn) tracer.step(id, outcome);
    if (outcome === DROPPED) {
      this.countDropped(client?.slow === true ? 'slow_client' : 'client_gone');
      return;
    }
    counters.requests.countReplied(counts, now - table.getTime(id, ARRIVED_AT));
  }

  /** Sends the end of a request: the reply, or why there is none. A client that is away may come back for it (D116). */
  #end(id: RequestId, client: Client, name: Buffer, frames: Frames, from: number): RequestStep {
    const { requests, table } = this.#data;
    // Without its parts, the end of a stream would be taken for the whole answer.
    const session = table.is(id, INTERNAL | STREAMED) ? null : client.session;
    const path = requests.returnPath(id);
    if (isReachable(client)) {
      this.#send(client.peer, session, path, name, frames, from);
      return REPLIED;
    }
    return session?.keepUnsent(path, name, frames, from) === true ? KEPT : DROPPED;
  }

  /** @param session keeps the answer until it has arrived; `null`: none does */
  #send(
    peer: Peer,
    session: Session | null,
    path: ReturnPath,
    name: Buffer,
    frames: Frames,
    from: number,
  ): void {
    const { messages, sessions } = this.#data;
    const sent = messages.reply(peer.id, path, true, name, frames, from);
    const recent = session?.owns(path) === true ? sessions.recentOf(session) : null;
    recent?.keep(sent ?? wholeOf(packedReply(path, name, frames, from)), sessions.now);
  }

  /** Sends an answer that was kept, and keeps it until it has arrived. @param message as it is sent */
  sendAgain(session: Session, peer: Peer, message: Buffer): void {
    const { messages, sessions } = this.#data;
    const whole = wholeOf(message);
    sessions.recentOf(session)?.keep(whole, sessions.now);
    messages.whole(peer.id, whole);
  }

  /**
   * Sends a part of the reply if the client is connected.
   * @returns false if it is not
   */
  partial(id: RequestId, frames: Frames, from: number): boolean {
    const { requests, messages, tracer } = this.#data;
    const client = requests.clientOf(id);
    if (!isReachable(client)) return false;
    const { name } = requests.serviceOf(id);
    messages.reply(client.peer.id, requests.returnPath(id), false, name, frames, from);
    if (tracer.isOn) tracer.step(id, PARTIAL_SENT);
    return true;
  }

  /** Sends the reply of an internal service, or a part of it. */
  replyInternal(id: RequestId, frames: Frames, isFinal: boolean): void {
    const { requests, messages } = this.#data;
    const client = requests.clientOf(id);
    if (!isReachable(client)) return;
    const name = requests.internalName(id);
    messages.reply(client.peer.id, requests.returnPath(id), isFinal, name, frames, 0);
  }

  /** Answers PING of a Freelance client. */
  pong(peer: Peer): void {
    const path = this.#path;
    path.dialect = BARE;
    path.enveloped = false;
    this.#data.messages.reply(peer.id, path, true, EMPTY, PONG_FRAMES, 0);
  }

  countDropped(reason: DroppedReply): void {
    this.#data.counters.repliesDropped[reason]++;
    this.#data.events.emit({ name: 'reply.dropped', reason });
  }

  // ---------------------------------------------------------------- why there will be none

  /** Sends the client of an accepted request a refusal, if it understands refusals, as whoever sends a hello does (D11). */
  sendRefusal(id: RequestId, status: RefusalStatus, text: string): void {
    const { requests, table } = this.#data;
    const client = requests.clientOf(id);
    if (client === null) return;
    const isInternal = table.is(id, INTERNAL);
    const name = isInternal ? requests.internalName(id) : requests.serviceOf(id).name;
    const isHello = isInternal && name.equals(HELLO_NAME);
    if (!table.is(id, UNDERSTANDS_REFUSALS) && !isHello) return;
    this.#end(id, client, REFUSED_NAME, Frames.of(status, name, text), 0);
  }

  /** Sends the client what a worker reported, if it understands failures (D62). */
  sendFailure(id: RequestId, failure: Failure): void {
    const { requests, table } = this.#data;
    const client = requests.clientOf(id);
    if (!table.is(id, UNDERSTANDS_REFUSALS) || client === null) return;
    if (!table.is(id, HEARS_FAILURES)) {
      this.sendRefusal(id, '502', codedReason(failure));
      return;
    }
    const body = failedFrames(requests.serviceOf(id).name, failure);
    this.#end(id, client, FAILED_NAME, body, 0);
  }

  /**
   * Refuses a request that was not accepted: with silence, or with a refusal (D11).
   * @param hello what its sender said about itself
   * @param isInternal for a service of this process: the refusal then appears only in the log
   */
  refuse(
    inbound: Inbound,
    peer: Peer,
    hello: KnownHello | null,
    refusal: Refusal,
    isInternal: boolean,
  ): void {
    const { frames } = inbound;
    const { requests } = this.#data.counters;
    const shown = escapeName(frames.view(inbound.service));
    const { services } = requests;
    const { plain } = services.find(shown) ?? services.others;
    const counts = isInternal ? null : plain.now;
    if (counts !== null) requests.countReceived(counts);
    this.countRefused(refusal, shown, counts, peer);
    const isHello = isInternal && frames.equals(inbound.service, HELLO_NAME);
    if (hello === null && !isHello) return;
    const { status, text } = refusal;
    const body = Frames.of(status, frames.view(inbound.service), text);
    const session = isInternal ? null : (hello?.session ?? null);
    this.#refuse(peer, pathOf(inbound), body, session);
  }

  /**
   * Refuses a request that breaks a rule. It is counted as malformed.
   * @param session see `#refuse`
   */
  refuseMalformed(
    inbound: Inbound,
    peer: Peer,
    service: Buffer,
    text: string,
    session: Session | null,
  ): void {
    this.#refuse(peer, pathOf(inbound), Frames.of('400', service, text), session);
  }

  /** Refuses a hello that was accepted before. */
  refuseHello(peer: Peer, place: HelloPlace, { status, text }: Refusal): void {
    this.#refuse(peer, { ...place, enveloped: true }, Frames.of(status, HELLO_NAME, text), null);
  }

  /** @param session of its sender, who may be away; `null`: it has none, or the refusal is not kept for it */
  #refuse(
    peer: Peer,
    to: HelloPlace & Pick<ReturnPath, 'enveloped'>,
    body: Frames,
    session: Session | null,
  ): void {
    const path = this.#path;
    path.dialect = to.dialect;
    path.enveloped = to.enveloped;
    path.envelope = new Words(to.envelope);
    path.envelopeStart = 0;
    path.envelopeEnd = to.envelope.length;
    const keeper = session?.hasEnded === false ? session : null;
    const at = session === null ? peer : session.client.peer;
    if (at?.closing === false) this.#send(at, keeper, path, REFUSED_NAME, body, 0);
    else keeper?.keepUnsent(path, REFUSED_NAME, body, 0);
  }

  /**
   * @param shown the name of the service, percent-escaped
   * @param counts of the service; `null` for a request that no metric counts
   */
  countRefused(
    { reason, text, quota }: Refusal,
    shown: string,
    counts: Float64Array | null,
    { key, address, identity }: Pick<Client, 'key' | 'address' | 'identity'>,
  ): void {
    const { counters, events } = this.#data;
    identity.refused++;
    if (quota !== undefined) counters.quotas[quota]++;
    if (counts !== null) counters.requests.countRefused(counts, reason);
    events.emit({
      name: 'request.refused',
      service: shown,
      reason,
      text,
      key,
      address,
    });
  }
}

/** The way back to the sender of a request that was not accepted. */
function pathOf(inbound: Inbound): HelloPlace & Pick<ReturnPath, 'enveloped'> {
  const { dialect, enveloped } = inbound;
  return { dialect, enveloped, envelope: packedEnvelope(inbound) };
}

function wholeOf(message: Buffer): SentMessage {
  return { words: new Words(message), start: 0, end: message.length };
}

/** Whether what is sent to the client now can arrive. */
function isReachable(client: Client | null): client is Client & { readonly peer: Peer } {
  return client?.peer?.closing === false;
}
