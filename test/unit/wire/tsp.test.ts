import fc from 'fast-check';
import { Frames } from '../../../src/core/frames.js';
import {
  readTspClose,
  readTspRequest,
  readTspSubmit,
  readTspUuid,
  readTspWait,
  STORED_BYTES_MAX,
  uuidText,
} from '../../../src/wire/tsp.js';
import { JOB_ROWS } from '../../../src/wire/job-option-table.js';
import { valuesOf } from '../../support/job-options.js';

const frame = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom('', 'echo', 'mmi.x', 'titanic.', '{}', '{"key":"k"}', '0', '60000', '60001'),
  fc.stringMatching(/^[0-9a-fA-Fg]{31,33}$/),
  fc.json(),
);

describe('the readers of titanic.*', () => {
  it('are total: any frames give a value or a text, and never throw (D12)', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 5 }), fc.nat({ max: 5 }), (body, before) => {
        const head = Array.from({ length: before }, () => 'x');
        const frames = Frames.of(...head, ...body);
        for (const read of [readTspRequest, readTspSubmit]) {
          const result = read(frames, before);
          if (result.fault !== null) expect(result.fault.length).toBeGreaterThan(0);
          else {
            expect(frames.size(result.service)).toBeGreaterThan(0);
            expect(result.body).toBeLessThan(frames.count);
          }
        }
        const uuid = readTspUuid(frames, before);
        if ('fault' in uuid) expect(uuid.fault.length).toBeGreaterThan(0);
        else expect(uuid).toHaveLength(16);
        const close = readTspClose(frames, before);
        if (close.fault === null) expect(close.uuid).toHaveLength(16);
        const wait = readTspWait(frames, before);
        if (wait.fault === null) expect(wait.waitMs).toBeLessThanOrEqual(60_000);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuse a body that no store takes', () => {
    const body = Buffer.alloc(STORED_BYTES_MAX);
    const read = (size: number): string | null => {
      const frames = Frames.of('echo');
      frames.push(body, 0, size);
      return readTspRequest(frames, 0).fault;
    };
    const most = `the body of a durable request has at most ${STORED_BYTES_MAX} bytes`;
    expect([read(STORED_BYTES_MAX), read(STORED_BYTES_MAX - 16)]).toEqual([most, null]);
  });

  it('read every uuid as it is written, in either case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const text = uuidText(Buffer.from(bytes));
        expect(text).toMatch(/^[0-9A-F]{32}$/);
        for (const each of [text, text.toLowerCase()]) {
          expect(readTspUuid(Frames.of('x', each), 1)).toEqual(Buffer.from(bytes));
        }
      }),
    );
  });

  it('read every set of good options as it was meant (D16)', () => {
    const key = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' });
    const others = JOB_ROWS.map((row) => [row.name, fc.constantFrom(...valuesOf(row).good)]);
    const options = fc.record(Object.fromEntries(others) as Record<string, fc.Arbitrary<unknown>>, {
      requiredKeys: [],
    });
    fc.assert(
      fc.property(fc.option(key, { nil: undefined }), options, (key, chosen) => {
        fc.pre(Buffer.byteLength(key ?? '') <= 255);
        const given = JSON.stringify({ key, ...chosen });
        const read = readTspSubmit(Frames.of(given, 'echo', 'x'), 0);
        const absent = Object.fromEntries(JOB_ROWS.map(({ name }) => [name, null]));
        expect(read).toEqual({
          ...{ fault: null, service: 1, body: 2 },
          options: {
            ...{ ...absent, headers: null, webhook: null, existed: null, ...chosen },
            key: key === undefined ? null : Buffer.from(key),
          },
        });
      }),
    );
  });
});
