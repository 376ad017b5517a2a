import { Frames } from '../../../src/core/frames.js';
import { pack } from '../../../src/core/packed.js';
import { PackReader, PackWriter } from '../../../src/core/value-bytes.js';
import { type Shape, shown, struct } from '../../../src/core/shapes.js';
import {
  askEntry,
  encodeChunk,
  encodePack,
  failEntry,
  finalEntry,
  FLEET_HEAD_BYTES,
  heldEntry,
  offerEntry,
  partialEntry,
  presenceEntry,
  readEntries,
  readPack,
  requestEntry,
  returnEntry,
  wantEntry,
} from '../../../src/extensions/fleet/machine/codec.js';
import {
  FLEET_FIELDS,
  FLEET_VERSION,
  type FleetEntry,
  type FleetHead,
} from '../../../src/extensions/fleet/machine/protocol.js';
import { itemsBelow, page } from '../docs/page.js';

const FLEET = Buffer.from('fleetid!');
const HEAD: FleetHead = {
  channel: 'direct',
  fleet: FLEET,
  sender: Buffer.from('sender!!'),
  to: Buffer.from('receiver'),
  number: 2 ** 40 + 1,
  seen: 7,
};
const CREDIT = { free: 3, total: 9 };
const TOKEN = 2 ** 47;

function packed(...frames: string[]): Buffer {
  const bytes = Buffer.alloc(10_000);
  return bytes.subarray(0, pack(Frames.of(...frames), 0, frames.length, bytes, 0, false));
}

function entriesOf(...entries: Buffer[]): FleetEntry[] | null {
  const bytes = Buffer.concat(entries);
  const read = readPack(encodePack(HEAD, entries, bytes.length), FLEET);
  if (typeof read === 'string') throw new Error(read);
  return readEntries(read.entries);
}

const service = Buffer.from('a\0b');
const PRESENCE = { node: 'n', version: '1', keys: FLEET, isLeaving: true, takesOnce: true };
const body = packed('one', '', 'x'.repeat(300));
const headed = packed('{"a":"b"}', 'body');
const ENTRIES: readonly (readonly [Buffer, FleetEntry])[] = [
  [
    requestEntry(TOKEN, service, 0, body, 0, body.length, false),
    { kind: 'request', token: TOKEN, service, leftMs: 0, headers: null, body },
  ],
  [
    requestEntry(1, service, 250, headed, 0, headed.length, true),
    {
      ...{ kind: 'request', token: 1, service, leftMs: 250 },
      ...{ headers: Buffer.from('{"a":"b"}'), body: packed('body') },
    },
  ],
  [partialEntry(5, 7, packed('p')), { kind: 'partial', token: 5, part: 7, body: packed('p') }],
  [
    finalEntry(5, CREDIT, 7, Frames.of('skipped', 'f', ''), 1),
    { kind: 'final', token: 5, ...CREDIT, parts: 7, body: packed('f', '') },
  ],
  [
    failEntry(6, CREDIT, { kind: 'retry', code: 'E.1', text: 'nö', detail: [] }, Frames.of('d')),
    {
      ...{ kind: 'fail', token: 6, ...CREDIT, failure: 'retry', code: 'E.1', text: 'nö' },
      detail: packed('d'),
    },
  ],
  [
    returnEntry(7, 'lost', CREDIT, 'why'),
    { kind: 'return', token: 7, reason: 'lost', ...CREDIT, text: 'why' },
  ],
  [heldEntry([1, TOKEN]), { kind: 'held', tokens: [1, TOKEN] }],
  [askEntry(), { kind: 'ask' }],
  [
    offerEntry([{ service, ...CREDIT, bytes: 2 ** 33 }]),
    { kind: 'offer', offers: [{ service, ...CREDIT, bytes: 2 ** 32 - 1 }] },
  ],
  [wantEntry(service), { kind: 'want', service }],
  [presenceEntry(PRESENCE), { kind: 'presence', ...PRESENCE }],
];

