/** A durable request and its reply in one exchange (D122). */
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { StageReplica } from '../../support/stage-replica.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const RECEIPT = /^PARTIAL titanic\.call 200\|([0-9A-F]{32})$/;

/** Calls `echo`, and returns what has been answered by then. */
function calls(s: TitanicStage, options: object = {}, body = 'hi'): string {
  return s.asks('call', JSON.stringify(options), 'echo', body);
}

/** The uuid of a receipt, which must be all that was heard. */
function uuidOf(heard: string): string {
  expect(heard).toMatch(RECEIPT);
  return RECEIPT.exec(heard)?.[1] ?? '';
}

describe('titanic.call', () => {
  it('gives the receipt once it is on disk, and then the reply once that is (D122)', () => {
    const s = titanicStage().holdsStore();
    const w1 = s.worker('w1').ready('echo');
    expect(calls(s)).toBe('');
    expect(w1.inbox()).toEqual([]);
    s.answers('commit');
    const uuid = uuidOf(s.hears());
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('done');
    expect(s.hears()).toBe('');
    s.answers('commit');
    expect(s.hears()).toBe('200|done');
    // Nothing is closed because an answer was written.
    s.freesStore();
    expect(s.stands(uuid)).toBe('replied');
    expect(s.asks('reply', uuid)).toBe('200|done');
    expect(s.asks('close', uuid)).toBe('200');
  });

  it('of a whole life waits for two commits: another life is stored with the close', () => {
    const s = titanicStage().holdsStore();
    const w1 = s.worker('w1').ready('echo');
    calls(s);
    const commits = (): number => s.store.asked.filter(({ kind }) => kind === 'commit').length;
    s.answers('commit');
    const uuid = uuidOf(s.hears());
    w1.final('done');
    s.answers('commit');
    expect(s.hears()).toBe('200|done');
    s.batch(() => {
      s.asks('close', uuid);
      calls(s);
    });
    expect(commits()).toBe(1);
    s.answers('commit');
    const [closed, receipt = ''] = s.hears().split(' / ');
    expect(closed).toBe('200');
    uuidOf(receipt);
    expect(commits()).toBe(0);
  });

  it('keeps what a worker sends in parts for the reply, and for titanic.progress', () => {
    const s = titanicStage();
    const uuid = uuidOf(calls(s));
    const w1 = s.worker('w1').ready('echo').partial('a');
    expect(s.hears()).toBe('');
    expect(s.asks('progress', uuid, '', '0')).toMatch(/^300\|[^|]+\|[^|]+\|a$/);
    w1.final('b');
    expect(s.hears()).toBe('200|a|b');
  });

  it('finds the request of its key, whatever has become of it', () => {
    const s = titanicStage();
    const uuid = uuidOf(calls(s, { key: 'k' }));
    expect(uuidOf(calls(s, { key: 'k' }))).toBe(uuid);
    const w1 = s.worker('w1').ready('echo');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('done');
    expect(s.hears()).toBe('200|done / 200|done');
    const again = `PARTIAL titanic.call 200|${uuid}`;
    expect(calls(s, { key: 'k' })).toBe(`${again} / 200|done`);
    expect(w1.inbox()).toEqual([]);
    s.asks('close', uuid);
    expect(calls(s, { key: 'k' })).toBe(`${again} / 400 unknown`);
  });

  it('is the same request as one that titanic.submit stored, with all options (D112)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'hi', { key: 'k', priority: 1 });
    const told = JSON.stringify({ existed: true, state: 'pending' });
    expect(calls(s, { key: 'k', priority: 1, existed: true })).toBe(
      `PARTIAL titanic.call 200|${uuid}|${told}`,
    );
    expect(calls(s, { key: 'k' })).toMatch(/^409 /);
  });

  it('passes headers on, and has their rule (D67)', () => {
    const s = titanicStage();
    const w1 = s.worker('w1').ready('echo', { headers: true });
    uuidOf(calls(s, { headers: { lang: 'de' } }));
    expect(w1.inbox()).toEqual(['REQUEST  {"lang":"de"} hi']);
    const c1 = s.client('c1').requestWithHeaders('titanic.call', 0, '{}', '{}', 'echo', 'hi');
    expect(c1.inbox()).toEqual([
      'FINAL titanic.call 400 titanic.call takes headers in its options',
    ]);
  });

  it.each<[string, string[]]>([
    ['400 no service name', ['{}', '']],
    ['400 no service name', ['{}']],
    ['400 no body', ['{}', 'echo']],
    ['400 mmi.* and titanic.* cannot be durable requests', ['{}', 'titanic.call', 'x']],
  ])('answers %s at once', (answer, body) => {
    expect(titanicStage().asks('call', ...body)).toBe(answer);
  });

  it('tells death, expiry and a close, as titanic.wait does', () => {
    const s = titanicStage();
    uuidOf(calls(s, { ttlMs: 1000 }));
    s.after(1001);
    expect(s.hears()).toBe('400 unknown');
    const closed = uuidOf(calls(s));
    expect(s.asks('close', closed)).toBe('400 unknown / 200');
    const w1 = s.worker('w1').ready('echo');
    uuidOf(calls(s));
    w1.fails(['final', 'NO', 'no such thing', 'detail']);
    expect(s.hears()).toBe('500 dead NO: no such thing|detail');
  });

  it('answers 300 after a minute', () => {
    const s = titanicStage();
    const uuid = uuidOf(calls(s));
    s.after(59_999);
    expect(s.hears()).toBe('');
    s.after(1);
    expect(s.hears()).toBe('300');
    expect(s.stands(uuid)).toBe('pending');
  });

  it('counts in the quota `waits`, above which it gives the receipt and 300 (D75)', () => {
    const s = titanicStage({ quotasOf: () => ({ ...NO_QUOTAS, waits: 1 }) });
    uuidOf(calls(s));
    expect(calls(s)).toMatch(/^PARTIAL titanic\.call 200\|[0-9A-F]{32} \/ 300$/);
    expect(s.told('titanic.wait_refused')).toHaveLength(1);
  });

  it('is unknown to a client of MDP/0.1, which takes no parts of an answer', () => {
    const s = titanicStage();
    const c1 = s.client('c1', { version: 1 }).request('titanic.call', '{}', 'echo', 'hi');
    expect(c1.inbox()).toEqual(['REPLY titanic.call 501']);
    expect(s.store.disk.recovered.counts.services).toEqual([]);
  });

  it('is listed as an extension', () => {
    const s = titanicStage();
    expect(s.asks('nothing')).toBe('501');
    const c1 = s.client('c1').request('mmi.service', 'titanic.call');
    expect(c1.inbox()).toEqual(['FINAL mmi.service 200']);
  });

  it('in a pair gives each answer when it is on both disks (D14)', () => {
    const s = titanicStage({ replica: new StageReplica() }).holdsPeer();
    const w1 = s.worker('w1').ready('echo');
    expect(calls(s)).toBe('');
    s.confirms();
    uuidOf(s.hears());
    w1.final('done');
    expect(s.hears()).toBe('');
    s.confirms();
    expect(s.hears()).toBe('200|done');
  });

  it('sends those elsewhere that have their receipt when it stops to serve (503)', () => {
    const s = titanicStage();
    const c1 = s.client('c1').hello();
    c1.inbox();
    c1.request('titanic.call', '{}', 'echo', 'hi');
    expect(c1.inbox()).toEqual([expect.stringMatching(RECEIPT)]);
    s.holdsStore();
    c1.request('titanic.call', '{}', 'echo', 'hi');
    s.input((broker, now) => {
      broker.setAdmission('refusing', now);
      broker.internalRequests.endAll();
    });
    // Of the one that is being stored nothing is certain.
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 503|titanic.call|this node is not active']);
    s.freesStore();
    expect(c1.inbox()).toEqual([]);
  });

  it('forgets a client that is gone, and its request runs on', () => {
    const s = titanicStage();
    const c1 = s.client('c1').request('titanic.call', '{}', 'echo', 'hi');
    const [receipt = ''] = c1.inbox();
    c1.disconnect();
    const w1 = s.worker('w1').ready('echo');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('done');
    expect(s.asks('reply', uuidOf(receipt))).toBe('200|done');
  });
});
