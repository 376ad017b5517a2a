/**
 * Changes of a store as bytes: between the threads of a node, and from the active node of a pair to
 * the other, which commits them as they are.
 *
 * A batch on the wire is a version byte (1), a byte for what closes leave (0 none, 1 known, 2 all),
 * the number of changes and the changes: a kind byte and its fields in the order of `packChange`.
 * Numbers are doubles, byte runs and texts have their length before them (packing.ts).
 */
import type { Change, RequestUuid, StoredRequest, StoredState, Tombstones } from './store.js';
import { PackReader, PackWriter } from './packing.js';
import { isChange } from './well-formed.js';

const VERSION = 1;
const TOMBSTONES: readonly Tombstones[] = ['none', 'known', 'all'];
export const STATES: readonly StoredState[] = ['pending', 'replied', 'dead'];

/** Of a batch from the wire. */
export interface Batch {
  readonly tombstones: Tombstones;
  readonly changes: readonly Change[];
}

export function packBatch({ tombstones, changes }: Batch): Buffer {
  const to = new PackWriter(changesBytes(changes));
  to.byte(VERSION);
  to.byte(TOMBSTONES.indexOf(tombstones));
  packChanges(to, changes);
  return to.takeBuffer();
}

/** @returns views of `bytes`; `null` if no node of this version packed them */
export function unpackBatch(bytes: Uint8Array): Batch | null {
  const from = new PackReader(bytes);
  const version = from.byte();
  const tombstones = TOMBSTONES[from.byte()];
  if (version !== VERSION || tombstones === undefined) return null;
  const changes = unpackChanges(from);
  if (changes === null || !from.isAtEnd || !changes.every(isChange)) return null;
  return { tombstones, changes };
}

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

/** @returns views of the bytes; `null` if they are no changes */
export function unpackChanges(from: PackReader): Change[] | null {
  const changes: Change[] = [];
  for (let left = from.count(); left > 0; left--) {
    const change = unpackChange(from);
    if (change === null) return null;
    changes.push(change);
  }
  return from.isWhole ? changes : null;
}

// Members of an object literal are evaluated in the order in which they stand here.
function unpackChange(from: PackReader): Change | null {
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
    case SWEEP:
      return { kind: 'sweep', now: from.number(), keyUntil: from.number(), most: from.number() };
    default:
      return null;
  }
}

export function packRequest(to: PackWriter, request: StoredRequest): void {
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

export function unpackRequest(from: PackReader): StoredRequest {
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
  };
}
