/** What every store promises about filters and groups. */
import { packFailure } from '../../src/store/failure-codec.js';
import { extraOf } from '../../src/store/fields.js';
import { groupOf, ownOfGroup, packOwn } from '../../src/store/own-fields.js';
import type { Change } from '../../src/store/store.js';
import type { StoredFilter } from '../../src/store/stored-filter.js';
import type { GroupPage } from '../../src/store/queries.js';
import { encodeHeaders } from '../../src/wire/headers.js';
import type { QueriesSubject } from './queries-contract.js';
import { type Given, numbersOf } from './queries-user.js';
import { accept, attempt, dead, NOON, reply, uuidOf } from './store-changes.js';

function diedOf(n: number, reason: string, at = NOON + 6): Change {
  return { ...dead(n), reason, at };
}

function failed(n: number, reason: string): Change {
  const change = attempt(n, 1);
  const failure = packFailure({ kind: 'error', code: 'other', text: '', detail: [] });
  return { ...change, attempt: { ...change.attempt, reason, failure } };
}

function withHeaders(n: number, headers: Record<string, string>): Change {
  return { ...accept(n), extra: extraOf(encodeHeaders(headers)) ?? Buffer.alloc(0) };
}

export function describeFilters(subject: QueriesSubject): void {
  const pages: QueriesSubject['queries']['pages'] = (query) => subject.queries.pages(query);

  it('finds the requests of a group, byte by byte (D118)', async () => {
    const grouped = (n: number, group: string | null): Change =>
      accept(n, { own: ownOfGroup(group) });
    const pause = { service: Buffer.from('a'), schedule: Buffer.alloc(0) };
    await subject.user.commit(
      ...[grouped(1, 'a'), grouped(2, null), grouped(3, 'a'), grouped(4, 'A'), grouped(5, 'ab')],
      // Its own fields are the same bytes.
      accept(6, { kind: 'pause', own: packOwn('pause', pause) }),
    );
    const found = async (group: string, more: Given = {}) =>
      (await pages({ group: Buffer.from(group), ...more })).flat();
    expect(await found('a')).toEqual([3, 1]);
    expect(await found('a', { limit: 1 })).toEqual([3, 1]);
    expect(await found('A')).toEqual([4]);
    expect(await found('a', { service: Buffer.from('other') })).toEqual([]);
    expect(await found('a', { kind: 'pause' })).toEqual([]);
    expect(await found('a', { only: Buffer.concat([uuidOf(1), uuidOf(2)]) })).toEqual([1]);
    expect(await found('b')).toEqual([]);
    const page = await subject.queries.page({ group: Buffer.from('ab') });
    expect(page.requests.map((request) => groupOf(request).toString())).toEqual(['ab']);
  });

  it('finds services by their whole name, their beginning, or a part, byte by byte', async () => {
    const names = ['bulk', 'bulk.%', 'bulk_x', 'a.bulk', 'titanic.schedule'].map((name) =>
      Buffer.from(name),
    );
    const hostile = Buffer.from([0xff, 0x62, 0x00, 0xff]);
    await subject.user.commit(
      ...[...names, hostile].map((service, at) => accept(at + 1, { service })),
      accept(7, { kind: 'schedule' }),
      accept(8, { kind: 'pause' }),
      accept(9, { kind: 'webhook' }),
      accept(10, { kind: 'kind-9' }),
    );
    const found = async (name: string | Buffer, serviceMatch?: 'prefix' | 'substring') =>
      (await pages({ service: Buffer.from(name), ...(serviceMatch && { serviceMatch }) })).flat();
    expect(await found('bulk')).toEqual([1]);
    expect(await found('bulk', 'prefix')).toEqual([3, 2, 1]);
    expect(await found('bulk', 'substring')).toEqual([4, 3, 2, 1]);
    expect(await found('%', 'substring')).toEqual([2]);
    expect(await found('_', 'substring')).toEqual([3]);
    expect(await found(Buffer.from([0xff, 0x62]), 'prefix')).toEqual([6]);
    expect(await found(Buffer.from([0x00, 0xff]), 'substring')).toEqual([6]);
    expect(await found(Buffer.from([0xf6]), 'substring')).toEqual([]);
    expect(await found('titanic', 'prefix')).toEqual([5]);
    expect(await found('titanic.schedule')).toEqual([5]);
    // Schedules and pauses are in no list but their own.
    expect(await found('echo')).toEqual([10, 9]);
    const ofKind = async (kind: StoredFilter['kind']) =>
      (await pages({ service: Buffer.from('echo'), kind })).flat();
    expect(await ofKind('work')).toEqual([9]);
    expect(await ofKind('schedule')).toEqual([7]);
    expect(await ofKind('pause')).toEqual([8]);
    expect(await ofKind('kind-9')).toEqual([10]);
    expect(await ofKind('kind-8')).toEqual([]);
    expect(await found('BULK', 'substring')).toEqual([]);
  });

  it('finds reasons by a part, whatever the case and the length; nothing in it is a wildcard', async () => {
    const long = `${'x'.repeat(900)} the End 100%`;
    await subject.user.commit(...[1, 2, 3, 4, 5].map((n) => accept(n)));
    await subject.user.commit(diedOf(1, long), diedOf(2, 'ends here'), failed(3, 'END: of it'));
    await subject.user.commit(failed(4, 'the end'), reply(4), diedOf(5, 'na\u00efve END_'));
    expect(await pages({ reason: 'end' })).toEqual([[5, 3, 2, 1]]);
    expect(await pages({ reason: 'end', state: 'dead' })).toEqual([[5, 2, 1]]);
    expect(await pages({ reason: 'end', limit: 2 })).toEqual([
      [5, 3],
      [2, 1],
    ]);
    expect(await pages({ reason: '%' })).toEqual([[1]]);
    expect(await pages({ reason: 'end_' })).toEqual([[5]]);
    expect(await pages({ reason: 'NA\u00cfVE' })).toEqual([[5]]);
    expect(await pages({ reason: 'e.d' })).toEqual([[]]);
  });

  it('finds codes: those of workers, the one for no reply, and none', async () => {
    await subject.user.commit(...[1, 2, 3, 4].map((n) => accept(n)));
    await subject.user.commit(diedOf(1, 'out-of-paper: it fails'), failed(2, 'out-of-paper:'));
    await subject.user.commit(diedOf(3, 'dead after 3 attempts, the last: worker lost'));
    expect(await pages({ code: 'out-of-paper' })).toEqual([[2, 1]]);
    expect(await pages({ code: 'mdp.no-reply' })).toEqual([[3]]);
    expect(await pages({ code: '' })).toEqual([[4]]);
    expect(await pages({ code: 'out' })).toEqual([[]]);
  });

  it('finds headers by name and value', async () => {
    await subject.user.commit(
      withHeaders(1, { tenant: 'acme', trace: '1' }),
      withHeaders(2, { tenant: 'acme2' }),
      accept(3),
      { ...accept(4), extra: extraOf(Buffer.from('{')) ?? Buffer.alloc(0) },
      withHeaders(5, { note: 'tenant=acme', tenant: '' }),
    );
    expect(await pages({ header: { name: 'tenant', value: 'acme' } })).toEqual([[1]]);
    expect(await pages({ header: { name: 'tenant', value: '' } })).toEqual([[5]]);
    expect(await pages({ header: { name: 'constructor', value: 'acme' } })).toEqual([[]]);
  });

  it('finds uuids by their beginning, and times of acceptance and death', async () => {
    await subject.user.commit(...[1, 2, 3, 4, 300].map((n) => accept(n)));
    await subject.user.commit(diedOf(1, 'x', 10), diedOf(2, 'x', 20), diedOf(3, 'x', 30));
    const digits = uuidOf(3).toString('hex').toUpperCase();
    expect(await pages({ uuid: digits })).toEqual([[3]]);
    expect(await pages({ uuid: digits.slice(0, 12) })).toEqual([[3]]);
    expect(await pages({ uuid: digits.slice(0, 10) })).toEqual([[4, 3, 2, 1]]);
    expect(await pages({ uuid: 'F' })).toEqual([[]]);
    expect(await pages({ uuid: '0' })).toEqual([[300, 4, 3, 2, 1]]);
    expect(await pages({ acceptedAfter: NOON + 2, acceptedBefore: NOON + 4 })).toEqual([[3, 2]]);
    expect(await pages({ acceptedAfter: NOON + 301 })).toEqual([[]]);
    expect(await pages({ diedAfter: 20 })).toEqual([[3, 2]]);
    expect(await pages({ diedBefore: 20 })).toEqual([[1]]);
    expect(await pages({ diedAfter: 10, diedBefore: 30, uuid: digits })).toEqual([[]]);
  });

  it('finds what is to run later, what is to be tried again, and what waits for a worker', async () => {
    const later = accept(2);
    const again = accept(3);
    await subject.user.commit(
      accept(1),
      { ...later, request: { ...later.request, notBefore: NOON + 500 } },
      { ...again, request: { ...again.request, notBefore: NOON + 500, attempts: 1 } },
    );
    expect(await pages({ phase: 'waiting', at: NOON + 400 })).toEqual([[1]]);
    expect(await pages({ phase: 'delayed', at: NOON + 400 })).toEqual([[2]]);
    expect(await pages({ phase: 'retrying', at: NOON + 400 })).toEqual([[3]]);
    expect(await pages({ phase: 'waiting', at: NOON + 500 })).toEqual([[3, 2, 1]]);
  });

  it('applies all of it together, also to certain requests only, and says how far it came', async () => {
    await subject.user.commit(...[1, 2, 3, 4, 5, 6].map((n) => accept(n)));
    await subject.user.commit(...[1, 2, 3, 4].map((n) => diedOf(n, `E${n % 2}: it fails`)));
    const page = await subject.queries.page({ code: 'E1', reason: 'fails' });
    expect([numbersOf(page), page.scanned, page.next]).toEqual([[3, 1], 6, null]);
    const ofDead = await subject.queries.page({ code: 'E1', state: 'dead' });
    expect([numbersOf(ofDead), ofDead.scanned]).toEqual([[3, 1], 4]);
    const full = await subject.queries.page({ code: 'E1', state: 'dead', limit: 1 });
    expect([numbersOf(full), full.scanned]).toEqual([[3], 2]);
    const only = Buffer.concat([1, 2, 3].map(uuidOf));
    expect((await pages({ only, code: 'E1', limit: 1 })).flat()).toEqual([3, 1]);
    expect(await pages({ except: only, reason: 'fails' })).toEqual([[4]]);
  });
}

