/** What a broker claims of a store that other brokers use, too (D90). */
import { present } from '../../../src/core/assert.js';
import { type ClaimedRequest, ANY_OWNER } from '../../../src/store/store.js';
import type { WorkerActor } from '../../support/stage-peers.js';
import { StageClaims } from '../../support/stage-claims.js';
import { requestOf } from '../../support/store-changes.js';
import type { TitanicOptions } from '../../../src/titanic/machine/requests/options.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  type TitanicStage,
  titanicStage,
} from '../../support/titanic-stage.js';

const POLL_MS = 250;
const HOUR_MS = 3_600_000;

afterEach(endTitanicStages);

function shared(titanic: Partial<TitanicOptions> = {}): {
  readonly s: TitanicStage;
  readonly claims: StageClaims;
} {
  const claims = new StageClaims();
  return { s: titanicStage({ claims, titanic }), claims };
}

/** It knows all that is stored. */
function settled(titanic: Partial<TitanicOptions> = {}): ReturnType<typeof shared> {
  const both = shared(titanic);
  both.claims.answer();
  return both;
}

/** As the store of another broker gives it. */
function foreign(s: TitanicStage, n: number, claim = 2, isLarge = false): ClaimedRequest {
  const body = Buffer.from([0, 6, ...Buffer.from(`body ${n}`)]);
  const times = { acceptedAt: STAGE_WALL_MS, notBefore: STAGE_WALL_MS };
  const request = requestOf(n, { ...times, bodyBytes: body.length, expiresAt: s.wall + 600_000 });
  s.store.disk.apply({ kind: 'accept', request, body, key: null });
  return {
    request,
    claim,
    content: isLarge ? null : { body, headers: null, backoff: null },
    isTurn: false,
  };
}

/** The next poll of all services; what it wants. */
function polls({ s, claims }: ReturnType<typeof shared>): string[] {
  s.after(POLL_MS);
  return claims.wanted;
}

/** Another session is taken; what the one before it had asked for comes to nothing. */
function takesSession({ s, claims }: ReturnType<typeof shared>): void {
  claims.answer();
  s.titanic.taken();
  s.turn();
}

function loads(s: TitanicStage): number {
  return s.store.asked.filter(({ kind }) => kind === 'load').length;
}

/** A worker has what it has claimed, which another broker stored. */
function running(
  credit?: number,
): ReturnType<typeof shared> & { readonly w: WorkerActor; readonly one: ClaimedRequest } {
  const { s, claims } = settled();
  const w = s.worker('w').ready('echo', credit === undefined ? {} : { credit });
  const one = foreign(s, 1);
  claims.answer(one);
  s.turn();
  expect(w.inbox()).toEqual(['REQUEST body 1']);
  return { s, claims, w, one };
}

