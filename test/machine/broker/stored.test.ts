import { endStages, stage, type Stage, type StageOptions } from '../../support/stage.js';
import { StageInternalClient, type SubmitterKind } from '../../support/stage-internal-client.js';

afterEach(endStages);

function scene(
  options: StageOptions = {},
  kind: SubmitterKind = 'stored',
): { s: Stage; internal: StageInternalClient } {
  const s = stage({ busyTimeoutMs: 5000, ...options });
  return { s, internal: new StageInternalClient(s, kind) };
}

describe.each<[string, SubmitterKind]>([
  ['a stored request', 'stored'],
  ['a request of another broker', 'bridged'],
])('%s', (_title, kind) => {
  const here = (options: StageOptions = {}): ReturnType<typeof scene> => scene(options, kind);
  /** Of these lines, those that its submitter is told: other brokers hear neither of room nor of workers. */
  const told = (...lines: string[]): string[] =>
    kind === 'stored' ? lines : lines.filter((line) => !/^room at| out$/.test(line));

  it('is taken only while its service has a worker; the internal client gets the answer', () => {
    const { s, internal } = here();
    expect(internal.submits(7)).toBe(false);
    const w1 = s.worker('w1').ready('echo');
    expect(internal.heard()).toEqual(told('room at echo'));
    expect(internal.submits(7, 'echo', 'a', '', 'b')).toBe(true);
    expect(w1.inbox()).toEqual(['REQUEST a||b']);
    w1.final(['x', '']);
    expect(internal.heard()).toEqual(told('7 out', '7 replied x|'));
    expect(s.broker.load).toMatchObject({ requests: 0, requestsOut: 0, bytes: 0 });
  });

  it('is not counted with the requests of clients, nor has it their time to live', () => {
    const { s, internal } = here({ requestTtlMs: 1000, busyTimeoutMs: 60_000 });
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    internal.submits(1);
    internal.submits(2);
    s.after(20_000);
    w1.final('x').final('y');
    expect(internal.heard()).toEqual(
      told('room at echo', '1 out', '1 replied x', '2 out', '2 replied y'),
    );
    expect(s.broker.counters).toMatchObject({ requestsReceived: 0, requestsReplied: 0 });
  });

  it('has its PARTIALs joined to one reply, from a worker of 0.2 (D10)', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    w1.partial('a').partial(['b', 'c']).final('d');
    expect(internal.heard().at(-1)).toBe('1 replied a|b|c|d');
    expect(s.broker.load.bytes).toBe(0);
  });

  it('is told of progress, which is no part of its reply, nor of its size (D82)', () => {
    const { s, internal } = here({ limits: { messageBytes: 20 } });
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    w1.partial(['MDPP01', '50', '%']).partial(['MDPP01', 'dropped: it is too much']).partial('a');
    w1.partial(['MDPP01']).final('b');
    const steps = ['1 progressed', '1 progressed', '1 progressed', '1 replied a|MDPP01|b'];
    expect(internal.heard()).toEqual(told('room at echo', '1 out', ...steps));
    expect(s.broker.load.bytes).toBe(0);
  });

  it('is answered by a worker that was lost in silence after it had told progress (D8, D82)', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    w1.partial(['MDPP01', '50 %']);
    s.after(5000);
    w1.reconnects().final('late');
    expect(internal.heard().at(-1)).toBe('1 replied late');
  });

  it('keeps so many frames of progress, and is not ended by more (D82)', () => {
    const { s, internal } = here({ limits: { frames: 10 } });
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    s.batch(() => {
      for (let left = 8192; left > 0; left--) w1.partial(['MDPP01', '']);
    });
    expect(internal.heard().filter((heard) => heard === '1 progressed')).toHaveLength(8192);
    w1.partial(['MDPP01', 'dropped']).partial('a').final('b');
    expect(internal.heard()).toEqual(['1 progressed', '1 replied a|b']);
  });

  it.each([
    ['connection', (w: ReturnType<Stage['worker']>) => w.disconnect()],
    ['disconnected', (w: ReturnType<Stage['worker']>) => w.saysDisconnect()],
    ['protocol', (w: ReturnType<Stage['worker']>) => w.ready('echo')],
    ['given back: no paper', (w: ReturnType<Stage['worker']>) => w.returns('no paper')],
  ])(
    'fails once when its worker is lost or returns it, whatever maxDeliveries is: %s (D6, D25)',
    (why, lose) => {
      const { s, internal } = here({ maxDeliveries: 1 });
      const w1 = s.worker('w1').ready('echo', { credit: 1 });
      internal.submits(1);
      lose(w1);
      expect(internal.heard()).toContain(`1 failed ${why}`);
      expect(s.broker.counters).toMatchObject({ requestsRequeued: 0, requestsAbandoned: 0 });
      expect(s.broker.load.bytes).toBe(0);
      internal.withdraws(1);
    },
  );

  it('is answered by the late reply of a lost worker, between two deliveries (D8)', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    s.after(5000);
    expect(internal.heard()).toContain('1 failed expired');
    w1.reconnects().final('late');
    expect(internal.heard()).toEqual(['1 replied late']);
  });

  it('is handed back when the last worker goes, without its body (docs/protocol.md)', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    for (const reference of [1, 2, 3]) internal.submits(reference);
    w1.disconnect();
    expect(internal.heard().slice(-3)).toEqual(['1 failed connection', '2 back', '3 back']);
    expect(s.broker.load.bytes).toBe(0);
    for (const reference of [1, 2, 3]) internal.withdraws(reference);
  });

  it('is forgotten when it is withdrawn: waiting, out, or between two deliveries', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('other');
    internal.submits(1);
    internal.submits(2);
    internal.submits(3, 'other');
    w2.disconnect();
    for (const reference of [1, 2, 3]) internal.withdraws(reference);
    internal.heard();
    w1.final('too late');
    expect(internal.heard()).toEqual([]);
    expect(s.broker.counters.repliesDropped.too_late).toBe(1);
    expect(s.broker.load).toMatchObject({ workers: 1, services: 1, bytes: 0 });
  });

  it('and its PARTIALs are dropped when it is withdrawn while out', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    w1.partial('x'.repeat(1000));
    internal.withdraws(1);
    expect(s.broker.load.bytes).toBeLessThan(100);
    w1.partial('more').final('end');
    expect(s.broker.load.bytes).toBe(0);
  });

  it('takes turns with plain requests while both wait, whatever the credit (docs/protocol.md)', () => {
    for (const credit of [1, 3, 4]) {
      const { s, internal } = here();
      const busy = s.worker('w1').ready('echo', { credit });
      const c1 = s.client('c1');
      for (let i = 0; i < credit; i++) c1.request('echo', `first${i}`);
      for (let i = 0; i < 6; i++) {
        c1.request('echo', `p${i}`);
        internal.submits(i);
      }
      expect(busy.inbox()).toHaveLength(credit);
      for (let i = 0; i < 12 + credit; i++) busy.final('x');
      const order = busy.inbox().map((text) => text.slice('REQUEST '.length));
      const turns = order.map((body) => body[0]).join('');
      expect(turns).toMatch(/^(ps){6}$|^(sp){6}$/);
      expect(order.filter((body) => body.startsWith('s'))).toEqual([
        's0',
        's1',
        's2',
        's3',
        's4',
        's5',
      ]);
    }
  });

  it('is handed back by a broker that drains, which takes no more (§ draining)', () => {
    const { s, internal } = here();
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    internal.submits(2);
    s.input((broker, now) => broker.drain(now));
    expect(internal.heard()).toEqual(told('room at echo', '1 out', '2 back'));
    expect(s.broker.storedDeliveries.room(Buffer.from('echo'))).toBe(0);
    expect(internal.submits(2)).toBe(false);
    w1.final('done');
    expect(internal.heard()).toEqual(['1 replied done']);
    expect(w1.inbox()).toEqual(['REQUEST s1', 'DISCONNECT']);
    internal.withdraws(2);
  });

  it('that is out when the broker stops had no attempt, but was delivered for another broker', () => {
    const { s, internal } = here();
    s.worker('w1').ready('echo');
    internal.submits(1);
    s.input((broker, now) => {
      broker.drain(now);
      broker.stop(now);
    });
    const end = kind === 'stored' ? '1 back' : '1 failed drained';
    expect(internal.heard()).toEqual(told('room at echo', '1 out', end));
    internal.withdraws(1);
  });
});

