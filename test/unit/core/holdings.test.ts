import { Holdings } from '../../../src/core/holdings.js';

describe('what peers make a node hold (D77)', () => {
  it('is one number, and one for each identity', () => {
    const all = new Holdings(1000);
    const alice = all.use('key:alice');
    const bob = all.use('key:bob');
    alice.add('requests', 300);
    alice.add('output', 200);
    bob.add('input', 100);
    expect([all.bytes, alice.bytes, bob.bytes]).toEqual([600, 500, 100]);
    alice.add('output', -200);
    expect([all.bytes, alice.bytes]).toEqual([400, 300]);
  });

  it('is that of one identity however many connections it has', () => {
    const all = new Holdings();
    expect(all.use('ip:10.0.0.1')).toBe(all.use('ip:10.0.0.1'));
  });

  it('is forgotten with the last user, once nothing is held', () => {
    const all = new Holdings();
    const alice = all.use('key:alice');
    alice.add('requests', 10);
    all.release(alice);
    expect([...all.accounts.values()]).toEqual([alice]);
    alice.add('requests', -10);
    expect([...all.accounts.values()]).toEqual([]);
  });

  it('over the limit, who holds more than an equal part may hold no more', () => {
    const all = new Holdings(1000);
    const greedy = all.use('greedy');
    const modest = all.use('modest');
    greedy.add('requests', 990);
    expect(greedy.mayHold(10)).toBe(true);
    expect(greedy.mayHold(11)).toBe(false);
    expect(modest.mayHold(100)).toBe(true);
    expect(modest.mayHold(200)).toBe(false);
  });

  it('over the limit, a worker that has unread requests gets no more copies of them', () => {
    const all = new Holdings(1000);
    const worker = all.use('worker');
    expect([worker.mayDispatch(500), worker.mayDispatch(501)]).toEqual([true, false]);
    all.use('client').add('requests', 450);
    expect([worker.mayDispatch(50), worker.mayDispatch(51)]).toEqual([true, false]);
    worker.outputMax = 100;
    worker.add('output', 60);
    worker.add('dispatched', 30);
    all.limit = Infinity;
    expect([worker.mayDispatch(10), worker.mayDispatch(11)]).toEqual([true, false]);
  });

  it('is looked at for stalled connections when someone is refused or all are over, not too often', () => {
    const all = new Holdings(1000);
    const client = all.use('client');
    client.add('requests', 950);
    client.add('input', 50);
    expect([all.beginRelief(0), all.isOverHard]).toEqual([false, false]);
    expect(client.mayHold(1)).toBe(false);
    expect([0, 249, 250, 500].map((now) => all.beginRelief(now))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    client.add('output', 1);
    expect([750, 999, 1000].map((now) => all.beginRelief(now))).toEqual([true, false, true]);
    client.add('requests', -126);
    expect(client.mayHold(200)).toBe(false);
    expect([all.needsRelief, all.beginRelief(2000)]).toEqual([false, false]);
  });

  it('is over the hard limit above nine eighths of the limit', () => {
    const all = new Holdings(1000);
    const client = all.use('client');
    client.add('output', 1125);
    expect(all.isOverHard).toBe(false);
    client.add('output', 1);
    expect(all.isOverHard).toBe(true);
  });

  it('presses as output and input, not as requests, nor as what is in transit to a peer', () => {
    const all = new Holdings(1000);
    const client = all.use('client');
    client.add('requests', 950);
    client.add('input', 60);
    expect(all.worthClosing()).toEqual([]);
    client.add('output', 3);
    expect(all.worthClosing()).toEqual([client]);
    const deaf = all.use('deaf');
    deaf.add('output', 90);
    // It holds less than its share, and others are over the limit.
    expect(all.worthClosing()).toEqual([client]);
    deaf.add('output', 100);
    expect([all.isOverHard, all.worthClosing()]).toEqual([true, [deaf, client]]);
  });

  it('is to be relieved of incomplete messages as far as they have a part in it', () => {
    const all = new Holdings(1000);
    const [large, small, none] = [all.use('large'), all.use('small'), all.use('none')];
    none.add('requests', 700);
    small.add('input', 100);
    large.add('input', 75);
    expect([all.isOver, all.needsReliefOfInput]).toEqual([false, false]);
    large.add('input', 126);
    expect([all.isOver, all.needsReliefOfInput, all.inputBytes]).toEqual([true, true, 301]);
    expect(all.byInput()).toEqual([large, small]);
    // Down to below the limit.
    large.add('input', -125);
    expect([all.isOver, all.needsReliefOfInput]).toEqual([false, true]);
    large.add('input', -1);
    expect(all.needsReliefOfInput).toBe(false);
    // What is in transit to a broker that is full of accepted requests is no reason.
    none.add('requests', 400);
    expect(all.needsReliefOfInput).toBe(true);
    large.add('input', -75);
    small.add('input', -38);
    expect([all.inputBytes, all.isOver, all.needsReliefOfInput]).toEqual([62, true, false]);
  });

  it('is that of workers last', () => {
    const all = new Holdings(1000);
    const [first, second] = [all.use('first'), all.use('second')];
    expect(all.mostDispatched()).toBe(null);
    first.add('dispatched', 600);
    second.add('dispatched', 700);
    expect([all.worthClosing(), all.mostDispatched()]).toEqual([[], second]);
  });

  it('whose output is over its quota by a quarter for a second does not read', () => {
    const all = new Holdings();
    const peer = all.use('peer');
    peer.outputMax = 100;
    peer.add('output', 126);
    expect([all.stalled(5000), all.stalled(5999), all.stalled(6000)]).toEqual([[], [], [peer]]);
    peer.add('output', -1);
    expect(all.stalled(6001)).toEqual([]);
    peer.add('dispatched', 1);
    expect([all.stalled(7000), all.stalled(7999)]).toEqual([[], []]);
  });

  it('is served while it reads a sixteenth of its quota each second, up to half of the limit', () => {
    const all = new Holdings(2000);
    const peer = all.use('peer');
    peer.outputMax = 160;
    const reads = (bytes: number): void => peer.add('output', -bytes);
    peer.add('output', 900);
    expect(all.stalled(0)).toEqual([]);
    reads(10);
    expect(all.stalled(1000)).toEqual([]);
    // What it read before that second does not count.
    reads(9);
    expect(all.stalled(2000)).toEqual([peer]);
    reads(1);
    expect(all.stalled(2001)).toEqual([]);
    peer.add('output', 200);
    expect(all.stalled(2002)).toEqual([peer]);
  });
});
