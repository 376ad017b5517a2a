/**
 * What a stored request is: the one table of its fields, and the functions that pack and read one. What
 * the nodes of a pair send each other, the messages between threads, the columns of both engines, the
 * check of what a peer sends, and what is shown of a request all follow from them.
 *
 * `putRequest` and `requestFrom` name the fields in the order of the table, because a loop over the table
 * takes half as long again; a test compares both with it.
 */
import { type RecordKind, kindOfNumber, numberOfKind, type StoredState } from './record-kind.js';
import { isText } from '../wire/job-option-table.js';
import { COUNT_MAX, isWhole, PRIORITY_MAX, SEQUENCE_MAX, WALL_MS_MAX } from '../core/numbers.js';

/** 16 bytes: a UUIDv7. */
export type RequestUuid = Buffer;

/** The owner of a request (D70, D71): a CURVE key, by its name; `anonymous`: stored without a key. */
export type Owner = 'anonymous' | `key:${string}`;
export const ANONYMOUS = 'anonymous';

/** Who owns a request, and whether only its owner may access it. */
export interface Ownership {
  readonly owner: Owner;
  /** D71: everybody who knows its uuid may. */
  readonly isShared: boolean;
}

/** In the order of the numbers that encode them; columns of both engines have the number plus one. */
export const STATES: readonly StoredState[] = ['pending', 'replied', 'dead'];

/** A request without its body. Wall times in milliseconds since 1970. */
export interface StoredRequest extends Ownership {
  readonly uuid: RequestUuid;
  readonly service: Buffer;
  /**
   * Order of acceptance in this store. A number that is not above all that were given before is
   * replaced by the next one when the request is accepted. A merged request keeps the number that
   * it had in the other store, if that is free here. Requests of one merge whose number is taken
   * come after all others, in the order in which they were accepted (`acceptedAt`, then uuid).
   */
  readonly number: number;
  readonly state: StoredState;
  /** -100 to 100; higher is sent first. */
  readonly priority: number;
  readonly acceptedAt: number;
  /** Milliseconds since 1970 before which it is not dispatched. */
  readonly notBefore: number;
  /** When it expires if it is not served. */
  readonly expiresAt: number;
  readonly maxAttempts: number;
  /** Attempts since an operator's last retry; of a schedule: how often it was due. */
  readonly attempts: number;
  readonly generation: number;
  /** Size of its body, packed, and of `own`. */
  readonly bodyBytes: number;
  readonly kind: RecordKind;
  /** The webhook of a request, or the request that a webhook tells of; empty: there is none. */
  readonly partner: Buffer;
  /** What only its kind has, and never changes, packed: see own-fields.ts. Empty: nothing, as of a request without a group. */
  readonly own: Buffer;
  /** What became of it last, as a number: see outcomes.ts. */
  readonly outcome: number;
  /** When that was; 0 before that. */
  readonly outcomeAt: number;
}

export const UUID_BYTES = 16;
export const NAME_BYTES_MAX = 255;
/** The maximum of what only its kind has. */
export const OWN_BYTES_MAX = 4096;

/** By kind of value: how it is encoded, and the bounds of the number, or of the bytes, of a text in UTF-8. */
const KINDS = {
  uuid: { as: 'bytes', min: UUID_BYTES, max: UUID_BYTES },
  maybeUuid: { as: 'bytes', min: 0, max: UUID_BYTES },
  name: { as: 'bytes', min: 1, max: NAME_BYTES_MAX },
  own: { as: 'bytes', min: 0, max: OWN_BYTES_MAX },
  owner: { as: 'text', min: 1, max: 300 },
  state: { as: 'number', min: 0, max: STATES.length - 1 },
  recordKind: { as: 'number', min: 0, max: COUNT_MAX },
  flag: { as: 'number', min: 0, max: 1 },
  priority: { as: 'number', min: -PRIORITY_MAX, max: PRIORITY_MAX },
  place: { as: 'number', min: 1, max: SEQUENCE_MAX },
  wallTime: { as: 'number', min: 0, max: WALL_MS_MAX },
  count: { as: 'number', min: 0, max: COUNT_MAX },
  countFromOne: { as: 'number', min: 1, max: COUNT_MAX },
} as const;

type Kind = keyof typeof KINDS;

type KindsAs<As extends RequestField['as']> = {
  [Name in Kind]: (typeof KINDS)[Name]['as'] extends As ? Name : never;
}[Kind];

type KindOf<Value> = Value extends Buffer
  ? KindsAs<'bytes'>
  : Value extends boolean
    ? 'flag'
    : Value extends StoredState
      ? 'state'
      : Value extends RecordKind
        ? 'recordKind'
        : Value extends number
          ? Exclude<KindsAs<'number'>, 'flag' | 'state' | 'recordKind'>
          : KindsAs<'text'>;

