import { Holdings } from '../../../src/core/holdings.js';
import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const HEARS = '{"failures":true}';

describe('a worker that says that it failed (D60)', () => {
  it.each(['error', 'final'])(
    'ends a plain request by %s: its client is told, and nobody else gets it (D61, D62)',
    (kind) => {
      const s = stage();
      const w1 = s.worker('w1').ready('pay');
      const w2 = s.worker('w2').ready('pay');
      const c1 = s.client('c1').hello(HEARS).request('pay', 'hi');
      w1.fails([kind, 'card_declined', 'The card was declined', '{"a":1}', 'more']);
      expect(c1.inbox()).toEqual([
        'FINAL mmi.failed pay|card_declined|The card was declined|{"a":1}|more',
      ]);
      expect(w2.inbox()).toEqual([]);
      expect(s.broker.load).toMatchObject({ requests: 0, requestsOut: 0, workers: 2 });
      expect(s.broker.counters.requestsFailed).toMatchObject({ [kind]: 1 });
      expect(s.broker.counters.workersLost).toMatchObject({ disconnected: 0, protocol: 0 });
      expect(s.events('request.failed')).toMatchObject([
        { service: 'pay', kind, code: 'card_declined', durable: false },
      ]);
    },
  );

  it.each([1, 2] as const)('stays registered, with credit and without (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('pay');
    const w2 = s.worker('w2', { version }).ready('ship', { credit: 2 });
    const c1 = s.client('c1', { version }).hello(HEARS);
    c1.request('pay', '1').request('pay', '2').request('ship', '3').request('ship', '4');
    w1.fails(['error', 'E', 'one']).final('two');
    w2.fails(['error', 'E', 'four'], { of: '4' }).final('three', { of: '3' });
    const end = version === 1 ? 'REPLY' : 'FINAL';
    expect(c1.inbox()).toEqual([
      `${end} mmi.failed pay|E|one`,
      `${end} pay two`,
      `${end} mmi.failed ship|E|four`,
      `${end} ship three`,
    ]);
    expect(s.broker.load.workers).toBe(2);
  });

  it('is told a client that only hears refusals as one, and others not at all (D62, D9)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('pay', { credit: 4 });
    const c1 = s.client('c1').hello().request('pay', '1');
    const c2 = s.client('c2').request('pay', '2');
    w1.fails(['error', 'E', 'no']).fails(['error', 'E', 'no']);
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 502|pay|E: no']);
    expect(c2.inbox()).toEqual([]);
    expect(s.broker.load.requests).toBe(0);
  });

  it('ends a stream whose parts were sent (D61)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('render', { credit: 2 });
    s.worker('w2').ready('render');
    const c1 = s.client('c1').hello(HEARS).request('render', '1').request('render', '2');
    s.batch(() => {
      w1.partial('a', { of: '1' });
    });
    w1.fails(['retry', 'E', 'half-way'], { of: '1' });
    expect(c1.inbox()).toEqual(['PARTIAL render a', 'FINAL mmi.failed render|E|half-way']);
    expect(s.broker.counters.requestsAbandoned).toBe(1);
  });

  it('throws away the parts that were held for a 0.1 client (D10)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('render');
    const c1 = s.client('c1', { version: 1 }).hello(HEARS).request('render', '1');
    w1.partial('a').fails(['error', 'E', 'half-way']);
    expect(c1.inbox()).toEqual(['REPLY mmi.failed render|E|half-way']);
    expect(s.broker.load.bytes).toBe(0);
  });
});

describe('a worker that asks for another one to try (D61)', () => {
  it('has the request go to another, which counts as a delivery', () => {
    const s = stage({ maxDeliveries: 3 });
    const w1 = s.worker('w1').ready('pay');
    const w2 = s.worker('w2').ready('pay');
    const c1 = s.client('c1').hello(HEARS).request('pay', 'hi');
    w1.fails(['retry', 'busy', 'no printer here']);
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    w2.final('done');
    expect(c1.inbox()).toEqual(['FINAL pay done']);
    expect(s.broker.counters.requestsFailed).toEqual({ error: 0, final: 0, retry: 1 });
    expect(s.broker.counters.requestsRequeued).toBe(1);
  });

  it('is what the client is told when deliveries run out, also if the last worker was lost', () => {
    const s = stage({ maxDeliveries: 2 });
    const w1 = s.worker('w1').ready('pay');
    const c1 = s.client('c1').hello(HEARS).request('pay', '1').request('pay', '2');
    w1.fails(['retry', 'busy', 'no printer here', 'detail']);
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 1']);
    w1.disconnect();
    expect(c1.inbox()).toEqual(['FINAL mmi.failed pay|busy|no printer here']);
    expect(s.events('request.abandoned')).toMatchObject([{ deliveries: 2 }]);
    s.worker('w2').ready('pay').fails(['retry', 'b', 'x']).fails(['retry', 'c', 'y']);
    expect(c1.inbox()).toEqual(['FINAL mmi.failed pay|c|y']);
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0 });
  });

  it('is held for the worker that said it, and let go with the request', () => {
    const holdings = new Holdings();
    const s = stage({ holdings });
    const w1 = s.worker('w1', { address: '10.0.0.9' }).ready('pay');
    s.client('c1').request('pay', 'hi');
    s.batch(() => {
      w1.fails(['retry', 'busy', 'x'.repeat(1000)]);
      expect(holdings.bytes).toBeGreaterThan(2000);
    });
    w1.final('done');
    expect(holdings.bytes).toBe(0);
  });
});