describe('a reply in PARTIALs that is too large for one message', () => {
  it('fails a stored request, and its worker goes on (D10)', () => {
    const { s, internal } = scene({ limits: { messageBytes: 20 } });
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    w1.partial('x'.repeat(30));
    expect(internal.heard().at(-1)).toMatch(
      /^1 failed mdp\.too-large: a reply of 32 bytes .*, at most 20 are allowed, forgotten$/,
    );
    internal.submits(1);
    expect(w1.inbox()).toEqual(['REQUEST s1']);
    w1.final('late').final('again');
    expect(internal.heard()).toEqual(['1 out', '1 replied again']);
  });

  it('is passed on to another broker, which is sent them one by one', () => {
    const { s, internal } = scene({ limits: { messageBytes: 20 } }, 'bridged');
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    w1.partial('123456789012345').partial('678901234567890').final('end');
    const reply = '1 replied 123456789012345|678901234567890|end';
    expect(internal.heard()).toEqual(['1 progressed', '1 progressed', reply]);
    expect(s.broker.load.bytes).toBe(0);
  });
});

describe('a stored request that is submitted again', () => {
  it('is answered by the late reply of a lost worker while out again: the second reply is dropped (D8)', () => {
    const { s, internal } = scene();
    const w1 = s.worker('w1').ready('echo');
    internal.submits(1);
    internal.submits(2);
    s.after(5000);
    expect(internal.heard()).toEqual(['room at echo', '1 out', '1 failed expired', '2 back']);
    const w2 = s.worker('w2').ready('echo');
    internal.submits(1);
    w1.reconnects().final('late');
    expect(internal.heard()).toEqual(['room at echo', '1 out', '1 replied late']);
    w2.final('second');
    expect(internal.heard()).toEqual([]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
    internal.withdraws(2);
  });
});

describe('the room for stored requests', () => {
  it('is what the workers of the service take together, less what waits already', () => {
    const { s, internal } = scene();
    const room = (): number => s.broker.storedDeliveries.room(Buffer.from('echo'));
    expect(room()).toBe(0);
    s.worker('w1').ready('echo', { credit: 2 });
    s.worker('w2').ready('echo');
    expect(room()).toBe(3);
    for (let reference = 0; reference < 4; reference++) internal.submits(reference);
    expect(room()).toBe(2);
    for (let reference = 0; reference < 4; reference++) internal.withdraws(reference);
  });

  it('is told again when what was prepared is half used, if there is more', () => {
    const { s, internal } = scene();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    for (let reference = 0; reference < 4; reference++) internal.submits(reference);
    s.input((broker) => broker.storedDeliveries.setBacklog(Buffer.from('echo'), true));
    internal.heard();
    w1.final('x');
    expect(internal.heard()).toEqual(['0 replied x', '2 out', 'room at echo']);
    for (let reference = 1; reference < 4; reference++) internal.withdraws(reference);
  });
});

describe('requests of other brokers', () => {
  it('leave the stored ones their room, and follow a plain one as often as is set', () => {
    const { s, internal } = scene();
    const others = new StageInternalClient(s, 'bridged');
    const w1 = s.worker('w1').ready('echo');
    s.input((broker) => broker.storedDeliveries.setTurns(Buffer.from('echo'), 2));
    const plain = s.client('c');
    for (const body of ['p1', 'p2', 'p3', 'p4']) plain.request('echo', body);
    for (const reference of [-1, -2, -3]) others.submits(reference);
    expect(s.broker.storedDeliveries.room(Buffer.from('echo'))).toBe(1);
    internal.submits(7);
    internal.submits(8);
    for (let n = 0; n < 9; n++) w1.final('x');
    // When none of another broker waits, stored and plain ones take turns again.
    const order = ['p1', 's-1', 'p2', 's-2', 's-3', 'p3', 's7', 'p4', 's8'];
    expect(w1.inbox()).toEqual(order.map((body) => `REQUEST ${body}`));
    expect(s.broker.storedDeliveries.room(Buffer.from('echo'))).toBe(1);
  });
});

describe('requests at internal services', () => {
  it('have limits of their own: many, and of long envelopes, are refused (D11)', () => {
    const waiting: number[] = [];
    const slow = {
      prefix: Buffer.from('slow.'),
      offers: () => true,
      request: ({ id }: { readonly id: number }) => {
        waiting.push(id);
      },
    };
    const s = stage({ hosts: [slow], limits: { queuedRequests: 5, queuedBytes: 1000 } });
    const c1 = s.client('c1', { envelope: ['e'.repeat(300)] });
    for (let i = 0; i < 5; i++) c1.request('slow.thing', 'x');
    expect(waiting).toHaveLength(3);
    const c2 = s.client('c2');
    for (let i = 0; i < 5; i++) c2.request('slow.thing', 'x');
    expect(waiting).toHaveLength(5);
    expect(s.events('request.refused')).toHaveLength(5);
    expect(s.broker.counters.requestsRefused.limit).toBe(0);
    for (const id of waiting.splice(0)) {
      s.input((broker) => broker.internalRequests.answer(id, [Buffer.from('done')]));
    }
    c1.request('slow.thing', 'x');
    expect(waiting).toHaveLength(1);
    s.input((broker) => broker.internalRequests.answer(waiting[0] ?? -1, []));
  });
});