interface Field {
  /** The number in records and changes, the same in all versions; see fields.ts for the others. */
  readonly field: number;
  readonly kind: Kind;
  /** The column in both engines, if named otherwise; the identity and the number differ in PostgreSQL. */
  readonly column?: string;
  /** Whose choice it is when the request is stored; absent: the broker's. */
  readonly setBy?: 'client';
  /** HTTP shows it as it is, with this description. */
  readonly shown?: string;
  /** The field is null if read without a token; this is added to the description, which has no period. */
  readonly needsToken?: true;
}

/** All fields, in the order in which they are packed and selected, and in which `insertRequest` of SQLite binds them. */
export const REQUEST_FIELDS = {
  uuid: { field: 1, kind: 'uuid' },
  service: { field: 2, kind: 'name', setBy: 'client' },
  number: { field: 3, kind: 'place' },
  state: { field: 4, kind: 'state' },
  priority: { field: 5, kind: 'priority', setBy: 'client', shown: '' },
  acceptedAt: { field: 6, kind: 'wallTime', shown: '' },
  notBefore: {
    field: 7,
    kind: 'wallTime',
    setBy: 'client',
    shown: 'It is not dispatched before this time.',
  },
  expiresAt: {
    field: 8,
    kind: 'wallTime',
    setBy: 'client',
    shown:
      'When it expires, unless it is answered, or its reply is closed, before that. Until it has ended, its ' +
      'time to live counts from `notBefore`.',
  },
  maxAttempts: { field: 9, kind: 'countFromOne', setBy: 'client', shown: '' },
  attempts: {
    field: 10,
    kind: 'count',
    shown:
      'Deliveries without a reply since an operator last retried it; of a schedule: due times.',
  },
  generation: {
    field: 11,
    kind: 'count',
    shown: 'How often an operator retried it.',
  },
  bodyBytes: {
    field: 12,
    kind: 'count',
    shown: 'Size as stored: the frames, each with its length, and the fields of its kind.',
  },
  owner: {
    field: 13,
    kind: 'owner',
    needsToken: true,
    shown: 'Name of the CURVE key that stored it; null: stored without a key',
  },
  isShared: { field: 14, kind: 'flag', column: 'shared', setBy: 'client' },
  kind: {
    field: 37,
    kind: 'recordKind',
    shown:
      '`request`, `schedule`, `pause` or `webhook`; `kind-` and a number: of a later version, kept, and nothing is ' +
      'done with it.',
  },
  partner: { field: 38, kind: 'maybeUuid' },
  own: { field: 40, kind: 'own' },
  outcome: { field: 41, kind: 'count' },
  outcomeAt: { field: 42, kind: 'wallTime' },
} as const satisfies {
  readonly [Name in keyof StoredRequest]: Field & {
    readonly kind: KindOf<StoredRequest[Name]>;
    // Bytes are not shown as they are: they are escaped, or encoded.
    readonly shown?: StoredRequest[Name] extends Buffer ? never : string;
  };
};

export type RequestField = Field & {
  readonly name: keyof StoredRequest;
  readonly column: string;
  readonly as: 'bytes' | 'text' | 'number';
  readonly min: number;
  readonly max: number;
};

export const REQUEST_ROWS: readonly RequestField[] = (
  Object.entries(REQUEST_FIELDS) as [keyof StoredRequest, Field][]
).map(([name, field]) => {
  const column = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return { name, column, ...field, ...KINDS[field.kind] };
});

export type ShownField = {
  [Name in keyof StoredRequest]: (typeof REQUEST_FIELDS)[Name] extends { readonly shown: string }
    ? Name
    : never;
}[keyof StoredRequest];

/** The fields that HTTP and the page show as they are. */
export const SHOWN_ROWS = REQUEST_ROWS.filter(({ shown }) => shown !== undefined);

type Numbers = { readonly [Name in keyof StoredRequest]: number };

/** Their numbers. */
const F = Object.fromEntries(REQUEST_ROWS.map(({ name, field }) => [name, field])) as Numbers;

/** Takes the fields of a request, one after the other. (`PackWriter` does, without their numbers.) */
interface FieldSink {
  number(value: number, field: number): void;
  bytes(value: Buffer, field: number): void;
  text(value: string, field: number): void;
}

/** Gives the fields of a request, in the order in which they were put. (`PackReader` does.) */
export interface FieldSource {
  /** 0 if it is absent. */
  number(field: number): number;
  /** Empty if it is absent. */
  bytes(field: number): Buffer;
  text(field: number): string;
}

