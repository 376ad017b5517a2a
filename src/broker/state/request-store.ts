/**
 * What the broker holds for requests: their records, the bytes of envelope and body, and what is
 * kept from their deliveries.
 */
import { Arena, type ArenaHandle } from '../../core/arena.js';
import { copyBytes, copyWords, Words } from '../../core/bytes.js';
import { Frames } from '../../core/frames.js';
import { type Holdings, type MemoryAccount, QUERY_BYTES } from '../../core/holdings.js';
import {
  pack,
  PackedCursor,
  packedBytes,
  packedFrameBytes,
  packedStart,
  putFrameHead,
  readPacked,
  unpack,
} from '../../core/packed.js';
import { pieceOf } from '../../core/piece.js';
import type { Inbound } from '../../wire/inbound.js';
import {
  BARE,
  byDialect,
  DELIMITED,
  type Dialect,
  isVersion02,
  TEXT_02,
  WORKER_NUMBERS,
} from '../../wire/dialect.js';
import { EMPTY } from '../../wire/mdp.js';
import type { ReturnPath } from '../../wire/outbound.js';
import type { RequestForm } from '../../wire/packed-forms.js';
import type { RequestTracer } from '../request-trace.js';
import type { Clients } from './clients.js';
import type { Client, Peer, Service, KnownHello } from './entities.js';
import { Deadlines } from './deadlines.js';
import { HeldPartials } from './held-partials.js';
import { helloOf } from './hellos.js';
import type { Identities } from './identities.js';
import { ReportedFailures } from './reported-failures.js';
import {
  ARRIVED_AT,
  BODY_BYTES,
  BYTES,
  CLIENT,
  DEADLINE,
  ENVELOPE_BYTES,
  ENVELOPED,
  FLAGS,
  HEADED,
  HEARS_FAILURES,
  HELD,
  INTERNAL,
  LOST,
  NONE,
  ONCE,
  recordAt,
  REPORTED,
  type RequestId,
  RequestList,
  type RequestTable,
  SERVICE,
  STORED,
  TIMED,
  UNSERVED,
  UNSERVED_ENTRY,
  UNDERSTANDS_REFUSALS,
  PLAIN,
  QUERY,
  FREELANCE,
  GROUPED,
  VERSION_02,
} from './request-table.js';
import type { ServiceTable } from './service-table.js';
import type { LateReplyReason, Tokens } from './tokens.js';
import type { Workers } from './workers.js';

/** A message is kept where it is if the request is at least this part of its memory. */
const ADOPTED_SHARE = 7 / 8;
/** Memory that a request takes besides the run with its envelope and body. */
const RECORD_BYTES = 128;
/**
 * Counts what is held for no identity: bodies of stored requests that are at workers, limits of groups, and free memory
 * between requests.
 */
export const OWN_ACCOUNT = 'broker';

const NO_WORDS = new Words(EMPTY);

const DIALECT_FLAGS: Readonly<Record<Dialect, number>> = {
  ...byDialect((dialect) => (isVersion02(dialect) ? VERSION_02 : 0)),
  [DELIMITED]: PLAIN,
  [BARE]: FREELANCE,
  [TEXT_02]: VERSION_02 | PLAIN,
  [WORKER_NUMBERS]: VERSION_02 | FREELANCE,
};

function dialectOf(flags: number): Dialect {
  const isVersion2 = (flags & VERSION_02) !== 0;
  if ((flags & (PLAIN | FREELANCE)) === 0) return isVersion2 ? 2 : 1;
  if ((flags & PLAIN) === 0) return isVersion2 ? WORKER_NUMBERS : BARE;
  return isVersion2 ? TEXT_02 : DELIMITED;
}

/** Packed frames at `[start, end)` of a buffer. */
interface PackedRange {
  words: Words;
  start: number;
  end: number;
}

/** What classes of this folder and of admission use of the broker's state. */
export interface Tables {
  readonly tracer: RequestTracer;
  readonly holdings: Holdings;
  readonly table: RequestTable;
  readonly tokens: Tokens;
  readonly identities: Identities;
  readonly clients: Clients;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly requests: RequestStore;
}

