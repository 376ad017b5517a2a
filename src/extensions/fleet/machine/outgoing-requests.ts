/**
 * Requests of this broker that are out at other brokers: this broker as their origin. What those have offered, what is
 * out at each, and when a request is lost (D83, D85).
 */
import type { RemoteHolder, RemoteReturn, RemoteWorkersApi } from '../../../broker/ports.js';
import { Frames } from '../../../core/frames.js';
import { OldestFirst } from '../../../core/oldest-first.js';
import { unpack } from '../../../core/packed.js';
import { askEntry, cancelEntry, type FleetCredit, requestEntry } from './codec.js';
import type { FleetEntry, FleetOffer } from './protocol.js';
import type { FleetCounters } from './counters.js';
import { ABSENT_LISTS, BEAT_MS, LATE_MAX, LATE_MS, SERVICES_MAX, SILENT_BEATS } from './options.js';
import { type FleetPeer, Holder, type Outstanding } from './peer.js';

/** A request that was lost in silence, whose reply may still come (D8). */
interface Late {
  readonly brokerToken: Buffer;
  readonly holderNumber: number;
  readonly peer: FleetPeer;
  readonly until: number;
  /** PARTIALs that came. */
  parts: number;
}

type Answer = Extract<FleetEntry, { kind: 'partial' | 'final' | 'fail' }>;
/** Why an entry about a request was not used; `null`: it was. */
type Unused = 'late' | 'unknown' | null;
type Return = Extract<FleetEntry, { kind: 'return' }>;

export class OutgoingRequests {
  readonly #counters: FleetCounters;
  readonly #out = new Map<number, Outstanding>();
  readonly #late = new OldestFirst<number, Late>();
  /** Holders by service, one character per byte of the name. */
  readonly byService = new Map<string, Set<Holder>>();
  /** The frames of the answer that is being passed on. */
  readonly #frames = new Frames();
  /** Brokers that are to be told of cancelled requests. */
  readonly #cancelling = new Set<FleetPeer>();
  #token = 0;
  #losses = 0;

  constructor(counters: FleetCounters) {
    this.#counters = counters;
  }

  /** Requests that are out at other brokers. */
  get out(): number {
    return this.#out.size;
  }

  /** Whether one of them has stated its credit since the bus is there. */
  isOffered(service: string): boolean {
    for (const { isPaused } of this.byService.get(service) ?? []) if (!isPaused) return true;
    return false;
  }

  /** The credit of all workers for the service at other brokers, as these last said. */
  credit(service: string): number {
    let credit = 0;
    for (const { total } of this.byService.get(service) ?? []) credit += total;
    return credit;
  }

  /** How often the last broker that had workers for a service was lost, for any service. */
  get losses(): number {
    return this.#losses;
  }

  // ---------------------------------------------------------------- offers

  offered(peer: FleetPeer, offer: FleetOffer, remote: RemoteWorkersApi, now: number): void {
    const service = offer.service.toString('latin1');
    let holder = peer.holders.get(service);
    if (holder === undefined) {
      if (offer.total === 0 || this.byService.size >= SERVICES_MAX) return;
      holder = new Holder(peer, service);
      holder.holderNumber = remote.join(offer.service, new HolderPort(this, holder), now);
      peer.holders.set(service, holder);
      const known = this.byService.get(service);
      if (known === undefined) this.byService.set(service, new Set([holder]));
      else known.add(holder);
    }
    holder.bytes = offer.bytes;
    this.#credited(holder, offer, remote, now);
  }

