/** Peers whose messages differ from the specifications, and can mean one thing only (D113). */
import { endStages, type Stage } from '../../support/stage.js';
import type { Connection } from '../../support/stage-peers.js';
import { MDP, paranoid, pirateStage, plain, simple, WORKERS } from '../../support/stage-pirates.js';

afterEach(endStages);

/** What a connection received since the last call, and what the broker found wrong. */
function silence(s: Stage, c: Connection): unknown {
  const wrong = [...s.events('message.malformed'), ...s.events('worker.unexpected')];
  return { received: c.raw(), closed: c.closedByBroker, wrong };
}

const NOTHING = { received: [], closed: false, wrong: [] };

describe('a pirate whose signals are words', () => {
  it('is a Paranoid one: its heartbeats are answered in words (D113)', () => {
    const s = pirateStage();
    const w = paranoid(s, 'w').sends('READY');
    expect(s.events('worker.registered')).toMatchObject([{ service: 'echo' }]);
    for (let second = 0; second < 10; second++) {
      s.after(1000);
      w.sends('HEARTBEAT');
      expect(w.connection.raw()).toEqual([['HEARTBEAT']]);
    }
    const c = s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
    w.final('X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
    expect(silence(s, w.connection)).toEqual(NOTHING);
    const [listed] = s.broker.listing.allWorkers(s.now);
    expect(JSON.parse(listed?.json ?? '')).toMatchObject({ version: 'ppp' });
  });

  it('gets heartbeats in the form of its READY, whichever its own have (D113)', () => {
    const s = pirateStage();
    const word = paranoid(s, 'word').sends('READY').sends('\x02');
    const byte = paranoid(s, 'byte').ready().sends('HEARTBEAT');
    s.after(1000);
    expect([word.connection.raw(), byte.connection.raw()]).toEqual([[['HEARTBEAT']], [['\x02']]]);
    expect(s.events('message.malformed')).toEqual([]);
  });

  it('is lost in silence like any other, and comes back with READY (D34)', () => {
    const s = pirateStage();
    const w = paranoid(s, 'w').sends('READY');
    s.losesWorkerAfter(3000);
    w.connection.disconnect();
    w.connection.connect();
    w.sends('HEARTBEAT');
    expect(s.broker.load.workers).toBe(0);
    w.connection.raw();
    w.sends('READY');
    s.client('c').request('echo', 'x');
    expect(w.requests()).toEqual(['x']);
  });

  it('is a Simple one behind an empty frame, which sends no heartbeat (D113)', () => {
    const s = pirateStage();
    const w = simple(s, 'w').sends('READY');
    s.after(60_000);
    const c = s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
    w.final('X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
    w.sends('HEARTBEAT');
    expect(s.events('message.malformed')).toHaveLength(1);
  });

  it.each(['ready', 'READY\0', 'READ', 'HEARTBEATS', 'DISCONNECT'])(
    'has no others: %j is malformed (D101)',
    (word) => {
      const s = pirateStage();
      paranoid(s, 'w').sends(word);
      expect(s.events('message.malformed')).toHaveLength(1);
    },
  );
});

describe('ZMQ_PROBE_ROUTER, a message of one empty frame', () => {
  it('is nothing to a listener of MDP, from a client and from workers (D113)', () => {
    const s = pirateStage();
    const w = s.worker('w', { version: 1 });
    w.connection.sends('');
    w.ready('echo');
    w.connection.sends('');
    const c = s.client('c');
    c.connection.sends('');
    c.request('echo', 'x');
    expect(w.inbox()).toEqual(['REQUEST x']);
    w.final(['X']);
    expect(c.inbox()).toEqual(['FINAL echo X']);
    expect(silence(s, w.connection)).toEqual(NOTHING);
    expect(s.broker.load.workers).toBe(1);
  });

  it('leaves a Paranoid Pirate what it is (D113)', () => {
    const s = pirateStage();
    const w = paranoid(s, 'w').sends('').ready();
    s.after(1000);
    expect(w.inbox()).toEqual(['HEARTBEAT']);
    s.client('c').request('echo', 'x');
    expect(w.connection.raw()).toMatchObject([[expect.any(String), '', 'x']]);
  });

  it('is no sign that a Simple Pirate has work: it is revived (D36)', () => {
    const s = pirateStage();
    const w = simple(s, 'w');
    w.connection.sends('');
    s.after(1000);
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
    expect(s.events('message.malformed')).toEqual([]);
  });

  it('is nothing from a plain client, and from a registered pirate', () => {
    const s = pirateStage();
    const w = simple(s, 'w').ready();
    w.connection.sends('');
    const c = plain(s, 'c');
    c.sends('');
    c.sends('', 'x');
    expect(w.inbox()).toEqual(['x']);
    w.final('X');
    expect(c.raw()).toEqual([['', 'X']]);
    expect(silence(s, w.connection)).toEqual(NOTHING);
  });

  it('leaves the form of a worker open until it says more', () => {
    const s = pirateStage();
    const w = s.connection('w', { listener: WORKERS });
    w.sends('');
    w.sends('\x01');
    expect(s.broker.load.workers).toBe(1);
    s.after(1000);
    expect(w.raw()).toEqual([['\x02']]);
  });
});

describe('a worker whose commands are two digits', () => {
  it.each([
    { version: '0.1', before: ['', 'MDPW01'], final: '03', heartbeat: '04', disconnect: '05' },
    { version: '0.2', before: ['MDPW02'], final: '04', heartbeat: '05', disconnect: '06' },
    { version: '0.2', before: ['', 'MDPW02'], final: '04', heartbeat: '05', disconnect: '06' },
  ])('of $version, after $before, is answered in kind (D113)', (given) => {
    const { before, final, heartbeat, disconnect } = given;
    const s = pirateStage();
    const w = s.connection('w', { listener: MDP });
    w.sends(...before, '01', 'echo');
    const [listed] = s.broker.listing.allWorkers(s.now);
    expect(JSON.parse(listed?.json ?? '')).toMatchObject({ version: given.version });
    const c = s.client('c');
    // The second reply is found without taking it apart.
    for (const body of ['one', 'two']) {
      c.request('echo', body);
      const [request = []] = w.raw();
      const at = before.length;
      expect(request).toEqual([...before, '02', request[at + 1], '', body]);
      w.sends(...before, final, request[at + 1] ?? '', '', body.toUpperCase());
    }
    expect(c.inbox()).toEqual(['FINAL echo ONE', 'FINAL echo TWO']);
    expect(s.packed).toBeGreaterThan(1);
    s.after(1000);
    expect(w.raw()).toEqual([[...before, heartbeat]]);
    w.sends(...before, heartbeat);
    expect(s.events('message.malformed')).toEqual([]);
    w.sends(...before, '01', 'echo');
    expect(w.raw()).toEqual([[...before, disconnect]]);
    w.sends(...before, '01', 'echo');
    w.sends(...before, disconnect);
    expect(s.events('worker.lost')).toMatchObject([
      { reason: 'protocol' },
      { reason: 'disconnected' },
    ]);
  });

  it('of 0.2 answers in parts', () => {
    const s = pirateStage();
    const w = s.connection('w', { listener: MDP });
    w.sends('MDPW02', '01', 'echo');
    const c = s.client('c').request('echo', 'x');
    const [[, , token = ''] = []] = w.raw();
    w.sends('MDPW02', '03', token, '', 'a');
    w.sends('MDPW02', '04', token, '', 'b');
    expect(c.inbox()).toEqual(['PARTIAL echo a', 'FINAL echo b']);
  });

  it('of 0.1 may leave out the empty frame after a token that is known (D101)', () => {
    const s = pirateStage();
    const w = s.connection('w', { listener: MDP });
    w.sends('', 'MDPW01', '01', 'echo');
    const c = s.client('c').request('echo', 'x');
    const [[, , , token = ''] = []] = w.raw();
    w.sends('', 'MDPW01', '03', token, 'X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
  });

  it.each(['02', '09', '00', '1', '11', '0a', '001', '0\0'])(
    'has the commands of its version alone: not %j',
    (command) => {
      const s = pirateStage();
      const w = s.connection('w', { listener: MDP });
      w.sends('', 'MDPW01', command, 'echo');
      expect(s.events('message.malformed')).toMatchObject([{ kind: 'worker', frame: 3 }]);
    },
  );

  it('has its command named in the log if something else is wrong', () => {
    const s = pirateStage();
    s.connection('w', { listener: MDP }).sends('', 'MDPW01', '01');
    expect(s.events('message.malformed')).toMatchObject([{ command: 'READY', frame: 4 }]);
  });
});

describe('a client of 0.2', () => {
  it.each([
    { how: 'two digits', request: '01', partial: '02', final: '03', named: ['echo'] },
    { how: "a worker's numbers", request: '\x02', partial: '\x03', final: '\x04', named: [] },
  ])('whose commands are $how is answered in kind (D113)', (given) => {
    const { request, partial, final, named } = given;
    for (const before of [[''], ['id', ''], []]) {
      const s = pirateStage();
      const w = s.worker('w').ready('echo');
      const c = s.connection('c', { listener: MDP });
      // The second request is found without taking it apart.
      for (const body of ['one', 'two']) {
        c.sends(...before, 'MDPC02', request, 'echo', body);
        expect(w.inbox()).toEqual([`REQUEST ${body}`]);
        w.partial(['a', 'b']);
        w.final(['c']);
        expect(c.raw()).toEqual([
          [...before, 'MDPC02', partial, ...named, 'a', 'b'],
          [...before, 'MDPC02', final, ...named, 'c'],
        ]);
      }
      expect(s.packed).toBeGreaterThan(1);
      c.sends(...before, 'MDPC02', request, 'mmi.service', 'echo');
      const service = named.map(() => 'mmi.service');
      expect(c.raw()).toEqual([[...before, 'MDPC02', final, ...service, '200']]);
    }
  });

  it.each(['02', '03', '04', '\x03', '\x06', '1'])('has no command %j', (command) => {
    const s = pirateStage();
    s.connection('c', { listener: MDP }).sends('', 'MDPC02', command, 'echo', 'x');
    expect(s.events('message.malformed')).toMatchObject([{ kind: 'client', frame: 3 }]);
  });
});
