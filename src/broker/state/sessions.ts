/** The sessions of all clients (D116), and those that end by themselves, in the order in which they do. */
import type { Session } from './entities.js';
import { NONE, OUT, QUEUED, type RequestTable, SERVICE } from './request-table.js';
import { OldestFirst } from '../../core/oldest-first.js';
import { RECENT_BYTES, RecentAnswers } from './recent-answers.js';

/**
 * How long a client may take to find that its broker is silent, besides the time in which it may come back: answers
 * that were sent before that are kept for as long.
 */
const FINDING_MS = 5000;

export class Sessions {
  /** How long a client may be away; 0: there are no sessions. */
  readonly resumeMs: number;
  /** The time of the last input, in monotonic milliseconds. */
  now = 0;
  readonly byKey = new Map<string, Session>();
  /** Sessions whose clients have no connection, or no hello any more, and until when they are kept. */
  readonly #away = new OldestFirst<Session, number>();
  /** Sessions whose clients have come back to answers that are kept, and when. */
  readonly #back = new OldestFirst<Session, number>();
  /** Sessions with recent answers, and when these were looked at last. */
  readonly #recent = new OldestFirst<Session, number>();

  constructor(resumeMs: number) {
    this.resumeMs = resumeMs;
  }

  get count(): number {
    return this.byKey.size;
  }

  /** How many clients are away. */
  get away(): number {
    return this.#away.size;
  }

  /**
   * How many requests wait for clients that are away, by the number of their service.
   * @param most sessions and requests that are looked at; with more, `null` is returned
   */
  requestsAway(table: RequestTable, most: number): ReadonlyMap<number, number> | null {
    const found = new Map<number, number>();
    let left = most;
    for (const { key: session } of this.#away) {
      const { requests } = session.client;
      left -= 1 + requests.count;
      if (left < 0) return null;
      for (let id = requests.head; id !== NONE; id = requests.next(id)) {
        if (!table.is(id, QUEUED | OUT)) continue;
        const service = table.get(id, SERVICE);
        found.set(service, (found.get(service) ?? 0) + 1);
      }
    }
    return found;
  }

  add(session: Session): void {
    this.byKey.set(session.key, session);
    session.client.identity.sessions++;
  }

  delete(session: Session): void {
    session.hasEnded = true;
    session.clearRecent();
    session.clearUnsent();
    this.byKey.delete(session.key);
    this.#away.delete(session);
    this.#back.delete(session);
    this.#recent.delete(session);
    session.client.identity.sessions--;
  }

  /** The client of a session has lost its connection. */
  left(session: Session, now: number): void {
    this.#recent.delete(session);
    this.#back.delete(session);
    session.lost();
    this.stays(session, now);
  }

  /** A session is kept for so long from now on, unless its client comes back. */
  stays(session: Session, now: number): void {
    this.#away.delete(session);
    this.#away.set(session, now + this.resumeMs);
  }

  /** The client of a session has come back. */
  cameBack(session: Session): void {
    this.#away.delete(session);
    this.#back.delete(session);
    if (session.hasUnsent) this.#back.set(session, this.now);
  }

  /** What keeps the answer to a session that is sent now, until it has arrived; `null`: there is no memory. */
  recentOf(session: Session): RecentAnswers | null {
    const known = session.recent;
    if (known !== null && !known.isEmpty) return known;
    const { memory } = session.client.identity;
    if (known === null && !memory.mayHold(RECENT_BYTES)) return null;
    if (!this.#recent.has(session)) this.#recent.set(session, this.now);
    return (session.recent ??= new RecentAnswers(memory));
  }

  /** A session whose client has not come back in time; `null`: there is none. */
  nextOver(now: number): Session | null {
    const { oldest } = this.#away;
    return oldest !== null && oldest.value <= now ? oldest.key : null;
  }

  /** A session whose client has come back long ago, and did not ask for answers that are kept; `null`: there is none. */
  nextUnasked(now: number): Session | null {
    const { oldest } = this.#back;
    if (oldest === null || oldest.value + this.#keptMs > now) return null;
    this.#back.shift();
    return oldest.key;
  }

  /**
   * Drops recent answers that have been kept for long enough.
   * @param budget maximum number of sessions to look at
   * @returns false if there is more to do
   */
  sweep(now: number, budget: number): boolean {
    const keptMs = this.#keptMs;
    for (let left = budget; left > 0; left--) {
      const { oldest } = this.#recent;
      if (oldest === null || oldest.value + keptMs > now) return true;
      const { key: session } = oldest;
      this.#recent.shift();
      session.recent?.dropOlder(keptMs, now);
      if (session.recent?.isEmpty === false) this.#recent.set(session, now);
      else session.clearRecent();
    }
    return false;
  }

  /** When `nextOver`, `nextUnasked` or `sweep` has something to do; Infinity: never. */
  nextDueAt(): number {
    const endsAt = this.#away.oldest?.value ?? Infinity;
    const sentAt = this.#recent.oldest?.value ?? Infinity;
    const backAt = this.#back.oldest?.value ?? Infinity;
    return Math.min(endsAt, Math.min(sentAt, backAt) + this.#keptMs);
  }

  get #keptMs(): number {
    return this.resumeMs + FINDING_MS;
  }
}
