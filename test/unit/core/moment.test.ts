import { momentIn } from '../../../src/core/moment.js';

describe('a moment', () => {
  it.each([
    ['500ms', { agoMs: 500 }],
    ['90s', { agoMs: 90_000 }],
    ['15m', { agoMs: 900_000 }],
    ['2h', { agoMs: 7_200_000 }],
    ['7d', { agoMs: 604_800_000 }],
    ['0s', { agoMs: 0 }],
    ['2026-11-26', { at: Date.UTC(2026, 10, 26) }],
    ['2026-11-26T17:00Z', { at: Date.UTC(2026, 10, 26, 17) }],
    ['2026-11-26T17:00:01.5+01:00', { at: Date.UTC(2026, 10, 26, 16, 0, 1, 500) }],
  ])('is %s', (text, moment) => expect(momentIn(text)).toEqual(moment));

  // A time without a zone would be another one at the broker.
  it.each([
    '',
    '5',
    's',
    '-1s',
    '1.5h',
    '5 m',
    '5M',
    '99999999999999d',
    '1e3s',
    '2026-11-26T17:00',
    '2026-13-01',
    '1969-12-31',
    'now',
    ' 1h',
  ])('is not %j', (text) => expect(momentIn(text)).toBeNull());
});
