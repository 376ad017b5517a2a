/**
 * Numbered fields: the encoding of changes and records (docs/peer-protocol.md). A
 * field is a byte (its number times two, plus one if it is a run of bytes) and its value: a double,
 * or bytes preceded by their length. A zero byte ends the fields. Values that are 0, empty or
 * absent are left out. A number has the same meaning everywhere, so a record may use the fields of
 * a change.
 *
 * Unknown fields are kept as they came (`extra`), stored, and written again. So a later version can
 * add fields without a new format, even while one node of a pair does not know them yet.
 */
import { decodeHeaders, type Headers } from '../wire/headers.js';
import { type Backoff, isBackoff } from '../wire/tsp.js';
import { PackReader, PackWriter } from './packing.js';
import type { NewRequest, StoredContent } from './store.js';

export const UUID = 1;
export const SERVICE = 2;
export const NUMBER = 3;
export const STATE = 4;
export const PRIORITY = 5;
export const ACCEPTED_AT = 6;
export const NOT_BEFORE = 7;
export const EXPIRES_AT = 8;
export const ATTEMPTS_MAX = 9;
export const ATTEMPTS = 10;
export const GENERATION = 11;
export const BODY_BYTES = 12;
export const OWNER = 13;
export const SHARED = 14;
export const KEY = 15;
export const BODY = 16;
export const ATTEMPTS_EVER = 17;
/** Several values, each with fields of its own. */
export const ATTEMPT = 18;
export const REPLY = 19;
export const WORKER = 20;
export const AT = 21;
export const REASON = 22;
export const STARTED_AT = 23;
export const ENDED_AT = 24;
export const UNTIL = 25;
export const NOW = 26;
export const MOST = 27;
export const BY = 28;
export const FAILURE = 29;

/**
 * The client's headers (D67). The store keeps them with the fields that it does not know, so a
 * request without headers has no column for them, and an older node or program keeps them, too.
 */
const HEADERS = 30;
/** The pauses that its client chose (D81): base and longest, each 32 bits. Kept in the same way. */
const BACKOFF = 31;
const BACKOFF_BYTES = 8;

/** The claim of a broker of a fleet under which a step is made, and whether it goes on. */
export const CLAIM = 32;
export const KEEPS = 33;
/** Of a close: a pending request stays if a broker has claimed it. */
export const UNCLAIMED = 34;

/** The highest number of the fields that are read one by one. */
const LAST = UNCLAIMED;
/** They are kept as they came. */
const KEPT_FIELDS: ReadonlySet<number> = new Set([HEADERS, BACKOFF]);
const END = 0;
const EXTRA_BYTES = 256;

const BYTES_FIELDS: ReadonlySet<number> = new Set([
  ...[UUID, SERVICE, OWNER, KEY, BODY, ATTEMPT, REPLY, WORKER, REASON, BY, FAILURE],
]);

export function putNumber(to: PackWriter, field: number, value: number): void {
  if (value === 0) return;
  to.byte(field * 2);
  to.number(value);
}

export function putBytes(to: PackWriter, field: number, value: Buffer | null): void {
  if (value === null) return;
  to.byte(field * 2 + 1);
  to.bytes(value);
}

export function putText(to: PackWriter, field: number, value: string): void {
  if (value === '') return;
  to.byte(field * 2 + 1);
  to.text(value);
}

/** Ends the fields of one item, including the unknown ones that came with it. */
export function endFields(to: PackWriter, extra: Buffer | null | undefined): void {
  if (extra) to.raw(extra);
  to.byte(END);
}

/** Reads the fields of one item after the other. It returns views of the bytes. */
export class FieldReader {
  readonly #numbers = new Float64Array(LAST + 1);
  readonly #bytes: (Buffer | null)[] = Array.from({ length: LAST + 1 }, () => null);
  readonly #attempts: Buffer[] = [];
  #extra: PackWriter | null = null;

  /** Reads the fields up to their end; `from` is not whole if the bytes are not fields. */
  read(from: PackReader): void {
    this.#numbers.fill(0);
    this.#bytes.fill(null);
    this.#attempts.length = 0;
    this.#extra = null;
    for (let tag = from.byte(); tag !== END; tag = from.byte()) {
      const field = tag >>> 1;
      const isBytes = tag % 2 === 1;
      if (field === 0 || field > LAST || KEPT_FIELDS.has(field)) this.#keep(from, tag);
      else if (BYTES_FIELDS.has(field) !== isBytes) from.refuse(null);
      else if (!isBytes) this.#numbers[field] = from.number();
      else if (field === ATTEMPT) this.#attempts.push(from.bytes());
      else this.#bytes[field] = from.bytes();
    }
  }

