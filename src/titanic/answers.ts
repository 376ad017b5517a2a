/**
 * What `titanic.*` answers, and to whom: answers that go out with the turn, look-ups in the store,
 * and those who wait for something to happen (`titanic.wait`).
 */
import { Frames } from '../core/frames.js';
import { unpack } from '../core/packed.js';
import type { Found, RequestUuid } from './store.js';
import { Waiters } from './waiters.js';

export const STATUS_OK: Buffer = Buffer.from('200');
const STATUS_PENDING = Buffer.from('300');
const STATUS_UNKNOWN = Buffer.from('400 unknown');

/** After a look-up that failed. */
const LOOK_AGAIN_MS = 1000;

/** A look-up under way, and who is to be told. */
interface Look {
  readonly id: number;
  readonly uuid: RequestUuid;
  /** Until when it waits if the request is pending: monotonic milliseconds. */
  readonly until: number;
}

export class Answers {
  /** See `Replica.probe`. */
  readonly #probe: () => number | null;
  /** Its end is on its way to both disks: see `withhold`. */
  readonly #isWithheld: (uuid: RequestUuid) => boolean;
  /** Look-ups whose uuid is in no row, by the probe that says whether it is unknown. */
  #probing: { readonly probe: number; readonly asked: Look }[] = [];
  readonly #askStore: (look: number, uuid: RequestUuid) => void;
  readonly #waiters = new Waiters();
  /** Those that somebody waits for and that are in no row here, though the peer may have them. */
  readonly #unknown = new Map<string, RequestUuid>();
  readonly #looks = new Map<number, Look>();
  #lastLook = 0;
  /** Those that failed, and when they are tried again. */
  #lookAgain: Look[] = [];
  #lookAgainAt = Infinity;
  /** Requests of the broker that can now be answered. */
  #ready: { readonly id: number; readonly body: readonly Buffer[] }[] = [];
  /** What was stored may be lost: nobody is shown any of it, and the process ends. */
  isUntrusted = false;

  constructor(
    askStore: (look: number, uuid: RequestUuid) => void,
    probe: () => number | null,
    isWithheld: (uuid: RequestUuid) => boolean,
  ) {
    this.#askStore = askStore;
    this.#probe = probe;
    this.#isWithheld = isWithheld;
  }

  /** Some are ready to go out. */
  get areDue(): boolean {
    return this.#ready.length > 0;
  }

  /** When `run` is next wanted although nothing comes; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return Math.min(this.#waiters.dueAt, this.#lookAgainAt);
  }

  answer(id: number, ...body: readonly Buffer[]): void {
    this.#ready.push({ id, body });
  }

  /** It is open: pending, now or until something happens or the patience ends. */
  pending(id: number, uuid: RequestUuid, waitMs: number, now: number): void {
    if (this.isUntrusted) return;
    if (waitMs > 0) this.#waiters.add(uuid, id, now + waitMs);
    else this.answer(id, STATUS_PENDING);
  }

  /** Its end is on its way to the disks, and cannot be called pending any more. */
  withhold(id: number, uuid: RequestUuid): void {
    if (!this.isUntrusted) this.#waiters.add(uuid, id, Infinity);
  }

  /** The store knows. */
  lookUp(id: number, uuid: RequestUuid, until: number): void {
    if (this.isUntrusted) return;
    const look = ++this.#lastLook;
    this.#looks.set(look, { id, uuid, until });
    this.#askStore(look, uuid);
  }

  found(look: number, found: Found, now: number): void {
    const asked = this.#looks.get(look);
    if (asked === undefined) return;
    this.#looks.delete(look);
    if (this.isUntrusted) return;
    switch (found.state) {
      case 'absent':
        this.#absent(asked, now);
        return;
      case 'pending':
        this.pending(asked.id, asked.uuid, asked.until - now, now);
        return;
      case 'replied':
        this.answer(asked.id, STATUS_OK, ...unpacked(found.reply));
        return;
      case 'dead':
        this.answer(asked.id, status(500, found.reason));
    }
  }

