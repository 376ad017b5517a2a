/**
 * The answers to `titanic.*`: those sent at the end of a turn, look-ups in the store, and clients
 * that wait for something to happen (`titanic.wait`, `titanic.call`).
 */
import type { Asker, BrokerHost, RefusedFor } from '../../../broker/ports.js';
import { Frames } from '../../../core/frames.js';
import { unpack } from '../../../core/packed.js';
import { deadStatus } from '../../../wire/failure.js';
import { isCertainFor, mayAccess } from './ownership.js';
import { unpackFailure } from '../../../store/failure-codec.js';
import { type AskStore, type LookUp, LookUps, SMALL_BYTES } from './lookups.js';
import { OutputWaiters } from './output-waiters.js';
import type { AnswerNumber, Overdue, StoreWaits } from './store-waits.js';
import type { Found, Owner, RequestUuid } from '../../../store/store.js';
import { type ReplyQuery, Waiters } from './waiters.js';

export const STATUS_OK: Buffer = Buffer.from('200');
const STATUS_PENDING = Buffer.from('300');
const STATUS_UNKNOWN = Buffer.from('400 unknown');

/** Maximum number of answers sent in one turn, and of waits that end in one. */
const TURN_ANSWERS_MAX = 4096;
/**
 * Bytes of answers that one turn hands over; the first may be of any size. Other work goes on
 * between turns.
 */
const TURN_BYTES_MAX = 1024 * 1024;

/**
 * How long a large reply is kept for others that ask for it, because each read makes its own copy.
 */
const CACHED_MS = 100;
const TOO_MANY = 'the quota `waits` is used up: earlier replies are unread';
const GONE = 'the connection of the request was closed';
const NO_ROOM = 'the reply does not fit beside the unread output of this connection';
/** Stored when the limits were higher, or for a client with a larger quota. */
const TOO_LARGE = status(
  500,
  'the reply is larger than limits.outputBytes or the quota outputBytes allows',
);

/** The large reply that was read last. */
interface CachedReply {
  readonly uuid: RequestUuid;
  readonly bytes: number;
  readonly frames: readonly Buffer[];
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** An answer ready to be sent. */
interface Ready {
  /** The broker's number of the request. */
  readonly id: number;
  /** The answer, or why it is refused. */
  readonly body: readonly Buffer[] | { readonly why: RefusedFor; readonly text: string };
  /**
   * For a reply, who asked: if the connection has no room for it, it waits and is read again. Parts
   * of a reply are not kept: their asker asks again.
   */
  readonly query: ReplyQuery | null;
  /** Another answer follows. */
  readonly isPart?: true;
  /** The bytes of what is handed over, as far as they count. */
  readonly bytes: number;
}

export class Answers {
  readonly waits: StoreWaits;
  /** See `Replica.probe`. */
  readonly #probe: () => number | null;
  /** Whether the end of the request is being committed on both disks: see `withhold`. */
  readonly #isWithheld: (uuid: RequestUuid) => boolean;
  readonly #onDenied: (asker: Asker, uuid: RequestUuid) => void;
  /** See `Replica.silence`. */
  readonly #silence: () => string | null;
  readonly #onLate: (why: string) => void;
  readonly #onOverWaits: (asker: Asker) => void;
  /**
   * Look-ups whose uuid is in no row, each with the probe that tells whether the uuid is unknown.
   */
  #probing: { readonly probe: number; readonly query: ReplyQuery }[] = [];
  readonly #lookUps: LookUps;
  readonly #waiters = new Waiters();
  /** Clients of `titanic.progress`, which each part of the reply concerns. */
  readonly #followers = new Waiters();
  /** Uuids that somebody waits for and that are in no row here, but may be in the peer's store. */
  readonly #unknown = new Map<string, RequestUuid>();
  readonly #room = new OutputWaiters();
  #cached: CachedReply | null = null;
  #ready: Ready[] = [];
  /** Bytes of the parts among the ready answers. */
  #partsBytes = 0;
  /** Stored data may be lost: none of it is shown to anybody any more, and the process ends. */
  isUntrusted = false;

