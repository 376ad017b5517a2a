/**
 * Encodes the changes of a store: between the threads of a node, and from the active node of a pair
 * to the passive one, which commits them unchanged.
 *
 * A batch on the wire is a byte for its format (1), a byte for what it changes (0 requests, above a
 * part of ranked records: store/chunk-codec.ts), a byte for what closes leave (0 none, 1 known, 2 all), the number of
 * changes, and the changes: each is a kind byte and the fields of the change (core/numbered-fields.ts,
 * fields.ts).
 */
import { WITH_NEXT } from './fields.js';
import { type FieldReader, FieldWriter } from '../core/numbered-fields.js';
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { oneOf, type Shape } from '../core/shapes.js';
import {
  AT,
  BODY,
  BY,
  CLAIM,
  fieldReader,
  KEEPS,
  KEEPS_KEYS,
  KEY,
  KINDS_ENDED,
  MOST,
  NOW,
  PARTNER_CLAIM,
  REPLY,
  UNCLAIMED,
  UNTIL,
} from './fields.js';
import { ATTEMPT_FIELDS, attemptFrom, putAttempt } from './attempt.js';
import { putRequest, REQUEST_FIELDS, requestFrom } from './request.js';
import { type Change, type Closer, FORMAT, type RequestUuid, type Tombstones } from './store.js';
import { isChange } from './well-formed.js';

const UUID = REQUEST_FIELDS.uuid.field;
const GENERATION = REQUEST_FIELDS.generation.field;
const ATTEMPTS = REQUEST_FIELDS.attempts.field;
const NOT_BEFORE = REQUEST_FIELDS.notBefore.field;
const EXPIRES_AT = REQUEST_FIELDS.expiresAt.field;
const OUTCOME = REQUEST_FIELDS.outcome.field;
const OUTCOME_AT = REQUEST_FIELDS.outcomeAt.field;
const WORKER = ATTEMPT_FIELDS.worker.field;
const REASON = ATTEMPT_FIELDS.reason.field;

export const TOMBSTONES: Shape<Tombstones> = oneOf('none', 'known', 'all');

/** Applies to a batch from the wire. */
interface Batch {
  readonly tombstones: Tombstones;
  readonly changes: readonly Change[];
}

/** What a batch changes; a part of ranked records has its own number there. */
const OF_REQUESTS = 0;

export function packBatch({ tombstones, changes }: Batch): Buffer {
  const to = new PackWriter(changesBytes(changes));
  to.byte(FORMAT);
  to.byte(OF_REQUESTS);
  TOMBSTONES.put(to, tombstones);
  packChanges(to, changes);
  return to.takeBuffer();
}

/** @returns views of `bytes`; `null` if no node of a known version packed them */
export function unpackBatch(bytes: Uint8Array): Batch | null {
  const from = new PackReader(bytes);
  if (from.byte() !== FORMAT || from.byte() !== OF_REQUESTS) return null;
  const tombstones = TOMBSTONES.take(from);
  const changes = unpackChanges(from);
  if (changes === null || !from.isAtEnd || !changes.every(isChange)) return null;
  return { tombstones, changes };
}

const KINDS = {
  accept: 1,
  attempt: 2,
  reply: 3,
  dead: 4,
  close: 5,
  expire: 6,
  retry: 7,
  sweep: 8,
  advance: 9,
} as const satisfies Readonly<Record<Change['kind'], number>>;

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
  const fields = new FieldWriter(to);
  for (const change of changes) packChange(to, fields, change);
}

/** @returns views of the bytes; `null` if they are not changes */
export function unpackChanges(from: PackReader): Change[] | null {
  const fields = fieldReader();
  const changes: Change[] = [];
  for (let left = from.count(); left > 0; left--) {
    const change = unpackChange(from, fields);
    if (change === null || !from.isWhole) return null;
    changes.push(change);
  }
  return from.isWhole ? changes : null;
}

function packChange(to: PackWriter, fields: FieldWriter, change: Change): void {
  to.byte(KINDS[change.kind]);
  fields.number(change.withNext === true ? 1 : 0, WITH_NEXT);
  switch (change.kind) {
    case 'accept':
      putRequest(fields, change.request);
      fields.bytes(change.body, BODY);
      fields.bytes(change.key, KEY);
      fields.number(change.claim ?? 0, CLAIM);
      fields.number(change.keepsKeys === true ? 1 : 0, KEEPS_KEYS);
      break;
    case 'attempt':
      putStep(fields, change.uuid, change.generation);
      fields.number(change.attempts, ATTEMPTS);
      putAttempt(fields, change.attempt);
      fields.number(change.notBefore, NOT_BEFORE);
      fields.number(change.claim ?? 0, CLAIM);
      fields.number(change.keepsClaim === true ? 1 : 0, KEEPS);
      // What a later version says of a failed delivery belongs to that.
      fields.end(change.attempt.extra);
      return;
    case 'reply':
      putStep(fields, change.uuid, change.generation);
      fields.bytes(change.reply, REPLY);
      fields.text(change.worker, WORKER);
      fields.number(change.at, AT);
      fields.number(change.expiresAt, EXPIRES_AT);
      break;
    case 'dead':
      putStep(fields, change.uuid, change.generation);
      fields.text(change.reason, REASON);
      fields.number(change.at, AT);
      fields.number(change.expiresAt, EXPIRES_AT);
      fields.number(change.claim ?? 0, CLAIM);
      break;
    case 'close':
    case 'expire':
      putStep(fields, change.uuid, 0);
      fields.number(change.at, AT);
      fields.number(change.keyUntil, UNTIL);
      fields.text(change.by, BY);
      fields.number(change.onlyUnclaimed === true ? 1 : 0, UNCLAIMED);
      break;
    case 'advance':
      putStep(fields, change.uuid, change.generation);
      fields.number(change.attempts, ATTEMPTS);
      fields.number(change.notBefore, NOT_BEFORE);
      fields.number(change.expiresAt, EXPIRES_AT);
      fields.number(change.outcome, OUTCOME);
      fields.number(change.outcomeAt, OUTCOME_AT);
      fields.number(change.partnerClaim ?? 0, PARTNER_CLAIM);
      fields.number(change.claim ?? 0, CLAIM);
      fields.number(change.keepsClaim === true ? 1 : 0, KEEPS);
      break;
    case 'retry':
      putStep(fields, change.uuid, change.generation);
      fields.number(change.expiresAt, EXPIRES_AT);
      putAttempt(fields, change.attempt);
      fields.end(change.attempt.extra);
      return;
    case 'sweep':
      fields.number(change.now, NOW);
      fields.number(change.keyUntil, UNTIL);
      fields.number(change.most, MOST);
      fields.number(change.kinds, KINDS_ENDED);
  }
  fields.end(change.extra);
}

