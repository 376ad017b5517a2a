/**
 * What only one kind of record has: a request its group, a schedule its line, a pause its target, a webhook its receiver, a
 * limit what it limits. All of a record is one column of the tables, and one field of what the nodes of a pair send each
 * other: numbered fields of their own (core/numbered-fields.ts), so that a later version may add some. They never change.
 */
import { isUtf8 } from 'node:buffer';

import { ownCopy } from '../core/bytes.js';
import { FieldReader, FieldWriter } from '../core/numbered-fields.js';
import { isWhole } from '../core/numbers.js';
import { PackReader, PackWriter } from '../core/value-bytes.js';
import { CRON_BYTES_MAX, SCHEDULE_NAME_BYTES_MAX, TIME_ZONE_BYTES_MAX } from '../wire/tsp.js';
import { RECORD_KINDS, type KnownKind } from './record-kind.js';
import { NO_OWN } from './fields.js';
import { NAME_BYTES_MAX, type StoredRequest, UUID_BYTES } from './request.js';

/** Bytes of the name of a token or user. */
const WHO_BYTES_MAX = 1024;
/** Bytes of a number as text. */
const NUMBER_BYTES_MAX = 32;

interface OwnField {
  readonly field: number;
  readonly as: 'text' | 'bytes';
  /** Bounds of its bytes, of a text in UTF-8; one of length 0 is absent. */
  readonly min: number;
  readonly max: number;
}

/** The fields of each kind, numbered for each from 1. The compiler asks for each kind. */
const OWN_FIELDS = {
  request: {
    /** Empty: none (D118). */
    group: { field: 1, as: 'bytes', min: 0, max: NAME_BYTES_MAX },
  },
  schedule: {
    name: { field: 1, as: 'text', min: 1, max: SCHEDULE_NAME_BYTES_MAX },
    cron: { field: 2, as: 'text', min: 1, max: CRON_BYTES_MAX },
    timeZone: { field: 3, as: 'text', min: 1, max: TIME_ZONE_BYTES_MAX },
    /** The service of the requests that it stores. */
    service: { field: 4, as: 'bytes', min: 1, max: NAME_BYTES_MAX },
  },
  /** A pause has the name of a service, or the uuid of a schedule; the other is empty. */
  pause: {
    service: { field: 1, as: 'bytes', min: 0, max: NAME_BYTES_MAX },
    schedule: { field: 2, as: 'bytes', min: 0, max: UUID_BYTES },
  },
  limit: {
    service: { field: 1, as: 'bytes', min: 1, max: NAME_BYTES_MAX },
    /** Who set it. */
    by: { field: 2, as: 'text', min: 0, max: WHO_BYTES_MAX },
    /** Decimal numbers; empty: no limit of that kind. */
    running: { field: 3, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
    perSecond: { field: 4, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
    burst: { field: 5, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
    groupRunning: { field: 6, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
    groupPerSecond: { field: 7, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
    groupBurst: { field: 8, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
    /** `hold` or `pass`; empty: not said. */
    onFailure: { field: 9, as: 'text', min: 0, max: NUMBER_BYTES_MAX },
  },
  webhook: {
    url: { field: 1, as: 'text', min: 1, max: 2048 },
    /** The service of the request that it tells of. */
    service: { field: 2, as: 'bytes', min: 1, max: NAME_BYTES_MAX },
  },
} as const satisfies Readonly<Record<KnownKind, Readonly<Record<string, OwnField>>>>;

interface ValueAs {
  readonly text: string;
  readonly bytes: Buffer;
}

type Fields<Kind extends KnownKind> = (typeof OWN_FIELDS)[Kind];

/** What records of a kind have of their own. */
export type OwnOf<Kind extends KnownKind> = {
  readonly [Name in keyof Fields<Kind>]: ValueAs[Extract<Fields<Kind>[Name], OwnField>['as']];
};

const BYTES = 256;
function rowsOf(kind: KnownKind): readonly (readonly [name: string, field: OwnField])[] {
  return Object.entries(OWN_FIELDS[kind]);
}
/** The fields of each kind. A number that another kind uses is, for this one, a field of a later version. */
const READERS = Object.fromEntries(
  RECORD_KINDS.map((kind) => {
    const bytes = rowsOf(kind).map(([, { field }]) => field);
    // 0 is the number of no field.
    return [kind, new FieldReader({ numbers: [0], repeated: [], bytes })];
  }),
) as Readonly<Record<KnownKind, FieldReader>>;

export function packOwn<Kind extends KnownKind>(kind: Kind, own: OwnOf<Kind>): Buffer {
  const values = own as Readonly<Record<string, string | Buffer>>;
  const to = new PackWriter(BYTES);
  const writer = new FieldWriter(to);
  for (const [name, { field }] of rowsOf(kind)) {
    const value = values[name] ?? '';
    if (typeof value === 'string') writer.text(value, field);
    else writer.bytes(value, field);
  }
  writer.end(null);
  return to.copy();
}

/** @returns `null` if these are not the fields of a record of this kind: a peer, or a database, may say anything */
export function ownOf<Kind extends KnownKind>(kind: Kind, packed: Buffer): OwnOf<Kind> | null {
  const from = new PackReader(packed);
  const reader = READERS[kind];
  reader.read(from);
  if (!from.isWhole || !from.isAtEnd) return null;
  const own: Record<string, string | Buffer> = {};
  for (const [name, { field, as, min, max }] of rowsOf(kind)) {
    const bytes = reader.bytes(field);
    if (!isWhole(bytes.length, min, max)) return null;
    if (as === 'text' && !isUtf8(bytes)) return null;
    own[name] = as === 'text' ? bytes.toString() : ownCopy(bytes);
  }
  return own as OwnOf<Kind>;
}

/** What a request of this group has of its own; `null`: none. */
export function ownOfGroup(group: string | Buffer | null): Buffer {
  if (group === null) return NO_OWN;
  return packOwn('request', { group: typeof group === 'string' ? Buffer.from(group) : group });
}

/** The group of a stored request; empty: none. */
export function groupOf({ kind, own }: Pick<StoredRequest, 'kind' | 'own'>): Buffer {
  if (kind !== 'request' || own.length === 0) return NO_OWN;
  return ownOf(kind, own)?.group ?? NO_OWN;
}