describe('the packs of a fleet', () => {
  it('have the entries that docs/fleet-protocol.md says', () => {
    const items = Object.entries(FLEET_FIELDS).map(([kind, fields], at) =>
      [`${at} ${kind.toUpperCase()}`, shown(fields)].filter((part) => part !== '').join(': '),
    );
    const listed = itemsBelow(page('fleet-protocol.md'), '### The entries');
    expect(listed.filter((item) => /^\d/.test(item))).toEqual(items);
  });

  it('have the fields of the table also where these are written one by one', () => {
    const { request, partial, final } = FLEET_FIELDS;
    const contents = [
      { token: TOKEN, leftMs: 0, isHeaded: false, service, frames: body },
      { token: 1, leftMs: 250, isHeaded: true, service, frames: headed },
      { token: 5, part: 7, body: packed('p') },
      { token: 5, ...CREDIT, parts: 7, body: packed('f', '') },
    ];
    for (const [at, fields] of [request, request, partial, final].entries()) {
      const row: Shape<object> = struct<object>(fields);
      const to = new PackWriter(1);
      row.put(to, contents[at] ?? {});
      expect(to.copy()).toEqual(ENTRIES[at]?.[0].subarray(5));
      const from = new PackReader(to.copy());
      expect(row.take(from)).toEqual(contents[at]);
      expect([from.isWhole, from.isAtEnd]).toEqual([true, true]);
    }
  });

  it('are read as they were written, many entries in one', () => {
    const all = ENTRIES.map(([bytes]) => bytes);
    const size = all.reduce((sum, { length }) => sum + length, 0);
    expect(readPack(encodePack(HEAD, all, size), FLEET)).toMatchObject({ ...HEAD, chunk: null });
    expect(entriesOf(...all)).toEqual(ENTRIES.map(([, entry]) => entry));
  });

  it('have names and reasons of one line: the log prints them', () => {
    const presence = { ...PRESENCE, node: 'n\r\nm', version: '1\u001b[2J' };
    const returned = returnEntry(7, 'lost', CREDIT, 'why\nnot');
    expect(entriesOf(presenceEntry(presence), returned)).toMatchObject([
      { node: 'n\ufffd\ufffdm', version: '1\ufffd[2J' },
      { text: 'why\ufffdnot' },
    ]);
  });

  it('skip entries of kinds that this version does not know', () => {
    const unknown = Buffer.from(askEntry());
    unknown[0] = 200;
    expect(entriesOf(unknown, askEntry())).toEqual([{ kind: 'ask' }]);
  });

  it('skip fields at the end of PRESENCE that this version does not know', () => {
    const presence = presenceEntry(PRESENCE);
    const longer = Buffer.concat([presence, Buffer.from('more')]);
    longer.writeUInt32BE(longer.length - 5, 1);
    const same = { kind: 'presence', ...PRESENCE };
    expect(entriesOf(longer, askEntry())).toEqual([same, { kind: 'ask' }]);
  });

  it('have a PRESENCE of older brokers, which lacks its last field: they take nothing once (D117)', () => {
    const older = presenceEntry(PRESENCE).subarray(0, -1);
    older.writeUInt32BE(older.length - 5, 1);
    const same = { kind: 'presence', ...PRESENCE, takesOnce: false };
    expect(entriesOf(older, askEntry())).toEqual([same, { kind: 'ask' }]);
  });

  it('come in chunks, which say where they belong', () => {
    const whole = Buffer.from('0123456789');
    expect(readPack(encodeChunk(HEAD, whole, 4, 7), FLEET)).toMatchObject({
      chunk: { total: 10, offset: 4, bytes: Buffer.from('456') },
    });
  });

  it('of the next version are read; those two away, of another fleet, or none at all are told apart', () => {
    const good = encodePack(HEAD, [askEntry()], askEntry().length);
    const changed = (at: number, value: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at] = value;
      return bytes;
    };
    expect(readPack(changed(3, FLEET_VERSION + 1), FLEET)).toMatchObject({ ...HEAD });
    for (const version of [0, FLEET_VERSION - 2, FLEET_VERSION + 2, 255]) {
      expect(readPack(changed(3, version & 0xff), FLEET)).toBe('version');
    }
    expect(readPack(changed(6, 0), FLEET)).toBe('fleet');
    for (const bytes of [changed(0, 0), changed(4, 9), changed(5, 2), good.subarray(0, 41)]) {
      expect(readPack(bytes, FLEET)).toBe('garbage');
    }
  });

  it('with any byte changed or missing give entries or nothing, and never an error', () => {
    for (const [bytes] of ENTRIES) {
      for (let at = 0; at < bytes.length; at++) {
        for (const value of [0, 1, 0x7f, 0xff]) {
          const hostile = Buffer.from(bytes);
          hostile[at] = value;
          readEntries(hostile);
        }
        expect(readEntries(bytes.subarray(0, at))).toEqual(at === 0 ? [] : null);
      }
    }
  });

  it('refuse a length that reaches past the end, and names that are none', () => {
    const long = Buffer.from(askEntry());
    long.writeUInt32BE(0xffff_ffff, 1);
    expect(readEntries(long)).toBeNull();
    expect(readEntries(wantEntry(Buffer.alloc(0)))).toBeNull();
    expect(readEntries(wantEntry(Buffer.alloc(256)))).toBeNull();
    expect(readEntries(requestEntry(1, service, 0, body, 0, body.length - 1, false))).toBeNull();
    expect(readEntries(Buffer.concat(Array.from({ length: 16_385 }, askEntry)))).toBeNull();
    expect(readEntries(Buffer.concat([askEntry(), askEntry()]), 1)).toBeNull();
    expect(FLEET_HEAD_BYTES).toBe(42);
  });
});
