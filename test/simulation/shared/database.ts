/**
 * The database that the brokers of a fleet share: the requests of a store in memory, who has claimed
 * them, and the sessions of the brokers. Each method is one statement, or one transaction, of the
 * store in PostgreSQL (src/extensions/postgres), with the same conditions.
 */
import { isWork } from '../../../src/store/record-kind.js';
import { present } from '../../../src/core/assert.js';
import type { Sending } from '../../../src/extensions/postgres/changes.js';
import { UNIQUE_VIOLATION } from '../../../src/extensions/postgres/failures.js';
import type { LargeContent, Part } from '../../../src/extensions/postgres/reader.js';
import type {
  Claimant,
  FenceValue,
  OtherSession,
  Taken,
} from '../../../src/extensions/postgres/session.js';
import type { Made } from '../../../src/extensions/postgres/tables.js';
import { REQUEST_BODY } from '../../../src/extensions/postgres/schema.js';
import { isScheduleKey } from '../../../src/wire/tsp.js';
import type { SimRandom } from '../world/random.js';
import { type Delta, Tally } from '../../../src/store/tally.js';
import {
  type Change,
  type ChangeResult,
  type ClaimedRequest,
  FIRST_CLAIM,
  type Found,
  ANY_OWNER,
  type Release,
  type RequestUuid,
  type StoredContent,
  type StoredRequest,
  type ClaimedTurns,
  uuidsChanged,
  type Wanted,
} from '../../../src/store/store.js';
import { type Entry, nameOf } from '../../../src/testing/memory-rows.js';
import { MemoryNodeTables } from '../../support/memory-node-tables.js';

const LISTED_MAX = 3;
const PASSED: ChangeResult = { kind: 'passed' };
const DONE: ChangeResult = { kind: 'done' };

type ChangeOf<Kind extends Change['kind']> = Extract<Change, { readonly kind: Kind }>;
/** Of one request. */
type Step = ChangeOf<
  'accept' | 'attempt' | 'advance' | 'reply' | 'dead' | 'close' | 'expire' | 'retry'
>;
type EndStep = Step & { readonly kind: 'close' | 'expire' };

export interface Session extends Claimant {
  readonly session: number;
  leaseUntil: number;
  token: number;
  dead: boolean;
}

/** Who has a pending request. */
export interface ClaimRow {
  /** `null`: nobody. */
  session: number | null;
  claim: number;
  /** It waits for its time. */
  delayed: boolean;
}

/** A condition of the statements: each can be removed, to verify that the simulation detects it. */
export interface Conditions {
  /** An attempt, or a death, is made only by the broker that has the claim. */
  readonly fencesClaims: boolean;
  /** Only what nobody has claimed can be claimed. */
  readonly claimsOnlyFree: boolean;
  /** What was sent before the token was raised, and arrives later, changes nothing. */
  readonly fencesTokens: boolean;
  /** What dead sessions had claimed is freed. */
  readonly freesDead: boolean;
  /** The key of a due time leads to the request that has it. */
  readonly keepsKeys: boolean;
}

export const ALL_CONDITIONS: Conditions = {
  fencesClaims: true,
  fencesTokens: true,
  claimsOnlyFree: true,
  freesDead: true,
  keepsKeys: true,
};

/** What the server answers instead: nothing was changed. */
export class SqlError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`the server says ${code}`);
    this.code = code;
  }
}

export const STORE_ID = Buffer.alloc(16, 7);
const SERIALIZATION_FAILURE = '40001';
const RAISED_EXCEPTION = 'P0001';
/** Bodies are read in parts of so many bytes. */
const PART_BYTES = 16;

export class SharedDatabase {
  readonly sessions: Session[] = [];
  /** Called after each transaction that changes requests. */
  changed: () => void = () => undefined;
  /** Another transaction has locked the row of this request. */
  isLocked: (uuid: RequestUuid) => boolean = () => false;
  /** A trigger raises an exception for this request. */
  refuses: (uuid: RequestUuid) => boolean = () => false;
  /** Probability that a transaction cannot be serialized. */
  abortChance = 0;
  /** Probability that a request whose key comes after another one's is postponed. */
  postponeChance = 0;
  readonly #tables = new MemoryNodeTables();
  readonly #claims = new Map<string, ClaimRow>();
  readonly #conditions: Conditions;
  /** Its clock: milliseconds since 1970. */
  readonly #clockMs: () => number;
  #transactions = 0;

  constructor(clockMs: () => number, conditions: Conditions = ALL_CONDITIONS) {
    this.#clockMs = clockMs;
    this.#conditions = conditions;
  }

