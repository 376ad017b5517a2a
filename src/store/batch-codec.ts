/**
 * Encodes the changes of a store: between the threads of a node, and from the active node of a pair
 * to the passive one, which commits them unchanged.
 *
 * A batch on the wire is a byte for its format (1), a byte for what it changes (0 requests, 1 the
 * map: store/chunk-codec.ts), a byte for what closes leave (0 none, 1 known, 2 all), the number of
 * changes, and the changes: each is a kind byte and the fields of the change (fields.ts).
 */
import {
  ACCEPTED_AT,
  AT,
  ATTEMPTS,
  ATTEMPTS_MAX,
  BODY,
  BODY_BYTES,
  BY,
  CLAIM,
  ENDED_AT,
  endFields,
  EXPIRES_AT,
  FAILURE,
  FieldReader,
  GENERATION,
  KEEPS,
  KEY,
  MOST,
  NOT_BEFORE,
  NOW,
  NUMBER,
  OWNER,
  PRIORITY,
  putBytes,
  putNumber,
  putText,
  REASON,
  REPLY,
  SERVICE,
  SHARED,
  STARTED_AT,
  STATE,
  UNCLAIMED,
  UNTIL,
  UUID,
  WORKER,
} from './fields.js';
import { PackReader, PackWriter } from './packing.js';
import {
  type Change,
  type Closer,
  FORMAT,
  type Owner,
  type RequestUuid,
  STATES,
  type StoredRequest,
  type Tombstones,
} from './store.js';
import { isChange } from './well-formed.js';

const TOMBSTONES: readonly Tombstones[] = ['none', 'known', 'all'];

/** Applies to a batch from the wire. */
export interface Batch {
  readonly tombstones: Tombstones;
  readonly changes: readonly Change[];
}

/** What a batch changes; those of the map have another number there. */
const OF_REQUESTS = 0;

export function packBatch({ tombstones, changes }: Batch): Buffer {
  const to = new PackWriter(changesBytes(changes));
  to.byte(FORMAT);
  to.byte(OF_REQUESTS);
  to.byte(TOMBSTONES.indexOf(tombstones));
  packChanges(to, changes);
  return to.takeBuffer();
}

/** @returns views of `bytes`; `null` if no node of a known version packed them */
export function unpackBatch(bytes: Uint8Array): Batch | null {
  const from = new PackReader(bytes);
  if (from.byte() !== FORMAT || from.byte() !== OF_REQUESTS) return null;
  const tombstones = TOMBSTONES[from.byte()];
  if (tombstones === undefined) return null;
  const changes = unpackChanges(from);
  if (changes === null || !from.isAtEnd || !changes.every(isChange)) return null;
  return { tombstones, changes };
}

const ACCEPT = 1;
const ATTEMPT = 2;
const REPLIED = 3;
const DEAD = 4;
const CLOSE = 5;
const EXPIRE = 6;
const RETRY = 7;
const SWEEP = 8;

/** More than any change takes besides its body, reply, service and texts. */
const CHANGE_BYTES = 200;

/** Roughly the size that `packChanges` returns. */
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

/** @returns views of the bytes; `null` if they are not changes */
export function unpackChanges(from: PackReader): Change[] | null {
  const fields = new FieldReader();
  const changes: Change[] = [];
  for (let left = from.count(); left > 0; left--) {
    const change = unpackChange(from, fields);
    if (change === null || !from.isWhole) return null;
    changes.push(change);
  }
  return from.isWhole ? changes : null;
}

function packChange(to: PackWriter, change: Change): void {
  switch (change.kind) {
    case 'accept':
      to.byte(ACCEPT);
      putRequest(to, change.request);
      putBytes(to, BODY, change.body);
      putBytes(to, KEY, change.key);
      putNumber(to, CLAIM, change.claim ?? 0);
      break;
    case 'attempt':
      putStep(to, ATTEMPT, change.uuid, change.generation);
      putNumber(to, ATTEMPTS, change.attempts);
      putText(to, WORKER, change.attempt.worker);
      putNumber(to, STARTED_AT, change.attempt.startedAt);
      putNumber(to, ENDED_AT, change.attempt.endedAt);
      putText(to, REASON, change.attempt.reason);
      putBytes(to, FAILURE, change.attempt.failure);
      putNumber(to, NOT_BEFORE, change.notBefore);
      putNumber(to, CLAIM, change.claim ?? 0);
      putNumber(to, KEEPS, change.keepsClaim === true ? 1 : 0);
      // What a later version says of a failed delivery belongs to that.
      endFields(to, change.attempt.extra);
      return;
    case 'reply':
      putStep(to, REPLIED, change.uuid, change.generation);
      putBytes(to, REPLY, change.reply);
      putText(to, WORKER, change.worker);
      putNumber(to, AT, change.at);
      putNumber(to, EXPIRES_AT, change.expiresAt);
      break;
    case 'dead':
      putStep(to, DEAD, change.uuid, change.generation);
      putText(to, REASON, change.reason);
      putNumber(to, AT, change.at);
      putNumber(to, EXPIRES_AT, change.expiresAt);
      putNumber(to, CLAIM, change.claim ?? 0);
      break;
    case 'close':
    case 'expire':
      putStep(to, change.kind === 'close' ? CLOSE : EXPIRE, change.uuid, 0);
      putNumber(to, AT, change.at);
      putNumber(to, UNTIL, change.keyUntil);
      putText(to, BY, change.by);
      if (change.onlyUnclaimed === true) putNumber(to, UNCLAIMED, 1);
      break;
    case 'retry':
      putStep(to, RETRY, change.uuid, change.generation);
      putNumber(to, AT, change.at);
      putNumber(to, EXPIRES_AT, change.expiresAt);
      break;
    case 'sweep':
      to.byte(SWEEP);
      putNumber(to, NOW, change.now);
      putNumber(to, UNTIL, change.keyUntil);
      putNumber(to, MOST, change.most);
  }
  endFields(to, change.extra);
}

