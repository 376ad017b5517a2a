/** Durable requests of a group that come back from a worker keep their order (D118). */
import { endTitanicStages, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

describe('durable requests of a group that were at a worker before', () => {
  it.each([1, 2, 3, 5])('come in order of acceptance, before the others (credit %d)', (credit) => {
    const s = titanicStage();
    for (let n = 1; n <= 6; n++) s.submits('echo', `a${n}`, { group: 'a' });
    const lost = s.worker('lost').ready('echo', { credit: 3 });
    expect(lost.inbox()).toEqual(['REQUEST a1', 'REQUEST a2', 'REQUEST a3']);
    lost.connection.disconnect();
    s.after(300_000);
    const worker = s.worker('w').ready('echo', { credit });
    const order: string[] = [];
    for (let inbox = worker.inbox(); inbox.length > 0; inbox = worker.inbox()) {
      order.push(...inbox.map((line) => line.replace('REQUEST ', '')));
      for (let left = inbox.length; left > 0; left--) worker.final('ok');
    }
    expect(order).toEqual(['a1', 'a2', 'a3', 'a4', 'a5', 'a6']);
  });
});

describe('how long the first plain request of a group has waited', () => {
  it('is told while a durable one of its group is before it', () => {
    const s = titanicStage();
    s.worker('w').ready('echo', { credit: 1 });
    s.submits('echo', 'at the worker', { group: 'a' });
    s.submits('echo', 'read ahead', { group: 'a' });
    const plain = s.client('plain');
    plain.connection.sends('MDPC02', '\x05', 'echo', '', 'a', '', '', 'plain');
    s.after(300);
    const page = s.broker.listing.servicePage(
      { service: 0, worker: 0 },
      10,
      null,
      ({ service }) => service === 'echo',
      s.now,
    );
    expect(page.items.map(({ oldestQueuedMs }) => oldestQueuedMs)).toEqual([300]);
  });
});