describe('a broker that shares its store', () => {
  it('answers a look-up that failed: the store has tried again for as long as it may', () => {
    const { s } = shared();
    const uuid = s.submits('echo');
    s.store.readFailure = { kind: 'busy', message: 'the store did not answer in time' };
    expect(s.asks('reply', uuid)).toBe('500 the store did not answer in time');
    s.store.readFailure = null;
    expect(s.asks('reply', uuid)).toBe('300');
  });

  it('asks for what its workers can take, every 250 ms, and for nothing without workers', () => {
    const both = settled();
    const { s, claims } = both;
    expect(polls(both)).toEqual([]);
    claims.answer();
    s.worker('w').ready('echo', { credit: 3 });
    expect(claims.wanted).toEqual(['echo 3']);
    claims.answer();
    // It was empty: until the next poll there is no reason to ask again. The last one was at most 100 ms ago, and there
    // are at least 150 between two.
    s.after(49);
    expect(claims.isWaiting).toBe(false);
    expect(polls(both)).toEqual(['echo 3']);
    claims.answer();
    s.worker('w').disconnect();
  });

  it('claims one for each service while titanic.maxInFlight is used up, and no more', () => {
    const both = settled({ maxInFlight: 2 });
    const { s, claims } = both;
    const w = s.worker('w').ready('echo', { credit: 5 });
    expect(claims.wanted).toEqual(['echo 2']);
    claims.answer(foreign(s, 1), foreign(s, 2));
    s.turn();
    expect(w.inbox()).toHaveLength(2);
    const other = s.worker('other').ready('other', { credit: 5 });
    expect(claims.wanted).toEqual(['other 1']);
    claims.answer();
    expect(polls(both)).toEqual(['other 1']);
    claims.answer();
    w.final('1');
    expect(polls(both).sort()).toEqual(['echo 1', 'other 1']);
    claims.answer();
    w.final('2').disconnect();
    other.disconnect();
  });

  it('gives back what finds no place here (titanic.inFlightBytes), and does not claim it again', () => {
    const both = settled({ inFlightBytes: 5 });
    const { s, claims } = both;
    const w = s.worker('w').ready('echo', { credit: 2 });
    expect(claims.wanted).toEqual(['echo 2']);
    const two = foreign(s, 2);
    claims.answer(foreign(s, 1), two);
    s.turn();
    expect(w.inbox()).toEqual(['REQUEST body 1']);
    expect(polls(both)).toEqual([]);
    claims.answer();
    expect(polls(both)).toEqual([]);
    const released = [{ uuid: two.request.uuid, claim: 2 }];
    expect(claims.orders.at(-1)?.released).toEqual(released);
    claims.answer();
    expect(polls(both)).toEqual([]);
    claims.answer();
    w.final('1');
    expect(polls(both)).toEqual(['echo 2']);
    claims.answer();
    w.disconnect();
  });

  it('keeps one of a service that has none in flight and waits for a place: others may run the rest', () => {
    const both = shared({ inFlightBytes: 50 * 1024 });
    const { s, claims } = both;
    const large = (n: number): ClaimedRequest => {
      const { request, ...rest } = foreign(s, n);
      return { ...rest, request: { ...request, bodyBytes: 100 * 1024 } };
    };
    claims.answer();
    const w = s.worker('w').ready('echo', { credit: 1 });
    claims.answer(large(1));
    s.turn();
    expect(w.inbox()).toHaveLength(1);
    const other = s.worker('other').ready('other', { credit: 4 });
    expect(claims.wanted).toEqual(['other 4']);
    const three = [2, 3, 4].map((n) => {
      const { request, ...rest } = large(n);
      return { ...rest, request: { ...request, service: Buffer.from('other') } };
    });
    claims.answer(...three);
    s.turn();
    expect(other.inbox()).toEqual([]);
    for (let look = 0; look < 2; look++) {
      expect(polls(both)).toEqual([]);
      claims.answer();
    }
    const released = claims.orders.flatMap((order) => order.released);
    const [, ...later] = three.map(({ request: { uuid } }) => uuid);
    expect(released.map(({ uuid }) => uuid)).toEqual(later.reverse());
    expect(polls(both)).toEqual([]);
    claims.answer();
    w.final('1');
    expect(other.inbox()).toHaveLength(1);
    w.disconnect();
    other.disconnect();
  });

  it('sends what it claimed in the order of the claim, without reading bodies that came along', () => {
    const { s, claims } = settled();
    const w = s.worker('w').ready('echo', { credit: 3 });
    s.holdsStore();
    claims.answer(foreign(s, 1), foreign(s, 2), foreign(s, 3, 2, true));
    s.turn();
    expect(w.inbox()).toEqual(['REQUEST body 1', 'REQUEST body 2']);
    expect(loads(s)).toBe(1);
    s.freesStore();
    expect(w.inbox()).toEqual(['REQUEST body 3']);
    w.final('1').final('2').final('3').disconnect();
  });

  it('claims a new request with its acceptance, if a worker waits and the service was empty', () => {
    const { s, claims } = settled();
    // No worker: any broker may claim it.
    s.submits('echo', 'first');
    expect(s.store.changes.at(-1)).not.toHaveProperty('claim');
    const w = s.worker('w').ready('echo', { credit: 2 });
    expect(claims.wanted).toEqual(['echo 2']);
    // While it is not known whether others wait, a new one is not claimed either.
    s.submits('echo', 'second');
    expect(s.store.changes.at(-1)).not.toHaveProperty('claim');
    claims.answer();
    s.turn();
    // One was stored meanwhile.
    expect(claims.wanted).toEqual(['echo 2']);
    claims.answer();
    s.submits('echo', 'third');
    expect(s.store.changes.at(-1)).toMatchObject({ kind: 'accept', claim: 1 });
    expect(w.inbox()).toEqual(['REQUEST third']);
    w.final('done').disconnect();
  });

  it('a failed attempt ends the claim, under which it is made', () => {
    const { s, claims } = settled();
    const w = s.worker('w').ready('echo');
    claims.answer(foreign(s, 1, 5));
    s.turn();
    expect(w.inbox()).toEqual(['REQUEST body 1']);
    w.disconnect();
    expect(s.store.changes.at(-1)).toMatchObject({ kind: 'attempt', claim: 5, attempts: 1 });
    expect(s.titanic.figures.openOf(Buffer.from('echo'))).toEqual({
      out: 0,
      delayed: 0,
      since: null,
    });
    s.worker('again').ready('echo');
    s.after(20_000);
    // Another broker may have it.
    expect(s.worker('again').inbox()).toEqual([]);
    s.worker('again').disconnect();
  });

  it('the last attempt and the death are made under the claim, which ends with the second', () => {
    const { s, claims } = settled();
    const w = s.worker('w').ready('echo');
    const { request, ...claimed } = foreign(s, 1, 5);
    claims.answer({ request: { ...request, attempts: 2, maxAttempts: 3 }, ...claimed });
    s.turn();
    w.disconnect();
    expect(s.store.changes.slice(-2)).toMatchObject([
      { kind: 'attempt', claim: 5, keepsClaim: true },
      { kind: 'dead', claim: 5 },
    ]);
  });

  it('gives back in the second look what no worker here takes', () => {
    const both = settled();
    const { s, claims } = both;
    const w = s.worker('w').ready('echo', { credit: 1 });
    const order = foreign(s, 1, 7);
    w.disconnect();
    claims.answer(order);
    s.turn();
    polls(both);
    expect(claims.orders.at(-1)?.released).toEqual([]);
    claims.answer();
    polls(both);
    expect(claims.orders.at(-1)?.released).toEqual([{ uuid: order.request.uuid, claim: 7 }]);
    claims.answer();
    expect(s.titanic.figures.openOf(Buffer.from('echo')).since).toBeNull();
  });

  it('rests while all schedules are listed, and somebody asks for them', () => {
    const { s, claims } = settled();
    claims.areListsHeld = true;
    const c = s.client('c');
    // The turns of the stage come to an end.
    c.request('titanic.schedules', '{}').request('titanic.schedules', '{}');
    expect(s.titanic.dueInMs(s.now, s.wall)).toBeGreaterThan(0);
    claims.areListsHeld = false;
    s.turn();
    expect(c.inbox()).toHaveLength(2);
  });

  it('stores nothing of a schedule that it was reading when its session ended', () => {
    const { s, claims } = settled();
    s.asks('schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    const [request] = s.store.disk.pending;
    const made = s.store.changes.length;
    s.holdsStore();
    s.after(HOUR_MS);
    claims.answer();
    s.batch(() => {
      s.answers('load');
      s.titanic.taken();
    });
    s.freesStore();
    const stored = (): string[] =>
      s.store.changes
        .slice(made)
        .filter(({ kind }) => kind !== 'sweep')
        .map((change) => [change.kind, 'claim' in change ? change.claim : '-'].join(' '));
    expect(stored()).toEqual([]);
    // It has claimed it again.
    claims.answer({
      request: present(request, 'a schedule'),
      claim: 3,
      content: null,
      isTurn: false,
    });
    s.turn();
    expect(stored()).toEqual(['advance 3', 'accept -']);
  });

  it('answers commands for schedules, and stores what is due, however many commands there are', () => {
    const { s, claims } = settled();
    s.asks('schedule', '{"name":"n","cron":"* * * * * *"}', 'echo', 'hi');
    claims.areListsHeld = true;
    const c = s.client('c');
    c.request('titanic.schedules', '{}');
    const firings = (): number => s.store.changes.filter(({ kind }) => kind === 'advance').length;
    for (let n = 1; n <= 10; n++) {
      // One more comes during each list.
      c.request('titanic.schedules', '{}');
      s.after(1000);
      while (claims.answerList(s.store.disk.pending));
      s.turn();
      expect(firings()).toBe(n);
      expect(c.inbox()).toHaveLength(1);
    }
    claims.areListsHeld = false;
    s.turn();
    expect(c.inbox()).toHaveLength(1);
  });

  it('a schedule that another broker has replaced, whose clock is behind, is not ended', () => {
    const { s, claims } = settled();
    const made = s.asks('schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'old');
    expect(made).toMatch(/^200/);
    const other = titanicStage({ wall: STAGE_WALL_MS - 5, seed: 7 });
    other.asks('schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'new');
    const [old] = s.store.disk.pending;
    const [row] = other.store.disk.rows;
    const { request, body } = present(row, 'a schedule');
    const at = s.wall;
    const { uuid } = present(old, 'the one before it');
    s.store.disk.apply({ kind: 'close', uuid, at, keyUntil: at, by: ANY_OWNER });
    s.store.disk.apply({ kind: 'accept', request, body, key: null });
    // The other broker has ended.
    s.after(POLL_MS);
    claims.answer({ request, claim: 2, content: null, isTurn: false });
    s.turn();
    expect(s.store.disk.pending.map((each) => each.uuid)).toContainEqual(request.uuid);
    s.after(HOUR_MS);
    expect(s.asks('schedules', '{}')).toContain('"firings":2');
  });

  it('a schedule that is due in ten years, because its clock was ahead, goes on by the new time', () => {
    const { s } = settled();
    s.asks('schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    const aheadMs = 10 * 365 * 24 * HOUR_MS;
    s.wallOffset += aheadMs;
    s.after(120_000);
    const firings = (): number => s.store.changes.filter(({ kind }) => kind === 'advance').length;
    expect(firings()).toBe(1);
    s.wallOffset -= aheadMs;
    // Lists, in which its due time is that of before, come every few seconds.
    s.after(120_000);
    s.after(HOUR_MS);
    expect(firings()).toBe(2);
  });

  it('gives back again what it gave back with a claim that failed', () => {
    const both = settled();
    const { s, claims } = both;
    const w = s.worker('w').ready('echo', { credit: 1 });
    // As it was claimed when it was accepted: nobody else may give it back.
    const order = foreign(s, 1, 1);
    w.disconnect();
    claims.answer(order);
    s.turn();
    polls(both);
    claims.answer();
    polls(both);
    const released = [{ uuid: order.request.uuid, claim: 1 }];
    expect(claims.orders.at(-1)?.released).toEqual(released);
    claims.fail();
    s.after(1000);
    expect(claims.orders.at(-1)?.released).toEqual(released);
    claims.answer();
    polls(both);
    expect(claims.orders.at(-1)?.released).toEqual([]);
    claims.answer();
  });

  it('after a claim that failed it says what it knows', () => {
    const both = running(2);
    const { s, claims, w, one } = both;
    expect(claims.orders.at(-1)?.known).toBeNull();
    polls(both);
    claims.fail();
    s.after(999);
    expect(claims.isWaiting).toBe(false);
    s.after(1);
    expect(claims.orders.at(-1)?.known).toEqual([{ uuid: one.request.uuid, claim: 2 }]);
    claims.answer();
    polls(both);
    expect(claims.orders.at(-1)?.known).toBeNull();
    claims.answer();
    w.final('done').disconnect();
  });

  it('knows the claim under which an attempt is being stored, not one after it, whose answer was lost', () => {
    const both = settled();
    const { s, claims } = both;
    const w = s.worker('w').ready('echo');
    const { request, ...claimed } = foreign(s, 1);
    claims.answer({ request, ...claimed });
    s.turn();
    claims.answer();
    s.holdsStore();
    w.disconnect();
    polls(both);
    claims.fail();
    s.after(1000);
    expect(claims.orders.at(-1)?.known).toEqual([{ uuid: request.uuid, claim: 2 }]);
    s.freesStore();
    claims.answer();
  });

  it('with a new session it goes on with what is at its workers only', () => {
    const { s, claims } = settled();
    const w = s.worker('w').ready('echo', { credit: 1 });
    const [one, two] = [foreign(s, 1), foreign(s, 2)];
    claims.answer(one, two);
    s.turn();
    expect(w.inbox()).toEqual(['REQUEST body 1']);
    takesSession({ s, claims });
    claims.answer();
    w.final('late');
    expect(s.stands(one.request.uuid.toString('hex'))).toBe('replied');
    // The second is not sent any more.
    expect(w.inbox()).toEqual([]);
    expect(s.titanic.figures.openOf(Buffer.from('echo')).since).toBeNull();
    w.disconnect();
  });

  it('what was at a worker before this session is not sent again when its close fails', () => {
    const { s, claims, w, one } = running(1);
    takesSession({ s, claims });
    claims.answer();
    s.store.failure = { kind: 'busy', message: 'its row is locked' };
    expect(s.asks('close', one.request.uuid.toString('hex'))).toBe('500 its row is locked');
    s.store.failure = null;
    s.after(2000);
    expect(w.inbox()).toEqual([]);
    expect(s.titanic.figures.openOf(Buffer.from('echo')).since).toBeNull();
    w.disconnect();
  });

  it('of a request that its worker still has, and it has claimed again, the attempts of others count', () => {
    const { s, claims, w, one } = running();
    takesSession({ s, claims });
    claims.answer({ ...one, request: { ...one.request, attempts: 1 }, claim: 4 });
    s.turn();
    expect(w.inbox()).toEqual([]);
    w.disconnect();
    expect(s.store.changes.at(-1)).toMatchObject({ kind: 'attempt', claim: 4, attempts: 2 });
  });

  it('sends a request that was dead, and retried, anew, though a worker still has it from before', () => {
    const { s, claims, w, one } = running(2);
    takesSession({ s, claims });
    claims.answer({ ...one, request: { ...one.request, generation: 1 }, claim: 4 });
    s.turn();
    expect(w.inbox()).toEqual(['REQUEST body 1']);
    w.disconnect();
    expect(s.store.changes.at(-1)).toMatchObject({ kind: 'attempt', claim: 4, generation: 1 });
  });

  it('counts steps that came too late, because another broker had the request', () => {
    const { s, w, one } = running();
    const { uuid } = one.request;
    const reply = Buffer.from([0, 1, 0x78]);
    const times = { at: s.wall, expiresAt: s.wall + 1e6 };
    s.store.disk.apply({ kind: 'reply', uuid, generation: 0, reply, worker: '9', ...times });
    w.final('too late');
    expect(s.titanic.figures.counters.store.claimsLost).toBe(1);
    expect(s.asks('reply', uuid.toString('hex'))).toBe('200|x');
    w.disconnect();
  });

  it('looks anew for who asks after a look-up has begun, which may be of before the last change', () => {
    const { s } = settled();
    const uuid = s.submits('echo');
    const asked = (): string[] => s.store.asked.map(({ kind }) => kind);
    const c = s.client('c');
    s.holdsStore().client('spy').request('titanic.reply', uuid);
    c.request('titanic.close', uuid);
    expect(asked()).toEqual(['lookUp', 'commit']);
    s.answers('commit');
    expect(c.inbox()).toHaveLength(1);
    c.request('titanic.reply', uuid);
    expect(asked()).toEqual(['lookUp', 'lookUp']);
    s.freesStore();
  });

  it('looks once for all who wait for the same', () => {
    const { s } = settled();
    const uuid = s.submits('echo');
    for (const name of ['a', 'b', 'c']) s.client(name).request('titanic.wait', uuid, '60000');
    s.holdsStore().after(POLL_MS);
    expect(s.store.asked.filter(({ kind }) => kind === 'lookUp')).toHaveLength(1);
    s.freesStore();
  });

  it('looks every 250 ms for what a client waits for', () => {
    const { s } = settled();
    const { uuid } = foreign(s, 1).request;
    expect(s.asks('wait', uuid.toString('hex'), '60000')).toBe('');
    const reply = Buffer.from([0, 1, 0x78]);
    const times = { at: s.wall, expiresAt: s.wall + 1e6 };
    s.store.disk.apply({ kind: 'reply', uuid, generation: 0, reply, worker: '9', ...times });
    expect(s.hears()).toBe('');
    s.after(POLL_MS);
    expect(s.hears()).toBe('200|x');
  });
});