  // ---------------------------------------------------------------- for checks

  get rows(): readonly Entry[] {
    return this.#tables.entries;
  }

  get pending(): readonly StoredRequest[] {
    return this.#tables.pending();
  }

  /** How many transactions there were: nothing changes without one. */
  get transactions(): number {
    return this.#transactions;
  }

  row(uuid: RequestUuid): Entry | undefined {
    return this.#tables.entry(uuid);
  }

  /** `null`: it is not pending. */
  claimOf(uuid: RequestUuid): ClaimRow | null {
    const isPending = this.row(uuid)?.request.state === 'pending';
    return isPending ? (this.#claims.get(nameOf(uuid)) ?? null) : null;
  }

  isAlive(session: number): boolean {
    return this.sessions.some((each) => each.session === session && !each.dead);
  }

  #isFenced({ session, token }: FenceValue): boolean {
    const isOfToken = !this.#conditions.fencesTokens || this.sessions[session - 1]?.token === token;
    return isOfToken && this.isAlive(session);
  }

  find(uuid: RequestUuid): Found {
    return this.lookUp(uuid, Infinity);
  }

  // ---------------------------------------------------------------- sessions

  take(claimant: Claimant, withinMs: number): Taken {
    const since = this.#clockMs() - withinMs;
    const wasUsed = this.sessions.some(({ dead, leaseUntil }) => !dead || leaseUntil > since);
    for (const each of this.sessions) {
      if (each.directoryId.equals(claimant.directoryId)) each.dead = true;
    }
    const session = this.sessions.length + 1;
    const leaseUntil = this.#clockMs() + claimant.leaseMs;
    this.sessions.push({ ...claimant, session, leaseUntil, token: 0, dead: false });
    return { session, wasUsed };
  }

  /** Those that are alive, of the same data directory. */
  sessionsOf({ directoryId }: Claimant): number[] {
    return this.sessions
      .filter((each) => !each.dead && each.directoryId.equals(directoryId))
      .map(({ session }) => session);
  }

  /** @returns the clock; `null` if the session is dead */
  renew(session: number): number | null {
    const mine = present(this.sessions[session - 1], 'a session that was taken');
    if (mine.dead) return null;
    mine.leaseUntil = this.#clockMs() + mine.leaseMs;
    return this.#clockMs();
  }

  /** @returns 0: the session is dead */
  token(session: number): number {
    return this.isAlive(session) ? (this.sessions[session - 1]?.token ?? 0) : 0;
  }

  leave(session: number): void {
    present(this.sessions[session - 1], 'a session that was taken').dead = true;
    this.free();
  }

  newToken(session: number): number {
    return ++present(this.sessions[session - 1], 'a session that was taken').token;
  }

