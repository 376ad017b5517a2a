import { endStages, stage } from '../../support/stage.js';

/** Where the number of the request begins, and its random letters. */
const ID_AT = 2;
const RANDOM_AT = 10;

/** Each letter stands for four bits. */
function bitsOf(letters: string): bigint {
  const digits = Array.from(letters, (letter) => (letter.charCodeAt(0) - 97).toString(16));
  return BigInt(`0x${digits.join('')}`);
}

afterEach(endStages);

describe('the client frame that a worker is given', () => {
  it('holds neither the routing id nor the envelope of the client (D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1', { routingId: 'alice', envelope: ['bob'] }).request('echo', 'hi');
    const token = w1.token().toString('latin1');
    expect(token).not.toMatch(/alice|bob/);
  });

  it('has 64 random bits of its own for each request (D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 1000 });
    const c1 = s.client('c1');
    const random = new Set<string>();
    for (let at = 0; at < 1000; at++) {
      c1.request('echo', String(at));
      random.add(w1.token({ of: String(at) }).toString('latin1', RANDOM_AT));
    }
    expect(random.size).toBe(1000);
    const values = Array.from(random, bitsOf);
    const bits = Array.from({ length: 64 }, (_, bit) =>
      values.reduce((ones, value) => ones + Number((value >> BigInt(bit)) & 1n), 0),
    );
    for (const ones of bits) expect(Math.abs(ones - 500)).toBeLessThan(100);
  });

  it('is another with each delivery of the request (D7, D8)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.disconnect();
    expect(w2.token()).not.toEqual(w1.token());
  });

  it('of the past says nothing of a request that took its place (D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', '1');
    const old = w1.token();
    w1.final('one');
    c1.request('echo', '2');
    expect(w1.token().subarray(ID_AT, RANDOM_AT)).toEqual(old.subarray(ID_AT, RANDOM_AT));
    w1.final('stale', { token: old });
    expect(c1.inbox()).toEqual(['FINAL echo one']);
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'DISCONNECT']);
    expect(s.broker.counters.unexpected).toBe(1);
  });
});

describe('a reply with a token that is not its own', () => {
  it('is unexpected: the sender is disconnected, the request stays where it is (D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w2.final('forged', { token: w1.token() });
    expect(w2.inbox()).toEqual(['DISCONNECT']);
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters).toMatchObject({ unexpected: 1, workersLost: { protocol: 1 } });
    w1.final('true');
    expect(c1.inbox()).toEqual(['FINAL echo true']);
  });

  it('is unexpected from a peer that never registered, too (D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    const thief = s.worker('thief').final('forged', { token: w1.token() });
    expect(thief.inbox()).toEqual(['DISCONNECT']);
    expect(c1.inbox()).toEqual([]);
  });

  const broken: readonly (readonly [string, (token: Buffer) => Uint8Array])[] = [
    ['empty', () => Buffer.alloc(0)],
    ['a byte short', (token) => token.subarray(1)],
    ['a byte long', (token) => Buffer.concat([token, Buffer.from('x')])],
    ['of a delivery to come', (token) => Buffer.concat([Buffer.from([2]), token.subarray(1)])],
    ['of no delivery', (token) => Buffer.concat([Buffer.from([0]), token.subarray(1)])],
    [
      'of another random value',
      (token) => Buffer.concat([token.subarray(0, 12), Buffer.from([(token[12] ?? 0) ^ 1])]),
    ],
    [
      'of a request that is not there',
      (token) =>
        Buffer.concat([token.subarray(0, 1), Buffer.from('ffffffff', 'hex'), token.subarray(5)]),
    ],
    ['all zero', () => Buffer.alloc(13)],
    ['a routing id', () => Buffer.from('\0c1', 'latin1')],
    ['of 300 bytes', () => Buffer.alloc(300, 1)],
  ];

  it.each(broken)(
    'because it is %s is unexpected, and its request is not lost (D7)',
    (_, forge) => {
      const s = stage();
      const w1 = s.worker('w1').ready('echo');
      const w2 = s.worker('w2');
      const c1 = s.client('c1').request('echo', 'hi').request('echo', 'waits');
      const token = forge(w1.token());
      w1.final('forged', { token });
      expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
      expect(c1.inbox()).toEqual([]);
      w2.ready('echo');
      w2.final('HI');
      expect(c1.inbox()).toEqual(['FINAL echo HI']);
    },
  );

  it('when no request is out at it is unexpected, and it may register again (docs/protocol.md)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    const token = w1.token();
    w1.final('HI').final('HI again', { token });
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    w1.ready('echo');
    c1.request('echo', 'more');
    expect(w1.inbox()).toEqual(['REQUEST more']);
  });
});
