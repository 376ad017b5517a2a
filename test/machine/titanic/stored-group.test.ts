/** The group of a durable request, which is stored with it, and the turns of groups (D118). */
import { groupOf } from '../../../src/store/own-fields.js';
import { order, send } from '../../support/groups.js';
import { StageReplica } from '../../support/stage-replica.js';
import { StageDisk } from '../../support/stage-store.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const GROUP = 'tenant 7';

/** The groups of the requests that are stored. */
function groups({ store }: TitanicStage): string[] {
  return store.disk.rows
    .filter(({ request }) => request.kind === 'request')
    .map(({ request }) => groupOf(request).toString());
}

describe('the group of a durable request', () => {
  it('is stored with it; one without has nothing of its own, as in 0.1.0', () => {
    const s = titanicStage();
    s.submits('echo', 'hi', { group: GROUP });
    s.submits('echo', 'hi');
    expect(groups(s).sort()).toEqual(['', GROUP]);
    const own = s.store.disk.rows.map(({ request }) => request.own.length).sort((a, b) => a - b);
    expect(own[0]).toBe(0);
    expect(own[1]).toBeGreaterThan(GROUP.length);
  });

  it('outlives a failed attempt and a crash', () => {
    const s = titanicStage();
    s.submits('echo', 'hi', { group: GROUP });
    s.worker('failing').ready('echo').disconnect();
    expect(groups(s.crashes())).toEqual([GROUP]);
  });

  it('comes with a request that is taken over from the other node', () => {
    const other = new StageDisk();
    titanicStage({ disk: other, seed: 77 }).submits('echo', 'hi', { group: GROUP });
    expect(groups(titanicStage({ replica: new StageReplica() }).merges(other))).toEqual([GROUP]);
  });

  it('is that of the schedule which makes it', () => {
    const s = titanicStage();
    const options = { name: 'n', cron: '* * * * *', group: GROUP };
    expect(s.asks('schedule', JSON.stringify(options), 'echo', 'hi')).toMatch(/^200/);
    s.after(60_000);
    expect(groups(s)).toEqual([GROUP]);
  });

  it('takes turns with others, whose requests may be plain ones (D118)', () => {
    const s = titanicStage();
    for (const body of ['a1', 'a2', 'a3', 'b1']) s.submits('echo', body, { group: body[0] });
    s.submits('echo', 'n1');
    send(s.client('plain'), 'a4 c1 c2');
    const w = s.worker('w').ready('echo');
    const came = order(w);
    const firsts = came.slice(0, 4).map((body) => body[0]);
    expect(firsts.sort()).toEqual(['a', 'b', 'c', 'n']);
    const of = (group: string): string[] => came.filter((body) => body.startsWith(group));
    expect(of('a').filter((body) => body !== 'a4')).toEqual(['a1', 'a2', 'a3']);
    expect(of('c')).toEqual(['c1', 'c2']);
    expect(came).toHaveLength(8);
  });

  it('is part of what an idempotency key names', () => {
    const s = titanicStage();
    const asked = (options: object): string =>
      s.asks('submit', JSON.stringify({ key: 'k', ...options }), 'echo', 'hi').slice(0, 3);
    expect(asked({ group: 'a' })).toBe('200');
    expect(asked({ group: 'a' })).toBe('200');
    expect(asked({ group: 'b' })).toBe('409');
    expect(asked({})).toBe('409');
    expect(groups(s)).toEqual(['a']);
  });

  it.each([[''], ['x'.repeat(256)], [7], [null], ['\ud800']])('%j is none', (group) => {
    const s = titanicStage();
    const answer = s.asks('submit', JSON.stringify({ group }), 'echo', 'hi');
    expect(answer).toMatch(/^400 group is a string of valid Unicode, 1 to 255 bytes/);
    expect(s.store.disk.rows).toEqual([]);
  });
});

/** What is read ahead for the turns of groups costs neither a later priority nor other services their place. */
describe('requests of many groups that wait for a slow worker', () => {
  it('let one of a higher priority be the next', () => {
    const s = titanicStage();
    const worker = s.worker('w').ready('echo');
    for (let n = 0; n < 300; n++) s.submits('echo', `low${n}`, { group: `g${n}` });
    s.submits('echo', 'high', { group: 'h', priority: 100 });
    const came = order(worker);
    expect(came).toHaveLength(301);
    expect(came.indexOf('high')).toBe(2);
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

describe('durable requests of a group that were at a worker before', () => {
  it.each([1, 2, 3, 5])('come in order of acceptance, before the others (credit %d)', (credit) => {
    const s = titanicStage();
    for (let n = 1; n <= 6; n++) s.submits('echo', `a${n}`, { group: 'a' });
    const lost = s.worker('lost').ready('echo', { credit: 3 });
    expect(lost.inbox()).toEqual(['REQUEST a1', 'REQUEST a2', 'REQUEST a3']);
    lost.connection.disconnect();
    s.after(300_000);
    const worker = s.worker('w').ready('echo', { credit });
    expect(order(worker)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5', 'a6']);
  });
});

describe('how long the first plain request of a group has waited', () => {
  it('is told while a durable one of its group is before it', () => {
    const s = titanicStage();
    s.worker('w').ready('echo', { credit: 1 });
    s.submits('echo', 'at the worker', { group: 'a' });
    s.submits('echo', 'read ahead', { group: 'a' });
    send(s.client('plain'), 'a-plain');
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