  /**
   * @param late told of a change that was given up because the store took too long
   * @param overWaits told of whoever may not wait, because the quota `waits` of its identity is used up
   */
  constructor(
    waits: StoreWaits,
    askStore: AskStore,
    probe: () => number | null,
    isWithheld: (uuid: RequestUuid) => boolean,
    tellDenied: (asker: Asker, uuid: RequestUuid) => void = () => undefined,
    silence: () => string | null = () => null,
    late: (why: string) => void = () => undefined,
    overWaits: (asker: Asker) => void = () => undefined,
  ) {
    this.waits = waits;
    this.#onLate = late;
    this.#onOverWaits = overWaits;
    this.#silence = silence;
    this.#lookUps = new LookUps(askStore);
    this.#probe = probe;
    this.#isWithheld = isWithheld;
    this.#onDenied = tellDenied;
  }

  /** True if answers are ready to be sent. */
  get areDue(): boolean {
    return this.#ready.length > 0;
  }

  /** When `run` is next due if no input arrives; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    const cachedUntil = this.#cached?.until ?? Infinity;
    const waitUntil = Math.min(this.#waiters.dueAt, this.#followers.dueAt);
    const lookUpAt = Math.min(this.#lookUps.dueAt, this.waits.dueAt);
    return Math.min(waitUntil, lookUpAt, this.#room.dueAt, cachedUntil);
  }

  answer(number: AnswerNumber, ...body: readonly Buffer[]): void {
    this.#end(number, body, null, 0);
  }

  /**
   * Tells a client that its request is stored, before it gets the reply (D122).
   * @returns the number under which it asks for that; `null`: it was answered already
   */
  receipt(number: AnswerNumber, asker: Asker, ...body: readonly Buffer[]): AnswerNumber | null {
    const to = this.waits.ends(number);
    if (typeof to !== 'number') return null;
    this.#ready.push({ id: to, body, query: null, isPart: true, bytes: 0 });
    return this.waits.begins(to, false, asker.memory);
  }

  /** Queues the answer, unless one was given already (D105). */
  #end(number: AnswerNumber, body: Ready['body'], query: ReplyQuery | null, bytes: number): void {
    const to = this.waits.ends(number);
    if (typeof to === 'number') this.#ready.push({ id: to, body, query, bytes });
  }

  unknown(number: AnswerNumber): void {
    this.answer(number, STATUS_UNKNOWN);
  }

  /**
   * The request belongs to another owner: the asker gets the answer for an unknown one, but an
   * event reports it.
   */
  denied({ id, asker, uuid }: ReplyQuery): void {
    this.#onDenied(asker, uuid);
    this.unknown(id);
  }

  refuse(number: AnswerNumber, why: RefusedFor, text: string): void {
    this.#end(number, { why, text }, null, 0);
  }

