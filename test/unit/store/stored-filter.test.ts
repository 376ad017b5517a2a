import { GroupCounts } from '../../../src/store/group-counts.js';
import {
  boundsOf,
  failureGroupOf,
  matches,
  type RowFilter,
  type ScannedRow,
  wantedBy,
} from '../../../src/store/stored-filter.js';
import { ANY_REQUEST, ANY_ROW } from '../../support/stored-filters.js';

const ROW: ScannedRow = {
  ...{ uuid: '00', service: '00', reason: null, extra: null, diedAt: null },
  ...{ notBefore: 0, attempts: 0 },
};
const ALL_F = 'F'.repeat(32);
const ALL_0 = '0'.repeat(32);

function isFound(filter: Partial<RowFilter>, row: Partial<ScannedRow>): boolean {
  return matches({ ...ANY_ROW, ...filter }, { ...ROW, ...row });
}

describe('what failures have in common', () => {
  it.each([
    ['out-of-paper: tray 12 of 7', 'out-of-paper', 'tray # of #'],
    ['E17:', 'E17', ''],
    ['E17: ', 'E17', ''],
    ['E17: a\nb 3', 'E17', 'a\nb #'],
    [
      'dead after 3 attempts, the last: lost',
      'mdp.no-reply',
      'dead after # attempts, the last: lost',
    ],
    ['', 'mdp.no-reply', ''],
    ['x: 0193f0c0-a1b2-7000-8000-00000000abcd!', 'x', '#!'],
    ['x: 0193F0C0-ABCD-EFAB-CDEF-ABCDEFABCDEF', 'x', '#'],
    ['x: 0193F0C0A1B27000800000000000ABCD', 'x', '#'],
    ['x: at 0xdeadbeef and 0xFF', 'x', 'at # and #'],
    ['x: abc123 is an id, 12ab is not', 'x', '# is an id, #ab is not'],
    ['x: facade, decade and added are words', 'x', 'facade, decade and added are words'],
    ['x: v1.2.3 took 15ms', 'x', 'v#.#.# took #ms'],
    ['x: order_17', 'x', 'order_#'],
    ['x: naïve ٣ 5', 'x', 'naïve ٣ #'],
  ])('of %j are the code %j and the pattern %j', (reason, code, pattern) => {
    expect(failureGroupOf(reason)).toEqual({ code, pattern });
  });

  it('is nothing, if no attempt failed', () => {
    expect(failureGroupOf(null)).toEqual({ code: '', pattern: '' });
  });

  it('is cut so that it comes back from a URL as it was', () => {
    const { pattern } = failureGroupOf(`x: ${'a'.repeat(255)}\u{1f4a9}`);
    expect(pattern).toBe(`${'a'.repeat(255)}\ufffd`);
    expect(new URLSearchParams(new URLSearchParams({ pattern }).toString()).get('pattern')).toBe(
      pattern,
    );
    expect(isFound({ pattern }, { reason: `x: ${'a'.repeat(255)}\u{1f4a9}` })).toBe(true);
  });

  it('is found in time proportional to the reason', () => {
    for (const part of ['a', '0', 'ab-', '0x', 'a0', 'deadbeef-', '1a_', '0193f0c0-a1b2-']) {
      const began = performance.now();
      failureGroupOf(`x: ${part.repeat(100_000)}`);
      expect(performance.now() - began).toBeLessThan(1000);
    }
  });
});