export function putRequest(to: FieldSink, request: StoredRequest): void {
  to.bytes(request.uuid, F.uuid);
  to.bytes(request.service, F.service);
  to.number(request.number, F.number);
  to.number(STATES.indexOf(request.state), F.state);
  to.number(request.priority, F.priority);
  to.number(request.acceptedAt, F.acceptedAt);
  to.number(request.notBefore, F.notBefore);
  to.number(request.expiresAt, F.expiresAt);
  to.number(request.maxAttempts, F.maxAttempts);
  to.number(request.attempts, F.attempts);
  to.number(request.generation, F.generation);
  to.number(request.bodyBytes, F.bodyBytes);
  to.text(request.owner, F.owner);
  to.number(request.isShared ? 1 : 0, F.isShared);
  to.number(numberOfKind(request.kind), F.kind);
  to.bytes(request.partner, F.partner);
  to.bytes(request.own, F.own);
  to.number(request.outcome, F.outcome);
  to.number(request.outcomeAt, F.outcomeAt);
}

/** What comes from elsewhere is to be checked with `isRequest` before it is trusted. */
export function requestFrom(from: FieldSource): StoredRequest {
  const uuid = from.bytes(F.uuid);
  const service = from.bytes(F.service);
  const number = from.number(F.number);
  const state = STATES[from.number(F.state)];
  // Members of an object literal are evaluated in the order in which they are written here.
  return {
    uuid,
    service,
    // No request has the number 0: one in an unknown state is not valid.
    number: state === undefined ? 0 : number,
    state: state ?? 'pending',
    priority: from.number(F.priority),
    acceptedAt: from.number(F.acceptedAt),
    notBefore: from.number(F.notBefore),
    expiresAt: from.number(F.expiresAt),
    maxAttempts: from.number(F.maxAttempts),
    attempts: from.number(F.attempts),
    generation: from.number(F.generation),
    bodyBytes: from.number(F.bodyBytes),
    owner: from.text(F.owner) as Owner,
    isShared: from.number(F.isShared) === 1,
    kind: kindOfNumber(from.number(F.kind)),
    partner: from.bytes(F.partner),
    own: from.bytes(F.own),
    outcome: from.number(F.outcome),
    outcomeAt: from.number(F.outcomeAt),
  };
}

/** What whoever stores a request says of it. */
type Given = Omit<
  StoredRequest,
  | ('uuid' | 'number' | 'state' | 'attempts' | 'generation')
  | ('bodyBytes' | 'outcome' | 'outcomeAt')
>;

/**
 * A request that is to be accepted. Its number is assigned when its batch begins.
 * @param bodyBytes the size of its body, packed
 */
export function newRequest(
  uuid: RequestUuid,
  bodyBytes: number,
  given: Given,
): { -readonly [Name in keyof StoredRequest]: StoredRequest[Name] } {
  return {
    uuid,
    service: given.service,
    number: 0,
    state: 'pending',
    priority: given.priority,
    acceptedAt: given.acceptedAt,
    notBefore: given.notBefore,
    expiresAt: given.expiresAt,
    maxAttempts: given.maxAttempts,
    attempts: 0,
    generation: 0,
    bodyBytes: bodyBytes + given.own.length,
    owner: given.owner,
    isShared: given.isShared,
    kind: given.kind,
    partner: given.partner,
    own: given.own,
    outcome: 0,
    outcomeAt: 0,
  };
}

// ---------------------------------------------------------------- what is valid

export function isOwner(owner: string): boolean {
  if (owner === ANONYMOUS) return true;
  return /^key:[^]/.test(owner) && isText(owner, KINDS.owner.min, KINDS.owner.max);
}

export function isRequest(request: StoredRequest): boolean {
  const check = new Check();
  putRequest(check, request);
  return check.isPassed;
}

/** By the number of a field. */
const BOUNDS = REQUEST_ROWS.reduce<RequestField[]>((all, row) => {
  all[row.field] = row;
  return all;
}, []);

class Check implements FieldSink {
  isPassed = true;

  number(value: number, field: number): void {
    const { min = 0, max = 0 } = BOUNDS[field] ?? {};
    this.isPassed &&= isWhole(value, min, max);
  }

  bytes(value: Buffer, field: number): void {
    this.number(value.length, field);
    if (field === F.partner) this.isPassed &&= value.length === 0 || value.length === UUID_BYTES;
  }

  text(value: string, field: number): void {
    const { min = 0, max = 0 } = BOUNDS[field] ?? {};
    this.isPassed &&= field === F.owner ? isOwner(value) : isText(value, min, max);
  }
}
