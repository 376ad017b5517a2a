/**
 * What `titanic.*` answers, and to whom: answers that go out with the turn, look-ups in the store,
 * and those who wait for something to happen (`titanic.wait`).
 */
import type { Asker, BrokerHost } from '../broker/ports.js';
import { Frames } from '../core/frames.js';
import { unpack } from '../core/packed.js';
import { deadStatus } from '../wire/failure.js';
import { isCertainFor, mayAsk } from './belonging.js';
import { unpackFailure } from './failures.js';
import { Reads, SMALL_BYTES } from './reads.js';
import { Room } from './room.js';
import type { Found, Owner, RequestUuid } from './store.js';
import { type Asking, Waiters } from './waiters.js';

export const STATUS_OK: Buffer = Buffer.from('200');
const STATUS_PENDING = Buffer.from('300');
const STATUS_UNKNOWN = Buffer.from('400 unknown');

/** Answers that go out in one turn, and waits that end in one. */
const TURN_ANSWERS_MAX = 4096;
/** Bytes of answers that one turn hands over, and one of any size: others are read meanwhile. */
const TURN_BYTES_MAX = 1024 * 1024;

/** A large reply is kept for so long, for others that ask for it: each reading is a copy of its own. */
const KEPT_MS = 100;
const TOO_MANY = 'the quota waits is used up: the replies before this one are not read';
const GONE = 'the connection that it came by has ended';
const NO_ROOM = 'the reply has no room among what this connection has not read';

/** The large reply that was read last. */
interface Kept {
  readonly uuid: RequestUuid;
  readonly bytes: number;
  readonly frames: readonly Buffer[];
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** An answer that can go out. */
interface Ready {
  readonly id: number;
  /** Or why it is refused. */
  readonly body: readonly Buffer[] | { readonly reason: 'quota' | 'limit'; readonly text: string };
  /** Of a reply, who is to read it: what they have no room for waits, and is read again. */
  readonly asking: Asking | null;
}

export class Answers {
  /** See `Replica.probe`. */
  readonly #probe: () => number | null;
  /** Its end is on its way to both disks: see `withhold`. */
  readonly #isWithheld: (uuid: RequestUuid) => boolean;
  readonly #tellDenied: (asker: Asker, uuid: RequestUuid) => void;
  /** Look-ups whose uuid is in no row, by the probe that says whether it is unknown. */
  #probing: { readonly probe: number; readonly asking: Asking }[] = [];
  readonly #reads: Reads;
  readonly #waiters = new Waiters();
  /** Those that somebody waits for and that are in no row here, though the peer may have them. */
  readonly #unknown = new Map<string, RequestUuid>();
  readonly #room = new Room();
  #kept: Kept | null = null;
  #ready: Ready[] = [];
  /** What was stored may be lost: nobody is shown any of it, and the process ends. */
  isUntrusted = false;

  constructor(
    askStore: (look: number, uuid: RequestUuid, replyBytesMax: number) => void,
    probe: () => number | null,
    isWithheld: (uuid: RequestUuid) => boolean,
    tellDenied: (asker: Asker, uuid: RequestUuid) => void = () => undefined,
  ) {
    this.#reads = new Reads(askStore);
    this.#probe = probe;
    this.#isWithheld = isWithheld;
    this.#tellDenied = tellDenied;
  }

  /** Some are ready to go out. */
  get areDue(): boolean {
    return this.#ready.length > 0;
  }

  /** When `run` is next wanted although nothing comes; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    const keptUntil = this.#kept?.until ?? Infinity;
    return Math.min(this.#waiters.dueAt, this.#reads.dueAt, this.#room.dueAt, keptUntil);
  }

  answer(id: number, ...body: readonly Buffer[]): void {
    this.#ready.push({ id, body, asking: null });
  }

  unknown(id: number): void {
    this.answer(id, STATUS_UNKNOWN);
  }

  /** It is another's: told as if it were unknown, but not to those who watch. */
  denied({ id, asker, uuid }: Asking): void {
    this.#tellDenied(asker, uuid);
    this.unknown(id);
  }

  #refuse({ id }: Asking, reason: 'quota' | 'limit', text: string): void {
    this.#ready.push({ id, body: { reason, text }, asking: null });
  }