  others(mine: number): OtherSession[] {
    return this.sessions
      .filter(({ session, dead }) => !dead && session !== mine)
      .map(({ session, node, leaseUntil }) => ({
        ...{ session, node, lease: String(leaseUntil), isOverdue: leaseUntil < this.#clockMs() },
      }));
  }

  endSession({ session, lease }: OtherSession): boolean {
    const other = present(this.sessions[session - 1], 'a session that was seen');
    const isSame = String(other.leaseUntil) === lease && other.leaseUntil < this.#clockMs();
    if (other.dead || !isSame) return false;
    other.dead = true;
    return true;
  }

  /** What dead sessions had claimed. */
  free(): void {
    if (!this.#conditions.freesDead) return;
    for (const { uuid } of this.pending) {
      const row = this.#rowOf(uuid);
      if (row.session === null || this.isAlive(row.session) || this.isLocked(uuid)) continue;
      row.session = null;
    }
  }

  // ---------------------------------------------------------------- claims

  /** @returns `null`: the session has ended */
  claim(fence: FenceValue, wanted: readonly Wanted[]): ClaimedRequest[] | null {
    if (!this.#isFenced(fence)) return null;
    const { session } = fence;
    const claimed: ClaimedRequest[] = [];
    for (const { service, isSchedules, most, turns } of wanted) {
      const free = this.pending
        .filter(
          (request) =>
            request.service.equals(service) &&
            (request.kind === 'schedule') === isSchedules &&
            this.#isClaimable(request),
        )
        .sort(byUrgency);
      const isTurn = free.some(({ own }) => !isSchedules && own.length > 0);
      const picked = isTurn ? inTurns(free, turns) : free;
      for (const request of picked.slice(0, most)) {
        const row = this.#rowOf(request.uuid);
        row.session = session;
        row.claim = Math.max(row.claim, FIRST_CLAIM) + 1;
        // Every third is too large to come with its claim.
        const isLarge = request.number % 3 === 0;
        const content = isLarge ? null : this.#tables.body(request.uuid);
        claimed.push({ request, claim: row.claim, content, isTurn });
      }
    }
    return claimed;
  }

  #isClaimable({ uuid }: StoredRequest): boolean {
    const { session, delayed } = this.#rowOf(uuid);
    if (this.isLocked(uuid)) return false;
    return !delayed && (session === null || !this.#conditions.claimsOnlyFree);
  }

  #rowOf(uuid: RequestUuid): ClaimRow {
    return present(this.#claims.get(nameOf(uuid)), 'every request has it');
  }

  /** Takes the mark off what waited for its time. */
  wake(most: number): void {
    const woken = this.pending
      .filter(({ uuid, notBefore }) => {
        const { session, delayed } = this.#rowOf(uuid);
        const isDue = session === null && delayed && notBefore <= this.#clockMs();
        return isDue && !this.isLocked(uuid);
      })
      .sort((one, other) => one.notBefore - other.notBefore);
    for (const { uuid } of woken.slice(0, most)) this.#rowOf(uuid).delayed = false;
  }

  /** @returns those that are locked; `null`: the session has ended */
  release(fence: FenceValue, released: readonly Release[]): Release[] | null {
    if (!this.#isFenced(fence)) return null;
    const { session } = fence;
    return released.filter(({ uuid, claim }) => {
      const row = this.claimOf(uuid);
      if (row?.session !== session || row.claim !== claim) return false;
      if (!this.isLocked(uuid)) row.session = null;
      return row.session !== null;
    });
  }

  /** @returns as `release` */
  freeUnknown(fence: FenceValue, known: readonly Release[]): Release[] | null {
    const claimed = new Set(known.map(({ uuid, claim }) => `${nameOf(uuid)} ${claim}`));
    const unknown = this.pending.flatMap(({ uuid }) => {
      const { session, claim } = this.#rowOf(uuid);
      const isMine = session === fence.session && claim > FIRST_CLAIM;
      return isMine && !claimed.has(`${nameOf(uuid)} ${claim}`) ? [{ uuid, claim }] : [];
    });
    return this.release(fence, unknown);
  }

  // ---------------------------------------------------------------- changes

  /**
   * @returns `null`: the session has ended, and nothing was changed
   * @throws SqlError
   */
  commit(
    fence: FenceValue,
    changes: readonly Change[],
    sending: Sending,
    random: SimRandom,
  ): Made | null {
    if (!this.#isFenced(fence)) return null;
    if (random.chance(this.abortChance)) throw new SqlError(SERIALIZATION_FAILURE);
    if (changes.flatMap(uuidsChanged).some(this.refuses)) throw new SqlError(RAISED_EXCEPTION);
    const plain = changes.filter((each) => each.kind === 'accept' && isPlain(each));
    const isThere = plain.some((each) => uuidsChanged(each).some((uuid) => this.row(uuid)));
    if (isThere && sending === 'first') throw new SqlError(UNIQUE_VIOLATION);
    const { session } = fence;
    const isAgain = sending === 'again';
    const deltas: Delta[] = [];
    const postponed = this.#postponed(changes, random);
    this.#transactions++;
    const results = changes.map((change, at) => {
      if (postponed.includes(at)) return PASSED;
      if (change.kind === 'sweep') return this.#sweep(change, deltas);
      const made = change.kind === 'accept' ? this.#numbered(change, at) : change;
      return this.#counted(uuidOf(made), deltas, () => this.#apply(session, made, isAgain));
    });
    this.changed();
    return { results, deltas, postponed };
  }

  /** As `Batch.postponed`: keys after those of an earlier stage, and what is about their requests. */
  #postponed(changes: readonly Change[], random: SimRandom): number[] {
    const later = new Set<string>();
    let hasKeys = false;
    return changes.flatMap((change, at) => {
      const names = uuidsChanged(change).map(nameOf);
      const isKeyed = hasKey(change);
      const isNow = !names.some((name) => later.has(name));
      if (isNow && !(isKeyed && hasKeys && random.chance(this.postponeChance))) {
        hasKeys ||= isKeyed;
        return [];
      }
      for (const name of names) later.add(name);
      return [at];
    });
  }

  /** By the clock of the database, in microseconds. */
  #numbered(change: ChangeOf<'accept'>, at: number): ChangeOf<'accept'> {
    const number = this.#clockMs() * 1000 + at;
    const isDropped = change.key !== null && isScheduleKey(change.key);
    const key = isDropped && !this.#conditions.keepsKeys ? null : change.key;
    return { ...change, key, request: { ...change.request, number } };
  }

  #counted(uuid: RequestUuid, deltas: Delta[], run: () => ChangeResult): ChangeResult {
    const before = this.row(uuid);
    const result = run();
    const after = this.row(uuid);
    if (before === after) return result;
    if (before !== undefined) deltas.push(deltaOf(before, -1));
    if (after !== undefined) deltas.push(deltaOf(after, 1));
    return result;
  }

  #write(change: Change): ChangeResult {
    const number = this.#transactions;
    const transaction = { number, tombstones: 'none', holds: null, peerHolds: 0 } as const;
    return present(this.#tables.commit(transaction, [change])[0], 'a result');
  }

  #apply(session: number, change: Step, isAgain: boolean): ChangeResult {
    const uuid = uuidOf(change);
    const before = this.row(uuid);
    const row = this.#claims.get(nameOf(uuid));
    if ('claim' in change && change.kind !== 'accept') {
      const isMine = row?.session === session && row.claim === change.claim;
      if (!isMine && this.#conditions.fencesClaims) return isMade(change, before, isAgain);
    }
    if (change.kind === 'advance' && change.partnerClaim !== undefined && before !== undefined) {
      const ofPartner = this.#claims.get(nameOf(before.request.partner));
      const isMine = ofPartner?.session === session && ofPartner.claim === change.partnerClaim;
      if (!isMine && this.#conditions.fencesClaims) return isMade(change, before, isAgain);
    }
    const result = this.#write(change);
    if (result.kind === 'passed') return isMade(change, before, isAgain);
    if (['denied', 'known', 'another'].includes(result.kind)) return result;
    switch (change.kind) {
      case 'accept':
        if (before === undefined) this.#enter(session, change);
        else this.#claims.set(nameOf(uuid), this.#unclaimed(uuid, change.request.notBefore));
        return result;
      case 'attempt':
      case 'advance':
        if (row === undefined) return result;
        if (change.keepsClaim !== true) row.session = null;
        row.delayed = change.notBefore > this.#clockMs();
        return result;
      case 'close':
      case 'expire':
        this.#claims.delete(nameOf(uuid));
        return result;
      default:
        this.#claims.set(nameOf(uuid), this.#unclaimed(uuid, 0));
        return result;
    }
  }

  #unclaimed(uuid: RequestUuid, notBefore: number): ClaimRow {
    const claim = this.#claims.get(nameOf(uuid))?.claim ?? 0;
    return { session: null, claim, delayed: notBefore > this.#clockMs() };
  }

  #enter(session: number, { request, claim }: ChangeOf<'accept'>): void {
    const { uuid, notBefore } = request;
    this.#claims.set(nameOf(uuid), {
      session: claim === undefined ? null : session,
      claim: claim === undefined ? 0 : FIRST_CLAIM,
      delayed: notBefore > this.#clockMs(),
    });
  }