  #reply(query: ReplyQuery, reply: readonly Buffer[]): void {
    // D82: who follows its parts asks for the reply by itself.
    if (query.cursor !== null) {
      this.answer(query.id, STATUS_OK);
      return;
    }
    const body = [STATUS_OK, ...reply];
    this.#end(query.id, body, query, bytesOf(body));
  }

  /** Answers with parts of a reply that is pending. @param body without the status */
  parts(query: ReplyQuery, body: readonly Buffer[], bytes: number): void {
    if (this.#isLate(query)) return;
    this.#end(query.id, [STATUS_PENDING, ...body], query, bytes);
    this.#partsBytes += bytes;
  }

  /** True if the ready parts are as many as one turn hands over: more would only wait in memory. */
  get arePartsEnough(): boolean {
    return this.#partsBytes >= TURN_BYTES_MAX;
  }

  /**
   * The request is pending: answers at once, or waits until something happens or the patience ends.
   */
  pending(query: ReplyQuery, now: number): void {
    if (this.isUntrusted) return;
    const { id, asker, until } = query;
    // D75: above the quota it does not wait.
    const { identity, quotas } = asker;
    const waits = this.#waiters.countOf(identity) + this.#followers.countOf(identity);
    if (until > now && waits < quotas.waits) {
      this.#add(query);
      return;
    }
    if (until > now) this.#onOverWaits(asker);
    this.answer(id, STATUS_PENDING);
  }

  /** Keeps the look-up of a request whose end is being committed: it can no longer be called pending. */
  withhold(query: ReplyQuery): void {
    if (!this.isUntrusted) this.#add({ ...query, until: Infinity });
  }

  /** Whether it was answered because the store took too long. Then it is to be forgotten. */
  #isLate({ id }: ReplyQuery): boolean {
    const isLate = !this.waits.isOpen(id);
    if (isLate) this.waits.ends(id);
    return isLate;
  }

  #add(query: ReplyQuery): void {
    if (this.#isLate(query)) return;
    this.waits.rests(query.id);
    (query.cursor === null ? this.#waiters : this.#followers).add(query);
  }

  /** True if a client waits for the parts of the reply to this request. */
  isFollowed(uuid: RequestUuid): boolean {
    return this.#followers.has(uuid);
  }

  /** Looks for all that somebody waits for: other brokers may have stored replies. */
  lookAgain(): void {
    for (const uuid of [...this.#waiters.uuids(), ...this.#followers.uuids()]) {
      this.#lookUpAll(this.#takeOf(uuid));
    }
  }

  /** Looks for what another broker has ended. @param tails see `Hint.ended` */
  hinted(tails: readonly Buffer[]): void {
    if (!this.areAwaited) return;
    for (const tail of tails) {
      const ended = [...this.#waiters.endingIn(tail), ...this.#followers.endingIn(tail)];
      for (const uuid of ended) this.#lookUpAll(this.#takeOf(uuid));
    }
  }

  /** True if somebody waits for something to happen. */
  get areAwaited(): boolean {
    return this.#waiters.dueAt !== Infinity || this.#followers.dueAt !== Infinity;
  }

  /** Takes out the clients that wait for parts of the reply. */
  takeFollowers(uuid: RequestUuid): ReplyQuery[] {
    return this.#followers.takeOf(uuid);
  }

  /** Looks the request up in the store. */
  lookUp(query: ReplyQuery): void {
    this.#lookUpAll([query]);
  }

  /** Looks one request up for all of these. */
  #lookUpAll(queries: readonly ReplyQuery[]): void {
    if (this.isUntrusted) return;
    for (const { id } of queries) this.waits.waits(id);
    this.#lookUps.ask(queries);
  }

  /** See `LookUps.stopSharing`. */
  stopSharing(look: LookUp): void {
    this.#lookUps.stopSharing(look);
  }

  found(look: LookUp, found: Found, now: number): void {
    const asked = this.#lookUps.found(look).filter((query) => !this.#isLate(query));
    if (this.isUntrusted || asked.length === 0) return;
    let reply: Buffer[] | null = null;
    if (found.state === 'replied' && found.reply !== null) {
      reply = unpacked(found.reply);
      if (found.replyBytes > SMALL_BYTES) this.waits.largeRead();
      this.#cache(asked, found.replyBytes, reply, now);
    }
    for (const query of asked) this.#answerFound(query, found, reply, now);
  }

  #cache([first]: readonly ReplyQuery[], bytes: number, frames: Buffer[], now: number): void {
    if (first === undefined || bytes <= SMALL_BYTES) return;
    this.#cached = { uuid: first.uuid, bytes, frames, until: now + CACHED_MS };
  }

  #answerFound(
    query: ReplyQuery,
    found: Found,
    reply: readonly Buffer[] | null,
    now: number,
  ): void {
    const { id, asker } = query;
    if (found.state === 'absent') {
      this.#absent(query, now);
    } else if (found.state === 'closed') {
      // D17: a request remembered as closed is known as such, whatever the peer has.
      if (isCertainFor(asker, found.by)) this.unknown(id);
      else this.#absent(query, now);
    } else if (!mayAccess(asker, found)) {
      this.denied(query);
    } else if (found.state === 'pending') {
      this.pending(query, now);
    } else if (found.state === 'dead') {
      const detail = unpackFailure(found.failure)?.detail ?? [];
      this.answer(id, deadStatusFrame(found.reason), ...detail);
    } else if (reply !== null || query.cursor !== null) {
      this.#reply(query, reply ?? []);
    } else {
      this.#large(query, found.replyBytes, now);
    }
  }

  /** D76: a reply is not read while the connection of its asker has no room for it. */
  #large(query: ReplyQuery, bytes: number, now: number): void {
    if (query.asker.outputMax() < bytes) {
      this.answer(query.id, TOO_LARGE);
      return;
    }
    if (query.asker.outputLeft() < bytes) {
      if (this.#room.wait(query, bytes, now)) this.waits.rests(query.id);
      else this.refuse(query.id, { quota: 'waits' }, TOO_MANY);
      return;
    }
    const cached = this.#cached;
    if (cached?.bytes === bytes && cached.uuid.equals(query.uuid)) {
      this.#reply(query, cached.frames);
    } else {
      this.waits.waitsForLarge(query.id);
      this.#lookUps.askLarge(query, bytes);
    }
  }

  #absent(query: ReplyQuery, now: number): void {
    const probe = this.#probe();
    if (probe === null) this.#pendingUnknown(query, now);
    else if (probe === 0) this.unknown(query.id);
    else this.#probing.push({ probe, query });
  }

  /** Whatever was absent before this probe, or before an earlier one, is unknown. */
  probed(number: number): void {
    const known = this.#probing.filter(({ probe }) => probe <= number);
    this.#probing = this.#probing.filter(({ probe }) => probe > number);
    for (const { query } of known) this.unknown(query.id);
  }

  /** The open probes will not be answered: the peer may have what was asked for. */
  unprobed(now: number): void {
    const open = this.#probing;
    this.#probing = [];
    for (const { query } of open) this.#pendingUnknown(query, now);
  }

  /** The peer may have it: waiting clients are answered when it has arrived here (D17). */
  #pendingUnknown(query: ReplyQuery, now: number): void {
    this.pending(query, now);
    const { uuid } = query;
    if (this.#has(uuid)) this.#unknown.set(uuid.toString('latin1'), uuid);
  }

  /** More of the peer's requests have arrived: looks again for those that were not found. */
  merged(): void {
    const unknown = [...this.#unknown.values()];
    this.#unknown.clear();
    for (const uuid of unknown) this.#lookUpAll(this.#takeOf(uuid));
  }

  /**
   * The look-up failed, so it is uncertain whether the request is unknown or still pending.
   * @param text for those who asked; `null`: it is tried again
   */
  lookFailed(look: LookUp, text: string | null, now: number): void {
    if (text === null) {
      this.#lookUps.failed(look, now);
      return;
    }
    for (const { id } of this.#lookUps.found(look)) this.answer(id, status(500, text));
  }

  /** Sends the reply to the clients that wait for this request. */
  sendReplyToWaiters(uuid: RequestUuid, reply: Buffer): void {
    const waiting = this.#takeOf(uuid);
    if (waiting.length === 0) return;
    const frames = unpacked(reply);
    for (const query of waiting) this.#reply(query, frames);
  }

  /** Sends this answer to the clients that wait for this request. */
  answerWaiters(uuid: RequestUuid, ...answer: readonly Buffer[]): void {
    for (const { id } of this.#takeOf(uuid)) this.answer(id, ...answer);
  }

  /** Answers the clients that wait for this request that it is unknown. */
  answerWaitersUnknown(uuid: RequestUuid): void {
    this.answerWaiters(uuid, STATUS_UNKNOWN);
  }

  /**
   * The request was closed by somebody who may not be its owner. For the others, the store is
   * asked.
   */
  answerWaitersClosed(uuid: RequestUuid, by: Owner): void {
    for (const query of this.#takeOf(uuid)) {
      if (isCertainFor(query.asker, [by])) this.unknown(query.id);
      else this.lookUp(query);
    }
  }

  /** Looks the request up, and answers those who wait for it, without further waiting. */
  lookUpForWaiters(uuid: RequestUuid): void {
    this.#lookUpAll(this.#takeOf(uuid).map((query) => ({ ...query, until: -Infinity })));
  }

  #takeOf(uuid: RequestUuid): ReplyQuery[] {
    this.#unknown.delete(uuid.toString('latin1'));
    const waiting = this.#waiters.takeOf(uuid);
    return this.#followers.has(uuid) ? [...waiting, ...this.#followers.takeOf(uuid)] : waiting;
  }

  #has(uuid: RequestUuid): boolean {
    return this.#waiters.has(uuid) || this.#followers.has(uuid);
  }

  /**
   * Handles patience that has ended, look-ups to try again, and replies for which there may be room
   * now.
   */
  run(now: number): void {
    const due = this.#waiters.takeDue(now, TURN_ANSWERS_MAX);
    due.push(...this.#followers.takeDue(now, TURN_ANSWERS_MAX));
    for (const query of due) {
      const { id, uuid } = query;
      if (!this.#has(uuid)) this.#unknown.delete(uuid.toString('latin1'));
      const silence = this.#silence();
      if (this.#isWithheld(uuid)) this.withhold(query);
      else this.answer(id, silence === null ? STATUS_PENDING : status(500, silence));
    }
    for (const query of this.#room.overdue(now, TURN_ANSWERS_MAX)) {
      this.refuse(query.id, 'limit', query.asker.isGone ? GONE : NO_ROOM);
    }
    for (const query of this.#room.take(now)) this.lookUp(query);
    this.#lookUps.run(now);
    for (const late of this.waits.overdue(now, this.#silence(), TURN_ANSWERS_MAX)) {
      this.#answerLate(late);
    }
    if (this.#cached !== null && this.#cached.until <= now) this.#cached = null;
  }

  #answerLate({ to, why, detail, isRefused }: Overdue): void {
    if (this.isUntrusted) return;
    if (isRefused) this.#onLate(why);
    if (typeof to !== 'number') to(why);
    else this.#ready.push({ id: to, body: [status(500, why), ...detail], query: null, bytes: 0 });
  }

  /** Sends the ready answers, as many as fit into a turn. */
  send(host: BrokerHost, now: number): void {
    let given = 0;
    let handedOver = 0;
    for (const { id, body, query, isPart, bytes } of this.#ready) {
      if (given === TURN_ANSWERS_MAX || handedOver >= TURN_BYTES_MAX) break;
      given++;
      if ('why' in body) {
        host.refuse(id, body.why, body.text);
        continue;
      }
      if (isPart === true) {
        host.part(id, body);
        continue;
      }
      const areParts = query !== null && query.cursor !== null;
      if (areParts) this.#partsBytes -= bytes;
      // If the connection has ended, its peer may have returned on another one, which has its own
      // room.
      if (query !== null && !query.asker.isGone && query.asker.outputLeft() < bytes) {
        if (areParts) host.answer(id, [STATUS_PENDING]);
        else if (query.asker.outputMax() < bytes) host.answer(id, [TOO_LARGE]);
        else this.#waitForRoom(id, query, bytes, host, now);
      } else {
        host.answer(id, body);
        handedOver += bytes;
      }
    }
    this.#ready.splice(0, given);
  }

  #waitForRoom(id: number, query: ReplyQuery, bytes: number, host: BrokerHost, now: number): void {
    const again = { ...query, id: this.waits.begins(id, false, query.asker.memory) };
    this.waits.rests(again.id);
    if (this.#room.wait(again, bytes, now)) return;
    this.waits.ends(again.id);
    host.refuse(id, { quota: 'waits' }, TOO_MANY);
  }
}

function bytesOf(body: readonly Buffer[]): number {
  return body.reduce((bytes, frame) => bytes + frame.length, 0);
}

export function status(code: 400 | 500, text: string): Buffer {
  return Buffer.from(`${code} ${text}`);
}

/** D63: the status frame of a dead request. @param reason as it is stored */
export function deadStatusFrame(reason: string): Buffer {
  return status(500, deadStatus(reason));
}

/** The frames of a packed reply, as views. */
function unpacked(reply: Buffer): Buffer[] {
  const frames = new Frames();
  unpack(reply, 0, reply.length, frames);
  return Array.from({ length: frames.count }, (_, index) => frames.view(index));
}
