/**
 * Records: what one store of a pair tells the other of itself, as bytes that only stores read.
 *
 * A chunk is a version byte (1), then records until its end, each a kind byte and its fields in the
 * order of `packRecord`; numbers are doubles, byte runs and texts have their length before them
 * (packing.ts), what may be absent a byte 0 or 1 before it.
 *
 * 1 request: the whole state of one request as it is now: its row, its key if that leads to it, how
 *   often it was tried and the last attempts, its reply or why it is dead; its body unless the
 *   receiver has it. The sender's number of it is where the receiver puts it if that place is free.
 * 2 tombstone: a request that is closed or expired, and until when its key is to be remembered.
 * 3 key: an idempotency key whose request is not there any more.
 *
 * Records of one chunk, and chunks, may be merged in any order and more than once.
 */
import { packRequest, unpackRequest } from './batch-codec.js';
import { PackReader, PackWriter } from './packing.js';
import type { Attempt, RequestUuid, StoredRequest } from './store.js';
import { areAttempts, areNatural, isName, isRequest, isUuid } from './well-formed.js';
import { isPackedFrames } from '../core/packed.js';

const VERSION = 1;
const REQUEST = 1;
const TOMBSTONE = 2;
const KEY = 3;

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
  /** `null`: the receiver has it. */
  readonly body: Buffer | null;
  readonly attemptsEver: number;
  /** The last ones, the oldest first. */
  readonly attempts: readonly Attempt[];
  /** Of one that is replied. */
  readonly reply: StoredReply | null;
  /** Of one that is dead. */
  readonly death: StoredDeath | null;
}

export interface TombstoneRecord {
  readonly kind: 'tombstone';
  readonly uuid: RequestUuid;
  readonly keyUntil: number;
}

export interface KeyRecord {
  readonly kind: 'key';
  readonly service: Buffer;
  readonly key: Buffer;
  readonly uuid: RequestUuid;
  readonly until: number;
}

export type StoreRecord = RequestRecord | TombstoneRecord | KeyRecord;

export class RecordWriter {
  readonly #to: PackWriter;

  constructor() {
    this.#to = new PackWriter(65_536);
    this.#to.byte(VERSION);
  }

  get bytes(): number {
    return this.#to.bytesWritten;
  }

  add(record: StoreRecord): void {
    packRecord(this.#to, record);
  }

  /** Hands over the chunk; the writer is of no use afterwards. */
  take(): Buffer {
    return this.#to.takeBuffer();
  }
}

function packRecord(to: PackWriter, record: StoreRecord): void {
  switch (record.kind) {
    case 'request': {
      const { request, key, body, attemptsEver, attempts, reply, death } = record;
      to.byte(REQUEST);
      packRequest(to, request);
      packMaybe(to, key);
      packMaybe(to, body);
      to.number(attemptsEver);
      to.number(attempts.length);
      for (const { worker, startedAt, endedAt, reason } of attempts) {
        to.text(worker);
        to.number(startedAt);
        to.number(endedAt);
        to.text(reason);
      }
      if (reply !== null) {
        to.bytes(reply.reply);
        to.text(reply.worker);
        to.number(reply.at);
      }
      if (death !== null) {
        to.text(death.reason);
        to.number(death.at);
      }
      return;
    }
    case 'tombstone':
      to.byte(TOMBSTONE);
      to.bytes(record.uuid);
      to.number(record.keyUntil);
      return;
    case 'key':
      to.byte(KEY);
      to.bytes(record.service);
      to.bytes(record.key);
      to.bytes(record.uuid);
      to.number(record.until);
  }
}

function packMaybe(to: PackWriter, bytes: Buffer | null): void {
  to.byte(bytes === null ? 0 : 1);
  if (bytes !== null) to.bytes(bytes);
}

/** @returns views of `chunk`; `null` if no store of this version made it */
export function unpackRecords(chunk: Uint8Array): StoreRecord[] | null {
  const from = new PackReader(chunk);
  if (from.byte() !== VERSION) return null;
  const records: StoreRecord[] = [];
  while (!from.isAtEnd) {
    const record = unpackRecord(from);
    if (record === null || !from.isWhole || !isRecord(record)) return null;
    records.push(record);
  }
  return records;
}

// Members of an object literal are evaluated in the order in which they stand here.
function unpackRecord(from: PackReader): StoreRecord | null {
  switch (from.byte()) {
    case REQUEST: {
      const request = unpackRequest(from);
      return {
        kind: 'request',
        request,
        key: unpackMaybe(from),
        body: unpackMaybe(from),
        attemptsEver: from.number(),
        attempts: unpackAttempts(from),
        reply:
          request.state === 'replied'
            ? { reply: from.bytes(), worker: from.text(), at: from.number() }
            : null,
        death: request.state === 'dead' ? { reason: from.text(), at: from.number() } : null,
      };
    }
    case TOMBSTONE:
      return { kind: 'tombstone', uuid: from.bytes(), keyUntil: from.number() };
    case KEY:
      return {
        kind: 'key',
        service: from.bytes(),
        key: from.bytes(),
        uuid: from.bytes(),
        until: from.number(),
      };
    default:
      return null;
  }
}

function unpackMaybe(from: PackReader): Buffer | null {
  return from.byte() === 0 ? null : from.bytes();
}

function unpackAttempts(from: PackReader): Attempt[] {
  return Array.from({ length: from.count() }, () => ({
    worker: from.text(),
    startedAt: from.number(),
    endedAt: from.number(),
    reason: from.text(),
  }));
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
        (reply === null || (areNatural(reply.at) && isPackedFrames(reply.reply))) &&
        (death === null || areNatural(death.at))
      );
    }
    case 'tombstone':
      return isUuid(record.uuid) && areNatural(record.keyUntil);
    case 'key': {
      const { service, key, uuid, until } = record;
      return isName(service) && isName(key) && isUuid(uuid) && areNatural(until);
    }
  }
}
