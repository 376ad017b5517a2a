/**
 * Format 1 of changes and records, spoken with a node of the last version that had no owners.
 * Fields are in the order in which they are written here. Numbers are doubles, byte runs and texts
 * are preceded by their length (packing.ts), and optional values by a byte 0 or 1.
 *
 * It cannot express owners: what is read has none, and a merge then keeps the known one. A close by
 * an owner becomes a close of whatever has the uuid.
 */
import type { PackReader, PackWriter } from './packing.js';
import type { StoreRecord } from './record-codec.js';
import {
  type Attempt,
  type Change,
  NO_OWNER,
  type RequestUuid,
  STATES,
  type StoredRequest,
} from './store.js';

const ACCEPT = 1;
const ATTEMPT = 2;
const REPLY = 3;
const DEAD = 4;
const CLOSE = 5;
const EXPIRE = 6;
const RETRY = 7;
const SWEEP = 8;

export function packFirstChange(to: PackWriter, change: Change): void {
  switch (change.kind) {
    case 'accept':
      to.byte(ACCEPT);
      packRequest(to, change.request);
      to.bytes(change.body);
      to.byte(change.key === null ? 0 : 1);
      if (change.key !== null) to.bytes(change.key);
      return;
    case 'attempt':
      packStep(to, ATTEMPT, change.uuid, change.generation);
      to.number(change.attempts);
      to.text(change.attempt.worker);
      to.number(change.attempt.startedAt);
      to.number(change.attempt.endedAt);
      to.text(change.attempt.reason);
      to.number(change.notBefore);
      return;
    case 'reply':
      packStep(to, REPLY, change.uuid, change.generation);
      to.bytes(change.reply);
      to.text(change.worker);
      to.number(change.at);
      to.number(change.expiresAt);
      return;
    case 'dead':
      packStep(to, DEAD, change.uuid, change.generation);
      to.text(change.reason);
      to.number(change.at);
      to.number(change.expiresAt);
      return;
    case 'close':
    case 'expire':
      packStep(to, change.kind === 'close' ? CLOSE : EXPIRE, change.uuid, change.at);
      to.number(change.keyUntil);
      return;
    case 'retry':
      packStep(to, RETRY, change.uuid, change.generation);
      to.number(change.at);
      to.number(change.expiresAt);
      return;
    case 'sweep':
      to.byte(SWEEP);
      to.number(change.now);
      to.number(change.keyUntil);
      to.number(change.most);
  }
}

function packStep(to: PackWriter, kind: number, uuid: RequestUuid, value: number): void {
  to.byte(kind);
  to.bytes(uuid);
  to.number(value);
}

// Members of an object literal are evaluated in the order in which they are written here.
export function unpackFirstChange(from: PackReader): Change | null {
  const kind = from.byte();
  switch (kind) {
    case ACCEPT:
      return {
        kind: 'accept',
        request: unpackRequest(from),
        body: from.bytes(),
        key: from.byte() === 0 ? null : from.bytes(),
      };
    case ATTEMPT:
      return {
        kind: 'attempt',
        uuid: from.bytes(),
        generation: from.number(),
        attempts: from.number(),
        attempt: {
          worker: from.text(),
          startedAt: from.number(),
          endedAt: from.number(),
          reason: from.text(),
          failure: null,
          extra: null,
        },
        notBefore: from.number(),
      };
    case REPLY:
      return {
        kind: 'reply',
        uuid: from.bytes(),
        generation: from.number(),
        reply: from.bytes(),
        worker: from.text(),
        at: from.number(),
        expiresAt: from.number(),
      };
    case DEAD:
      return {
        kind: 'dead',
        uuid: from.bytes(),
        generation: from.number(),
        reason: from.text(),
        at: from.number(),
        expiresAt: from.number(),
      };
    case CLOSE:
    case EXPIRE:
      return {
        kind: kind === CLOSE ? 'close' : 'expire',
        uuid: from.bytes(),
        at: from.number(),
        keyUntil: from.number(),
        by: NO_OWNER,
      };
    case RETRY:
      return {
        kind: 'retry',
        uuid: from.bytes(),
        generation: from.number(),
        at: from.number(),
        expiresAt: from.number(),
      };
    case SWEEP:
      return { kind: 'sweep', now: from.number(), keyUntil: from.number(), most: from.number() };
    default:
      return null;
  }
}

function packRequest(to: PackWriter, request: StoredRequest): void {
  to.bytes(request.uuid);
  to.bytes(request.service);
  to.number(request.number);
  to.number(STATES.indexOf(request.state));
  to.number(request.priority);
  to.number(request.acceptedAt);
  to.number(request.notBefore);
  to.number(request.expiresAt);
  to.number(request.maxAttempts);
  to.number(request.attempts);
  to.number(request.generation);
  to.number(request.bodyBytes);
}

function unpackRequest(from: PackReader): StoredRequest {
  return {
    uuid: from.bytes(),
    service: from.bytes(),
    number: from.number(),
    state: STATES[from.number()] ?? from.refuse('pending'),
    priority: from.number(),
    acceptedAt: from.number(),
    notBefore: from.number(),
    expiresAt: from.number(),
    maxAttempts: from.number(),
    attempts: from.number(),
    generation: from.number(),
    bodyBytes: from.number(),
    owner: NO_OWNER,
    isShared: false,
  };
}

const REQUEST_RECORD = 1;
const TOMBSTONE_RECORD = 2;
const KEY_RECORD = 3;

export function packFirstRecord(to: PackWriter, record: StoreRecord): void {
  switch (record.kind) {
    case 'request': {
      const { request, key, body, attemptsEver, attempts, reply, death } = record;
      to.byte(REQUEST_RECORD);
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
      to.byte(TOMBSTONE_RECORD);
      to.bytes(record.uuid);
      to.number(record.keyUntil);
      return;
    case 'key':
      to.byte(KEY_RECORD);
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

// Members of an object literal are evaluated in the order in which they are written here.
export function unpackFirstRecord(from: PackReader): StoreRecord | null {
  switch (from.byte()) {
    case REQUEST_RECORD: {
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
        extra: null,
      };
    }
    case TOMBSTONE_RECORD:
      return {
        kind: 'tombstone',
        uuid: from.bytes(),
        keyUntil: from.number(),
        by: NO_OWNER,
        extra: null,
      };
    case KEY_RECORD:
      return {
        kind: 'key',
        service: from.bytes(),
        key: from.bytes(),
        uuid: from.bytes(),
        until: from.number(),
        owner: NO_OWNER,
        extra: null,
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
    failure: null,
    extra: null,
  }));
}
