/** Groups of plain requests take turns (D118). */
import { Holdings } from '../../../src/core/holdings.js';
import { endStages, stage, type Stage } from '../../support/stage.js';
import { order, send } from '../../support/groups.js';
import type { WorkerActor } from '../../support/stage-peers.js';

afterEach(endStages);

const worker = (s: Stage, name = 'w'): WorkerActor => s.worker(name).ready('echo');

describe('groups', () => {
  it.each([
    ['a1 a2 a3 a4 b1', 'a1 b1 a2 a3 a4'],
    ['a1 a2 b1 b2 c1 -1 -2 c2', 'a1 b1 c1 -1 a2 b2 c2 -2'],
    ['-1 -2 -3 a1', '-1 a1 -2 -3'],
    ['a1 b1 a2 b2', 'a1 b1 a2 b2'],
  ])('take turns by request: %s', (sent, dispatched) => {
    const s = stage();
    send(s.client('c'), sent);
    expect(order(worker(s)).join(' ')).toBe(dispatched);
    expect(s.broker.load.requests).toBe(0);
  });

  it('take turns also if a new one comes in between: it waits for one request of each other one', () => {
    const s = stage();
    const c = s.client('c');
    send(c, 'a1 a2 a3 b1 b2 b3');
    const w = worker(s);
    expect(w.inbox()).toEqual(['REQUEST a1']);
    send(c, 'c1');
    w.final('ok');
    expect(order(w).join(' ')).toBe('b1 a2 c1 b2 a3 b3');
  });

  it('keep a request that comes back from a lost worker at their front', () => {
    const s = stage();
    send(s.client('c'), 'a1 a2 b1 b2');
    const lost = worker(s, 'lost');
    expect(lost.inbox()).toEqual(['REQUEST a1']);
    lost.connection.disconnect();
    expect(order(worker(s, 'w')).join(' ')).toBe('b1 a1 b2 a2');
  });

  it('do not wait for requests that nobody wants any more', () => {
    const s = stage();
    const [gone, c] = [s.client('gone'), s.client('c')];
    send(gone, 'a1 a2 a3 d1');
    send(c, 'b1 a4');
    gone.connection.disconnect();
    expect(order(worker(s)).join(' ')).toBe('a4 b1');
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0 });
  });

  it('are different at another service, and end with their last request', () => {
    const holdings = new Holdings();
    const s = stage({ holdings });
    const held = (): number => holdings.use('ip:127.0.0.1').requests;
    const c = s.client('c');
    const before = held();
    c.connection.sends('MDPC02', '\x05', 'echo', '', 'a', '', '', 'a1');
    const one = held() - before;
    for (let n = 0; n < 9; n++) {
      c.connection.sends('MDPC02', '\x05', 'echo', '', `group-${n}`, '', '', 'x');
    }
    expect(held() - before).toBeGreaterThan(10 * one);
    expect(order(worker(s))).toHaveLength(10);
    expect(held()).toBe(before);
  });

  it('have names of at most 255 bytes', () => {
    const s = stage();
    const c = s.client('c').hello();
    c.connection.sends('MDPC02', '\x05', 'echo', '', 'g'.repeat(256), '', '', 'x');
    expect(c.inbox()).toEqual(['FINAL mmi.refused 400|echo|a group must be 0 to 255 bytes']);
    expect(s.events('message.malformed')).toMatchObject([{ frame: 5 }]);
    c.connection.sends('MDPC02', '\x05', 'echo', '', 'g'.repeat(255), '', '', 'x');
    expect(order(worker(s)).join(' ')).toBe('x');
  });
});