  #reply(asking: Asking, reply: readonly Buffer[]): void {
    this.#ready.push({ id: asking.id, body: [STATUS_OK, ...reply], asking });
  }

  /** It is open: pending, now or until something happens or the patience ends. */
  pending(asking: Asking, now: number): void {
    if (this.isUntrusted) return;
    const { id, asker, until } = asking;
    // D75: a wait too many is none.
    const mayWait = this.#waiters.countOf(asker.identity) < asker.quotas.waits;
    if (until > now && mayWait) this.#waiters.add(asking);
    else this.answer(id, STATUS_PENDING);
  }

  /** Its end is on its way to the disks, and cannot be called pending any more. */
  withhold(asking: Asking): void {
    if (!this.isUntrusted) this.#waiters.add({ ...asking, until: Infinity });
  }

  /** The store knows. */
  lookUp(asking: Asking): void {
    if (!this.isUntrusted) this.#reads.ask(asking);
  }

  /** What it found is told later. */
  keepBack(look: number): void {
    this.#reads.seal(look);
  }

  found(look: number, found: Found, now: number): void {
    const asked = this.#reads.found(look);
    if (this.isUntrusted || asked.length === 0) return;
    let reply: Buffer[] | null = null;
    if (found.state === 'replied' && found.reply !== null) {
      reply = unpacked(found.reply);
      this.#keep(asked, found.replyBytes, reply, now);
    }
    for (const asking of asked) this.#tell(asking, found, reply, now);
  }

  #keep([first]: readonly Asking[], bytes: number, frames: Buffer[], now: number): void {
    if (first === undefined || bytes <= SMALL_BYTES) return;
    this.#kept = { uuid: first.uuid, bytes, frames, until: now + KEPT_MS };
  }

  #tell(asking: Asking, found: Found, reply: readonly Buffer[] | null, now: number): void {
    const { id, asker } = asking;
    if (found.state === 'absent') {
      this.#absent(asking, now);
    } else if (found.state === 'closed') {
      // D17: what is remembered as closed is known, whatever the peer has.
      if (isCertainFor(asker, found.by)) this.unknown(id);
      else this.#absent(asking, now);
    } else if (!mayAsk(asker, found)) {
      this.denied(asking);
    } else if (found.state === 'pending') {
      this.pending(asking, now);
    } else if (found.state === 'dead') {
      const detail = unpackFailure(found.failure)?.detail ?? [];
      this.answer(id, deadStatusFrame(found.reason), ...detail);
    } else if (reply !== null) {
      this.#reply(asking, reply);
    } else {
      this.#large(asking, found.replyBytes, now);
    }
  }

  /** D76: what its reader has no room for is not read. */
  #large(asking: Asking, bytes: number, now: number): void {
    if (asking.asker.outputLeft() < bytes) {
      if (!this.#room.wait(asking, bytes, now)) this.#refuse(asking, 'quota', TOO_MANY);
      return;
    }
    const kept = this.#kept;
    if (kept?.bytes === bytes && kept.uuid.equals(asking.uuid)) this.#reply(asking, kept.frames);
    else this.#reads.askLarge(asking, bytes);
  }

  #absent(asking: Asking, now: number): void {
    const probe = this.#probe();
    if (probe === null) this.#pendingUnknown(asking, now);
    else if (probe === 0) this.unknown(asking.id);
    else this.#probing.push({ probe, asking });
  }

  /** What was absent before this probe, and before the others until then, is unknown. */
  probed(number: number): void {
    const known = this.#probing.filter(({ probe }) => probe <= number);
    this.#probing = this.#probing.filter(({ probe }) => probe > number);
    for (const { asking } of known) this.unknown(asking.id);
  }

  /** The probes that are out are not answered: what they asked for may be at the peer. */
  unprobed(now: number): void {
    const open = this.#probing;
    this.#probing = [];
    for (const { asking } of open) this.#pendingUnknown(asking, now);
  }

  /** The peer may have it: whoever waits for it is told when that has come here (D17). */
  #pendingUnknown(asking: Asking, now: number): void {
    this.pending(asking, now);
    const { uuid } = asking;
    if (this.#waiters.has(uuid)) this.#unknown.set(uuid.toString('latin1'), uuid);
  }

  /** More of the peer's requests are here: those that were unknown are looked for again. */
  merged(): void {
    const unknown = [...this.#unknown.values()];
    this.#unknown.clear();
    for (const uuid of unknown) {
      for (const asking of this.#waiters.takeOf(uuid)) this.lookUp(asking);
    }
  }

  /** Nothing is known of it at present: neither that it is unknown nor that it is still pending. */
  lookFailed(look: number, now: number): void {
    this.#reads.failed(look, now);
  }

  /** Those who wait for this one have its reply. */
  tellReply(uuid: RequestUuid, reply: Buffer): void {
    const waiting = this.#takeOf(uuid);
    if (waiting.length === 0) return;
    const frames = unpacked(reply);
    for (const asking of waiting) this.#reply(asking, frames);
  }

  /** Those who wait for this one are told this. */
  tell(uuid: RequestUuid, ...answer: readonly Buffer[]): void {
    for (const { id } of this.#takeOf(uuid)) this.answer(id, ...answer);
  }

  /** Those who wait for this one are told that it is unknown. */
  tellUnknown(uuid: RequestUuid): void {
    this.tell(uuid, STATUS_UNKNOWN);
  }

  /** It was closed by somebody who may not be its owner: the store knows for whom, the others wait on. */
  tellClosed(uuid: RequestUuid, by: Owner): void {
    for (const asking of this.#takeOf(uuid)) {
      if (isCertainFor(asking.asker, [by])) this.unknown(asking.id);
      else this.lookUp(asking);
    }
  }

  /** Those who wait for this one are told what the store says. */
  tellByLookUp(uuid: RequestUuid): void {
    for (const asking of this.#takeOf(uuid)) this.lookUp({ ...asking, until: -Infinity });
  }

  #takeOf(uuid: RequestUuid): Asking[] {
    this.#unknown.delete(uuid.toString('latin1'));
    return this.#waiters.takeOf(uuid);
  }

  /** Patience that has ended, look-ups to try again, replies for which there may be room now. */
  run(now: number): void {
    for (const asking of this.#waiters.takeDue(now, TURN_ANSWERS_MAX)) {
      const { id, uuid } = asking;
      if (!this.#waiters.has(uuid)) this.#unknown.delete(uuid.toString('latin1'));
      if (this.#isWithheld(uuid)) this.withhold(asking);
      else this.answer(id, STATUS_PENDING);
    }
    for (const asking of this.#room.overdue(now, TURN_ANSWERS_MAX)) {
      this.#refuse(asking, 'limit', asking.asker.isGone ? GONE : NO_ROOM);
    }
    for (const asking of this.#room.take(now)) this.lookUp(asking);
    this.#reads.run(now);
    if (this.#kept !== null && this.#kept.until <= now) this.#kept = null;
  }

  /** Gives out what can go out, so much as fits a turn. */
  give(host: BrokerHost, now: number): void {
    let given = 0;
    let handedOver = 0;
    for (const { id, body, asking } of this.#ready) {
      if (given === TURN_ANSWERS_MAX || handedOver >= TURN_BYTES_MAX) break;
      given++;
      if ('reason' in body) {
        host.refuse(id, body.reason, body.text);
        continue;
      }
      const bytes = asking === null ? 0 : bytesOf(body);
      // One whose connection has ended may have come back by another: that has room of its own.
      if (asking !== null && !asking.asker.isGone && asking.asker.outputLeft() < bytes) {
        if (!this.#room.wait(asking, bytes, now)) host.refuse(id, 'quota', TOO_MANY);
      } else {
        host.answer(id, body);
        handedOver += bytes;
      }
    }
    this.#ready.splice(0, given);
  }
}

function bytesOf(body: readonly Buffer[]): number {
  return body.reduce((bytes, frame) => bytes + frame.length, 0);
}

export function status(code: 400 | 500, text: string): Buffer {
  return Buffer.from(`${code} ${text}`);
}

/** D63: what a dead request's status frame says. @param reason as it is stored */
export function deadStatusFrame(reason: string): Buffer {
  return status(500, deadStatus(reason));
}

/** The frames of a packed reply, as views. */
function unpacked(reply: Buffer): Buffer[] {
  const frames = new Frames();
  unpack(reply, 0, reply.length, frames);
  return Array.from({ length: frames.count }, (_, index) => frames.view(index));
}
