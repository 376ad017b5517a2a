import { ReportedCounts } from '../../../src/extensions/postgres/reported-counts.js';
import { type Delta, Tally } from '../../../src/store/tally.js';
import type { StoreCounts } from '../../../src/store/store.js';

function delta(service: string, requests = 1): Delta {
  const rest = {
    owner: `key:${service}`,
    kind: 'request',
    isRetrying: false,
    bytes: requests,
  } as const;
  return { service: Buffer.from(service), state: 'pending', requests, ...rest };
}

function shown({ services, owners }: StoreCounts): string[] {
  return [
    ...services.map(({ service, pending }) => `${service.toString()} ${pending}`),
    ...owners.map(({ owner, stored }) => `${owner} ${stored}`),
  ].sort();
}

describe('what a store holds, counted while other brokers use it', () => {
  it('is reported whole when it was counted anew, also where nothing is left', () => {
    const counts = new ReportedCounts(new Tally([delta('echo'), delta('sum')]));
    expect(shown(counts.takeAll())).toEqual(['echo 1', 'key:echo 1', 'key:sum 1', 'sum 1']);
    counts.replace(new Tally([delta('sum')]));
    expect(shown(counts.takeAll())).toEqual(['echo 0', 'key:echo 0', 'key:sum 1', 'sum 1']);
    expect(shown(counts.takeAll())).toEqual(['key:sum 1', 'sum 1']);
  });

  it('has what was stored while it was counted: once, whatever moved from one state to another', () => {
    const counts = new ReportedCounts(new Tally([delta('echo')]));
    counts.begin();
    const replied = { ...delta('echo'), state: 'replied' } as const;
    counts.apply([delta('echo', -1), replied, delta('sum')]);
    counts.apply([delta('sum'), delta('sum', -1)]);
    // Another broker had stored two more before the count began.
    counts.replace(new Tally([delta('echo', 3)]));
    const { services, pending, replied: all } = counts.takeAll();
    expect(
      services.map(({ service, ...of }) => [service.toString(), of.pending, of.replied]),
    ).toEqual([
      ['echo', 2, 1],
      ['sum', 1, 0],
    ]);
    expect([pending, all]).toEqual([3, 1]);
    // The next count begins anew.
    counts.begin();
    counts.replace(new Tally([delta('echo')]));
    expect(shown(counts.takeAll())).toEqual(['echo 1', 'key:echo 1', 'key:sum 0', 'sum 0']);
  });

  it('is reported with the next batch, if it was counted anew before it', () => {
    const counts = new ReportedCounts(new Tally([delta('echo')]));
    counts.replace(new Tally([delta('sum')]));
    counts.replace(new Tally([delta('sum')]));
    const both = ['echo 0', 'key:echo 0', 'key:sum 2', 'sum 2'];
    expect(shown(counts.apply([delta('sum')]))).toEqual(both);
    expect(shown(counts.apply([delta('sum', -2)]))).toEqual(['key:sum 0', 'sum 0']);
  });
});
