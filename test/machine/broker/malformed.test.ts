import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const TOO_LARGE = `{"name":"${'n'.repeat(1014)}"}`;

const MALFORMED: readonly (readonly [string, string, readonly string[]])[] = [
  ['no frame', 'envelope', []],
  ['no delimiter', 'envelope', ['a', 'b', 'c']],
  ['a 0.1 request without body', 'client', ['', 'MDPC01', 'echo']],
  ['a 0.2 request without body', 'client', ['MDPC02', '\x01', 'echo']],
  ['a worker without command', 'worker', ['MDPW02']],
  ['an unknown command', 'worker', ['MDPW02', '\x08']],
  ['a REQUEST sent to the broker', 'worker', ['MDPW02', '\x02', 'x', '', 'hi']],
  ['READY with frames too many', 'worker', ['MDPW02', '\x01', 'echo', '1', '{}', '{}', '']],
  ['READY with options too large', 'worker', ['MDPW02', '\x01', 'echo', '1', TOO_LARGE]],
  ['HEARTBEAT with frames too many', 'worker', ['MDPW02', '\x05', '']],
  ['a reply without the empty frame', 'worker', ['MDPW02', '\x04', 'token', 'hi']],
  ['a RETURN with frames too many', 'worker', ['MDPW02', '\x07', 'token', '', 'a', 'b']],
  ["an envelope before a worker's header", 'worker', ['id', '', 'MDPW02', '\x05']],
  ['ten thousand frames', 'envelope', Array.from({ length: 10_000 }, () => 'x')],
];

describe('a malformed message', () => {
  it.each(MALFORMED)('(%s) is dropped and counted (docs/protocol.md)', (_, kind, frames) => {
    const s = stage();
    const peer = s.connection('p1');
    peer.sends(...frames);
    expect(peer.raw()).toEqual([]);
    expect(s.broker.counters.malformed).toMatchObject({ [kind]: 1 });
    expect(s.events('message.malformed')).toMatchObject([{ kind }]);
    expect(s.broker.load).toMatchObject({ requests: 0, workers: 0, clients: 0 });
    expect(s.broker.counters.unexpected).toBe(0);
  });

  it.each(MALFORMED)(
    '(%s) disconnects a registered worker (docs/protocol.md)',
    (_, kind, frames) => {
      const s = stage();
      const w1 = s.worker('w1').ready('echo');
      const w2 = s.worker('w2');
      s.client('c1').request('echo', 'hi');
      w1.connection.sends(...frames);
      expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
      expect(s.broker.counters.malformed).toMatchObject({ [kind]: 1 });
      expect(s.broker.counters.workersLost.protocol).toBe(1);
      expect(w2.ready('echo').inbox()).toEqual(['REQUEST hi']);
    },
  );

  it('does not trouble a well-behaved client beside it', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const peer = s.connection('p1');
    const c1 = s.client('c1');
    for (const [, , frames] of MALFORMED) {
      peer.sends(...frames);
      c1.request('echo', 'hi');
      w1.final('HI');
      expect(c1.inbox()).toEqual(['FINAL echo HI']);
    }
  });

  it('over the limits of the transport is counted, and disconnects a worker', () => {
    const s = stage();
    s.client('c1').connection.sendsOversized();
    const w1 = s.worker('w1').ready('echo');
    w1.connection.sendsOversized();
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.malformed.too_large).toBe(2);
  });
});

describe('a valid but unexpected command of a peer that is not registered', () => {
  it.each([1, 2] as const)('HEARTBEAT is answered by DISCONNECT (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).heartbeat();
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.unexpected).toBe(1);
    expect(s.events('worker.unexpected')).toHaveLength(1);
  });

  it.each([1, 2] as const)('REPLY or FINAL is answered by DISCONNECT (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).final('x', { token: Buffer.from('who') });
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.unexpected).toBe(1);
  });

  it('PARTIAL is answered by DISCONNECT', () => {
    const s = stage();
    const w1 = s.worker('w1').partial('x', { token: Buffer.from('who') });
    expect(w1.inbox()).toEqual(['DISCONNECT']);
  });
});
