/**
 * Clients that follow the parts of replies while a worker sends them (`titanic.progress`, D82). The
 * broker holds the parts, for the reply that it will join from them. Those that a client may not
 * have read when the reply is complete are kept for a short time.
 */
import type { DeliveryPort } from '../../../broker/ports.js';
import { ownCopy } from '../../../core/bytes.js';
import { OldestFirst } from '../../../core/oldest-first.js';
import type { TitanicContext } from './context.js';
import { ATTEMPTS, BROKER_ID, NO_SLOT, type Slot } from './open-index.js';
import type { OpenRequests } from './open-requests.js';
import { mayAccess } from './ownership.js';
import { partsFrom, cursorText } from './parts.js';
import type { Ownership, RequestUuid } from '../../../store/store.js';
import type { ReplyQuery } from './waiters.js';

/** Most bytes of parts in one answer, unless it has only one part. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** How long, and how many bytes in all, parts of complete replies are kept. */
const RETAINED_MS = 10_000;
const RETAINED_BYTES_MAX = 16 * 1024 * 1024;
/** What is counted of each besides its parts. */
const ENTRY_BYTES = 512;

/** The parts of one delivery. */
interface Source {
  readonly attempt: number;
  readonly run: string;
  /** See `DeliveryPort.parts`. */
  readonly packed: Buffer;
}

/** A source that the broker no longer has. */
interface Retained extends Source {
  readonly whose: Ownership;
  /** Monotonic milliseconds. */
  readonly until: number;
}

export class Progress {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  /** Queries to be answered in this turn. */
  asked: ReplyQuery[] = [];
  /** Uuids of requests with new parts that somebody waits for. */
  readonly #news = new Map<string, RequestUuid>();
  /** By uuid, the oldest first. */
  readonly #retained = new OldestFirst<string, Retained>();
  #retainedBytes = 0;

  constructor(context: TitanicContext, requests: OpenRequests) {
    this.#context = context;
    this.#requests = requests;
  }

  /** True if queries wait for `run`. */
  get isDue(): boolean {
    return this.asked.length > 0 || this.#news.size > 0;
  }

  /** When `run` is next due if no input arrives; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#retained.oldest?.value.until ?? Infinity;
  }

  /** The worker of a request has sent one more part. */
  progressed(slot: Slot): void {
    const uuid = this.#requests.dispatcher.index.uuid(slot);
    if (this.#requests.answers.isFollowed(uuid)) this.#news.set(nameOf(uuid), uuid);
  }

  /** The reply of a request is complete, and its delivery about to be forgotten. */
  replied(slot: Slot, packed: Buffer | null): void {
    const { answers, dispatcher } = this.#requests;
    const uuid = dispatcher.index.uuid(slot);
    if (packed === null || dispatcher.deliveryOf(slot) === null) return;
    if (bytesOf(packed) > RETAINED_BYTES_MAX) return;
    // Also if nobody has asked so far: whoever stored the request may be about to.
    this.forget(uuid);
    const whose = dispatcher.ownershipOf(slot);
    const until = this.#context.now + RETAINED_MS;
    this.#retained.set(nameOf(uuid), {
      ...this.#deliveryOf(slot),
      packed: ownCopy(packed),
      whose,
      until,
    });
    this.#retainedBytes += bytesOf(packed);
    for (const { key, value } of this.#retained) {
      if (this.#retainedBytes <= RETAINED_BYTES_MAX) break;
      this.#drop(key, value.packed);
    }
    if (answers.isFollowed(uuid)) this.#news.set(nameOf(uuid), uuid);
  }

  /** The request is closed: its parts are unknown from now on, too. */
  forget(uuid: RequestUuid): void {
    const retained = this.#retained.get(nameOf(uuid));
    if (retained !== undefined) this.#drop(nameOf(uuid), retained.packed);
  }

  #drop(name: string, packed: Buffer): void {
    this.#retained.delete(name);
    this.#retainedBytes -= bytesOf(packed);
  }

  /** Answers those for whom there are parts; the others wait. */
  run(broker: DeliveryPort): void {
    for (const { key, value } of this.#retained) {
      if (value.until > this.#context.now) break;
      this.#drop(key, value.packed);
    }
    const { answers } = this.#requests;
    const asked = this.asked;
    this.asked = [];
    for (const uuid of this.#news.values()) {
      for (const query of answers.takeFollowers(uuid)) asked.push(query);
    }
    this.#news.clear();
    for (const query of asked) {
      // D76: the others are served in the next turn, if there is still room then.
      if (answers.arePartsEnough) this.asked.push(query);
      else this.#serve(query, broker);
    }
  }

  #serve(query: ReplyQuery, broker: DeliveryPort): void {
    const { answers, dispatcher } = this.#requests;
    const { asker, uuid } = query;
    if (answers.isUntrusted) return;
    const slot = dispatcher.index.find(uuid);
    const retained = this.#retained.get(nameOf(uuid)) ?? null;
    const whose = slot === NO_SLOT ? retained?.whose : dispatcher.ownershipOf(slot);
    if (whose === undefined) answers.lookUp(query);
    else if (!mayAccess(asker, whose)) answers.denied(query);
    else if (this.#hasAnswered(query, this.#sourceOf(slot, broker) ?? retained)) return;
    else if (slot === NO_SLOT) answers.lookUp(query);
    else if (this.#requests.isWithheld(uuid)) answers.withhold(query);
    else answers.pending(query, this.#context.now);
  }

  /** The parts of the present delivery. */
  #sourceOf(slot: Slot, broker: DeliveryPort): Source | null {
    const { dispatcher } = this.#requests;
    if (dispatcher.deliveryOf(slot) === null || !dispatcher.isWithBroker(slot)) return null;
    const packed = broker.parts(dispatcher.index.getDouble(slot, BROKER_ID));
    return packed === null ? null : { ...this.#deliveryOf(slot), packed };
  }

  #deliveryOf(slot: Slot): Omit<Source, 'packed'> {
    const { dispatcher } = this.#requests;
    const { worker, startedAt } = dispatcher.delivery(slot, this.#context.wall);
    const attempt = dispatcher.index.get(slot, ATTEMPTS) + 1;
    return { attempt, run: `${attempt}-${startedAt}-${worker.number}` };
  }

  /** Answers with the parts that the client has not read; false if there are none. */
  #hasAnswered(query: ReplyQuery, source: Source | null): boolean {
    const { asker, cursor } = query;
    if (source === null || cursor === null) return false;
    const { run, attempt } = source;
    const first = cursor.run === run ? cursor.index : 0;
    // D76: a client that does not read gets none; it asks again when its wait is over.
    const room = asker.outputLeft();
    const { counts, frames, bytes } = partsFrom(
      source.packed,
      first,
      Math.min(room, ANSWER_BYTES_MAX),
    );
    if (counts.length === 0 || bytes > room) return false;
    const next = cursorText({ run, index: first + counts.length });
    const facts = JSON.stringify({ attempt, first, frames: counts });
    this.#requests.answers.parts(query, [Buffer.from(next), Buffer.from(facts), ...frames], bytes);
    return true;
  }
}

function bytesOf(packed: Buffer): number {
  return packed.length + ENTRY_BYTES;
}

function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}
