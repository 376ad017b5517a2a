import { beforeEach, describe, expect, it } from '@jest/globals';

import { Refusals } from '../../../src/observe/refusals.js';

describe('the log of refusals', () => {
  let now: number;
  let refusals: Refusals;

  beforeEach(() => {
    now = 1000;
    refusals = new Refusals(() => now);
  });

  function refused(service: string, key: string | null = 'bob'): void {
    const address = '10.0.0.7';
    const text = 'bob may not ask it';
    refusals.emit({ name: 'request.refused', reason: 'rights', service, text, key, address });
  }

  it('keeps who was refused what, from where, when and why', () => {
    refused('pay');
    refusals.emit({
      name: 'worker.refused',
      reason: 'rights',
      service: 'pay',
      key: null,
      address: '10.0.0.8',
    });
    expect(refusals.list(10)).toMatchObject([
      { number: 2, what: 'worker', key: null, address: '10.0.0.8', service: 'pay' },
      {
        number: 1,
        what: 'request',
        key: 'bob',
        address: '10.0.0.7',
        service: 'pay',
        reason: 'bob may not ask it',
        count: 1,
        firstAt: 1000,
        lastAt: 1000,
      },
    ]);
  });

  it('keeps nothing of what was refused for other reasons', () => {
    const { name, text, key, address } = {
      name: 'request.refused',
      text: 'full',
      key: null,
      address: '10.0.0.7',
    } as const;
    refusals.emit({ name, reason: 'limit', service: 'pay', text, key, address });
    refusals.emit({ name: 'worker.refused', reason: 'draining', service: 'pay', key, address });
    expect(refusals.list(10)).toEqual([]);
  });

  it('counts equal ones in a row', () => {
    for (let times = 0; times < 3; times++) {
      refused('pay');
      now++;
    }
    refused('pay', 'eve');
    expect(refusals.list(10)).toMatchObject([
      { key: 'eve', count: 1 },
      { key: 'bob', count: 3, firstAt: 1000, lastAt: 1002 },
    ]);
  });

  it('keeps the last thousand, and gives the newest of them', () => {
    for (let index = 0; index < 2500; index++) refused(`s${index}`);
    const all = refusals.list(5000);
    expect(all).toHaveLength(1000);
    expect([all[0]?.service, all[999]?.service]).toEqual(['s2499', 's1500']);
    expect(refusals.list(2).map(({ service }) => service)).toEqual(['s2499', 's2498']);
    refused('s2499');
    expect(refusals.list(1)).toMatchObject([{ service: 's2499', count: 2 }]);
  });

  it('is one line of bounded length, whatever a peer is called', () => {
    refused('pay', `a\n2026 forged\u2028\u001b[2J${'x'.repeat(100_000)}`);
    const [{ key } = { key: '' }] = refusals.list(1);
    expect(key).toMatch(/^a\uFFFD2026 forged\uFFFD\uFFFD\[2Jx+$/u);
    expect(key?.length).toBeLessThanOrEqual(256);
  });
});
