import { describe, expect, it } from '@jest/globals';

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
    expect([...all.all()]).toEqual([alice]);
    alice.add('requests', -10);
    expect([...all.all()]).toEqual([]);
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

  it('over the limit, who holds most and does not read is to lose a connection', () => {
    const all = new Holdings(1000);
    const queues = all.use('queues');
    const deaf = all.use('deaf');
    const modest = all.use('modest');
    queues.add('requests', 600);
    modest.add('output', 10);
    expect([all.isOver, all.largest()]).toEqual([false, null]);
    deaf.add('output', 500);
    expect(all.largest()).toBe(deaf);
    deaf.add('output', -500);
    queues.add('requests', 500);
    expect([all.isOver, all.largest()]).toEqual([true, null]);
    queues.add('input', 1);
    expect(all.largest()).toBe(queues);
  });

  it('whose output is over its quota for a second does not read', () => {
    const all = new Holdings();
    const peer = all.use('peer');
    peer.outputMax = 100;
    peer.add('output', 101);
    expect([all.stalled(5000), all.stalled(5999), all.stalled(6000)]).toEqual([[], [], [peer]]);
    peer.add('output', -1);
    expect(all.stalled(6001)).toEqual([]);
    peer.add('output', 1);
    expect([all.stalled(7000), all.stalled(7999)]).toEqual([[], []]);
  });
});
