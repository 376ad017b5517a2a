import type { ClientSeen } from '../../../src/broker/listing.js';
import { endStages, type Stage, stage } from '../../support/stage.js';

afterEach(endStages);

/** So many that have left are remembered. */
const GONE_MAX = 1000;

const address = (number: number): string => `10.0.${number >> 8}.${number & 255}`;

function seen(s: Stage): ReadonlyMap<string, ClientSeen> {
  const all = [...s.broker.listing.clients(s.now)];
  return new Map(all.map((each) => [each.identity, each]));
}

/** Some seconds pass, and a mark is set: rates are of these seconds then. */
function mark(s: Stage): void {
  s.after(4000);
  s.broker.identities.mark(s.now);
}

/** A node that has set its first marks. */
function marked(...options: Parameters<typeof stage>): Stage {
  const s = stage(...options);
  mark(s);
  mark(s);
  return s;
}

describe('what a node knows of its clients', () => {
  it('has what each key and address sends, what is refused of that, and what is outstanding', () => {
    const s = marked({ limits: { queuedRequestsPerService: 3 } });
    const alice = s.client('c1', { key: 'alice' });
    const stranger = s.client('c2', { address: '10.0.0.9' });
    for (let sent = 0; sent < 8; sent++) alice.request('echo', 'x'.repeat(100));
    stranger.request('other', 'hi');
    mark(s);
    const all = seen(s);
    expect(all.get('key:alice')).toMatchObject({
      ...{ connections: 1, requestsPerSecond: 8 / 4, refusedPerSecond: 5 / 4, outstanding: 3 },
    });
    expect(all.get('key:alice')?.heldBytes).toBeGreaterThan(300);
    expect(all.get('ip:10.0.0.9')).toMatchObject({ requestsPerSecond: 1 / 4, outstanding: 1 });
  });

  it('counts requests that take the fast path, and those for titanic.* and mmi.*', () => {
    const s = marked();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { key: 'alice' });
    for (let sent = 0; sent < 3; sent++) {
      c1.request('echo', 'hi');
      w1.final('yes');
    }
    c1.request('mmi.service', 'echo');
    mark(s);
    expect(seen(s).get('key:alice')?.requestsPerSecond).toBe(4 / 4);
  });

  it('has the workers that hold plain requests of each, eight at most', () => {
    const s = marked();
    const held = Array.from({ length: 9 }, (_, each) => s.worker(`w${each}`).ready('echo'));
    const alice = s.client('c1', { key: 'alice' });
    for (const _ of held) alice.request('echo', 'hi');
    s.client('c2', { key: 'bob' }).request('echo', 'waits');
    expect(seen(s).get('key:alice')?.heldBy).toHaveLength(8);
    expect(seen(s).get('key:bob')?.heldBy).toEqual([]);
    for (const worker of held.slice(1)) worker.final('yes');
    const numbers = seen(s)
      .get('key:alice')
      ?.heldBy.map(({ worker }) => worker);
    expect(numbers).toEqual(['1']);
  });

  it('has rates of the time since the mark before the last one', () => {
    const s = marked();
    s.client('c1', { key: 'alice' }).request('echo', 'hi');
    const rate = (): unknown => seen(s).get('key:alice')?.requestsPerSecond;
    mark(s);
    expect(rate()).toBe(1 / 4);
    s.after(3999);
    expect(rate()).toBeCloseTo(1 / 8, 4);
    mark(s);
    expect(rate()).toBe(0);
  });

  it('includes one that connects anew for each request', () => {
    const s = marked();
    const w1 = s.worker('w1').ready('echo');
    for (let sent = 0; sent < 4; sent++) {
      const c1 = s.client(`c${sent}`, { address: '10.0.0.9' }).request('echo', 'hi');
      w1.final('yes');
      c1.connection.disconnect();
      s.after(1000);
    }
    expect(seen(s).get('ip:10.0.0.9')?.requestsPerSecond).toBe(4 / 8);
    mark(s);
    expect(seen(s).get('ip:10.0.0.9')?.requestsPerSecond).toBeGreaterThan(0);
    for (let marks = 0; marks < 3; marks++) mark(s);
    expect(seen(s).has('ip:10.0.0.9')).toBe(false);
  });

  it('forgets most of a crowd of addresses that have left, but not the one that sends most', () => {
    const s = stage({ limits: { queuedRequests: 0 } });
    const flood = s.client('flood', { address: '10.9.9.9' });
    for (let sent = 0; sent < 50; sent++) flood.request('echo', 'hi');
    flood.connection.disconnect();
    for (let each = 0; each < 3 * GONE_MAX; each++) {
      const one = s.client(`c${each}`, { address: address(each) }).request('echo', 'hi');
      one.connection.disconnect();
    }
    const all = seen(s);
    expect(all.size).toBe(GONE_MAX);
    expect(all.has('ip:10.9.9.9')).toBe(true);
  });
});