function putStep(fields: FieldWriter, uuid: RequestUuid, generation: number): void {
  fields.bytes(uuid, UUID);
  fields.number(generation, GENERATION);
}

function unpackChange(from: PackReader, fields: FieldReader): Change | null {
  const kind = from.byte();
  fields.read(from);
  const step = changeOf(kind, fields);
  const isUnit = step !== null && fields.number(WITH_NEXT) === 1;
  const change: Change | null = isUnit ? { ...step, withNext: true } : step;
  const { extra } = fields;
  const isOfAttempt = change !== null && 'attempt' in change;
  return change === null || extra === null || isOfAttempt ? change : { ...change, extra };
}

function changeOf(kind: number, fields: FieldReader): Change | null {
  const uuid = fields.bytes(UUID);
  const generation = fields.number(GENERATION);
  const at = fields.number(AT);
  const expiresAt = fields.number(EXPIRES_AT);
  switch (kind) {
    case KINDS.accept:
      return {
        kind: 'accept',
        request: requestFrom(fields),
        body: fields.bytes(BODY),
        key: fields.maybe(KEY),
        ...claimOf(fields),
        ...(fields.number(KEEPS_KEYS) === 1 ? { keepsKeys: true } : {}),
      };
    case KINDS.attempt:
      return {
        kind: 'attempt',
        uuid,
        generation,
        attempts: fields.number(ATTEMPTS),
        attempt: attemptFrom(fields),
        notBefore: fields.number(NOT_BEFORE),
        ...heldClaimOf(fields),
      };
    case KINDS.reply: {
      const reply = fields.bytes(REPLY);
      return { kind: 'reply', uuid, generation, reply, worker: fields.text(WORKER), at, expiresAt };
    }
    case KINDS.dead:
      return {
        kind: 'dead',
        uuid,
        generation,
        reason: fields.text(REASON),
        at,
        expiresAt,
        ...claimOf(fields),
      };
    case KINDS.close:
    case KINDS.expire: {
      const keyUntil = fields.number(UNTIL);
      const by = fields.text(BY) as Closer;
      return {
        kind: kind === KINDS.close ? 'close' : 'expire',
        uuid,
        at,
        keyUntil,
        by,
        ...(fields.number(UNCLAIMED) === 1 ? { onlyUnclaimed: true } : {}),
      };
    }
    case KINDS.advance:
      return {
        kind: 'advance',
        uuid,
        generation,
        attempts: fields.number(ATTEMPTS),
        notBefore: fields.number(NOT_BEFORE),
        expiresAt,
        outcome: fields.number(OUTCOME),
        outcomeAt: fields.number(OUTCOME_AT),
        ...partnerClaimOf(fields),
        ...heldClaimOf(fields),
      };
    case KINDS.retry:
      return { kind: 'retry', uuid, generation, expiresAt, attempt: attemptFrom(fields) };
    case KINDS.sweep: {
      const [keyUntil, most] = [fields.number(UNTIL), fields.number(MOST)];
      return {
        kind: 'sweep',
        now: fields.number(NOW),
        keyUntil,
        most,
        kinds: fields.number(KINDS_ENDED),
      };
    }
    default:
      return null;
  }
}

/** The claim of a step, and whether it goes on after that. */
function heldClaimOf(fields: FieldReader): {
  readonly claim?: number;
  readonly keepsClaim?: boolean;
} {
  return { ...claimOf(fields), ...(fields.number(KEEPS) === 1 ? { keepsClaim: true } : {}) };
}

function partnerClaimOf(fields: FieldReader): { readonly partnerClaim?: number } {
  const partnerClaim = fields.number(PARTNER_CLAIM);
  return partnerClaim === 0 ? {} : { partnerClaim };
}

/** 0: none. */
function claimOf(fields: FieldReader): { readonly claim?: number } {
  const claim = fields.number(CLAIM);
  return claim === 0 ? {} : { claim };
}