export class RequestStore {
  /** All requests with a time to live, in order of arrival. */
  readonly byArrival: RequestList;
  readonly partials: HeldPartials;
  readonly failures: ReportedFailures;
  readonly deadlines: Deadlines;
  /** When it is certain that nobody serves a request whose client does not want to wait then. */
  readonly unserved: Deadlines;
  /** Set by `locateBody`, and reused. */
  readonly body: PackedRange = { words: NO_WORDS, start: 0, end: 0 };
  readonly #state: Tables;
  readonly #own: MemoryAccount;
  readonly #arena = new Arena();
  readonly #path: ReturnPath = {
    dialect: 1,
    enveloped: false,
    envelope: NO_WORDS,
    envelopeStart: 0,
    envelopeEnd: 0,
  };
  /** Envelopes and bodies. */
  #bytes = 0;
  /** The part of the arena's free bytes that is counted. */
  #excessBytes = 0;
  #internal = 0;
  #internalBytes = 0;
  #stored = 0;

  constructor(state: Tables) {
    const { table, holdings } = state;
    this.#state = state;
    this.#own = holdings.use(OWN_ACCOUNT);
    this.byArrival = RequestList.byArrival(table);
    this.partials = new HeldPartials(table);
    this.failures = new ReportedFailures(table);
    this.deadlines = new Deadlines(table, TIMED, DEADLINE);
    this.unserved = new Deadlines(table, UNSERVED, UNSERVED_ENTRY);
  }

  /** Requests of clients held for worker services. */
  get held(): number {
    return this.#state.table.count - this.#internal - this.#stored;
  }

  /** Bytes held: envelopes, bodies and PARTIALs. */
  get heldBytes(): number {
    return this.#bytes + this.partials.bytes;
  }

  /** Requests that internal services have not answered. */
  get internal(): number {
    return this.#internal;
  }

  /** Bytes of envelopes at internal services; some wait for as long as their clients like (`titanic.wait`). */
  get internalBytes(): number {
    return this.#internalBytes;
  }

  /** False if no request of any size can be held. */
  get hasRoom(): boolean {
    return this.#arena.hasRoom;
  }

  // ---------------------------------------------------------------- adding

  /** Copies a request for a worker service. This is the only copy of its body. */
  add(inbound: Inbound, peer: Peer, hello: KnownHello | null, now: number): RequestId {
    const { contentFrom, frames } = inbound;
    const id = this.#arrived(this.#store(inbound, peer, hello, contentFrom, frames.count), now);
    if (inbound.once) this.#state.table.raise(id, ONCE);
    if (inbound.hasHeaders) this.#headed(id, inbound.deadlineMs, peer.identity.memory, now);
    return id;
  }

  /** The request is of a group of its service from now on. @param memory of its sender; absent: as of stored requests */
  setGroup(id: RequestId, name: string, memory: MemoryAccount = this.#own): void {
    memory.add('requests', this.serviceOf(id).waiting.join(id, name));
  }

  #leaveGroup(id: RequestId, memory: MemoryAccount): void {
    memory.add('requests', -this.serviceOf(id).waiting.leave(id));
  }

  /** Copies a request that is still packed: its frames were found by `form`. */
  addPacked(words: Words, from: number, form: RequestForm, peer: Peer, now: number): RequestId {
    const envelopeBytes = form.envelopeEnd - from;
    const bodyBytes = form.end - form.contentStart;
    const handle = this.#allocate(envelopeBytes + bodyBytes);
    const { words: to, start } = this.#arena.find(handle);
    const bodyAt = start + envelopeBytes;
    copyWords(words, from, form.envelopeEnd, to, start);
    copyWords(words, form.contentStart, form.end, to, bodyAt);
    const hello = peer.hellos.of(to.bytes, start, bodyAt);
    const id = this.#arrived(
      this.#record(form, peer, hello, handle, envelopeBytes, bodyBytes),
      now,
    );
    if (form.isHeaded) this.#headed(id, form.deadlineMs, peer.identity.memory, now);
    return id;
  }

  /** Headers are kept in front of its body. @param deadlineMs how long its client waits; 0: it did not say */
  #headed(id: RequestId, deadlineMs: number, memory: MemoryAccount, now: number): void {
    this.#state.table.raise(id, HEADED);
    if (deadlineMs > 0) this.deadlines.keep(id, now + deadlineMs, memory);
  }

  #arrived(id: RequestId, now: number): RequestId {
    this.#state.table.setTime(id, ARRIVED_AT, now);
    this.byArrival.pushBack(id);
    return id;
  }

  /** Keeps envelope and name of a request that an internal service answers. @param isQuery it only asks */
  addInternal(inbound: Inbound, peer: Peer, isQuery: boolean): RequestId {
    const { table } = this.#state;
    const hello = helloOf(inbound, peer.hellos);
    const id = this.#store(inbound, peer, hello, inbound.service, inbound.service + 1);
    table.raise(id, INTERNAL);
    this.#internal++;
    this.#internalBytes += table.get(id, ENVELOPE_BYTES);
    if (isQuery) this.onlyAsks(id);
    return id;
  }

  /** The request, which an internal service answers, only asks from now on. */
  onlyAsks(id: RequestId): void {
    if (this.#state.table.is(id, QUERY)) return;
    this.#state.table.raise(id, QUERY);
    this.clientOf(id)?.identity.memory.add('requests', QUERY_BYTES);
  }

  /**
   * Makes a record for a request that a part of this process submits. The caller then calls `setBody`.
   * @param origin BRIDGED; 0: it is of Titanic
   */
  addStored(origin: number): RequestId {
    const { table } = this.#state;
    const id = table.allocate();
    table.set(id, FLAGS, STORED | origin);
    table.set(id, CLIENT, NONE);
    table.set(id, BYTES, NONE);
    this.#stored++;
    return id;
  }

  /**
   * Copies the packed body of a stored request that has none at present.
   * @param headers `null`: it has none
   */
  setBody(id: RequestId, body: Buffer, headers: Buffer | null): void {
    const { table } = this.#state;
    const headersBytes = headers === null ? 0 : packedFrameBytes(headers.length);
    const bytes = headersBytes + body.length;
    const handle = this.#allocate(bytes);
    const { words, start } = this.#arena.find(handle);
    const to = words.bytes;
    if (headers === null) {
      table.lower(id, HEADED);
    } else {
      copyBytes(headers, 0, headers.length, to, putFrameHead(to, start, headers.length, true));
      table.raise(id, HEADED);
    }
    copyBytes(body, 0, body.length, to, start + headersBytes);
    table.set(id, BYTES, handle);
    table.set(id, BODY_BYTES, bytes);
    this.#bytes += bytes;
    this.#own.add('requests', this.#arena.sizeOf(bytes));
  }

  /** The client of a request that has headers waits until then, in monotonic milliseconds. */
  setDeadline(id: RequestId, at: number): void {
    this.deadlines.keep(id, at, this.#own);
  }

  /** Drops the body: between two deliveries only its submitter has it. */
  dropBody(id: RequestId): void {
    const page = this.#state.table.page(id);
    const at = recordAt(id);
    const handle = page[at + BYTES] ?? NONE;
    if (handle === NONE) return;
    const bytes = page[at + BODY_BYTES] ?? 0;
    this.#bytes -= bytes;
    const flags = page[at + FLAGS] ?? 0;
    if ((flags & STORED) !== 0) {
      this.#own.add('requests', -this.#arena.sizeOf(bytes));
      // Between two deliveries its service may be forgotten.
      if ((flags & GROUPED) !== 0) this.#leaveGroup(id, this.#own);
    }
    this.#arena.free(handle);
    this.#countExcess();
    page[at + BYTES] = NONE;
    page[at + BODY_BYTES] = 0;
  }

  // ---------------------------------------------------------------- reading

  /**
   * Sets `body` to the body of a request, which its headers precede if it is HEADED. (For an
   * internal service: to its name.)
   */
  locateBody(id: RequestId): void {
    const { table } = this.#state;
    const handle = table.get(id, BYTES);
    const { body } = this;
    const { words, start } = this.#arena.find(handle);
    body.words = words;
    body.start = start + table.get(id, ENVELOPE_BYTES);
    body.end = body.start + table.get(id, BODY_BYTES);
  }

  /** Where the body begins in `body`, which begins with headers. */
  afterHeaders(): number {
    const cursor = new PackedCursor();
    readPacked(this.body.words.bytes, this.body.start, cursor);
    return cursor.end;
  }

  /** The packed envelope of a request, as a copy. */
  envelope(id: RequestId): Buffer {
    const path = this.returnPath(id);
    return Buffer.from(path.envelope.bytes.subarray(path.envelopeStart, path.envelopeEnd));
  }

  /** The packed envelope of a request as text, one character per byte. */
  envelopeText(id: RequestId): string {
    const { envelope, envelopeStart, envelopeEnd } = this.returnPath(id);
    return envelope.bytes.toString('latin1', envelopeStart, envelopeEnd);
  }

  /** The way back to the client; the object is reused. */
  returnPath(id: RequestId): ReturnPath {
    const { table } = this.#state;
    const handle = table.get(id, BYTES);
    const path = this.#path;
    const flags = table.get(id, FLAGS);
    path.dialect = dialectOf(flags);
    path.enveloped = (flags & ENVELOPED) !== 0;
    const { words, start } = this.#arena.find(handle);
    path.envelope = words;
    path.envelopeStart = start;
    path.envelopeEnd = start + table.get(id, ENVELOPE_BYTES);
    return path;
  }

  clientOf(id: RequestId): Client | null {
    return this.#state.clients.byId(this.#state.table.get(id, CLIENT));
  }

  serviceOf(id: RequestId): Service {
    return this.#state.services.byId(this.#state.table.get(id, SERVICE));
  }

  /** The name of the internal service that a request is for; valid while the request is held. */
  internalName(id: RequestId): Buffer {
    const name = new Frames();
    this.locateBody(id);
    unpack(this.body.words.bytes, this.body.start, this.body.end, name);
    return name.view(0);
  }

  /** True if the reply can be sent to nobody, now or later. */
  isClientGone(id: RequestId): boolean {
    if (this.#state.table.is(id, STORED)) return false;
    return this.clientOf(id)?.departed ?? true;
  }

  /** True if the client may come back for its answers: it has a session, or chose its own routing id (D26, D116). */
  mayReturn(id: RequestId): boolean {
    const client = this.clientOf(id);
    return client !== null && (client.name !== null || client.session !== null);
  }

  // ---------------------------------------------------------------- releasing

  /** Forgets the request, which must be in no queue and at no worker. */
  release(id: RequestId, outcome: LateReplyReason): void {
    const { table, tracer, tokens, clients, identities } = this.#state;
    const page = table.page(id);
    const at = recordAt(id);
    const flags = page[at + FLAGS] ?? 0;
    const envelopeBytes = page[at + ENVELOPE_BYTES] ?? 0;
    if (tracer.isOn) tracer.forget(id);
    if ((flags & (HELD | REPORTED | TIMED | UNSERVED)) !== 0) this.#dropEntries(id);
    if (page[at + LOST] !== 0) tokens.outlive(id, outcome);
    const client = clients.byId(page[at + CLIENT] ?? NONE);
    if ((flags & GROUPED) !== 0) this.#leaveGroup(id, client?.identity.memory ?? this.#own);
    if (client !== null) {
      const { identity } = client;
      const bytes = envelopeBytes + (page[at + BODY_BYTES] ?? 0);
      const queryBytes = (flags & QUERY) === 0 ? 0 : QUERY_BYTES;
      identity.memory.add('requests', -this.#arena.sizeOf(bytes) - RECORD_BYTES - queryBytes);
      identity.outstanding--;
      client.requests.remove(id);
      clients.requestEnded(client);
      identities.releaseIfUnused(identity);
    }
    if (this.byArrival.has(id)) this.byArrival.remove(id);
    if ((flags & INTERNAL) !== 0) {
      this.#internal--;
      this.#internalBytes -= envelopeBytes;
    }
    this.#bytes -= envelopeBytes;
    this.dropBody(id);
    if ((flags & STORED) !== 0) this.#stored--;
    table.free(id);
  }

  /** Drops its times, and what was kept from its deliveries. */
  #dropEntries(id: RequestId): void {
    this.partials.drop(id);
    this.failures.drop(id);
    this.deadlines.drop(id);
    this.unserved.drop(id);
  }

  #allocate(bytes: number): ArenaHandle {
    const handle = this.#arena.allocate(bytes);
    this.#countExcess();
    return handle;
  }

  #countExcess(): void {
    const { excessBytes } = this.#arena;
    if (excessBytes === this.#excessBytes) return;
    this.#own.add('requests', excessBytes - this.#excessBytes);
    this.#excessBytes = excessBytes;
  }

  /** Makes the record, with the envelope and the frames `[from, to)` as its body. */
  #store(
    inbound: Inbound,
    peer: Peer,
    hello: KnownHello | null,
    from: number,
    to: number,
  ): RequestId {
    const { frames } = inbound;
    const envelopeBytes = packedBytes(frames, 0, inbound.envelopeFrames);
    const bodyBytes = packedBytes(frames, from, to);
    const adopted = this.#adopt(inbound, from, to, envelopeBytes, bodyBytes);
    if (adopted !== null) {
      return this.#record(inbound, peer, hello, adopted, envelopeBytes, bodyBytes);
    }
    const handle = this.#allocate(envelopeBytes + bodyBytes);
    const { words, start } = this.#arena.find(handle);
    const { bytes } = words;
    const bodyAt = pack(frames, 0, inbound.envelopeFrames, bytes, start, true);
    pack(frames, from, to, bytes, bodyAt, false);
    return this.#record(inbound, peer, hello, handle, envelopeBytes, bodyBytes);
  }

  /**
   * Keeps a large message where it is, without a copy: only its envelope is moved to before the body, over the name of
   * the service, and the group if there was one.
   * @returns `null`: it is to be copied
   */
  #adopt(
    { frames, options }: Inbound,
    from: number,
    to: number,
    envelopeBytes: number,
    bodyBytes: number,
  ): ArenaHandle | null {
    if (!frames.isLasting || !frames.isPacked || to < frames.count || options >= 0) return null;
    const bytes = frames.buffer(from);
    const piece = pieceOf(bytes);
    const size = envelopeBytes + bodyBytes;
    if (piece === undefined || size < ADOPTED_SHARE * bytes.length) return null;
    const start = packedStart(frames, from) - envelopeBytes;
    const envelopeStart = envelopeBytes === 0 ? start : packedStart(frames, 0);
    bytes.copyWithin(start, envelopeStart, envelopeStart + envelopeBytes);
    piece.hold();
    return this.#arena.adopt(piece, start);
  }

  /** @param handle the packed envelope, followed by the packed body */
  #record(
    { dialect, enveloped }: Pick<RequestForm, 'dialect' | 'enveloped'>,
    peer: Peer,
    hello: KnownHello | null,
    handle: ArenaHandle,
    envelopeBytes: number,
    bodyBytes: number,
  ): RequestId {
    const { table, clients } = this.#state;
    let flags = DIALECT_FLAGS[dialect];
    if (enveloped) flags |= ENVELOPED;
    if (hello !== null) {
      flags |= UNDERSTANDS_REFUSALS;
      if (hello.hearsFailures) flags |= HEARS_FAILURES;
    }
    const id = table.allocate();
    const session = hello?.session ?? null;
    const client = session === null || session.hasEnded ? clients.of(peer) : session.client;
    const page = table.page(id);
    const at = recordAt(id);
    page[at + FLAGS] = flags;
    page[at + BYTES] = handle;
    page[at + ENVELOPE_BYTES] = envelopeBytes;
    page[at + BODY_BYTES] = bodyBytes;
    page[at + CLIENT] = client.id;
    client.requests.pushBack(id);
    peer.identity.outstanding++;
    peer.identity.memory.add(
      'requests',
      this.#arena.sizeOf(envelopeBytes + bodyBytes) + RECORD_BYTES,
    );
    this.#bytes += envelopeBytes + bodyBytes;
    return id;
  }
}
