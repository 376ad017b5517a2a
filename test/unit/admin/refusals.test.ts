import { Refusals } from '../../../src/admin/log/refusals.js';

const CONNECTION = {
  name: 'connection.rejected',
  listener: 0,
  kind: 'key',
  reason: 'its key is not in the keys file',
  address: '10.0.0.9',
} as const;

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
      text: 'no right',
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
    refusals.emit({
      name: 'worker.refused',
      reason: 'draining',
      service: 'pay',
      text,
      key,
      address,
    });
    expect(refusals.list(10)).toEqual([]);
  });

  it('counts equal ones', () => {
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

  it('counts equal ones, also where others came between', () => {
    refused('pay');
    refused('pay', 'eve');
    refused('pay');
    expect(refusals.list(10)).toMatchObject([
      { number: 1, key: 'bob', count: 2 },
      { number: 2, key: 'eve', count: 1 },
    ]);
  });

  it('keeps the last thousand, and gives the newest of them', () => {
    for (let index = 0; index < 2500; index++) refused(`s${index}`, `k${index % 10}`);
    const all = refusals.list(5000);
    expect(all).toHaveLength(1000);
    expect([all[0]?.service, all[999]?.service]).toEqual(['s2499', 's1500']);
    expect(refusals.list(2).map(({ service }) => service)).toEqual(['s2499', 's2498']);
    refused('s2499', 'k9');
    expect(refusals.list(1)).toMatchObject([{ service: 's2499', count: 2 }]);
  });

  it('does not forget those of others for one who is refused again and again', () => {
    refused('pay', 'eve');
    for (let index = 0; index < 2500; index++) refused(`s${index}`);
    for (let index = 0; index < 2500; index++) {
      // A key of one's own for each connection.
      refusals.emit({ ...CONNECTION, key: `key${index}` });
    }
    expect(refusals.list(1000)).toHaveLength(501);
    expect(refusals.list(1000).at(-1)).toMatchObject({ key: 'eve' });
  });

  it('keeps who lost a right, wanted what is another’s, or is not the peer of this node', () => {
    const who = { key: 'bob', address: '10.0.0.7' };
    refusals.emit({
      name: 'worker.lost',
      service: 'pay',
      worker: 1,
      workerName: null,
      reason: 'rights',
      inFlight: 0,
      ...who,
    });
    refusals.emit({ name: 'titanic.denied', wanted: 'close', uuid: '01A1FC47FF327B69', ...who });
    refusals.emit({ name: 'ha.rejected', kind: 'key', reason: 'unknown', ...who });
    refusals.emit({ name: 'ha.refused', code: 'key', peer: 'b', text: 'withdrawn', ...who });
    const dialled = { key: null, address: null };
    refusals.emit({ name: 'ha.refused', code: 'by_peer', peer: 'p', text: 'no', ...dialled });
    expect(refusals.list(10)).toMatchObject([
      { what: 'connection', ...who, reason: 'withdrawn' },
      { what: 'connection', ...who, reason: 'unknown' },
      { what: 'request', ...who, service: 'titanic.close' },
      { what: 'worker', ...who, service: 'pay' },
    ]);
  });

  it('is one line of bounded length, whatever a peer is called', () => {
    refused('pay', `a\n2026 forged\u2028\u001b[2J${'x'.repeat(100_000)}`);
    const [{ key } = { key: '' }] = refusals.list(1);
    expect(key).toMatch(/^a\uFFFD2026 forged\uFFFD\uFFFD\[2Jx+$/u);
    expect(key?.length).toBeLessThanOrEqual(256);
  });
});
