/**
 * Records: what one store of a pair sends to the other about its contents, as bytes that only stores
 * read.
 *
 * They are a byte for their format (1), then records until the end: each is a kind byte and its
 * fields (core/numbered-fields.ts, fields.ts).
 *
 * 1 request: the whole current state of one request: its row, its key if that leads to it, its
 *   number of attempts and the last of them, its reply or why it is dead; its body unless the
 *   receiver has it. The receiver uses the sender's number for it if that number is free.
 * 2 tombstone: a closed or expired request, and until when its key is remembered.
 * 3 key: an idempotency key whose request is no longer in the store.
 *
 * Records of one chunk, and chunks, may be merged in any order and more than once.
 */
import { type FieldReader, FieldWriter } from '../core/numbered-fields.js';
import { isPackedFrames } from '../core/packed.js';
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { AT, ATTEMPT, ATTEMPTS_EVER, BODY, BY, fieldReader, KEY, REPLY, UNTIL } from './fields.js';
import { ATTEMPT_FIELDS, attemptFrom, putAttempt } from './attempt.js';
import { isOwner, isRequest, putRequest, REQUEST_FIELDS, requestFrom } from './request.js';
import {
  type Attempt,
  type Closer,
  FORMAT,
  type Owner,
  type RequestUuid,
  type StoredRequest,
  type Tombstone,
} from './store.js';
import { areAttempts, areWallTimes, isCloser, isName, isUuid } from './well-formed.js';

const UUID = REQUEST_FIELDS.uuid.field;
const SERVICE = REQUEST_FIELDS.service.field;
const OWNER = REQUEST_FIELDS.owner.field;
const WORKER = ATTEMPT_FIELDS.worker.field;
const REASON = ATTEMPT_FIELDS.reason.field;

const REQUEST_RECORD = 1;
const TOMBSTONE_RECORD = 2;
const KEY_RECORD = 3;

export interface StoredReply {
  readonly reply: Buffer;
  readonly worker: string;
  readonly at: number;
}

export interface StoredDeath {
  readonly reason: string;
  readonly at: number;
}

export interface RequestRecord {
  readonly kind: 'request';
  readonly request: StoredRequest;
  readonly key: Buffer | null;
  /** `null`: the receiver already has it. */
  readonly body: Buffer | null;
  readonly attemptsEver: number;
  /** The last attempts, oldest first. */
  readonly attempts: readonly Attempt[];
  /** The reply of a replied request. */
  readonly reply: StoredReply | null;
  /** Why and when a dead request died. */
  readonly death: StoredDeath | null;
  /** Fields of a later version, as they came. */
  readonly extra: Buffer | null;
}

export interface TombstoneRecord extends Tombstone {
  readonly kind: 'tombstone';
  readonly uuid: RequestUuid;
}

export interface KeyRecord {
  readonly kind: 'key';
  readonly service: Buffer;
  readonly key: Buffer;
  readonly uuid: RequestUuid;
  readonly until: number;
  readonly owner: Owner;
  /** Fields of a later version, as they came. */
  readonly extra: Buffer | null;
}

export type StoreRecord = RequestRecord | TombstoneRecord | KeyRecord;

export class RecordWriter {
  readonly to: PackWriter = new PackWriter(65_536);
  readonly #fields = new FieldWriter(this.to);

  constructor() {
    this.to.byte(FORMAT);
  }

  get bytes(): number {
    return this.to.bytesWritten;
  }

