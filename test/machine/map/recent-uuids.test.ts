import { describe, expect, it } from '@jest/globals';

import { RecentUuids } from '../../../src/map/recent-uuids.js';

const deletion = (key: string, uuid: string) =>
  ({ key, uuid, value: '', properties: '', ttlS: 0, epoch: 1, counter: 1 }) as const;

describe('the uuids of recent changes', () => {
  it('are known for ten seconds, and which deletion was the last change of a key (D50)', () => {
    const recent = new RecentUuids();
    recent.add(deletion('a', 'u'), 0);
    expect([recent.has('u', 9_999), recent.has('u', 10_000)]).toEqual([true, false]);
    expect(recent.deletionOf('a')).toBe('u');
    recent.add(deletion('b', 'v'), 10_000);
    expect(recent.deletionOf('a')).toBe('');
  });

  it('one that is used again for another key leaves nothing of the first (D50)', () => {
    const recent = new RecentUuids();
    recent.add(deletion('a', 'u'), 0);
    recent.add(deletion('b', 'u'), 10_000);
    expect([recent.deletionOf('a'), recent.deletionOf('b')]).toEqual(['', 'u']);
    recent.add(deletion('c', 'w'), 30_000);
    expect([recent.deletionOf('a'), recent.deletionOf('b')]).toEqual(['', '']);
  });
});