export function describeGroups(subject: QueriesSubject): void {
  const seen = ({ groups }: GroupPage): unknown[] =>
    groups.map(({ service, code, pattern, count }) => [service?.toString(), code, pattern, count]);

  it('counts by code and reason, whatever the numbers in it, and has the newest as example', async () => {
    await subject.user.commit(...[1, 2, 3, 4, 5].map((n) => accept(n)));
    const uuid = '0193f0c0-a1b2-7000-8000-00000000abcd';
    await subject.user.commit(
      diedOf(1, 'E17: order 12 of 0193F0C0A1B27000800000000000ABCD'),
      diedOf(2, `E17: order 7 of ${uuid}`),
      diedOf(3, 'E18: order 7 of 99'),
      failed(4, 'worker 12 lost'),
    );
    const page = await subject.queries.groups('reason');
    expect(seen(page)).toEqual([
      [undefined, 'E17', 'order # of #', 2],
      [undefined, '', '', 1],
      [undefined, 'mdp.no-reply', 'worker # lost', 1],
      [undefined, 'E18', 'order # of #', 1],
    ]);
    expect(page).toMatchObject({ next: null, scanned: 5 });
    expect(page.groups[0]?.example).toEqual({
      uuid: uuidOf(2),
      service: Buffer.from('echo'),
      reason: `E17: order 7 of ${uuid}`,
    });
    // The group is a filter.
    expect(await subject.queries.pages({ code: 'E17', pattern: 'order # of #' })).toEqual([[2, 1]]);
    expect(await subject.queries.pages({ code: '', pattern: '' })).toEqual([[5]]);
    expect(seen(await subject.queries.groups('code', { state: 'dead' }))).toEqual([
      [undefined, 'E17', null, 2],
      [undefined, 'E18', null, 1],
    ]);
  });

  it('counts by service, of what a filter finds, over as many answers as it takes', async () => {
    await subject.user.commit(
      ...[1, 2, 3, 4, 5, 6, 7].map((n) => accept(n, { service: Buffer.from(`s${n % 3}`) })),
    );
    const counts = new Map<string, number>();
    let after: Buffer | null = null;
    let [answers, scanned] = [0, 0];
    do {
      const page: GroupPage = await subject.queries.groups('service', { after, limit: 1 });
      expect(page.groups.length).toBeLessThanOrEqual(1);
      for (const { service, count } of page.groups) {
        const name = String(service);
        counts.set(name, (counts.get(name) ?? 0) + count);
      }
      [after, scanned] = [page.next, scanned + page.scanned];
      answers++;
    } while (after !== null);
    expect(Object.fromEntries(counts)).toEqual({ s0: 2, s1: 3, s2: 2 });
    expect([answers, scanned]).toEqual([7, 7]);
    const some = { serviceMatch: 'substring', service: Buffer.from('2') } as const;
    expect(seen(await subject.queries.groups('service', some))).toEqual([['s2', null, null, 2]]);
    const only = Buffer.concat([1, 2, 4].map(uuidOf));
    expect(seen(await subject.queries.groups('service', { only }))).toEqual([
      ['s1', null, null, 2],
      ['s2', null, null, 1],
    ]);
  });
}