describe('a FAIL that is wrong', () => {
  const invalid: [string, readonly string[]][] = [
    ['no kind', []],
    ['no text', ['error', 'E']],
    ['a bad kind', ['fatal', 'E', 'x']],
    ['a code of 0 characters', ['error', '', 'x']],
    ['a code of 65 characters', ['error', 'x'.repeat(65), 'x']],
    ['a code with a space', ['error', 'a b', 'x']],
    ['a reserved code', ['error', 'mdp.lost', 'x']],
    ['1,000 detail frames', ['error', 'E', 'x', ...Array.from({ length: 1000 }, () => 'd')]],
    ['1 MB of detail', ['error', 'E', 'x', 'd'.repeat(1_000_000)]],
  ];
  it.each(invalid)('with %s ends that delivery alone (D60)', (_, frames) => {
    const s = stage();
    const w1 = s.worker('w1').ready('pay', { credit: 2 });
    const c1 = s.client('c1').hello(HEARS).request('pay', '1').request('pay', '2');
    w1.fails(frames, { of: '1' }).final('two');
    const [failed = '', replied] = c1.inbox();
    expect(failed).toMatch(/^FINAL mmi\.failed pay\|mdp\.invalid-failure\|[^|]+$/);
    expect(replied).toBe('FINAL pay two');
    expect(s.broker.counters.requestsFailed).toMatchObject({ error: 1 });
    expect(s.broker.load.workers).toBe(1);
  });

  it('has a text that is cut at a character, and what is not UTF-8 replaced (D60)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('pay', { credit: 3 });
    const c1 = s.client('c1').hello(HEARS);
    const told = (text: string | Uint8Array): string => {
      c1.request('pay', 'x');
      w1.fails(['error', 'E', text]);
      const [failed = ''] = c1.inbox();
      return Buffer.from(failed.slice('FINAL mmi.failed pay|E|'.length), 'latin1').toString();
    };
    expect(told('x'.repeat(10_000_000))).toBe('x'.repeat(1024));
    expect(told(Buffer.from('€'.repeat(1000)))).toBe('€'.repeat(341));
    expect(told(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\uFFFDb');
    expect(Buffer.byteLength(told(Buffer.alloc(5000, 0xff)))).toBeLessThanOrEqual(1024);
    expect(told(Buffer.alloc(5000, 0x80))).toBe('\uFFFD'.repeat(341));
    expect(told('')).toBe('');
    expect(s.events('request.failed').at(-1)).toMatchObject({ text: '' });
  });

  it('shows its text in events as one harmless line', () => {
    const s = stage();
    s.client('c1').request('pay', 'x');
    s.worker('w1').ready('pay').fails(['error', 'E', 'a\nb\u001b[31m']);
    expect(s.events('request.failed')).toMatchObject([{ text: 'a\uFFFDb\uFFFD[31m' }]);
  });

  it('is unexpected before READY, twice, of no request and of that of another (D60, §3)', () => {
    const s = stage();
    const token = 'x'.repeat(12);
    s.worker('w0').fails(['error', 'E', 'x'], { token: Buffer.from(token) });
    expect(s.broker.counters.unexpected).toBe(1);
    const w1 = s.worker('w1').ready('pay');
    w1.fails(['error', 'E', 'x'], { token: Buffer.from(token) });
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    const w2 = s.worker('w2').ready('pay');
    const c1 = s.client('c1').hello(HEARS).request('pay', '1');
    const taken = w2.token();
    w2.fails(['error', 'E', 'x']).fails(['error', 'E', 'x'], { token: taken });
    expect(w2.inbox()).toEqual(['REQUEST 1', 'DISCONNECT']);
    expect(c1.inbox()).toHaveLength(1);
    const w3 = s.worker('w3').ready('pay');
    const thief = s.worker('thief').ready('other');
    c1.request('pay', '2');
    thief.fails(['error', 'E', 'x'], { token: w3.token() });
    expect(thief.inbox()).toEqual(['DISCONNECT']);
    w3.final('done');
    expect(c1.inbox()).toEqual(['FINAL pay done']);
    expect(s.broker.counters.requestsFailed).toMatchObject({ error: 1 });
  });

  it('without client and empty frame is malformed', () => {
    const s = stage();
    s.connection('w1').sends('MDPW02', '\x08', 'token', 'not empty', 'error', 'E', 'x');
    s.connection('w2').sends('MDPW02', '\x08', 'token');
    expect(s.broker.counters.malformed.worker).toBe(2);
  });
});

describe('a FAIL that comes late', () => {
  it('of a worker that was lost is dropped and counted (D61)', () => {
    const s = stage({ heartbeatIntervalMs: 1000, heartbeatLiveness: 3, busyTimeoutMs: 1000 });
    const w1 = s.worker('w1').ready('pay');
    const c1 = s.client('c1').hello(HEARS).request('pay', 'hi');
    w1.inbox();
    s.after(4000);
    const w2 = s.worker('w2').ready('pay');
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    w1.reconnects().fails(['error', 'E', 'late']);
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped).toMatchObject({ too_late: 1 });
    expect(s.broker.counters.requestsFailed).toMatchObject({ error: 0 });
    w2.final('done');
    expect(c1.inbox()).toEqual(['FINAL pay done']);
  });

  it('is nothing to a client that has gone', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('pay');
    const c1 = s.client('c1').hello(HEARS).request('pay', '1');
    c1.disconnect();
    w1.fails(['retry', 'E', 'x']);
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0 });
    expect(w1.inbox()).toEqual(['REQUEST 1']);
  });
});
