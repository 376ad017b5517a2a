import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

/** Twice 600 bytes, with the heads of their frames. */
const TOO_LARGE = 'a reply of 1218 bytes in PARTIALs, at most 1000 are allowed';

describe('bridging of versions', () => {
  it('hands a 0.1 REPLY to a 0.1 client as REPLY (7/MDP)', () => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.client('c1', { version: 1 }).request('echo', 'hi', 'there');
    expect(w1.inbox()).toEqual(['REQUEST hi|there']);
    w1.final(['HI', 'THERE']);
    expect(c1.inbox()).toEqual(['REPLY echo HI|THERE']);
  });

  it('hands a 0.1 REPLY to a 0.2 client as FINAL (D10)', () => {
    const s = stage();
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.final(['HI', 'THERE']);
    expect(c1.inbox()).toEqual(['FINAL echo HI|THERE']);
  });

  it('hands 0.2 PARTIALs to a 0.2 client at once, then FINAL (18/MDP)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.partial(['a', 'b']);
    expect(c1.inbox()).toEqual(['PARTIAL echo a|b']);
    w1.partial('c');
    expect(c1.inbox()).toEqual(['PARTIAL echo c']);
    w1.final('d');
    expect(c1.inbox()).toEqual(['FINAL echo d']);
    expect(s.broker.counters.requestsReplied).toBe(1);
  });

  it('hands 0.2 PARTIALs and FINAL to a 0.1 client as one REPLY, frames in order (D10)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1, envelope: ['id'] }).request('echo', 'hi');
    w1.partial(['a', '']).partial('b');
    expect(c1.inbox()).toEqual([]);
    w1.final(['', 'c']);
    expect(c1.inbox()).toEqual(['REPLY echo a||b||c']);
  });

  it('hands a 0.2 FINAL without PARTIALs to a 0.1 client as REPLY (D10)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1 }).request('echo', 'hi');
    w1.final('HI');
    expect(c1.inbox()).toEqual(['REPLY echo HI']);
  });

  it('serves clients and workers of both versions from one queue, in order (D10)', () => {
    const s = stage();
    const old = s.client('old', { version: 1 }).request('echo', '1');
    const young = s.client('young').request('echo', '2');
    const w1 = s.worker('w1', { version: 1 }).ready('echo');
    const w2 = s.worker('w2').ready('echo');
    expect([w1.inbox(), w2.inbox()]).toEqual([['REQUEST 1'], ['REQUEST 2']]);
    w1.final('one');
    w2.final('two');
    expect([old.inbox(), young.inbox()]).toEqual([['REPLY echo one'], ['FINAL echo two']]);
  });
});

describe('PARTIALs that are held for a 0.1 client', () => {
  it('count as bytes held until they leave (D10, limits.queuedBytes)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1', { version: 1 }).request('echo', 'hi');
    const before = s.broker.load.bytes;
    w1.partial('x'.repeat(1000));
    expect(s.broker.load.bytes).toBeGreaterThanOrEqual(before + 1000);
    w1.final('y');
    expect(s.broker.load.bytes).toBe(0);
  });

  it('over limits.messageBytes end the request: abandoned, told, the rest dropped (D10)', () => {
    const s = stage({ limits: { messageBytes: 1000 } });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1 }).hello().request('echo', 'hi');
    w1.partial('x'.repeat(600));
    expect(c1.inbox()).toEqual([]);
    w1.partial('x'.repeat(600));
    expect(c1.inbox()).toEqual([`REPLY mmi.refused 502|echo|mdp.too-large: ${TOO_LARGE}`]);
    expect(s.broker.counters.requestsAbandoned).toBe(1);
    w1.partial('more').final('end');
    expect(c1.inbox()).toEqual([]);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    expect(s.broker.counters.repliesDropped.too_late).toBe(1);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0, bytes: 0 });
  });

  it('over limits.messageBytes only with the FINAL end the request as well (D10)', () => {
    const s = stage({ limits: { messageBytes: 1000 } });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1 }).hello().request('echo', 'hi');
    w1.partial('x'.repeat(600)).final('x'.repeat(600));
    expect(c1.inbox()).toEqual([`REPLY mmi.refused 502|echo|mdp.too-large: ${TOO_LARGE}`]);
    expect(s.broker.counters).toMatchObject({ requestsAbandoned: 1, requestsReplied: 0 });
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0, bytes: 0 });
  });

  it.each(['PARTIAL', 'FINAL'])(
    'over limits.messageBytes with a %s are told as mdp.too-large to who asks for failures (D62, D100)',
    (last) => {
      const s = stage({ limits: { messageBytes: 1000 } });
      const w1 = s.worker('w1').ready('echo');
      const c1 = s.client('c1', { version: 1 }).hello('{"failures":true}').request('echo', 'hi');
      w1.partial('x'.repeat(600));
      if (last === 'FINAL') w1.final('x'.repeat(600));
      else w1.partial('x'.repeat(600));
      expect(c1.inbox()).toEqual([`REPLY mmi.failed echo|mdp.too-large|${TOO_LARGE}`]);
      expect(s.events('request.abandoned')).toMatchObject([{ reason: TOO_LARGE }]);
    },
  );

  it('of more frames than limits.frames are told so, too (D10)', () => {
    const s = stage({ limits: { frames: 4 } });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1 }).hello().request('echo', 'hi');
    w1.partial(['a', 'b', 'c']).final(['d', 'e']);
    expect(c1.inbox()).toEqual([
      'REPLY mmi.refused 502|echo|mdp.too-large: a reply of 5 frames in PARTIALs, at most 4 are allowed',
    ]);
  });

  it('over limits.queuedBytes with all else that is held end the request (D10)', () => {
    const s = stage({ limits: { queuedBytes: 1000 } });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1', { version: 1 }).request('echo', 'hi');
    s.client('c2').request('idle', 'x'.repeat(500));
    w1.partial('x'.repeat(600));
    expect(s.broker.counters.requestsAbandoned).toBe(1);
  });

  it('of a request that was given up are not retried when its worker is lost (D10, D6)', () => {
    const s = stage({ limits: { messageBytes: 1000 } });
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    s.client('c1', { version: 1 }).request('echo', 'hi');
    w1.partial('x'.repeat(1200)).disconnect();
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.counters.requestsAbandoned).toBe(1);
  });

  it('may be very many and very small (D10)', () => {
    const s = stage({ limits: { frames: 65_536 } });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1 }).request('echo', 'hi');
    s.unrun(() => {
      for (let at = 0; at < 20_000; at++) w1.partial('x');
    });
    w1.final('end');
    expect(c1.inbox()).toEqual([`REPLY echo ${'x|'.repeat(20_000)}end`]);
  });
});

describe('a stream to a client that went away', () => {
  it('counts as one dropped reply, however many PARTIALs it has (D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    c1.disconnect();
    w1.partial('a').partial('b').final('c');
    expect(s.broker.counters.repliesDropped.client_gone).toBe(1);
  });

  it('is not taken up in its middle when a named client returns (D6, D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { routingId: 'alice' }).request('echo', 'hi');
    w1.partial('a');
    c1.disconnect();
    w1.partial('b');
    c1.connection.connect();
    w1.partial('c').final('d');
    expect(c1.inbox()).toEqual(['PARTIAL echo a']);
    expect(s.broker.counters.requestsAbandoned).toBe(1);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
  });
});
