/** What is read ahead for the turns of groups (D118) costs neither a later priority nor other services their place. */
import { endTitanicStages, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

describe('requests of many groups that wait for a slow worker', () => {
  it('let one of a higher priority be the next', () => {
    const s = titanicStage();
    const worker = s.worker('w').ready('echo');
    for (let n = 0; n < 300; n++) s.submits('echo', `low${n}`, { group: `g${n}` });
    s.submits('echo', 'high', { group: 'h', priority: 100 });
    const order: string[] = [];
    for (let inbox = worker.inbox(); inbox.length > 0; inbox = worker.inbox()) {
      order.push(...inbox.map((line) => line.replace('REQUEST ', '')));
      worker.final('ok');
    }
    expect(order).toHaveLength(301);
    expect(order.indexOf('high')).toBe(2);
  });

  it.each([false, true])('leave places for other services (with plain ones: %p)', (isMixed) => {
    const s = titanicStage({ titanic: { maxOpen: 10_000 } });
    const plain = s.client('plain');
    for (const service of ['s1', 's2', 's3', 's4', 's5']) {
      s.worker(service).ready(service, { credit: 1 });
      if (isMixed) plain.request(service, 'at the worker').request(service, 'waits');
      for (let n = 0; n < 300; n++) s.submits(service, 'x', { group: `g${n}` });
    }
    const fast = s.worker('fast').ready('fast', { credit: 50 });
    for (let n = 0; n < 200; n++) s.submits('fast', 'x');
    expect(fast.inbox()).toHaveLength(50);
  });
});