  /** What the holder can take, as it said when it had had `peer.seenByIt`. */
  #credited(holder: Holder, credit: FleetCredit, remote: RemoteWorkersApi, now: number): void {
    holder.isPaused = false;
    holder.credited(credit);
    if (holder.total === 0 && holder.outCount === 0) {
      this.#forget(holder, remote, now);
    } else {
      remote.setFree(holder.holderNumber, holder.peer.isLeaving ? 0 : holder.free);
    }
  }

  /** Nothing more is sent to the broker, but what is out may still be answered. */
  pause(peer: FleetPeer, remote: RemoteWorkersApi): void {
    for (const holder of peer.holders.values()) {
      holder.isPaused = true;
      holder.credited({ free: 0, total: holder.total });
      remote.setFree(holder.holderNumber, 0);
    }
  }

  #forget(holder: Holder, remote: RemoteWorkersApi, now: number): void {
    const { peer, service } = holder;
    peer.holders.delete(service);
    const others = this.byService.get(service);
    others?.delete(holder);
    if (others?.size === 0) {
      this.byService.delete(service);
      this.#losses++;
    }
    remote.leave(holder.holderNumber, now);
  }

  /** When a request for the service was last sent to any broker; -Infinity: never. */
  usedAt(service: string): number {
    let usedAt = -Infinity;
    for (const holder of this.byService.get(service) ?? []) {
      usedAt = Math.max(usedAt, holder.outCount > 0 ? Infinity : holder.usedAt);
    }
    return usedAt;
  }

  /** Offers of the service are no longer followed. */
  unfollow(service: string, remote: RemoteWorkersApi, now: number): void {
    for (const holder of [...(this.byService.get(service) ?? [])]) {
      this.#forget(holder, remote, now);
    }
  }

  // ---------------------------------------------------------------- requests

  send(
    holder: Holder,
    brokerToken: Buffer,
    leftMs: number,
    packed: Buffer,
    start: number,
    end: number,
    isHeaded: boolean,
    now: number,
  ): void {
    const { peer } = holder;
    const token = ++this.#token;
    const bytes = end - start;
    // In one literal, not spread from two: this is done for each request.
    const out: Outstanding = {
      token,
      brokerToken: Buffer.from(brokerToken),
      holder,
      bytes,
      packNumber: 0,
      missed: 0,
      parts: 0,
    };
    this.#out.set(token, out);
    if (peer.outstanding.size === 0) peer.listedAt = now;
    peer.outstanding.add(out);
    peer.unanswered += bytes;
    holder.sent(out);
    holder.usedAt = now;
    this.#counters.bridged.out++;
    peer.post(requestEntry(token, holder.name, leftMs, packed, start, end, isHeaded), out);
  }

  /** Nobody wants the answer of a request that is out at the broker. */
  cancel(peer: FleetPeer, brokerToken: Buffer): void {
    peer.cancelled.add(brokerToken.toString('latin1'));
    this.#cancelling.add(peer);
  }

  /** Tells other brokers which requests nobody wants any more: once a turn, because they are looked for. */
  tellCancelled(): void {
    for (const peer of this.#cancelling) {
      for (const { brokerToken, token } of peer.outstanding) {
        if (peer.cancelled.has(brokerToken.toString('latin1'))) peer.post(cancelEntry(token));
      }
      peer.cancelled.clear();
    }
    this.#cancelling.clear();
  }

  /** @returns why it was not used; `null`: it was */
  answered(peer: FleetPeer, answer: Answer, remote: RemoteWorkersApi, now: number): Unused {
    const { token, kind } = answer;
    const out = this.#out.get(token);
    if (out?.holder.peer !== peer) return this.#answeredLate(peer, answer, remote, now);
    if (!isNext(out, answer)) {
      this.#giveBack(out, 'lost', 'a part of its reply was lost', remote, now);
      this.#late.delete(token);
      if (kind === 'final') this.#credited(out.holder, answer, remote, now);
      return null;
    }
    if (kind !== 'partial') this.#end(out);
    remote.reply(out.holder.holderNumber, kind, this.#framesOf(out.brokerToken, answer), now);
    if (kind !== 'partial') this.#credited(out.holder, answer, remote, now);
    return null;
  }

  #answeredLate(peer: FleetPeer, answer: Answer, remote: RemoteWorkersApi, now: number): Unused {
    const late = this.#lateOf(peer, answer.token, now);
    if (late === null) return this.#whyUnused(answer.token);
    const isWhole = isNext(late, answer);
    if (!isWhole || answer.kind !== 'partial') this.#late.delete(answer.token);
    if (!isWhole) return 'late';
    remote.reply(late.holderNumber, answer.kind, this.#framesOf(late.brokerToken, answer), now);
    return null;
  }

  /** The token, then the body; of a failure what `readFailure` takes. */
  #framesOf(brokerToken: Buffer, answer: Answer): Frames {
    const frames = this.#frames;
    frames.clear();
    frames.push(brokerToken, 0, brokerToken.length);
    if (answer.kind !== 'fail') {
      unpack(answer.body, 0, answer.body.length, frames);
      return frames;
    }
    for (const part of [answer.failure, answer.code, answer.text]) {
      const bytes = Buffer.from(part);
      frames.push(bytes, 0, bytes.length);
    }
    unpack(answer.detail, 0, answer.detail.length, frames);
    return frames;
  }

  /** @returns why it was not used; `null`: it was */
  returned(peer: FleetPeer, entry: Return, remote: RemoteWorkersApi, now: number): Unused {
    const { token, reason, text } = entry;
    const out = this.#out.get(token);
    if (out?.holder.peer !== peer) {
      if (this.#lateOf(peer, token, now) === null) return this.#whyUnused(token);
      this.#late.delete(token);
      return null;
    }
    this.#giveBack(out, reason, text, remote, now);
    this.#credited(out.holder, entry, remote, now);
    return null;
  }

  /** Tokens rise, so those of requests that have ended are known. */
  #whyUnused(token: number): Unused {
    const hasEnded = token > 0 && token <= this.#token && !this.#out.has(token);
    return hasEnded ? 'late' : 'unknown';
  }

  #giveBack(
    out: Outstanding,
    how: RemoteReturn,
    text: string,
    remote: RemoteWorkersApi,
    now: number,
  ): void {
    this.#end(out);
    this.#counters.returned[how]++;
    if (how === 'lost') this.#keepLate(out, now);
    remote.giveBack(out.holder.holderNumber, out.brokerToken, how, text, now);
  }

  #end(out: Outstanding): void {
    const { peer } = out.holder;
    this.#out.delete(out.token);
    peer.outstanding.delete(out);
    peer.unanswered -= out.bytes;
    out.holder.ended();
  }

  #keepLate({ token, brokerToken, holder, parts }: Outstanding, now: number): void {
    const { holderNumber, peer } = holder;
    this.#late.set(token, { brokerToken, holderNumber, peer, until: now + LATE_MS, parts });
    if (this.#late.size > LATE_MAX) this.#late.shift();
  }

  /** @returns `null`: no request was lost at the broker under this token, or too long ago */
  #lateOf(peer: FleetPeer, token: number, now: number): Late | null {
    const late = this.#late.get(token);
    if (late?.peer.id !== peer.id) return null;
    if (late.until > now) return late;
    this.#late.delete(token);
    return null;
  }

  // ---------------------------------------------------------------- loss

  /** The tokens that the broker holds. A request that is absent from two lists in a row is lost. */
  listed(peer: FleetPeer, tokens: readonly number[], remote: RemoteWorkersApi, now: number): void {
    peer.listedAt = now;
    if (peer.outstanding.size === 0) return;
    const held = new Set(tokens);
    for (const out of peer.outstanding) {
      // The request may have crossed the list.
      if (out.packNumber === 0 || out.packNumber > peer.seenByIt) continue;
      out.missed = held.has(out.token) ? 0 : out.missed + 1;
      if (out.missed < ABSENT_LISTS) continue;
      const { holder } = out;
      this.#giveBack(out, 'lost', 'not known there', remote, now);
      holder.forget(out);
      remote.setFree(holder.holderNumber, peer.isLeaving ? 0 : holder.free);
    }
  }

  /** Whether the broker has work of this one and has sent no list for too long. */
  isSilent({ outstanding, listedAt }: FleetPeer, now: number): boolean {
    return outstanding.size > 0 && now - listedAt >= SILENT_BEATS * BEAT_MS;
  }

  /** All requests that are out at the broker are lost in silence, and it holds nothing any more. */
  peerLost(peer: FleetPeer, remote: RemoteWorkersApi, now: number): void {
    peer.outbox.withdraw();
    // The last one first: each goes to the front of its queue.
    for (const out of [...peer.outstanding].reverse()) {
      // A request that was never sent was not delivered.
      const how = out.packNumber === 0 ? 'busy' : 'lost';
      this.#giveBack(out, how, 'its broker was lost', remote, now);
    }
    for (const holder of [...peer.holders.values()]) this.#forget(holder, remote, now);
  }

  /** Asks a broker for its list, if it has work of this one. */
  ask(peer: FleetPeer): void {
    if (peer.outstanding.size > 0) peer.post(askEntry());
  }
}

/** What the broker machine calls of a holder. */
class HolderPort implements RemoteHolder {
  readonly #outgoing: OutgoingRequests;
  readonly #holder: Holder;

  constructor(outgoing: OutgoingRequests, holder: Holder) {
    this.#outgoing = outgoing;
    this.#holder = holder;
  }

  get load(): number {
    return this.#holder.load;
  }

  takes(bytes: number, isOnce: boolean): boolean {
    return this.#holder.takes(bytes, isOnce);
  }

  request(
    token: Buffer,
    leftMs: number,
    packed: Buffer,
    start: number,
    end: number,
    isHeaded: boolean,
  ): void {
    const { now } = this.#holder.peer;
    this.#outgoing.send(this.#holder, token, leftMs, packed, start, end, isHeaded, now());
  }

  cancel(token: Buffer): void {
    this.#outgoing.cancel(this.#holder.peer, token);
  }
}

/** Notes a PARTIAL. @returns false: one before the answer was lost, so the reply is not whole */
function isNext(known: { parts: number }, answer: Answer): boolean {
  if (answer.kind === 'partial') return answer.part === known.parts++;
  return answer.kind === 'fail' || answer.parts === known.parts;
}
