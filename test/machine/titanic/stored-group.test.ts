/** The group of a durable request, which is stored with it (D118). */
import { groupOf } from '../../../src/store/own-fields.js';
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
    const plain = s.client('plain');
    for (const body of ['a4', 'c1', 'c2']) {
      plain.connection.sends('MDPC02', '\x05', 'echo', '', body[0] ?? '', '', '', body);
    }
    const w = s.worker('w').ready('echo');
    const order: string[] = [];
    for (let inbox = w.inbox(); inbox.length > 0; inbox = w.inbox()) {
      order.push(...inbox.map((line) => line.replace('REQUEST ', '')));
      w.final('ok');
    }
    const firsts = order.slice(0, 4).map((body) => body[0]);
    expect(firsts.sort()).toEqual(['a', 'b', 'c', 'n']);
    const of = (group: string): string[] => order.filter((body) => body.startsWith(group));
    expect(of('a').filter((body) => body !== 'a4')).toEqual(['a1', 'a2', 'a3']);
    expect(of('c')).toEqual(['c1', 'c2']);
    expect(order).toHaveLength(8);
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