  #keep(from: PackReader, tag: number): void {
    this.#extra ??= new PackWriter(EXTRA_BYTES);
    this.#extra.byte(tag);
    if (tag % 2 === 1) this.#extra.bytes(from.bytes());
    else this.#extra.number(from.number());
  }

  number(field: number): number {
    return this.#numbers[field] ?? 0;
  }

  /** Empty if it is absent. */
  bytes(field: number): Buffer {
    return this.#bytes[field] ?? NOTHING;
  }

  maybe(field: number): Buffer | null {
    return this.#bytes[field] ?? null;
  }

  text(field: number): string {
    return this.#bytes[field]?.toString() ?? '';
  }

  /** The fields of each attempt, each to be read by its own reader. */
  get attempts(): readonly Buffer[] {
    return this.#attempts;
  }

  /** In order of their numbers. */
  get extra(): Buffer | null {
    return this.#extra === null ? null : inOrder(fieldsOf(this.#extra.takeBuffer()));
  }
}

/**
 * Joins the unknown fields of two items. If both have a field, that of the first is taken.
 * @returns `first` itself if the other adds nothing
 */
export function joinExtra(first: Buffer | null, other: Buffer | null): Buffer | null {
  if (other === null || first?.equals(other) === true) return first;
  if (first === null) return other;
  const fields = fieldsOf(first);
  const count = fields.size;
  for (const [tag, bytes] of fieldsOf(other)) if (!fields.has(tag)) fields.set(tag, bytes);
  return fields.size === count ? first : inOrder(fields);
}

/** A field of bytes in `extra`; `null`: it is not there. */
function keptField(extra: Buffer, field: number): Buffer | null {
  const kept = fieldsOf(extra).get(field * 2 + 1);
  if (kept === undefined) return null;
  const from = new PackReader(kept);
  from.byte();
  return from.bytes();
}

/** `extra` of a new request; `null`: it has neither. */
export function extraOf(headers: Buffer | null, backoff: Backoff | null): Buffer | null {
  if (headers === null && backoff === null) return null;
  const to = new PackWriter(EXTRA_BYTES + (headers?.length ?? 0));
  putBytes(to, HEADERS, headers);
  putBytes(to, BACKOFF, backoff === null ? null : packedBackoff(backoff));
  return to.takeBuffer();
}

function packedBackoff({ baseMs, maxMs }: Backoff): Buffer {
  const bytes = Buffer.allocUnsafe(BACKOFF_BYTES);
  bytes.writeUInt32LE(baseMs, 0);
  bytes.writeUInt32LE(maxMs, BACKOFF_BYTES / 2);
  return bytes;
}

/** What an acceptance that this broker claims brings along; `null`: it is not claimed. */
export function contentOf({ claim, body, extra: fields }: NewRequest): StoredContent | null {
  if (claim === undefined) return null;
  const extra = fields ?? null;
  return { body, headers: headersIn(extra), backoff: backoffIn(extra) };
}

/** The client's headers in a request's `extra`; `null`: it sent none. */
export function headersIn(extra: Buffer | null): Buffer | null {
  return extra === null ? null : keptField(extra, HEADERS);
}

/** The same, read; `null` also if they are not valid. */
export function readHeadersIn(extra: Buffer | null): Headers | null {
  const headers = headersIn(extra);
  return headers === null ? null : decodeHeaders(headers);
}

/** The pauses in a request's `extra`; `null`: its client chose none, or a peer sent wrong ones. */
export function backoffIn(extra: Buffer | null): Backoff | null {
  const bytes = extra === null ? null : keptField(extra, BACKOFF);
  if (bytes?.length !== BACKOFF_BYTES) return null;
  const backoff = { baseMs: bytes.readUInt32LE(0), maxMs: bytes.readUInt32LE(BACKOFF_BYTES / 2) };
  return isBackoff(backoff) ? backoff : null;
}

function inOrder(fields: ReadonlyMap<number, Buffer>): Buffer {
  const sorted = [...fields].sort(([a], [b]) => a - b);
  return Buffer.concat(sorted.map(([, bytes]) => bytes));
}

/** By tag: all fields with that tag. */
function fieldsOf(extra: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>();
  const from = new PackReader(extra);
  while (!from.isAtEnd) {
    const start = from.at;
    const tag = from.byte();
    if (tag % 2 === 1) from.bytes();
    else from.number();
    const bytes = extra.subarray(start, from.at);
    const before = fields.get(tag);
    fields.set(tag, before === undefined ? bytes : Buffer.concat([before, bytes]));
  }
  return fields;
}

const NOTHING: Buffer = Buffer.alloc(0);
