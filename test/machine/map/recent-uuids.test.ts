import { RecentUuids } from '../../../src/extensions/map/machine/recent-uuids.js';
import { WriterMarks } from '../../../src/extensions/map/machine/writer-marks.js';

const marks = new WriterMarks(
  () => Infinity,
  () => undefined,
);
const recentUuids = (): RecentUuids => new RecentUuids(marks);

const deletion = (key: string, uuid: string) =>
  ({ key, uuid, value: '', properties: '', ttlS: 0, epoch: 1, counter: 1 }) as const;

describe('the uuids of recent changes', () => {
  it('are known for ten seconds, and which deletion was the last change of a key (D50)', () => {
    const recent = recentUuids();
    recent.add(deletion('a', 'u'), null, 0);
    expect([recent.has('u', 9_999), recent.has('u', 10_000)]).toEqual([true, false]);
    expect(recent.deletionOf('a', 9_999)).toBe('u');
    recent.add(deletion('b', 'v'), null, 10_000);
    expect(recent.deletionOf('a', 10_000)).toBe('');
  });

  it('one that is used again for another key leaves nothing of the first (D50)', () => {
    const recent = recentUuids();
    recent.add(deletion('a', 'u'), null, 0);
    recent.add(deletion('b', 'u'), null, 10_000);
    expect([recent.deletionOf('a', 10_000), recent.deletionOf('b', 10_000)]).toEqual(['', 'u']);
    recent.add(deletion('c', 'w'), null, 30_000);
    expect([recent.deletionOf('a', 30_000), recent.deletionOf('b', 30_000)]).toEqual(['', '']);
    recent.add(deletion('b', 'x'), null, 31_000);
    // The first key's change of that uuid is replaced now.
    recent.add({ ...deletion('a', 'y'), value: 'v' }, deletion('a', 'x'), 32_000);
    expect([recent.has('x', 41_999), recent.deletionOf('b', 32_000)]).toEqual([true, '']);
  });

  it('are known as long whenever the older generation goes (D50)', () => {
    const recent = recentUuids();
    const put = (uuid: string) => ({ ...deletion(`k${uuid}`, uuid), value: 'v' });
    recent.add(put('a'), null, 0);
    recent.add(deletion('b', 'b'), null, 9_000);
    recent.add(put('c'), null, 11_000);
    expect(['a', 'b', 'c'].map((uuid) => recent.has(uuid, 11_000))).toEqual([false, true, true]);
    expect(recent.deletionOf('b', 11_000)).toBe('b');
    // A change of the newer generation ends what the older one knew of its key.
    recent.add({ ...put('d'), key: 'b' }, null, 12_000);
    expect(recent.deletionOf('b', 12_000)).toBe('');
    expect(recent.has('b', 12_000)).toBe(true);
    recent.add(deletion('e', 'b'), null, 13_000);
    expect(recent.has('b', 22_999)).toBe(true);
    recent.add(put('f'), null, 23_000);
    expect(['b', 'f'].map((uuid) => recent.has(uuid, 23_000))).toEqual([false, true]);
  });

  it('are known for ten seconds after another change took their place (D50)', () => {
    const recent = recentUuids();
    const put = (uuid: string) => ({ ...deletion('a', uuid), value: 'v' });
    recent.add(put('w'), put('u'), 30_000);
    expect([recent.has('u', 39_999), recent.has('u', 40_000)]).toEqual([true, false]);
    recent.add(deletion('a', 'd'), put('w'), 50_000);
    recent.add(put('x'), null, 55_000);
    expect(['w', 'd', 'x'].map((uuid) => recent.has(uuid, 60_001))).toEqual([false, true, true]);
  });
});
