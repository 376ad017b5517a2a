import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

describe('the envelope of a request', () => {
  const counts = [0, 1, 2, 3, 4, 5, 6, 7, 8];

  it.each(counts)('of %i frames comes back whole, unchanged and in order, to 0.1 (D1)', (count) => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    const ids = counts.slice(0, count).map((at) => `id${at}`);
    c1.sends(...ids, '', 'MDPC01', 'echo', 'hi');
    w1.final('HI');
    expect(c1.raw()).toEqual([[...ids, '', 'MDPC01', 'echo', 'HI']]);
  });

  it.each(counts)('of %i frames comes back whole, unchanged and in order, to 0.2 (D1)', (count) => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.connection('c1');
    const ids = counts.slice(0, count).map((at) => `id${at}`);
    c1.sends(...ids, '', 'MDPC02', '\x01', 'echo', 'hi');
    w1.final('HI');
    expect(c1.raw()).toEqual([[...ids, '', 'MDPC02', '\x03', 'echo', 'HI']]);
  });

  it('of nine frames is malformed, dropped and counted (D1, D24)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    c1.sends(...counts.map(String), '', 'MDPC01', 'echo', 'hi');
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.counters.malformed.envelope).toBe(1);
  });

  it('may hold bytes of any kind and length (D1)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    const long = '\xff\x00'.repeat(300);
    c1.sends('\0\0\0\x05', long, '', 'MDPC01', 'echo', 'hi');
    w1.final('HI');
    expect(c1.raw()).toEqual([['\0\0\0\x05', long, '', 'MDPC01', 'echo', 'HI']]);
  });

  it('comes back with every PARTIAL and with the FINAL (D1)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    c1.sends('hop', 'id', '', 'MDPC02', '\x01', 'echo', 'hi');
    w1.partial('a').partial('b').final('c');
    const envelope = ['hop', 'id', '', 'MDPC02'];
    expect(c1.raw()).toEqual([
      [...envelope, '\x02', 'echo', 'a'],
      [...envelope, '\x02', 'echo', 'b'],
      [...envelope, '\x03', 'echo', 'c'],
    ]);
  });

  it('of each of many requests comes back with its own reply, in any order (D1)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const c1 = s.connection('c1');
    for (const id of ['r1', 'r2', 'r3']) c1.sends(id, '', 'MDPC01', 'echo', `hi ${id}`);
    w1.final('3', { of: 'hi r3' }).final('1', { of: 'hi r1' }).final('2', { of: 'hi r2' });
    expect(c1.raw()).toEqual([
      ['r3', '', 'MDPC01', 'echo', '3'],
      ['r1', '', 'MDPC01', 'echo', '1'],
      ['r2', '', 'MDPC01', 'echo', '2'],
    ]);
  });
});

describe('the form of a reply', () => {
  it('has no delimiter where the request had none (D2)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    c1.sends('MDPC02', '\x01', 'echo', 'hi');
    w1.final('HI');
    expect(c1.raw()).toEqual([['MDPC02', '\x03', 'echo', 'HI']]);
  });

  it('has a bare delimiter where the request had one (D2)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    c1.sends('', 'MDPC02', '\x01', 'echo', 'hi');
    w1.final('HI');
    expect(c1.raw()).toEqual([['', 'MDPC02', '\x03', 'echo', 'HI']]);
  });

  it('is that of each request, over one connection (D2)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.connection('c1');
    c1.sends('MDPC02', '\x01', 'echo', 'a');
    c1.sends('', 'MDPC01', 'echo', 'b');
    w1.final('A').final('B');
    expect(c1.raw()).toEqual([
      ['MDPC02', '\x03', 'echo', 'A'],
      ['', 'MDPC01', 'echo', 'B'],
    ]);
  });
});

describe('the body', () => {
  it('is kept frame by frame, empty ones too, both ways (7/MDP, 18/MDP)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.connection('c1');
    c1.sends('', 'MDPC01', 'echo', '', 'a', '', '');
    expect(w1.inbox()).toEqual(['REQUEST |a||']);
    w1.final(['', '', 'b', '']);
    expect(c1.raw()).toEqual([['', 'MDPC01', 'echo', '', '', 'b', '']]);
  });

  it('is opaque: it may look like any part of the protocol (7/MDP, 18/MDP)', () => {
    const s = stage();
    const w1 = s.connection('w1');
    const c1 = s.connection('c1');
    w1.sends('MDPW02', '\x01', 'echo');
    c1.sends('MDPC02', '\x01', 'echo', '', 'MDPW01', '\x05');
    const [request = []] = w1.raw();
    expect(request.slice(0, 2)).toEqual(['MDPW02', '\x02']);
    expect(request.slice(3)).toEqual(['', '', 'MDPW01', '\x05']);
    w1.sends('MDPW02', '\x04', request[2] ?? '', '', 'MDPC02', '\x02');
    expect(c1.raw()).toEqual([['MDPC02', '\x03', 'echo', 'MDPC02', '\x02']]);
  });

  it('of a megabyte arrives whole at both ends', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1');
    const body = 'x'.repeat(1 << 20);
    c1.request('echo', body);
    expect(w1.inbox()).toEqual([`REQUEST ${body}`]);
    w1.final(body);
    expect(c1.inbox()).toEqual([`FINAL echo ${body}`]);
  });
});

describe('a service name', () => {
  it('is compared byte for byte (D3)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('Echo');
    const w2 = s.worker('w2').ready('echo');
    const w3 = s.worker('w3').ready('echo\0');
    s.client('c1').request('echo', 'hi');
    expect([w1.inbox(), w2.inbox(), w3.inbox()]).toEqual([[], ['REQUEST hi'], []]);
  });

  it('of 1 to 255 bytes of any value is served (D3)', () => {
    const s = stage();
    for (const name of ['\0', '\xff\xfe', '%', 'x'.repeat(255)]) {
      const worker = s.worker(`w ${name}`).ready(name);
      const client = s.client(`c ${name}`).request(name, 'hi');
      worker.final('HI');
      expect(client.inbox()).toEqual([`FINAL ${name} HI`]);
    }
  });

  it('of 0 or 256 bytes is malformed, from a client and from a worker (D3)', () => {
    const s = stage();
    s.client('c1').request('', 'hi').request('x'.repeat(256), 'hi');
    s.worker('w1').ready('').ready('x'.repeat(256));
    expect(s.broker.counters.malformed).toMatchObject({ client: 2, worker: 2 });
    expect(s.broker.load.services).toBe(0);
  });

  it('is shown percent-escaped in events, % itself too (D3)', () => {
    const s = stage();
    s.worker('w1').ready('a%\x00\xe9 z');
    expect(s.events('worker.registered')).toMatchObject([{ service: 'a%25%00%E9 z' }]);
  });
});