  #absent(asked: Look, now: number): void {
    const probe = this.#probe();
    if (probe === null) this.#pendingUnknown(asked, now);
    else if (probe === 0) this.answer(asked.id, STATUS_UNKNOWN);
    else this.#probing.push({ probe, asked });
  }

  /** What was absent before this probe, and before the others until then, is unknown. */
  probed(number: number): void {
    const known = this.#probing.filter(({ probe }) => probe <= number);
    this.#probing = this.#probing.filter(({ probe }) => probe > number);
    for (const { asked } of known) this.answer(asked.id, STATUS_UNKNOWN);
  }

  /** The probes that are out are not answered: what they asked for may be at the peer. */
  unprobed(now: number): void {
    const open = this.#probing;
    this.#probing = [];
    for (const { asked } of open) this.#pendingUnknown(asked, now);
  }

  /** The peer may have it: whoever waits for it is told when that has come here (D17). */
  #pendingUnknown({ id, uuid, until }: Look, now: number): void {
    this.pending(id, uuid, until - now, now);
    if (this.#waiters.has(uuid)) this.#unknown.set(uuid.toString('latin1'), uuid);
  }

  /** More of the peer's requests are here: those that were unknown are looked for again. */
  merged(): void {
    const unknown = [...this.#unknown.values()];
    this.#unknown.clear();
    for (const uuid of unknown) {
      const waiting = this.#waiters.takeWithPatience(uuid);
      for (const { id, until } of waiting) this.lookUp(id, uuid, until);
    }
  }

  /** Nothing is known of it at present: neither that it is unknown nor that it is still pending. */
  lookFailed(look: number, now: number): void {
    const asked = this.#looks.get(look);
    if (asked === undefined) return;
    this.#looks.delete(look);
    if (this.#lookAgain.length === 0) this.#lookAgainAt = now + LOOK_AGAIN_MS;
    this.#lookAgain.push(asked);
  }

  /** Those who wait for this one are told. */
  tell(uuid: RequestUuid, body: () => readonly Buffer[]): void {
    const waiting = this.#takeOf(uuid);
    if (waiting.length === 0) return;
    const frames = body();
    for (const id of waiting) this.answer(id, ...frames);
  }

  /** Those who wait for this one are told that it is unknown. */
  tellUnknown(uuid: RequestUuid): void {
    this.tell(uuid, () => [STATUS_UNKNOWN]);
  }

  /** Those who wait for this one are told what the store says. */
  tellByLookUp(uuid: RequestUuid): void {
    for (const id of this.#takeOf(uuid)) this.lookUp(id, uuid, -Infinity);
  }

  #takeOf(uuid: RequestUuid): number[] {
    this.#unknown.delete(uuid.toString('latin1'));
    return this.#waiters.takeOf(uuid);
  }

  /** Patience that has ended, and look-ups to try again. */
  run(now: number): void {
    for (const { id, uuid } of this.#waiters.takeDue(now)) {
      if (!this.#waiters.has(uuid)) this.#unknown.delete(uuid.toString('latin1'));
      if (this.#isWithheld(uuid)) this.withhold(id, uuid);
      else this.answer(id, STATUS_PENDING);
    }
    if (this.#lookAgainAt > now) return;
    const again = this.#lookAgain;
    this.#lookAgain = [];
    this.#lookAgainAt = Infinity;
    for (const { id, uuid, until } of again) this.lookUp(id, uuid, until);
  }

  /** Takes all that can go out. */
  take(): readonly { readonly id: number; readonly body: readonly Buffer[] }[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

export function status(code: 400 | 500, text: string): Buffer {
  return Buffer.from(`${code} ${text}`);
}

/** The frames of a packed reply, as views. */
export function unpacked(reply: Buffer): Buffer[] {
  const frames = new Frames();
  unpack(reply, 0, reply.length, frames);
  return Array.from({ length: frames.count }, (_, index) => frames.view(index));
}
