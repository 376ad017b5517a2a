/**
 * Records: what one store of a pair sends to the other about its contents, as bytes that only stores
 * read.
 *
 * They are a byte for their format (1), then records until the end: each is a kind byte and its
 * fields (fields.ts).
 *
 * 1 request: the whole current state of one request: its row, its key if that leads to it, its
 *   number of attempts and the last of them, its reply or why it is dead; its body unless the
 *   receiver has it. The receiver uses the sender's number for it if that number is free.
 * 2 tombstone: a closed or expired request, and until when its key is remembered.
 * 3 key: an idempotency key whose request is no longer in the store.
 *
 * Records of one chunk, and chunks, may be merged in any order and more than once.
 */
import { isPackedFrames } from '../core/packed.js';
import { putRequest, requestOf } from './batch-codec.js';
import {
  AT,
  ATTEMPT,
  ATTEMPTS_EVER,
  BODY,
  BY,
  ENDED_AT,
  endFields,
  FAILURE,
  FieldReader,
  KEY,
  OWNER,
  putBytes,
  putNumber,
  putText,
  REASON,
  REPLY,
  SERVICE,
  STARTED_AT,
  UNTIL,
  UUID,
  WORKER,
} from './fields.js';
import { PackReader, PackWriter } from './packing.js';
import {
  type Attempt,
  type Closer,
  FORMAT,
  type Owner,
  type RequestUuid,
  type StoredRequest,
  type Tombstone,
} from './store.js';
import {
  areAttempts,
  areWallTimes,
  isCloser,
  isName,
  isOwner,
  isRequest,
  isUuid,
} from './well-formed.js';

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
  /** Of a replied request. */
  readonly reply: StoredReply | null;
  /** Of a dead request. */
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
  readonly #to: PackWriter = new PackWriter(65_536);

  constructor() {
    this.#to.byte(FORMAT);
  }

  get bytes(): number {
    return this.#to.bytesWritten;
  }

  add(record: StoreRecord): void {
    packRecord(this.#to, record);
  }

  /** Returns the records. The writer cannot be used afterwards. */
  take(): Buffer {
    return this.#to.takeBuffer();
  }
}

function packRecord(to: PackWriter, record: StoreRecord): void {
  switch (record.kind) {
    case 'request': {
      const { request, key, body, attemptsEver, attempts, reply, death } = record;
      to.byte(REQUEST_RECORD);
      putRequest(to, request);
      putBytes(to, KEY, key);
      putBytes(to, BODY, body);
      putNumber(to, ATTEMPTS_EVER, attemptsEver);
      for (const attempt of attempts) putBytes(to, ATTEMPT, packAttempt(attempt));
      if (reply !== null) {
        putBytes(to, REPLY, reply.reply);
        putText(to, WORKER, reply.worker);
        putNumber(to, AT, reply.at);
      }
      if (death !== null) {
        putText(to, REASON, death.reason);
        putNumber(to, AT, death.at);
      }
      break;
    }
    case 'tombstone':
      to.byte(TOMBSTONE_RECORD);
      putBytes(to, UUID, record.uuid);
      putNumber(to, UNTIL, record.keyUntil);
      putText(to, BY, record.by);
      break;
    case 'key':
      to.byte(KEY_RECORD);
      putBytes(to, SERVICE, record.service);
      putBytes(to, KEY, record.key);
      putBytes(to, UUID, record.uuid);
      putNumber(to, UNTIL, record.until);
      putText(to, OWNER, record.owner);
  }
  endFields(to, record.extra);
}

const ATTEMPT_BYTES = 128;

function packAttempt(attempt: Attempt): Buffer {
  const { worker, startedAt, endedAt, reason, failure, extra } = attempt;
  const to = new PackWriter(ATTEMPT_BYTES + (failure?.length ?? 0));
  putText(to, WORKER, worker);
  putNumber(to, STARTED_AT, startedAt);
  putNumber(to, ENDED_AT, endedAt);
  putText(to, REASON, reason);
  putBytes(to, FAILURE, failure);
  endFields(to, extra);
  return to.takeBuffer();
}

/** @returns views of `bytes`; `null` if no store of a known version made them */
export function unpackRecords(bytes: Uint8Array): StoreRecord[] | null {
  const from = new PackReader(bytes);
  if (from.byte() !== FORMAT) return null;
  const fields = new FieldReader();
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
      const attempts = unpackAttempts(fields.attempts);
      return attempts === null ? null : requestRecord(requestOf(fields), attempts, fields);
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
  const fields = new FieldReader();
  const attempts: Attempt[] = [];
  for (const bytes of all) {
    const from = new PackReader(bytes);
    fields.read(from);
    if (!from.isWhole || !from.isAtEnd) return null;
    attempts.push({
      worker: fields.text(WORKER),
      startedAt: fields.number(STARTED_AT),
      endedAt: fields.number(ENDED_AT),
      reason: fields.text(REASON),
      failure: fields.maybe(FAILURE),
      extra: fields.extra,
    });
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
        (body === null || (body.length === request.bodyBytes && isPackedFrames(body))) &&
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
