import { FailingHosts } from '../../../src/extensions/programs/failing-hosts.js';

const FORGOTTEN_MS = 6.5 * 3600_000;

describe('hosts that take no webhooks', () => {
  it('are told with how many attempts failed since the last success', () => {
    const hosts = new FailingHosts();
    for (const host of ['a', 'b', 'a']) hosts.noteFailure(host, 0);
    expect(hosts.counts(0)).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    hosts.noteSuccess('a');
    hosts.noteFailure('a', 0);
    expect(hosts.counts(0)).toEqual([
      ['b', 1],
      ['a', 1],
    ]);
  });

  it('are forgotten when nothing can wait for them any more', () => {
    const hosts = new FailingHosts();
    hosts.noteFailure('a', 0);
    expect(hosts.counts(FORGOTTEN_MS - 1)).toHaveLength(1);
    expect(hosts.counts(FORGOTTEN_MS)).toEqual([]);
  });

  it('are at most a hundred, whatever names clients choose', () => {
    const hosts = new FailingHosts();
    for (let n = 0; n < 1000; n++) hosts.noteFailure(`${n}.partners.example`, 0);
    hosts.noteFailure('5.partners.example', 0);
    expect(hosts.counts(0)).toHaveLength(100);
    expect(hosts.counts(0)).toContainEqual(['5.partners.example', 2]);
  });
});
