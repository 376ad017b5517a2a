/** What the main thread and the store's thread say to each other, packed. */
import { assert } from '../../core/assert.js';
import type {
  Change,
  ChangeResult,
  Found,
  RequestUuid,
  StoreCounts,
  StoredRequest,
  StoredState,
  StoreFailure,
} from '../store.js';
import type { PackReader, PackWriter } from './packing.js';

/** To the thread, several in one message, done in order. */
export const DO_COMMIT = 1;
export const DO_LOAD = 2;
export const DO_LOOK_UP = 3;
/** Of pending requests, those with a number above the order's. */
export const DO_RECOVER = 4;
export const DO_CLOSE = 5;

/** From the thread, several in one message. */
export const COMMITTED = 1;
export const BATCH_FAILED = 2;
export const LOADED = 3;
export const LOAD_FAILED = 4;
export const FOUND = 5;
export const LOOK_FAILED = 6;
export const RECOVERED = 7;
export const CLOSED = 8;

/** Why a store could not be opened, as a plain object. */
export interface OpenFailure {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

const STATES: readonly StoredState[] = ['pending', 'replied', 'dead'];
const FAILURES: readonly StoreFailure['kind'][] = ['full', 'busy', 'fatal'];

const ACCEPT = 1;
const ATTEMPT = 2;
const REPLY = 3;
const DEAD = 4;
const CLOSE = 5;
const EXPIRE = 6;
const RETRY = 7;
const SWEEP = 8;

/** More than any change takes beside its body, reply, service and texts. */
const CHANGE_BYTES = 160;

/** About what `packChanges` takes. */
export function changesBytes(changes: readonly Change[]): number {
  let bytes = 64;
  for (const change of changes) {
    bytes += CHANGE_BYTES;
    if (change.kind === 'accept') bytes += change.body.length + change.request.service.length;
    else if (change.kind === 'reply') bytes += change.reply.length;
  }
  return bytes;
}

export function packChanges(to: PackWriter, changes: readonly Change[]): void {
  to.number(changes.length);
  for (const change of changes) packChange(to, change);
}

function packChange(to: PackWriter, change: Change): void {
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

export function unpackChanges(from: PackReader): Change[] {
  return Array.from({ length: from.number() }, () => unpackChange(from));
}

// Members of an object literal are evaluated in the order in which they stand here.
function unpackChange(from: PackReader): Change {
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
      };
    case RETRY:
      return {
        kind: 'retry',
        uuid: from.bytes(),
        generation: from.number(),
        at: from.number(),
        expiresAt: from.number(),
      };
    default:
      assert(kind === SWEEP, 'a change of a known kind');
      return { kind: 'sweep', now: from.number(), keyUntil: from.number(), most: from.number() };
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

/** A pending request: its facts in the order of `packRequest`, bytes as hexadecimal digits. */
export type PendingRow = readonly [uuid: string, service: string, ...facts: number[]];

export function packPending(to: PackWriter, rows: readonly PendingRow[]): void {
  for (const [uuid, service, ...facts] of rows) {
    to.hex(uuid);
    to.hex(service);
    for (const fact of facts) to.number(fact);
  }
}

export function unpackRequest(from: PackReader): StoredRequest {
  return {
    uuid: from.bytes(),
    service: from.bytes(),
    number: from.number(),
    state: STATES[from.number()] ?? 'pending',
    priority: from.number(),
    acceptedAt: from.number(),
    notBefore: from.number(),
    expiresAt: from.number(),
    maxAttempts: from.number(),
    attempts: from.number(),
    generation: from.number(),
    bodyBytes: from.number(),
  };
}

const DONE_RESULT = 1;
const PASSED_RESULT = 2;
const KNOWN_RESULT = 3;
const RETRIED_RESULT = 4;
const SWEPT_RESULT = 5;

export const DONE: ChangeResult = { kind: 'done' };
export const PASSED: ChangeResult = { kind: 'passed' };

export function packResults(to: PackWriter, results: readonly ChangeResult[]): void {
  to.number(results.length);
  for (const result of results) {
    switch (result.kind) {
      case 'done':
        to.byte(DONE_RESULT);
        break;
      case 'passed':
        to.byte(PASSED_RESULT);
        break;
      case 'known':
        to.byte(KNOWN_RESULT);
        to.bytes(result.uuid);
        break;
      case 'retried':
        to.byte(RETRIED_RESULT);
        packRequest(to, result.request);
        break;
      case 'swept':
        to.byte(SWEPT_RESULT);
        to.number(result.replied);
        to.number(result.dead);
        to.byte(result.more ? 1 : 0);
    }
  }
}

export function unpackResults(from: PackReader): ChangeResult[] {
  return Array.from({ length: from.number() }, () => unpackResult(from));
}

function unpackResult(from: PackReader): ChangeResult {
  const kind = from.byte();
  switch (kind) {
    case DONE_RESULT:
      return DONE;
    case PASSED_RESULT:
      return PASSED;
    case KNOWN_RESULT:
      return { kind: 'known', uuid: from.bytes() };
    case RETRIED_RESULT:
      return { kind: 'retried', request: unpackRequest(from) };
    default:
      assert(kind === SWEPT_RESULT, 'a result of a known kind');
      return {
        kind: 'swept',
        replied: from.number(),
        dead: from.number(),
        more: from.byte() !== 0,
      };
  }
}

export function packCounts(to: PackWriter, counts: StoreCounts): void {
  to.number(counts.pending);
  to.number(counts.replied);
  to.number(counts.dead);
  to.number(counts.bytes);
}

export function unpackCounts(from: PackReader): StoreCounts {
  return {
    pending: from.number(),
    replied: from.number(),
    dead: from.number(),
    bytes: from.number(),
  };
}

export function packFailure(to: PackWriter, failure: StoreFailure): void {
  to.byte(FAILURES.indexOf(failure.kind));
  to.text(failure.message);
}

export function unpackFailure(from: PackReader): StoreFailure {
  return { kind: FAILURES[from.byte()] ?? 'fatal', message: from.text() };
}

export function packUuids(to: PackWriter, uuids: readonly RequestUuid[]): void {
  to.number(uuids.length);
  for (const uuid of uuids) to.bytes(uuid);
}

export function unpackUuids(from: PackReader): RequestUuid[] {
  return Array.from({ length: from.number() }, () => from.bytes());
}

export function packBodies(to: PackWriter, bodies: readonly (Buffer | null)[]): void {
  to.number(bodies.length);
  for (const body of bodies) {
    to.byte(body === null ? 0 : 1);
    if (body !== null) to.bytes(body);
  }
}

export function unpackBodies(from: PackReader): (Buffer | null)[] {
  return Array.from({ length: from.number() }, () => (from.byte() === 0 ? null : from.bytes()));
}

const FOUND_STATES: readonly Found['state'][] = ['absent', 'pending', 'replied', 'dead'];

export function packFound(to: PackWriter, found: Found): void {
  to.byte(FOUND_STATES.indexOf(found.state));
  if (found.state === 'replied') to.bytes(found.reply);
  else if (found.state === 'dead') to.text(found.reason);
}

export function unpackFound(from: PackReader): Found {
  const state = FOUND_STATES[from.byte()];
  switch (state) {
    case 'pending':
      return { state };
    case 'replied':
      return { state, reply: from.bytes() };
    case 'dead':
      return { state, reason: from.text() };
    default:
      return { state: 'absent' };
  }
}