function putStep(to: PackWriter, kind: number, uuid: RequestUuid, generation: number): void {
  to.byte(kind);
  putBytes(to, UUID, uuid);
  putNumber(to, GENERATION, generation);
}

function unpackChange(from: PackReader, fields: FieldReader): Change | null {
  const kind = from.byte();
  fields.read(from);
  const change = changeOf(kind, fields);
  const { extra } = fields;
  return change === null || extra === null || kind === ATTEMPT ? change : { ...change, extra };
}

function changeOf(kind: number, fields: FieldReader): Change | null {
  const uuid = fields.bytes(UUID);
  const generation = fields.number(GENERATION);
  const at = fields.number(AT);
  const expiresAt = fields.number(EXPIRES_AT);
  switch (kind) {
    case ACCEPT:
      return {
        kind: 'accept',
        request: requestOf(fields),
        body: fields.bytes(BODY),
        key: fields.maybe(KEY),
        ...claimOf(fields),
      };
    case ATTEMPT:
      return {
        kind: 'attempt',
        uuid,
        generation,
        attempts: fields.number(ATTEMPTS),
        attempt: {
          worker: fields.text(WORKER),
          startedAt: fields.number(STARTED_AT),
          endedAt: fields.number(ENDED_AT),
          reason: fields.text(REASON),
          failure: fields.maybe(FAILURE),
          extra: fields.extra,
        },
        notBefore: fields.number(NOT_BEFORE),
        ...claimOf(fields),
        ...(fields.number(KEEPS) === 1 ? { keepsClaim: true } : {}),
      };
    case REPLIED: {
      const reply = fields.bytes(REPLY);
      return { kind: 'reply', uuid, generation, reply, worker: fields.text(WORKER), at, expiresAt };
    }
    case DEAD:
      return {
        ...{ kind: 'dead', uuid, generation, reason: fields.text(REASON), at, expiresAt },
        ...claimOf(fields),
      };
    case CLOSE:
    case EXPIRE: {
      const keyUntil = fields.number(UNTIL);
      const by = fields.text(BY) as Closer;
      return {
        ...{ kind: kind === CLOSE ? 'close' : 'expire', uuid, at, keyUntil, by },
        ...(fields.number(UNCLAIMED) === 1 ? { onlyUnclaimed: true } : {}),
      };
    }
    case RETRY:
      return { kind: 'retry', uuid, generation, at, expiresAt };
    case SWEEP: {
      const keyUntil = fields.number(UNTIL);
      return { kind: 'sweep', now: fields.number(NOW), keyUntil, most: fields.number(MOST) };
    }
    default:
      return null;
  }
}

/** 0: none. */
function claimOf(fields: FieldReader): { readonly claim?: number } {
  const claim = fields.number(CLAIM);
  return claim === 0 ? {} : { claim };
}

export function putRequest(to: PackWriter, request: StoredRequest): void {
  putBytes(to, UUID, request.uuid);
  putBytes(to, SERVICE, request.service);
  putNumber(to, NUMBER, request.number);
  putNumber(to, STATE, STATES.indexOf(request.state));
  putNumber(to, PRIORITY, request.priority);
  putNumber(to, ACCEPTED_AT, request.acceptedAt);
  putNumber(to, NOT_BEFORE, request.notBefore);
  putNumber(to, EXPIRES_AT, request.expiresAt);
  putNumber(to, ATTEMPTS_MAX, request.maxAttempts);
  putNumber(to, ATTEMPTS, request.attempts);
  putNumber(to, GENERATION, request.generation);
  putNumber(to, BODY_BYTES, request.bodyBytes);
  putText(to, OWNER, request.owner);
  putNumber(to, SHARED, request.isShared ? 1 : 0);
}

/** Fields to check before they are trusted: see well-formed.ts. */
export function requestOf(fields: FieldReader): StoredRequest {
  const state = STATES[fields.number(STATE)];
  return {
    uuid: fields.bytes(UUID),
    service: fields.bytes(SERVICE),
    // A change of an unknown kind is refused because of its kind number.
    number: state === undefined ? 0 : fields.number(NUMBER),
    state: state ?? 'pending',
    priority: fields.number(PRIORITY),
    acceptedAt: fields.number(ACCEPTED_AT),
    notBefore: fields.number(NOT_BEFORE),
    expiresAt: fields.number(EXPIRES_AT),
    maxAttempts: fields.number(ATTEMPTS_MAX),
    attempts: fields.number(ATTEMPTS),
    generation: fields.number(GENERATION),
    bodyBytes: fields.number(BODY_BYTES),
    owner: fields.text(OWNER) as Owner,
    isShared: fields.number(SHARED) === 1,
  };
}