  /** Also requests that no broker has claimed. */
  #sweep(sweep: ChangeOf<'sweep'>, deltas: Delta[]): ChangeResult {
    const { now: at, keyUntil, most } = sweep;
    const over = this.rows
      .filter(({ request: { uuid, state, expiresAt } }) => {
        const isFree = state !== 'pending' || this.#rowOf(uuid).session === null;
        return isFree && expiresAt <= at && !this.isLocked(uuid);
      })
      .sort((one, other) => one.request.expiresAt - other.request.expiresAt);
    const states = { pending: 0, replied: 0, dead: 0 };
    const counts = new Map<string, number>();
    for (const entry of over.slice(0, most)) {
      const { uuid, service, state } = entry.request;
      this.#write({ kind: 'expire', uuid, at, keyUntil, by: ANY_OWNER });
      this.#claims.delete(nameOf(uuid));
      deltas.push(deltaOf(entry, -1));
      states[state]++;
      const name = service.toString('latin1');
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    // Only keys are left to it.
    this.#write({ ...sweep, most: over.length > most ? 0 : most });
    const services = [...counts].map(([name, count]) => ({
      ...{ service: Buffer.from(name, 'latin1'), count },
    }));
    const { replied, dead } = states;
    return { kind: 'swept', replied, dead, services, gone: [], more: over.length > most };
  }

  // ---------------------------------------------------------------- reads

  lookUp(uuid: RequestUuid, replyBytesMax: number): Found {
    return this.#tables.lookUp(uuid, replyBytesMax);
  }

