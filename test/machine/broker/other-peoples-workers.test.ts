/** Workers whose messages differ from the RFCs and can still be read in one way only. */
import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const HEARS = '{"failures":true}';

describe('a REPLY of 0.1 without the empty frame after the token (D101)', () => {
  it("is an answer, as the Guide's PHP worker sends it", () => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.client('c1').request('echo', 'hi').request('echo', 'ho');
    w1.connection.sends('', 'MDPW01', '\x03', w1.token({ of: 'hi' }), 'HI', 'THERE');
    expect(c1.inbox()).toEqual(['FINAL echo HI|THERE']);
    w1.final('HO', { of: 'ho' });
    expect(c1.inbox()).toEqual(['FINAL echo HO']);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
    expect(s.broker.counters.malformed.worker).toBe(0);
  });

  it('is an empty answer, if its one frame is empty', () => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.client('c1').request('echo', 'hi').request('echo', 'ho');
    w1.connection.sends('', 'MDPW01', '\x03', w1.token(), '');
    expect(c1.inbox()).toEqual(['FINAL echo ']);
    w1.final('HO', { of: 'ho' });
    expect(c1.inbox()).toEqual(['FINAL echo HO']);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
    expect(s.broker.counters.malformed.worker).toBe(0);
  });

  it('is used when it comes late, too (D8)', () => {
    const s = stage({ busyTimeoutMs: 5000, requestTtlMs: 60_000 });
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(5000);
    w1.reconnects().connection.sends('', 'MDPW01', '\x03', w1.token(), 'late');
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    w1.connection.sends('', 'MDPW01', '\x03', w1.token(), 'again');
    expect(s.broker.counters.malformed.worker).toBe(0);
  });

  it.each([
    ['with a token that the broker did not give out', ['', 'MDPW01', '\x03', 'token', 'HI']],
    ['with such a token and an empty frame', ['', 'MDPW01', '\x03', 'token', '']],
    ['without a body', ['', 'MDPW01', '\x03']],
  ])('is malformed %s', (_, frames) => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.connection.sends(...frames);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
  });

  it.each([
    ['a 0.1 REPLY of the token alone', 1, ['', 'MDPW01', '\x03'], []],
    ['a 0.2 FINAL of an empty frame', 2, ['MDPW02', '\x04'], ['']],
    ['a 0.1 RETURN', 1, ['', 'MDPW01', '\x07'], ['HI']],
    ['a 0.2 FINAL', 2, ['MDPW02', '\x04'], ['HI']],
    ['a 0.2 PARTIAL', 2, ['MDPW02', '\x03'], ['HI']],
  ] as const)('is nothing that %s may leave out', (_, version, before, after) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo', { credit: 2 });
    s.client('c1').request('echo', 'hi');
    w1.connection.sends(...before, w1.token(), ...after);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    expect(s.broker.counters.malformed.worker).toBe(1);
  });
});

describe('a FAIL without the empty frame after the token (D60)', () => {
  it.each([
    ['the token alone', 2, []],
    ['kind, code and text', 2, ['error', 'E', 'no']],
    ['another frame in its place', 1, ['x', 'error', 'E', 'no']],
  ] as const)(
    'ends that request with mdp.invalid-failure, and the worker keeps its others: %s',
    (_, version, rest) => {
      const s = stage();
      const w1 = s.worker('w1', { version }).ready('pay', { credit: 2 });
      const c1 = s.client('c1').hello(HEARS).request('pay', '1').request('pay', '2');
      const header = version === 1 ? ['', 'MDPW01'] : ['MDPW02'];
      w1.connection.sends(...header, '\x08', w1.token({ of: '1' }), ...rest);
      expect(c1.inbox()).toEqual([
        'FINAL mmi.failed pay|mdp.invalid-failure|a FAIL is client, empty frame, kind, code, text',
      ]);
      w1.final('two', { of: '2' });
      expect(c1.inbox()).toEqual(['FINAL pay two']);
      expect(s.broker.counters).toMatchObject({ malformed: { worker: 0 }, unexpected: 0 });
    },
  );

  it('is malformed with a token that the broker did not give out', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('pay');
    w1.connection.sends('MDPW02', '\x08', 'token', 'error', 'E', 'no');
    expect(w1.inbox()).toEqual(['DISCONNECT']);
  });
});

describe('a 0.2 worker that begins its messages with an empty frame (D101)', () => {
  it('is sent REQUEST, HEARTBEAT and DISCONNECT in the same form, and answers in it', () => {
    const s = stage();
    const w1 = s.connection('w1');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.sends('', 'MDPW02', '\x01', 'echo');
    const [request = []] = w1.raw();
    const token = Buffer.from(request[3] ?? '', 'latin1');
    expect(request).toEqual(['', 'MDPW02', '\x02', request[3], '', 'hi']);
    w1.sends('', 'MDPW02', '\x03', token, '', 'part');
    w1.sends('', 'MDPW02', '\x04', token, '', 'HI');
    expect(c1.inbox()).toEqual(['PARTIAL echo part', 'FINAL echo HI']);
    s.after(2500);
    expect(w1.raw()).toContainEqual(['', 'MDPW02', '\x05']);
    w1.sends('', 'MDPW02', '\x04', token, '', 'twice');
    expect(w1.raw()).toEqual([['', 'MDPW02', '\x06']]);
  });

  it('has headers and deadlines, if it asks for them (D67)', () => {
    const s = stage();
    const w1 = s.connection('w1');
    w1.sends('', 'MDPW02', '\x01', 'echo', '2', '{"headers":true}');
    s.connection('c1').sends('MDPC02', '\x04', 'echo', '', '{"a":"b"}', 'hi');
    const [request = []] = w1.raw();
    expect(request).toEqual(['', 'MDPW02', '\x09', request[3], '', '', '{"a":"b"}', 'hi']);
  });
});

describe('message.malformed', () => {
  it.each([
    [
      ['', 'MDPW01', '\x03', 'token', 'HI'],
      'REPLY',
      5,
      "an empty frame must follow the client's address",
    ],
    [
      ['', 'MDPW02', '\x04', 'token'],
      'FINAL',
      5,
      "an empty frame must follow the client's address",
    ],
    [['MDPW02', '\x2a'], '0x2a', 2, 'a command of workers must follow the header'],
    [['MDPW02', '\x05', 'x'], 'HEARTBEAT', 3, 'nothing may follow this command'],
    [['MDPC02', '\x01', '', 'x'], 'REQUEST', 3, 'a service name must be 1 to 255 bytes'],
    [['id', '', 'MDPC01', 'echo'], null, 5, 'a request must have a body'],
    [['', 'MDPX01', 'echo', 'hi'], null, 2, 'an MDP header must follow the empty delimiter'],
    [['garbage'], null, 1, 'one of the first nine frames must be the empty delimiter'],
  ] as const)(
    'names the sender, the command, the frame and the rule: %j',
    (frames, command, frame, reason) => {
      const s = stage();
      const peer = s.connection('p1', { key: 'alice', address: '10.0.0.9' });
      peer.sends(...frames);
      expect(s.events('message.malformed')).toEqual([
        expect.objectContaining({ command, frame, reason, key: 'alice', address: '10.0.0.9' }),
      ]);
    },
  );
});
