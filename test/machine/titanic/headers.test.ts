/** The headers of stored requests (D67). */
import { Holdings } from '../../../src/core/holdings.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { StageReplica } from '../../support/stage-replica.js';
import { StageDisk } from '../../support/stage-store.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const HEADERS = '{"tenant":"a"}';

/** Stores a request with command 0x04. Returns the answer. */
function stores(s: TitanicStage, headers: string, deadlineMs = 0): string {
  const c1 = s.client('c1');
  c1.requestWithHeaders('titanic.request', deadlineMs, headers, 'echo', 'hi', '');
  return (c1.inbox()[0] ?? '').replace('FINAL titanic.request ', '');
}

describe('titanic.request with command 0x04', () => {
  it('stores the headers, which every attempt brings to a worker that asks for them', () => {
    const s = titanicStage();
    expect(stores(s, HEADERS)).toMatch(/^200\|[0-9A-F]{32}$/);
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} hi|`]);
    w1.disconnect();
    s.after(1500);
    const w2 = s.worker('w2').ready('echo');
    expect(w2.inbox()).toEqual(['REQUEST hi|']);
    w2.disconnect();
    s.after(3000);
    const w3 = s.worker('w3', { version: 1 }).ready('echo', { headers: true });
    expect(w3.inbox()).toEqual([`REQUEST  ${HEADERS} hi|`]);
    w3.final('done');
  });

  it('ignores the deadline', () => {
    const s = titanicStage();
    expect(stores(s, HEADERS, 5)).toMatch(/^200/);
    s.after(60_000);
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} hi|`]);
    w1.final('done');
  });

  it('with empty headers is stored like one without', () => {
    const s = titanicStage();
    expect(stores(s, '', 5)).toMatch(/^200/);
    expect(s.store.changes.find(({ kind }) => kind === 'accept')?.extra).toBeUndefined();
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual(['REQUEST hi|']);
    w1.final('done');
  });

  it('keeps the headers over a crash', () => {
    const s = titanicStage();
    stores(s, HEADERS);
    const next = s.crashes();
    const w1 = next.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} hi|`]);
    w1.final('done');
  });

  it('keeps the headers at a node that takes the request over from the other one', () => {
    const other = new StageDisk();
    stores(titanicStage({ disk: other, seed: 77 }), HEADERS);
    const s = titanicStage({ replica: new StageReplica() }).merges(other);
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} hi|`]);
    w1.final('done');
  });

  it('counts the headers in the quota of stored bytes, and gives them back', () => {
    const quotas = { ...NO_QUOTAS, storedBytes: 9000 };
    const s = titanicStage({ quotasOf: () => quotas, holdings: new Holdings() });
    const [, uuid = ''] = stores(s, 'h'.repeat(8000)).split('|');
    expect(stores(s, 'h'.repeat(1100))).toBe('500 the quota `storedBytes` is used up');
    expect(s.store.disk.counts.owners[0]?.bytes).toBeGreaterThan(8000);
    expect(s.asks('close', uuid)).toBe('200');
    expect(stores(s, 'h'.repeat(1100))).toMatch(/^200/);
  });
});

describe('titanic.submit', () => {
  it('takes headers in its options', () => {
    const s = titanicStage();
    const options = `{"headers":${HEADERS},"priority":5}`;
    expect(s.asks('submit', options, 'echo', 'hi')).toMatch(/^200/);
    expect(s.asks('submit', '{"headers":{}}', 'echo', 'none')).toMatch(/^200/);
    const w1 = s.worker('w1').ready('echo', { headers: true, credit: 2 });
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} hi`, 'REQUEST none']);
    w1.final('done').final('done');
  });

  it('of a key that was used before keeps the headers of the first', () => {
    const s = titanicStage();
    const first = s.asks('submit', `{"headers":${HEADERS},"key":"k"}`, 'echo', 'hi');
    expect(s.asks('submit', '{"headers":{"tenant":"b"},"key":"k"}', 'echo', 'hi')).toBe(first);
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} hi`]);
    w1.final('done');
  });

  it.each([
    ['null', 'headers are an object of strings'],
    ['["a"]', 'headers are an object of strings'],
    ['{"a":1}', 'the header a is not a string'],
    ['{"A":"b"}', 'the header name "A" is not 1 to 64 characters of a-z, 0-9 and -'],
    ['{"":"b"}', 'the header name "" is not 1 to 64 characters of a-z, 0-9 and -'],
    [
      '{"\\n\u00e9":"b"}',
      'the header name "%0A%C3%A9" is not 1 to 64 characters of a-z, 0-9 and -',
    ],
    [
      '{"__proto__":"b"}',
      'the header name "__proto__" is not 1 to 64 characters of a-z, 0-9 and -',
    ],
    [`{"a":"${'x'.repeat(9000)}"}`, 'headers take 9008 bytes; at most 8192 are allowed'],
    [JSON.stringify(many(65)), 'there are at most 64 headers'],
  ])('answers 400 to the headers %j', (headers, why) => {
    const s = titanicStage();
    const options = Buffer.from(`{"headers":${headers}}`).toString('latin1');
    expect(s.asks('submit', options, 'echo', 'hi')).toBe(`400 ${why}`);
    expect(s.store.disk.rows.length).toBe(0);
  });

  it('answers 400 to command 0x04, also with empty headers', () => {
    const s = titanicStage();
    const c1 = s.client('c1');
    c1.requestWithHeaders('titanic.submit', 0, HEADERS, '{}', 'echo', 'hi');
    c1.requestWithHeaders('titanic.submit', 0, '', '{}', 'echo', 'hi');
    const answer = 'FINAL titanic.submit 400 titanic.submit takes headers in its options';
    expect(c1.inbox()).toEqual([answer, answer]);
    expect(s.store.disk.rows.length).toBe(0);
  });
});

it('titanic.reply, wait and close ignore headers', () => {
  const s = titanicStage();
  const [, uuid = ''] = stores(s, HEADERS).split('|');
  const c1 = s.client('c1').requestWithHeaders('titanic.reply', 0, HEADERS, uuid);
  c1.requestWithHeaders('titanic.wait', 0, HEADERS, uuid, '0');
  c1.requestWithHeaders('titanic.close', 0, HEADERS, uuid);
  c1.requestWithHeaders('titanic.nothing', 0, HEADERS, uuid);
  expect(c1.inbox()).toEqual([
    'FINAL titanic.reply 300',
    'FINAL titanic.wait 300',
    'FINAL titanic.close 200',
    'FINAL titanic.nothing 501',
  ]);
});

function many(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}`, 'x']));
}