  load(uuids: readonly RequestUuid[]): (StoredContent | LargeContent | null)[] {
    return uuids.map((uuid) => {
      const content = this.#tables.body(uuid);
      const request = this.row(uuid)?.request;
      if (content === null || request === undefined || request.number % 2 === 0) return content;
      // Every second is too large for one piece.
      const bodyKey = { uuid, kind: REQUEST_BODY, generation: request.generation } as const;
      return { bodyKey, extra: this.row(uuid)?.extra ?? null };
    });
  }

  part(uuid: RequestUuid, done: number): Part | null {
    const body = this.row(uuid)?.body;
    if (body === undefined) return null;
    return { bytes: body.length, part: body.subarray(done, done + PART_BYTES) };
  }

  list(after: number): StoredRequest[] {
    return this.pending.filter(({ number }) => number > after);
  }

  newestAt(): number {
    return Math.max(0, ...this.rows.map(({ request }) => request.acceptedAt));
  }

  listKept(after: number): StoredRequest[] {
    return this.pending
      .filter(({ kind, number }) => !isWork(kind) && number > after)
      .slice(0, LISTED_MAX);
  }

  /** Of these, the ones that a session has claimed. */
  claimedOf(asked: readonly RequestUuid[], session: number): StoredRequest[] {
    return asked.flatMap((uuid) => {
      const request = this.row(uuid)?.request;
      return request !== undefined && this.claimOf(uuid)?.session === session ? [request] : [];
    });
  }

  count(): Tally {
    return new Tally(this.rows.map((entry) => deltaOf(entry, 1)));
  }
}

function isPlain({ key, request }: ChangeOf<'accept'>): boolean {
  return key === null && request.generation === 0;
}

/** The key of a client, for a new request. */
function hasKey(change: Change): boolean {
  if (change.kind !== 'accept' || change.key === null) return false;
  return change.request.generation === 0 && !isScheduleKey(change.key);
}

/** Requests of the highest priority, in the order of their urgency: the groups behind the last one come first. */
function inTurns(
  free: readonly StoredRequest[],
  { after, each, held }: ClaimedTurns,
): StoredRequest[] {
  const startable = free.filter(({ own }) => !held.some((group) => group.equals(own)));
  const top = startable.filter(({ priority }) => priority === startable[0]?.priority);
  const seen = new Map<string, number>();
  const ranked = top.map((request) => {
    const key = request.own.toString('hex');
    const round = (seen.get(key) ?? 0) + 1;
    seen.set(key, round);
    return { request, round, isBehind: request.own.compare(after) > 0 };
  });
  return ranked
    .filter(({ round }) => each === 0 || round <= each)
    .sort(
      (a, b) =>
        a.round - b.round ||
        Number(b.isBehind) - Number(a.isBehind) ||
        a.request.own.compare(b.request.own),
    )
    .map(({ request }) => request);
}

function byUrgency(one: StoredRequest, other: StoredRequest): number {
  return other.priority - one.priority || one.number - other.number;
}

function uuidOf(change: Step): RequestUuid {
  return change.kind === 'accept' ? change.request.uuid : change.uuid;
}

/** A step that was not made: of a batch that is sent again, it may have been made before. */
function isMade(change: Step, before: Entry | undefined, isAgain: boolean): ChangeResult {
  if (!isAgain || before === undefined) return PASSED;
  const { request } = before;
  if (isEnd(change)) return PASSED;
  if (change.kind === 'accept') {
    return isPlain(change) || request.generation === change.request.generation ? DONE : PASSED;
  }
  if (request.generation !== change.generation) return PASSED;
  if (change.kind === 'retry') return { kind: 'reopened', request };
  if (change.kind === 'attempt') return request.attempts === change.attempts ? DONE : PASSED;
  if (change.kind === 'advance') {
    return request.attempts >= change.attempts ? { kind: 'reopened', request } : PASSED;
  }
  return request.state === (change.kind === 'reply' ? 'replied' : 'dead') ? DONE : PASSED;
}

function isEnd(change: Step): change is EndStep {
  return change.kind === 'close' || change.kind === 'expire';
}

function deltaOf({ request, extra, reply }: Entry, requests: 1 | -1): Delta {
  const { service, owner, kind, state, attempts } = request;
  const size = request.bodyBytes + (extra?.length ?? 0) + (reply?.reply.length ?? 0);
  const isRetrying = state === 'pending' && attempts > 0;
  return { service, owner, kind, state, isRetrying, requests, bytes: requests * size };
}
