import { present } from '../../../src/core/assert.js';
import { FieldWriter } from '../../../src/core/numbered-fields.js';
import { PackReader, PackWriter } from '../../../src/core/value-bytes.js';
import { ATTEMPT_FIELDS } from '../../../src/store/attempt.js';
import * as fields from '../../../src/store/fields.js';
import {
  isRequest,
  putRequest,
  REQUEST_ROWS,
  type RequestField,
  requestFrom,
  type StoredRequest,
} from '../../../src/store/request.js';
import {
  isWork,
  kindOfNumber,
  numberOfKind,
  readKind,
  RECORD_KINDS,
} from '../../../src/store/record-kind.js';
import { KEPT_ROWS, type KeptOptions } from '../../../src/wire/job-option-table.js';
import { valuesOf } from '../../support/job-options.js';
import { requestOf } from '../../support/store-changes.js';
import { itemsBelow, page } from '../docs/page.js';

/** The first kind that only a later version knows. */
const LATER = `kind-${RECORD_KINDS.length}` as const;

type Put = readonly [field: number, as: string, value: unknown];

function put(request: StoredRequest): Put[] {
  const all: Put[] = [];
  putRequest(
    {
      number: (value, field) => void all.push([field, 'number', value]),
      bytes: (value, field) => void all.push([field, 'bytes', value]),
      text: (value, field) => void all.push([field, 'text', value]),
    },
    request,
  );
  return all;
}

/** Of each kind a value that differs from what is read if it is left out. */
function valueOf({ kind, as, min, max }: RequestField): unknown {
  if (kind === 'state') return 'replied';
  if (kind === 'flag') return true;
  if (kind === 'recordKind') return 'kind-7';
  if (kind === 'maybeUuid') return Buffer.alloc(max, 'y');
  if (kind === 'owner') return 'key:alice';
  if (as === 'number') return min < 0 ? min : 1 + (max % 7);
  return as === 'text' ? 'ü' : Buffer.alloc(Math.max(min, 1), 'x');
}

const REQUEST = requestOf(
  1,
  Object.fromEntries(REQUEST_ROWS.map((row) => [row.name, valueOf(row)])),
);

const KEPT = Object.fromEntries(
  KEPT_ROWS.map((row) => [row.name, valuesOf(row).good[0]]),
) as KeptOptions;

describe('the table of the fields of a stored request', () => {
  it('has numbers that no other field has', () => {
    const others = Object.values(fields).filter((value) => typeof value === 'number');
    const rows = [...REQUEST_ROWS, ...Object.values(ATTEMPT_FIELDS)].map(({ field }) => field);
    const all = [...rows, ...KEPT_ROWS.map(({ field }) => field)];
    expect(new Set([...all, ...others]).size).toBe(all.length + others.length);
  });

  it('has none of the numbers of what is kept without a column', () => {
    const extra = present(fields.extraOf(Buffer.from('h'), KEPT), 'extra');
    const reader = fields.fieldReader();
    reader.read(new PackReader(Buffer.concat([extra, Buffer.of(0)])));
    expect(reader.extra).toEqual(extra);
    expect(fields.keptIn(extra)).toEqual(KEPT);
    expect(fields.storedContent(Buffer.of(), extra)).toMatchObject({ headers: Buffer.from('h') });
  });

  it('reads nothing of what is kept from another program if it is wrong', () => {
    for (const { name, field } of KEPT_ROWS) {
      for (const wrong of ['', '{', 'null', '{"baseMs":1}', 'x'.repeat(8)]) {
        const to = new PackWriter(64);
        new FieldWriter(to).text(wrong, field);
        expect([name, fields.keptIn(to.takeBuffer())[name]]).toEqual([name, null]);
      }
    }
    expect(fields.extraOf(null)).toBeNull();
  });

  it('is what is packed and read, in its order', () => {
    const columns = REQUEST_ROWS.map(({ field, as }) => [field, as]);
    expect(put(REQUEST).map(([field, as]) => [field, as])).toEqual(columns);
    const left = put(REQUEST);
    const next = (field: number, as: string): unknown => {
      const first = left.shift();
      expect([field, as]).toEqual(first?.slice(0, 2));
      return first?.[2];
    };
    const read = requestFrom({
      number: (field) => Number(next(field, 'number')),
      bytes: (field) => next(field, 'bytes') as Buffer,
      text: (field) => String(next(field, 'text')),
    });
    expect(read).toEqual(REQUEST);
    expect(left).toEqual([]);
  });

  it('has each number and each column once', () => {
    expect(new Set(REQUEST_ROWS.map(({ field }) => field)).size).toBe(REQUEST_ROWS.length);
    expect(new Set(REQUEST_ROWS.map(({ column }) => column)).size).toBe(REQUEST_ROWS.length);
  });

  it('is the one of the page about the peer protocol', () => {
    const items = itemsBelow(page('peer-protocol.md'), '### The fields of a request');
    expect(items).toEqual([
      ...REQUEST_ROWS.map(
        ({ field, name, kind, setBy }) =>
          `${field} ${name}: ${kind}${setBy === 'client' ? ', client' : ''}`,
      ),
      ...KEPT_ROWS.map(({ field, name, type }) => `${field} ${name}: ${type}, client`),
    ]);
  });

  it('says which numbers and lengths are valid', () => {
    expect(isRequest(REQUEST)).toBe(true);
    for (const { name, kind, as, min, max } of REQUEST_ROWS) {
      if (as !== 'number') {
        if (kind === 'owner') continue;
        const of = (length: number): unknown =>
          as === 'text' ? 'x'.repeat(length) : Buffer.alloc(length);
        for (const [length, isValid] of [
          ...[[min, true] as const, [max, true] as const, [max + 1, false] as const],
          ...(min > 0 ? [[min - 1, false] as const] : []),
        ]) {
          const valid = isRequest({ ...REQUEST, [name]: of(length) });
          expect([name, length, valid]).toEqual([name, length, isValid]);
        }
        continue;
      }
      if (kind === 'state' || kind === 'flag' || kind === 'recordKind') continue;
      for (const [value, isValid] of [
        ...([
          [min, true],
          [max, true],
        ] as const),
        ...([
          [min - 1, false],
          [max + 1, false],
          [0.5, false],
          [NaN, false],
        ] as const),
      ]) {
        expect([name, value, isRequest({ ...REQUEST, [name]: value })]).toEqual([
          name,
          value,
          isValid,
        ]);
      }
    }
  });
});

describe('the kind of a record', () => {
  it('is a word, or, of a later version, the number that it came with', () => {
    for (const kind of [...RECORD_KINDS, LATER, 'kind-4000000000'] as const) {
      expect(kindOfNumber(numberOfKind(kind))).toBe(kind);
      expect(readKind(kind)).toBe(kind);
    }
    for (const wrong of [
      '',
      'Request',
      'kind-0',
      'kind-3',
      'kind-',
      'kind-x',
      'kind-99999999999',
    ]) {
      expect(readKind(wrong)).toBeNull();
    }
  });

  it('says what is sent to workers: nothing of a later version', () => {
    expect(RECORD_KINDS.filter(isWork)).toEqual(['request', 'webhook']);
    expect(isWork(LATER)).toBe(false);
  });

  it('and the uuid of a partner, which is whole or absent', () => {
    for (const length of [1, 15]) {
      expect(isRequest({ ...REQUEST, partner: Buffer.alloc(length) })).toBe(false);
    }
  });
});