  add(record: StoreRecord): void {
    packRecord(this.to, this.#fields, record);
  }
}

function packRecord(to: PackWriter, fields: FieldWriter, record: StoreRecord): void {
  switch (record.kind) {
    case 'request': {
      const { request, key, body, attemptsEver, attempts, reply, death } = record;
      to.byte(REQUEST_RECORD);
      putRequest(fields, request);
      fields.bytes(key, KEY);
      fields.bytes(body, BODY);
      fields.number(attemptsEver, ATTEMPTS_EVER);
      for (const attempt of attempts) fields.bytes(packAttempt(attempt), ATTEMPT);
      if (reply !== null) {
        fields.bytes(reply.reply, REPLY);
        fields.text(reply.worker, WORKER);
        fields.number(reply.at, AT);
      }
      if (death !== null) {
        fields.text(death.reason, REASON);
        fields.number(death.at, AT);
      }
      break;
    }
    case 'tombstone':
      to.byte(TOMBSTONE_RECORD);
      fields.bytes(record.uuid, UUID);
      fields.number(record.keyUntil, UNTIL);
      fields.text(record.by, BY);
      break;
    case 'key':
      to.byte(KEY_RECORD);
      fields.bytes(record.service, SERVICE);
      fields.bytes(record.key, KEY);
      fields.bytes(record.uuid, UUID);
      fields.number(record.until, UNTIL);
      fields.text(record.owner, OWNER);
  }
  fields.end(record.extra);
}

const ATTEMPT_BYTES = 128;

function packAttempt(attempt: Attempt): Buffer {
  const to = new PackWriter(ATTEMPT_BYTES + (attempt.failure?.length ?? 0));
  const fields = new FieldWriter(to);
  putAttempt(fields, attempt);
  fields.end(attempt.extra);
  return to.takeBuffer();
}

/** @returns views of `bytes`; `null` if no store of a known version made them */
export function unpackRecords(bytes: Uint8Array): StoreRecord[] | null {
  const from = new PackReader(bytes);
  if (from.byte() !== FORMAT) return null;
  const fields = fieldReader();
  const records: StoreRecord[] = [];
  while (!from.isAtEnd) {
    const record = unpackRecord(from, fields);
    if (record === null || !from.isWhole || !isRecord(record)) return null;
    records.push(record);
  }
  return records;
}

function unpackRecord(from: PackReader, fields: FieldReader): StoreRecord | null {
  const kind = from.byte();
  fields.read(from);
  const { extra } = fields;
  switch (kind) {
    case REQUEST_RECORD: {
      const attempts = unpackAttempts(fields.all);
      return attempts === null ? null : requestRecord(requestFrom(fields), attempts, fields);
    }
    case TOMBSTONE_RECORD: {
      const by = fields.text(BY) as Closer;
      const uuid = fields.bytes(UUID);
      return { kind: 'tombstone', uuid, keyUntil: fields.number(UNTIL), by, extra };
    }
    case KEY_RECORD:
      return {
        kind: 'key',
        service: fields.bytes(SERVICE),
        key: fields.bytes(KEY),
        uuid: fields.bytes(UUID),
        until: fields.number(UNTIL),
        owner: fields.text(OWNER) as Owner,
        extra,
      };
    default:
      return null;
  }
}

function requestRecord(
  request: StoredRequest,
  attempts: readonly Attempt[],
  fields: FieldReader,
): RequestRecord {
  const at = fields.number(AT);
  return {
    kind: 'request',
    request,
    key: fields.maybe(KEY),
    body: fields.maybe(BODY),
    attemptsEver: fields.number(ATTEMPTS_EVER),
    attempts,
    reply:
      request.state === 'replied'
        ? { reply: fields.bytes(REPLY), worker: fields.text(WORKER), at }
        : null,
    death: request.state === 'dead' ? { reason: fields.text(REASON), at } : null,
    extra: fields.extra,
  };
}

function unpackAttempts(all: readonly Buffer[]): Attempt[] | null {
  const fields = fieldReader();
  const attempts: Attempt[] = [];
  for (const bytes of all) {
    const from = new PackReader(bytes);
    fields.read(from);
    if (!from.isWhole || !from.isAtEnd) return null;
    attempts.push(attemptFrom(fields));
  }
  return attempts;
}

function isRecord(record: StoreRecord): boolean {
  switch (record.kind) {
    case 'request': {
      const { request, key, body, attempts, attemptsEver, reply, death } = record;
      return (
        isRequest(request) &&
        (key === null || isName(key)) &&
        (body === null ||
          (body.length + request.own.length === request.bodyBytes && isPackedFrames(body))) &&
        areAttempts(attempts, attemptsEver) &&
        (reply === null || (areWallTimes(reply.at) && isPackedFrames(reply.reply))) &&
        (death === null || areWallTimes(death.at))
      );
    }
    case 'tombstone':
      return isUuid(record.uuid) && areWallTimes(record.keyUntil) && isCloser(record.by);
    case 'key': {
      const { service, key, uuid, until, owner } = record;
      const isNamed = isName(service) && isName(key) && isOwner(owner);
      return isNamed && isUuid(uuid) && areWallTimes(until);
    }
  }
}
