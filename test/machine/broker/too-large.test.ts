import { StageInternalClient, SUBMITTERS } from '../../support/stage-internal-client.js';
import { freelance, paranoid, pirateStage, simple } from '../../support/stage-pirates.js';
import { OVERSIZED } from '../../support/stage-peers.js';
import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const HEARS = '{"failures":true}';
const FAILED = `mdp.too-large|${OVERSIZED}`;

/** The frames of a worker's message before its body. */
function answer(command: string, token: Buffer): [string, string, Buffer, string] {
  return ['MDPW02', command, token, ''];
}

describe('a request over the limits (D100)', () => {
  it('is refused with 413 and both sizes, if its client said hello', () => {
    const s = stage();
    s.worker('w1').ready('echo');
    const c1 = s.client('c1', { envelope: ['id'] });
    c1.connection.sends('', 'MDPC02', '\x01', 'mmi.hello', '');
    c1.connection.raw();
    c1.connection.sendsOversized('id', '', 'MDPC02', '\x01', 'echo');
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 413|echo|${OVERSIZED}`]);
    expect(s.broker.counters.requestsRefused).toMatchObject({ too_large: 1 });
    expect(s.broker.counters.malformed.too_large).toBe(1);
    expect(s.events('request.refused')).toMatchObject([
      { service: 'echo', reason: 'too_large', text: OVERSIZED, key: null, address: '127.0.0.1' },
    ]);
    // One line says it.
    expect(s.events('message.malformed')).toEqual([]);
  });

  it.each<[string, string[]]>([
    ['0.1', ['', 'MDPC01', 'echo']],
    ['0.2 without an envelope', ['MDPC02', '\x01', 'echo']],
    ['with headers', ['MDPC02', '\x04', 'echo', '1000', '{"a":"b"}']],
    ['with headers that are not in its head', ['MDPC02', '\x04', 'echo', '', '']],
    ['for an internal service', ['MDPC02', '\x01', 'titanic.submit', '']],
  ])('is refused so in each form: %s', (_, head) => {
    const s = stage();
    const c1 = s.client('c1', { version: head[0] === '' ? 1 : 2 }).hello();
    c1.connection.sendsOversized(...head);
    expect(c1.inbox()).toEqual([expect.stringMatching(/ mmi\.refused 413\|(echo|titanic\.)/)]);
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0 });
  });

  it('is only counted, if its client said no hello, or its head is no request', () => {
    const s = stage();
    const c1 = s.client('c1');
    c1.connection.sendsOversized('MDPC02', '\x01', 'echo');
    c1.hello();
    c1.connection.sendsOversized('MDPC02', '\x01');
    c1.connection.sendsOversized('', '', '');
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters.requestsRefused).toMatchObject({ too_large: 1 });
    expect(s.broker.counters.malformed).toMatchObject({ too_large: 3, client: 0, envelope: 0 });
    expect(s.events('request.refused')).toHaveLength(1);
    expect(s.events('message.malformed')).toMatchObject(
      Array(2).fill({ kind: 'too_large', reason: OVERSIZED, key: null, address: '127.0.0.1' }),
    );
  });

  it('disturbs none of the others of its client', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello().request('echo', '1');
    c1.connection.sendsOversized('MDPC02', '\x01', 'echo');
    c1.request('echo', '2');
    w1.final('one').final('two');
    expect(c1.inbox()).toEqual([
      `FINAL mmi.refused 413|echo|${OVERSIZED}`,
      'FINAL echo one',
      'FINAL echo two',
    ]);
  });
});

describe('an answer over the limits (D100)', () => {
  it.each([
    ['FINAL', '\x04'],
    ['PARTIAL', '\x03'],
    ['FAIL', '\x08'],
    ['RETURN', '\x07'],
  ])('ends its request, and costs the worker nothing else: %s', (_, command) => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').hello(HEARS);
    c1.request('echo', '1').request('echo', '2').request('echo', '3').request('echo', '4');
    const mine = w1.inbox().map((line) => line.replace('REQUEST ', ''));
    const [first = '', second = ''] = mine;
    w2.inbox();
    w1.connection.sendsOversized(...answer(command, w1.token({ of: first })));
    expect(c1.inbox()).toEqual([`FINAL mmi.failed echo|${FAILED}`]);
    // Its place is free again, and nobody else gets the request.
    expect(w1.inbox()).toEqual(['REQUEST 4']);
    expect(w2.inbox()).toEqual([]);
    w1.final('ok', { of: second });
    expect(c1.inbox()).toEqual(['FINAL echo ok']);
    expect(s.broker.counters.requestsFailed).toMatchObject({ final: 1 });
    expect(s.broker.counters.malformed.too_large).toBe(1);
    expect(s.broker.counters.workersLost).toMatchObject({ protocol: 0 });
    expect(s.broker.load.workers).toBe(2);
    expect(s.events('message.malformed')).toEqual([]);
    expect(s.events('request.failed')).toMatchObject([
      { code: 'mdp.too-large', text: OVERSIZED, key: null, address: '127.0.0.1' },
    ]);
  });

  it.each(SUBMITTERS)(
    'that reports no failure, since its %s request was given up, is told as malformed',
    (from) => {
      const s = stage();
      const internal = new StageInternalClient(s, from);
      const w1 = s.worker('w1').ready('echo');
      internal.submits(1);
      const token = w1.token();
      internal.withdraws(1);
      w1.connection.sendsOversized(...answer('\x04', token));
      expect(s.events('request.failed')).toEqual([]);
      expect(s.events('message.malformed')).toMatchObject([
        { kind: 'too_large', reason: OVERSIZED },
      ]);
      expect(s.broker.counters.malformed.too_large).toBe(1);
    },
  );

  it('of a 0.1 worker ends its request so, too, and the worker waits again', () => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.client('c1').hello().request('echo', '1').request('echo', '2');
    w1.inbox();
    w1.connection.sendsOversized('', 'MDPW01', '\x03', w1.token(), '');
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 502|echo|mdp.too-large: ${OVERSIZED}`]);
    expect(w1.inbox()).toEqual(['REQUEST 2']);
    // Without the empty frame, as the Guide's PHP worker sends it (D101).
    w1.connection.sendsOversized('', 'MDPW01', '\x03', w1.token({ of: '2' }));
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 502|echo|mdp.too-large: ${OVERSIZED}`]);
    expect(s.broker.load.workers).toBe(1);
  });

  it('after PARTIALs ends the stream, and what follows of it is dropped', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello(HEARS).request('echo', '1');
    const token = w1.token();
    w1.partial('a');
    w1.connection.sendsOversized(...answer('\x03', token));
    w1.partial('c', { token }).final('end', { token });
    expect(c1.inbox()).toEqual(['PARTIAL echo a', `FINAL mmi.failed echo|${FAILED}`]);
    expect(s.broker.counters).toMatchObject({ unexpected: 0 });
    expect(s.broker.load.workers).toBe(1);
  });

  it.each(SUBMITTERS)('ends a %s request at once, with the reason', (from) => {
    const s = stage();
    const internal = new StageInternalClient(s, from);
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    internal.heard();
    w1.connection.sendsOversized(...answer('\x04', w1.token()));
    expect(internal.heard()).toContain(`1 failed mdp.too-large: ${OVERSIZED}`);
    expect(s.events('request.failed')).toMatchObject([{ kind: 'final', code: 'mdp.too-large' }]);
    expect(s.broker.load.workers).toBe(1);
    internal.withdraws(1);
  });

  it.each([
    ['', '\x04', []],
    [', nor is what follows a part', '\x03', ['rest']],
  ])('of a worker that was lost is not used%s (D8)', (_, command, rest) => {
    const s = stage({ busyTimeoutMs: 5000, requestTtlMs: 60_000 });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello(HEARS).request('echo', '1');
    const token = w1.token();
    s.after(5000);
    expect(s.broker.load.workers).toBe(0);
    w1.connection.sendsOversized(...answer(command, token));
    for (const body of rest) w1.final(body, { token });
    expect(c1.inbox()).toEqual([]);
    s.worker('w2').ready('echo').final('whole');
    expect(c1.inbox()).toEqual(['FINAL echo whole']);
  });
});

describe('a message over the limits on a listener for one service', () => {
  it('does not show in which form a worker speaks: it may still register in its own', () => {
    const s = pirateStage();
    const w1 = paranoid(s, 'w1');
    // Its first frame was left out.
    w1.connection.sendsOversized();
    expect(s.events('message.malformed')).toMatchObject([{ kind: 'too_large', reason: OVERSIZED }]);
    w1.ready();
    expect(s.broker.load.workers).toBe(1);
    expect(w1.connection.closedByBroker).toBe(false);
  });

  it('is refused as a request of that service', () => {
    const s = pirateStage();
    const w1 = simple(s, 'w1').ready();
    const c1 = freelance(s, 'c1');
    c1.sends('1', 'hi');
    w1.inbox();
    c1.sendsOversized('2');
    expect(s.events('request.refused')).toMatchObject([{ service: 'echo', reason: 'too_large' }]);
    expect(s.events('message.malformed')).toEqual([]);
  });
});
