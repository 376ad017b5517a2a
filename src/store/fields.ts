/**
 * The numbers of the fields of changes and records (docs/peer-protocol.md) that are not those of a
 * request or an attempt (request.ts, attempt.ts). A number has the same meaning everywhere, so a record may use the
 * fields of a change.
 */
import { FieldReader, FieldWriter, extraField } from '../core/numbered-fields.js';
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { decodeHeaders, type Headers } from '../wire/headers.js';
import {
  type Backoff,
  KEPT_ROWS,
  type KeptOptions,
  type KeptRow,
  type OptionValue,
} from '../wire/job-option-table.js';
import { ATTEMPT_FIELDS } from './attempt.js';
import { isRequest, putRequest, REQUEST_ROWS, requestFrom, type StoredRequest } from './request.js';
import type { StoredContent } from './store.js';

export const KEY = 15;
export const BODY = 16;
export const ATTEMPTS_EVER = 17;
/** Several values, each with fields of its own. */
export const ATTEMPT = 18;
export const REPLY = 19;
export const AT = 21;
export const UNTIL = 25;
export const NOW = 26;
export const MOST = 27;
/** The kinds of pending records that a sweep ends: a bit for the number of each. */
export const KINDS_ENDED = 44;
export const BY = 28;
/** The claim, of a broker that shares the store, under which a step is made; `KEEPS`: it goes on after that. */
export const CLAIM = 32;
export const KEEPS = 33;
/** In a close: a pending request stays if a broker has claimed it. */
export const UNCLAIMED = 34;
/** The next change belongs to the same decision. */
export const WITH_NEXT = 39;
/** The claim of the partner under which a step is made. */
export const PARTNER_CLAIM = 43;
/** The key of a new request counts, however long ago it was to be forgotten. */
export const KEEPS_KEYS = 36;

/**
 * The client's headers (D67). The store keeps them with the fields that it does not know, so a
 * request without headers has no column for them, and an older node or program keeps them, too.
 */
const HEADERS = 30;
/**
 * A digest of what the client of a request with an idempotency key asked for (D112). The row of the key has it, too,
 * which stays when the request has ended.
 */
const DIGEST = 35;
/** Bytes of pauses (D81): base and longest, each 32 bits. */
const PAUSES_BYTES = 8;

const KNOWN = [...REQUEST_ROWS, ...Object.values(ATTEMPT_FIELDS)];
const KNOWN_FIELDS = {
  numbers: [
    ...KNOWN.filter(({ as }) => as === 'number').map(({ field }) => field),
    ATTEMPTS_EVER,
    AT,
    UNTIL,
    NOW,
    MOST,
    KINDS_ENDED,
    CLAIM,
    KEEPS,
    UNCLAIMED,
    KEEPS_KEYS,
    WITH_NEXT,
    PARTNER_CLAIM,
  ],
  bytes: [
    ...KNOWN.filter(({ as }) => as !== 'number').map(({ field }) => field),
    KEY,
    BODY,
    REPLY,
    BY,
  ],
  repeated: [ATTEMPT],
};

/** Reads changes and records. */
export function fieldReader(): FieldReader {
  return new FieldReader(KNOWN_FIELDS);
}

/** The partner of a record that has none, and what one has of its own whose kind has nothing. */
export const NO_PARTNER: Buffer = Buffer.alloc(0);
export const NO_OWN: Buffer = Buffer.alloc(0);
/** The body of a record that has none: no frames. */
export const NO_BODY: Buffer = Buffer.alloc(0);

const EXTRA_BYTES = 256;

/**
 * Fields that were unknown when a node kept them, and are known now, take their places.
 * @returns `null`: there are none
 */
export function takeKnown(
  request: StoredRequest,
  extra: Buffer,
): { readonly request: StoredRequest; readonly extra: Buffer | null } | null {
  const to = new PackWriter(EXTRA_BYTES + extra.length);
  const fields = new FieldWriter(to);
  putRequest(fields, request);
  fields.end(extra);
  const reader = fieldReader();
  reader.read(new PackReader(to.takeBuffer()));
  const taken = { request: requestFrom(reader), extra: reader.extra };
  return taken.extra?.equals(extra) === true || !isRequest(taken.request) ? null : taken;
}

