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
import type { ReturnPath } from '../../wire/outbound.js';
import type { Refusal } from '../admission/refusal.js';
import type { DroppedReply } from '../counters.js';
import type { RequestStep } from '../request-trace.js';
import type { Client, Peer } from '../state/entities.js';
import { type HelloPlace, packedEnvelope } from '../state/hellos.js';
import {
  ARRIVED_AT,
  HEARS_FAILURES,
  INTERNAL,
  type RequestId,
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

  /** Sends the reply if the client is connected; otherwise counts it as dropped. */
  reply(id: RequestId, frames: Frames, from: number, now: number): void {
    const { requests, tracer, counters, table, messages } = this.#data;
    const client = requests.clientOf(id);
    if (!isReachable(client)) {
      if (tracer.isOn) tracer.step(id, DROPPED);
      this.countDropped(client?.slow === true ? 'slow_client' : 'client_gone');
      return;
    }
    const { name, counts } = requests.serviceOf(id);
    counters.requests.countReplied(counts, now - table.getTime(id, ARRIVED_AT));
    messages.reply(client.peer.id, requests.returnPath(id), true, name, frames, from);
    if (tracer.isOn) tracer.step(id, REPLIED);
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

  /** Sends the reply of an internal service. */
  replyInternal(id: RequestId, frames: Frames): void {
    const { requests, messages } = this.#data;
    const client = requests.clientOf(id);
    if (!isReachable(client)) return;
    const name = requests.internalName(id);
    messages.reply(client.peer.id, requests.returnPath(id), true, name, frames, 0);
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
    const { requests, table, messages } = this.#data;
    const client = requests.clientOf(id);
    if (!isReachable(client)) return;
    const isInternal = table.is(id, INTERNAL);
    const name = isInternal ? requests.internalName(id) : requests.serviceOf(id).name;
    const isHello = isInternal && name.equals(HELLO_NAME);
    if (!table.is(id, UNDERSTANDS_REFUSALS) && !isHello) return;
    const body = Frames.of(status, name, text);
    messages.reply(client.peer.id, requests.returnPath(id), true, REFUSED_NAME, body, 0);
  }

  /** Sends the client what a worker reported, if it understands failures (D62). */
  sendFailure(id: RequestId, failure: Failure): void {
    const { requests, table, messages } = this.#data;
    const client = requests.clientOf(id);
    if (!table.is(id, UNDERSTANDS_REFUSALS) || !isReachable(client)) return;
    if (!table.is(id, HEARS_FAILURES)) {
      this.sendRefusal(id, '502', codedReason(failure));
      return;
    }
    const body = failedFrames(requests.serviceOf(id).name, failure);
    messages.reply(client.peer.id, requests.returnPath(id), true, FAILED_NAME, body, 0);
  }

  /**
   * Refuses a request that was not accepted: with silence, or with a refusal (D11).
   * @param isInternal for a service of this process: the refusal then appears only in the log
   */
  refuse(inbound: Inbound, peer: Peer, refusal: Refusal, isInternal: boolean): void {
    const { frames } = inbound;
    const { requests } = this.#data.counters;
    const shown = escapeName(frames.view(inbound.service));
    const { services } = requests;
    const { plain } = services.find(shown) ?? services.others;
    const counts = isInternal ? null : plain.now;
    if (counts !== null) requests.countReceived(counts);
    this.countRefused(refusal, shown, counts, peer);
    const isHello = isInternal && frames.equals(inbound.service, HELLO_NAME);
    if (peer.hellos.isEmpty && !isHello) return;
    const envelope = packedEnvelope(inbound);
    if (peer.hellos.of(envelope, 0, envelope.length) === null && !isHello) return;
    const { dialect, enveloped } = inbound;
    const service = frames.view(inbound.service);
    this.#refuse(peer, { dialect, enveloped, envelope }, service, refusal);
  }

  /** Refuses a hello that was accepted before. */
  refuseHello(peer: Peer, place: HelloPlace, refusal: Refusal): void {
    this.#refuse(peer, { ...place, enveloped: true }, HELLO_NAME, refusal);
  }

  #refuse(
    peer: Peer,
    to: HelloPlace & Pick<ReturnPath, 'enveloped'>,
    service: Buffer,
    { status, text }: Refusal,
  ): void {
    const path = this.#path;
    path.dialect = to.dialect;
    path.enveloped = to.enveloped;
    path.envelope = new Words(to.envelope);
    path.envelopeStart = 0;
    path.envelopeEnd = to.envelope.length;
    const body = Frames.of(status, service, text);
    this.#data.messages.reply(peer.id, path, true, REFUSED_NAME, body, 0);
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

/** Whether what is sent to the client now can arrive. */
function isReachable(client: Client | null): client is Client & { readonly peer: Peer } {
  return client?.peer?.closing === false;
}
