/** Requests that may run once (D117), at the workers of other brokers. */
import { endFleets, fleet, type Fate } from '../../support/fleet-stage.js';

afterEach(endFleets);

/** By then all have heard what the others take. */
const GREETED_MS = 100;

function unknown(what: string): string {
  const which = `a worker of another broker, which did not answer (${what})`;
  const text = `outcome unknown: delivered to ${which}`;
  return `FINAL mmi.refused 520|echo|${text}`;
}

/** Presences of this broker are lost: others know it as one that does not list what it takes. */
function silences(name: string): Fate {
  return (subject, _bytes, from) => (from === name && subject.endsWith('.presence') ? [] : [0]);
}

describe('a request that may run once', () => {
  it('goes to another broker, and its reply comes back', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(GREETED_MS);
    const worker = a.worker('w').ready('echo', { headers: true });
    const client = b.client('c').once('hi', 700, '{"a":"b"}');
    expect(worker.inbox()).toEqual(['REQUEST 700 {"a":"b"} hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });

  it('waits for one that says that it takes such requests; others are not kept waiting', () => {
    const w = fleet();
    w.fate = silences('a');
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(GREETED_MS);
    const worker = a.worker('w').ready('echo', { credit: 9 }).heartbeatsEvery(1000);
    const client = b.client('c').hello('{"noWorker":"refuse"}').once('1');
    client.request('echo', '2').once('3').request('echo', '4');
    expect(worker.inbox()).toEqual(['REQUEST 2', 'REQUEST 4']);
    expect(b.broker.load).toMatchObject({ requests: 4, requestsOut: 2 });
    w.fate = () => [0];
    w.after(2000);
    expect(worker.inbox()).toEqual(['REQUEST 1', 'REQUEST 3']);
    for (const of of ['1', '2', '3', '4']) worker.final(of, { of });
    expect(client.inbox()).toHaveLength(4);
  });

  it('passes over no more than a hundred of them for one that is older', () => {
    const w = fleet();
    w.fate = silences('a');
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(GREETED_MS);
    const worker = a.worker('w').ready('echo', { credit: 9 });
    b.client('d').request('echo', 'known');
    expect(worker.inbox()).toEqual(['REQUEST known']);
    const client = b.client('c');
    for (let at = 0; at < 100; at++) client.once(`${at}`);
    client.request('echo', 'behind');
    expect(worker.inbox()).toEqual(['REQUEST behind']);
    client.once('100').request('echo', 'too far behind');
    expect(worker.inbox()).toEqual([]);
  });

  it('is no reason for turn after turn, however many services have some that nobody takes', () => {
    const w = fleet();
    w.fate = silences('a');
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(GREETED_MS);
    const client = b.client('c');
    for (let at = 0; at < 25; at++) {
      const worker = a.worker(`w${at}`).ready(`s${at}`, { credit: 9 });
      client.request(`s${at}`, 'known');
      expect(worker.inbox()).toEqual(['REQUEST known']);
    }
    b.batch(() => {
      for (let at = 0; at < 2500; at++) client.once(`${at}`, 0, '', `s${at % 25}`);
    });
    expect(b.runOnce().more).toBe(false);
    expect(b.broker.load).toMatchObject({ requests: 2525, requestsOut: 25 });
  });

  it('goes on to a third broker if no worker was free, or the worker did not begin it', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    w.after(GREETED_MS);
    const wa = a.worker('wa').ready('echo', { credit: 9 });
    const client = b.client('c').hello().once('hi');
    expect(wa.inbox()).toEqual(['REQUEST hi']);
    a.batch(() => {
      wa.returns('mdp.not-begun: it closes').saysDisconnect();
    });
    const wc = c.worker('wc').ready('echo').heartbeatsEvery(1000);
    w.after(5000);
    expect(wc.inbox()).toEqual(['REQUEST hi']);
    wc.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });

  it.each([
    ['is lost', 'connection'],
    ['gives it back', 'given back: no'],
    ['leaves', 'given back: disconnected'],
  ])('has no outcome if the worker %s', (how, what) => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    w.after(GREETED_MS);
    const wa = a.worker('wa').ready('echo', { credit: 9 });
    const client = b.client('c').hello().once('hi');
    const wc = c.worker('wc').ready('echo').heartbeatsEvery(1000);
    if (how === 'is lost') wa.disconnect();
    else if (how === 'leaves') wa.saysDisconnect();
    else wa.returns('no');
    expect(client.inbox()).toEqual([unknown(what)]);
    if (how === 'is lost') {
      wa.connection.connect();
      wa.final('late');
      expect(client.inbox()).toEqual([]);
      expect(b.broker.counters.repliesDropped.too_late).toBe(1);
    }
    w.after(3000);
    expect(wc.inbox()).toEqual([]);
    expect(b.broker.counters.requestsUnknown).toBe(1);
  });

  it('has no outcome if its broker is lost, or stops while the worker has it', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    w.after(GREETED_MS);
    a.worker('wa').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').hello().once('hi');
    const wc = c.worker('wc').heartbeatsEvery(1000);
    w.kill(a);
    wc.ready('echo');
    w.after(3000);
    expect(client.inbox()).toEqual([unknown('its broker was lost')]);
    expect(wc.inbox()).toEqual([]);
    client.once('again');
    w.after(1000);
    expect(wc.inbox()).toEqual(['REQUEST again']);
    c.input((broker, now) => {
      broker.drain(now);
      broker.stop(now);
    });
    c.turn();
    expect(client.inbox()).toEqual([unknown('given back: drained')]);
  });

  it('has no outcome if its pack was lost', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(GREETED_MS);
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').hello().request('echo', '0');
    worker.final('0');
    client.inbox();
    worker.inbox();
    w.fate = (subject, _bytes, from) => (from === 'b' && subject.includes('.to.') ? [] : [0]);
    client.once('hi');
    w.fate = () => [0];
    w.after(2500);
    expect(client.inbox()).toEqual([unknown('not known there')]);
    expect(worker.inbox()).toEqual([]);
  });

  it('waits again if it was not sent yet when its broker was lost', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    w.after(GREETED_MS);
    a.worker('wa').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').hello();
    client.request('echo', '0');
    b.gives((machine) => machine.busFull(true));
    client.once('hi');
    w.kill(a);
    const wc = c.worker('wc').ready('echo', { credit: 9 }).heartbeatsEvery(1000);
    w.after(5000);
    b.gives((machine) => machine.busFull(false));
    w.after(2000);
    expect(client.inbox()).toEqual([]);
    expect(wc.inbox()).toContain('REQUEST hi');
  });
});