/**
 * `extra` of a new request: its headers, those of its options that have no column either, and the digest of what its
 * key names; `null`: it has none of them.
 */
export function extraOf(
  headers: Buffer | null,
  options: Partial<KeptOptions> = {},
  digest: Buffer | null = null,
): Buffer | null {
  let to = headers === null ? null : new PackWriter(EXTRA_BYTES + headers.length);
  if (to !== null) new FieldWriter(to).bytes(headers, HEADERS);
  for (const { name, field } of KEPT_ROWS) {
    const value = options[name] ?? null;
    if (value === null) continue;
    to ??= new PackWriter(EXTRA_BYTES);
    new FieldWriter(to).bytes(packedOption(value), field);
  }
  if (digest !== null) {
    to ??= new PackWriter(EXTRA_BYTES);
    new FieldWriter(to).bytes(digest, DIGEST);
  }
  return to === null ? null : to.takeBuffer();
}

/** `extra` of the row of a key. @param extra that of its request */
export function keyExtraOf(extra: Buffer | null | undefined): Buffer | null {
  return extra ? extraOf(null, {}, extraField(extra, DIGEST)) : null;
}

/**
 * Whether a key names another request than the one that comes with it (D112). One without a digest, from before
 * there were any, names every request.
 * @param extra of the request
 * @param known of the row of its key
 */
export function namesAnother(extra: Buffer | null | undefined, known: Buffer | null): boolean {
  const digest = extra ? extraField(extra, DIGEST) : null;
  const named = known === null ? null : extraField(known, DIGEST);
  return digest !== null && named !== null && !digest.equals(named);
}

function packedOption(value: OptionValue): Buffer {
  if (typeof value !== 'object') return Buffer.from(JSON.stringify(value));
  const bytes = Buffer.allocUnsafe(PAUSES_BYTES);
  bytes.writeUInt32LE(value.baseMs, 0);
  bytes.writeUInt32LE(value.maxMs, PAUSES_BYTES / 2);
  return bytes;
}

/** What is read of a request when it is sent to a worker. */
export function storedContent(body: Buffer, extra: Buffer | null): StoredContent {
  return { body, headers: headersIn(extra), backoff: keptIn(extra).backoff };
}

/** The client's headers in a request's `extra`; `null`: it sent none. */
function headersIn(extra: Buffer | null): Buffer | null {
  return extra === null ? null : extraField(extra, HEADERS);
}

/** Decodes the client's headers in a request's `extra`; `null` if absent or invalid. */
export function readHeadersIn(extra: Buffer | null): Headers | null {
  const headers = headersIn(extra);
  return headers === null ? null : decodeHeaders(headers);
}

/** The options in a request's `extra`; `null`: its client did not give it, or a peer sent a wrong one. */
export function keptIn(extra: Buffer | null): KeptOptions {
  if (extra === null) return NOTHING_KEPT;
  const all = KEPT_ROWS.map((row) => [row.name, keptValue(extraField(extra, row.field), row)]);
  return Object.fromEntries(all) as KeptOptions;
}

const NOTHING_KEPT = Object.fromEntries(KEPT_ROWS.map(({ name }) => [name, null])) as KeptOptions;

function keptValue(bytes: Buffer | null, { type, isValid }: KeptRow): unknown {
  const value = bytes === null ? null : type === 'pauses' ? pausesIn(bytes) : jsonIn(bytes);
  return isValid(value) ? value : null;
}

function pausesIn(bytes: Buffer): Backoff | null {
  if (bytes.length !== PAUSES_BYTES) return null;
  return { baseMs: bytes.readUInt32LE(0), maxMs: bytes.readUInt32LE(PAUSES_BYTES / 2) };
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return null;
  }
}