describe('a row', () => {
  it('without a reason has no part of one, but the empty code and pattern', () => {
    expect(isFound({ reason: 'a' }, {})).toBe(false);
    expect(isFound({ code: '', pattern: '' }, {})).toBe(true);
    expect(isFound({ code: 'mdp.no-reply' }, {})).toBe(false);
  });

  it('is found only by all of a filter together', () => {
    const row = { reason: 'jam: page 3', diedAt: 20 };
    const whole = { reason: 'PAGE', code: 'jam', pattern: 'page #', diedAfter: 20, diedBefore: 21 };
    expect(isFound(whole, row)).toBe(true);
    const others = { reason: 'pages', code: 'ja', pattern: 'page', diedAfter: 21, diedBefore: 20 };
    for (const [name, value] of Object.entries(others)) {
      expect([name, isFound({ ...whole, [name]: value }, row)]).toEqual([name, false]);
    }
  });

  it('that is not dead has not died before or after any time', () => {
    expect(isFound({ diedAfter: 0 }, {})).toBe(false);
    expect(isFound({ diedBefore: 1e15 }, {})).toBe(false);
  });

  it('is read as far as the filter, or the groups, need it', () => {
    const none = { reason: false, extra: false, diedAt: false };
    expect(wantedBy(ANY_ROW, null)).toEqual(none);
    expect(wantedBy(ANY_ROW, 'service')).toEqual(none);
    expect(wantedBy(ANY_ROW, 'reason')).toEqual({ ...none, reason: true });
    expect(wantedBy({ ...ANY_ROW, code: '' }, null)).toEqual({ ...none, reason: true });
    expect(wantedBy({ ...ANY_ROW, diedBefore: 0 }, null)).toEqual({ ...none, diedAt: true });
    const header = { name: 'a', value: 'b' };
    expect(wantedBy({ ...ANY_ROW, header }, 'service')).toEqual({ ...none, extra: true });
  });
});

describe('the part of an index', () => {
  it('is all of it, or begins and ends where every condition holds', () => {
    expect(boundsOf(ANY_REQUEST, null)).toEqual({ from: ALL_F, to: ALL_0 });
    const uuid = '0193F0C0A1B2';
    const ofPrefix = { from: '0193F0C0A1B3'.padEnd(32, '0'), to: uuid.padEnd(32, '0') };
    expect(boundsOf({ ...ANY_REQUEST, uuid }, null)).toEqual(ofPrefix);
    const after = Buffer.from(`${uuid}7000`.padEnd(32, '0'), 'hex');
    expect(boundsOf({ ...ANY_REQUEST, uuid }, after)).toEqual({
      ...ofPrefix,
      from: `${uuid}7000`.padEnd(32, '0'),
    });
    const [acceptedAfter, acceptedBefore] = [0x0193f0c0a1b0, 0x0193f0c0a1ff];
    const times = { ...ANY_REQUEST, acceptedAfter, acceptedBefore };
    expect(boundsOf({ ...times, uuid }, null)).toEqual(ofPrefix);
    expect(boundsOf(times, null)).toEqual({
      from: '0193F0C0A1FF'.padEnd(32, '0'),
      to: '0193F0C0A1B0'.padEnd(32, '0'),
    });
  });

  it.each([
    ['F', ALL_F, 'F'.padEnd(32, '0')],
    ['0', '1'.padEnd(32, '0'), ALL_0],
    ['0F', '10'.padEnd(32, '0'), '0F'.padEnd(32, '0')],
    [ALL_F, ALL_F, ALL_F],
    ['9'.repeat(32), `${'9'.repeat(31)}A`, '9'.repeat(32)],
  ])('of uuids that begin with %s is below %s, from %s', (uuid, from, to) => {
    expect(boundsOf({ ...ANY_REQUEST, uuid }, null)).toEqual({ from, to });
  });
});

describe('counts of groups', () => {
  it('take no group beyond their limit, and more of those that they have', () => {
    const counts = new GroupCounts('code', 2);
    const add = (reason: string | null): boolean => counts.add({ ...ROW, reason });
    expect(['a: x', 'b: x', 'b: y', null, 'a: z'].map(add)).toEqual([
      true,
      true,
      true,
      false,
      true,
    ]);
    expect(counts.all().map(({ code, count }) => [code, count])).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
  });

  it('keep apart what would be the same in one string', () => {
    const counts = new GroupCounts('reason', 10);
    for (const reason of ['a: b c', 'a: b', 'a:']) counts.add({ ...ROW, reason });
    expect(counts.all()).toHaveLength(3);
  });
});
