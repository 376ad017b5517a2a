import { readFileSync } from 'node:fs';

import { loadConfig } from '../../../src/config/io/load.js';

const FILES = ['config/pair-primary.yaml', 'config/pair-backup.yaml'] as const;

describe('the ready-made configurations of a pair', () => {
  const [primary, backup] = FILES.map((file) => loadConfig({ file }).config);

  it('are valid, and of one pair: each is the peer of the other', () => {
    expect([primary?.bstar.role, backup?.bstar.role]).toEqual(['primary', 'backup']);
    expect(primary?.bstar.pair).toBe(backup?.bstar.pair);
    expect(primary?.bstar.peer).toBe(backup?.bstar.listen);
    expect(backup?.bstar.peer).toBe(primary?.bstar.listen);
    expect([primary?.titanic.replication, backup?.titanic.replication]).toEqual(['sync', 'sync']);
  });

  it('differ in seven lines', () => {
    const [one = [], two = []] = FILES.map((file) => readFileSync(file, 'utf8').split('\n'));
    expect(two).toHaveLength(one.length);
    const settings = one.flatMap((line, index) =>
      line.startsWith('#') || line === two[index] ? [] : [line],
    );
    expect(settings).toHaveLength(7);
  });
});
