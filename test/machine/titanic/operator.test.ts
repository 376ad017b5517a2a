import type {
  BulkAct,
  BulkResult,
  OperatorResult,
  ShownHistory,
} from '../../../src/titanic/operator/operator-api.js';
import type { GroupPage } from '../../../src/store/queries.js';
import type { StoreFailure } from '../../../src/store/store.js';
import { present } from '../../../src/core/assert.js';
import { selectionOf } from '../../support/stage-queries.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const FULL: StoreFailure = { kind: 'full', message: 'no space left on device' };
const DONE = { kind: 'done', value: null };
const ALL = 1_000_000;
const NEVER = '0190A0B0C0D07000800000000000ABCD';

function bytes(uuid: string): Buffer {
  return Buffer.from(uuid, 'hex');
}

function retries(s: TitanicStage, uuid: string): () => OperatorResult<null> | null {
  return s.operates((operator, answer) => operator.retry(bytes(uuid), 'alice', answer));
}

function cancels(s: TitanicStage, uuid: string): () => OperatorResult<null> | null {
  return s.operates((operator, answer) => operator.cancel(bytes(uuid), 'alice', answer));
}

type Selected = NonNullable<Parameters<typeof selectionOf>[0]>;

function does(
  s: TitanicStage,
  act: BulkAct,
  selected: Selected,
  limit = ALL,
): () => OperatorResult<BulkResult> | null {
  return s.operates((operator, answer) => {
    operator.many.run(act, selectionOf(selected), limit, 'alice', answer);
  });
}

function purges(
  s: TitanicStage,
  selected: Selected,
  limit = ALL,
): () => OperatorResult<BulkResult> | null {
  return does(s, 'purge', selected, limit);
}

function retriesDead(
  s: TitanicStage,
  selected: Selected,
  limit = ALL,
): () => OperatorResult<BulkResult> | null {
  return does(s, 'retry', selected, limit);
}

/** How many it would change. */
function counts(s: TitanicStage, act: BulkAct, selected: Selected): number | null {
  const outcome = s.operates<BulkResult>((operator, answer) => {
    operator.many.count(act, selectionOf(selected), answer);
  })();
  return outcome?.kind === 'done' ? outcome.value.count : null;
}

function bulk(count: number, more = false): unknown {
  const value = { count, next: more ? expect.any(Buffer) : null, scanned: expect.any(Number) };
  return { kind: 'done', value };
}

function history(s: TitanicStage, uuid: string): OperatorResult<ShownHistory> | null {
  return s.operates<ShownHistory>((operator, answer) => operator.history(bytes(uuid), answer))();
}

/** Bodies of a list, in its order, with their states. */
function list(s: TitanicStage, selected: Selected = {}): string[] {
  const outcome = s.operates<{ requests: readonly { uuid: Buffer; state: string }[] }>(
    (operator, answer) => operator.list({ ...selectionOf(selected), limit: ALL }, answer),
  )();
  if (outcome?.kind !== 'done') throw new Error(JSON.stringify(outcome));
  return outcome.value.requests.map(({ uuid, state }) => {
    const body = s.store.disk.row(uuid)?.body.toString('latin1', 2) ?? '';
    return `${body} ${state}`;
  });
}

/** Stores one whose only attempt fails. */
function dies(s: TitanicStage, service = 'echo', body = 'hi'): string {
  const uuid = s.submits(service, body, { maxAttempts: 1 });
  s.worker('killed').ready(service).disconnect();
  expect(s.stands(uuid)).toBe('dead');
  return uuid;
}

/** Stores one whose worker reports a final failure. */
function failsWith(s: TitanicStage, code: string, text: string): string {
  const uuid = s.submits('print');
  s.worker('w').ready('print').fails(['final', code, text]).disconnect();
  expect(s.stands(uuid)).toBe('dead');
  return uuid;
}

function replied(s: TitanicStage, service = 'echo', body = 'hi'): string {
  const uuid = s.submits(service, body);
  s.worker('good').ready(service).final('done').disconnect();
  expect(s.stands(uuid)).toBe('replied');
  return uuid;
}

describe('an operator who retries', () => {
  it('has a dead one tried anew in a higher generation, and is told when that is on the disk (D17)', () => {
    const s = titanicStage();
    const uuid = dies(s);
    s.holdsStore();
    const answer = retries(s, uuid);
    expect(answer()).toBeNull();
    expect(s.stands(uuid)).toBe('dead');
    s.answers('commit');
    expect(answer()).toEqual(DONE);
    s.freesStore();
    expect(s.store.disk.row(bytes(uuid))?.request).toMatchObject({ generation: 1, attempts: 0 });
    expect(s.asks('reply', uuid)).toBe('300');
    s.worker('w1').ready('echo').final('at last');
    expect(s.asks('reply', uuid)).toBe('200|at last');
    expect(s.told('titanic.reopened')).toEqual([
      { name: 'titanic.reopened', service: 'echo', count: 1, who: 'alice' },
    ]);
  });

  it('is in its history, between the attempts before and after, with who and why', () => {
    const s = titanicStage();
    const uuid = dies(s);
    expect(retries(s, uuid)()).toEqual(DONE);
    s.after(5000);
    s.worker('named').ready('echo').disconnect();
    const { request, attempts, attemptsEver } = present(s.store.disk.row(bytes(uuid)), 'its row');
    expect(attempts.map(({ worker, reason }) => [worker, reason])).toEqual([
      ['1 127.0.0.1', 'connection'],
      ['', 'retried by alice; it was dead: outcome unknown: its worker was lost (connection)'],
      ['2 127.0.0.1', 'connection'],
    ]);
    expect([request.generation, attemptsEver]).toEqual([1, 3]);
  });

  it('has it die again after its attempts, and can retry again', () => {
    const s = titanicStage();
    const uuid = dies(s);
    for (let generation = 1; generation <= 3; generation++) {
      expect(retries(s, uuid)()).toEqual(DONE);
      s.worker('killed').ready('echo').disconnect();
      expect(s.stands(uuid)).toBe('dead');
      expect(s.store.disk.row(bytes(uuid))?.request.generation).toBe(generation);
    }
    expect(s.titanic.figures.counters.dead).toBe(4);
  });

  it('gets it its whole time to be served again', () => {
    const s = titanicStage({ titanic: { requestTtlMs: 10_000, replyTtlMs: 60_000 } });
    const uuid = dies(s);
    s.after(20_000);
    expect(retries(s, uuid)()).toEqual(DONE);
    s.after(9000);
    expect(s.stands(uuid)).toBe('pending');
    s.after(2000);
    expect(s.stands(uuid)).toBe('absent');
  });

  it('is told that it is unknown, or in which other state it is', () => {
    const s = titanicStage();
    expect(retries(s, NEVER)()).toMatchObject({ kind: 'unknown' });
    const closed = dies(s);
    s.asks('close', closed);
    expect(retries(s, closed)()).toMatchObject({ kind: 'unknown' });
    const text = (state: string): object => ({
      kind: 'state',
      text: `it is ${state}: only a dead one can be retried`,
    });
    expect(retries(s, replied(s))()).toEqual(text('replied'));
    const pending = s.submits('sum');
    expect(retries(s, pending)()).toEqual(text('pending'));
    const w1 = s.worker('w1').ready('sum');
    expect(retries(s, pending)()).toEqual(text('dispatched'));
    w1.final('x');
  });

  it('is one of two at the same moment: one is done, one is told that it has changed', () => {
    const s = titanicStage();
    const uuid = dies(s);
    s.isReadingHeld = true;
    const [first, second] = [retries(s, uuid), retries(s, uuid)];
    s.reads();
    expect(first()).toEqual(DONE);
    expect(second()).toMatchObject({ kind: 'state' });
    expect(s.store.disk.row(bytes(uuid))?.request.generation).toBe(1);
    s.worker('w1').ready('echo').final('once');
    expect(s.titanic.figures.counters.completed).toBe(1);
  });

  it('is told that it is unknown if it was closed meanwhile', () => {
    const s = titanicStage();
    const uuid = dies(s);
    s.isReadingHeld = true;
    const answer = retries(s, uuid);
    s.asks('close', uuid);
    s.reads();
    expect(answer()).toMatchObject({ kind: 'unknown' });
  });

  it('is told why the store cannot be written or read, and nothing changes', () => {
    const s = titanicStage();
    const uuid = dies(s);
    s.store.failure = FULL;
    expect(retries(s, uuid)()).toEqual({ kind: 'trouble', text: FULL.message });
    expect(retries(s, uuid)()).toEqual({ kind: 'trouble', text: FULL.message });
    expect(cancels(s, uuid)()).toEqual({ kind: 'trouble', text: FULL.message });
    s.store.failure = null;
    s.after(20_000);
    s.queries.failure = { kind: 'busy', message: 'it is locked' };
    expect(retries(s, uuid)()).toEqual({ kind: 'trouble', text: 'it is locked' });
    expect(history(s, uuid)).toEqual({ kind: 'trouble', text: 'it is locked' });
    expect(s.stands(uuid)).toBe('dead');
  });
});

describe('an operator who cancels', () => {
  it.each(['while it waits', 'while it is delayed', 'in its pause'])('ends it %s (D17)', (when) => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { delayMs: when.includes('delayed') ? 5000 : 0 });
    if (when.includes('pause')) s.worker('w0').ready('echo').disconnect();
    expect(s.asks('wait', uuid, '60000')).toBe('');
    expect(cancels(s, uuid)()).toEqual(DONE);
    expect(s.hears()).toBe('400 unknown');
    s.after(60_000);
    expect(s.worker('w1').ready('echo').inbox()).toEqual([]);
    expect(s.store.disk.rows).toEqual([]);
    expect(cancels(s, uuid)()).toMatchObject({ kind: 'unknown' });
    expect(s.told('titanic.cancelled')).toHaveLength(1);
  });

  it('has one that is at a worker withdrawn: its reply is dropped, no attempt follows', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo');
    s.holdsStore();
    const answer = cancels(s, uuid);
    w1.final('too late');
    expect(answer()).toBeNull();
    s.freesStore();
    expect(answer()).toEqual(DONE);
    expect(s.asks('reply', uuid)).toBe('400 unknown');
    expect(s.events('reply.dropped')).toHaveLength(1);
    s.after(60_000);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    expect(s.titanic.figures.counters.completed).toBe(0);
  });

  it('ends a dead one, and remembers its key', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { key: 'k', maxAttempts: 1 });
    s.worker('killed').ready('echo').disconnect();
    expect(cancels(s, uuid)()).toEqual(DONE);
    expect(s.asks('reply', uuid)).toBe('400 unknown');
    expect(s.submits('echo', 'x', { key: 'k', maxAttempts: 1 })).toBe(uuid);
  });

  it('does not take a reply from its client', () => {
    const s = titanicStage();
    const uuid = replied(s);
    expect(cancels(s, uuid)()).toEqual({
      kind: 'state',
      text: 'it is replied: only one without a reply can be cancelled',
    });
    const other = s.submits('sum');
    const w1 = s.worker('w1').ready('sum');
    s.holdsStore();
    w1.final('just now');
    expect(cancels(s, other)()).toMatchObject({ kind: 'state' });
    s.freesStore();
    expect(s.asks('reply', other)).toBe('200|just now');
  });

  it('has it go on as before if that cannot be stored', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.store.failure = FULL;
    expect(cancels(s, uuid)()).toEqual({ kind: 'trouble', text: FULL.message });
    s.store.failure = null;
    s.after(20_000);
    s.worker('w1').ready('echo').final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
  });

  it('races the retry of another: whichever is second, it ends closed', () => {
    for (const order of ['retry first', 'cancel first']) {
      const s = titanicStage();
      const uuid = dies(s);
      s.isReadingHeld = true;
      const answers =
        order === 'retry first'
          ? [retries(s, uuid), cancels(s, uuid)]
          : [cancels(s, uuid), retries(s, uuid)];
      s.reads();
      expect(answers[0]?.()).toEqual(DONE);
      s.isReadingHeld = false;
      s.worker('w1').ready('echo');
      expect(s.stands(uuid)).toBe('absent');
      expect(s.titanic.figures.inFlight).toBe(0);
    }
  });
});

describe('an operator who runs a delayed request now (issue 82.4)', () => {
  const runs = (s: TitanicStage, uuid: string): (() => OperatorResult<null> | null) =>
    s.operates((operator, answer) => operator.runNow(bytes(uuid), 'alice', answer));

  it('has it sent at once, also after a crash, and its time to live begins', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'late', { delayMs: 60_000, ttlMs: 10_000 });
    s.after(1000);
    expect(runs(s, uuid)()).toEqual(DONE);
    const { request, attempts } = present(s.store.disk.row(bytes(uuid)), 'its row');
    expect(attempts.map(({ reason }) => reason)).toEqual(['to run now, by alice']);
    expect(request.expiresAt - request.notBefore).toBe(10_000);
    const next = s.crashes();
    next.worker('w1').ready('echo').final('done');
    expect(next.asks('reply', uuid)).toBe('200|done');
  });

  it('has it run once, though its time comes meanwhile', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'late', { delayMs: 1000 });
    const w1 = s.worker('w1').ready('echo');
    s.holdsStore();
    const answer = runs(s, uuid);
    s.after(1500);
    expect(w1.inbox()).toEqual([]);
    s.freesStore();
    expect(answer()).toEqual(DONE);
    expect(w1.inbox()).toEqual(['REQUEST late']);
    w1.final('done');
    expect(s.stands(uuid)).toBe('replied');
  });

  it('has it wait as before if that cannot be stored, and is refused for any other', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'late', { delayMs: 1000 });
    s.store.failure = FULL;
    expect(runs(s, uuid)()).toEqual({ kind: 'trouble', text: FULL.message });
    s.store.failure = null;
    s.after(20_000);
    s.worker('w1').ready('echo').final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
    const text = 'only a request that is to run later can be run now';
    expect(runs(s, uuid)()).toEqual({ kind: 'state', text });
    expect(runs(s, s.submits('other'))()).toEqual({ kind: 'state', text });
    expect(runs(s, NEVER)()).toMatchObject({ kind: 'unknown' });
  });
});

describe('an operator who retries the dead of a service', () => {
  it('has all of them pending again, and nothing else touched', () => {
    const s = titanicStage();
    const uuids = ['a', 'b', 'c'].map((body) => dies(s, 'echo', body));
    const others = [dies(s, 'sum'), replied(s, 'echo', 'r')];
    expect(retriesDead(s, { service: Buffer.from('echo') })()).toEqual(bulk(3));
    expect(uuids.map((uuid) => s.stands(uuid))).toEqual(['pending', 'pending', 'pending']);
    expect(others.map((uuid) => s.stands(uuid))).toEqual(['dead', 'replied']);
    const w1 = s.worker('w1').ready('echo');
    w1.final('1').final('2').final('3');
    // In the order of acceptance, as ever.
    expect(w1.inbox()).toEqual(['REQUEST a', 'REQUEST b', 'REQUEST c']);
    expect(s.told('titanic.reopened').at(-1)).toMatchObject({ service: 'echo', count: 3 });
  });

  it('comes to each once, also if it dies again meanwhile, and takes pages of any size', () => {
    const s = titanicStage();
    for (let n = 0; n < 7; n++) dies(s);
    s.queries.pageMax = 2;
    s.isReadingHeld = true;
    const answer = retriesDead(s, {});
    for (let reads = 0; answer() === null; reads++) {
      expect(reads).toBeLessThan(1000);
      s.reads();
      s.worker('killed').ready('echo').disconnect();
    }
    expect(answer()).toEqual(bulk(7));
    s.isReadingHeld = false;
    const generations = s.store.disk.rows.map(({ request }) => request.generation);
    expect(generations).toEqual([1, 1, 1, 1, 1, 1, 1]);
  });

  it('stops at the limit, and says that there are more', () => {
    const s = titanicStage();
    for (let n = 0; n < 5; n++) dies(s);
    expect(retriesDead(s, {}, 2)()).toEqual(bulk(2, true));
    expect(s.store.disk.counts).toMatchObject({ pending: 2, dead: 3 });
    expect(retriesDead(s, {}, 3)()).toEqual(bulk(3));
    expect(retriesDead(s, {}, 3)()).toEqual(bulk(0));
  });

  it('takes those that were accepted longer ago than asked', () => {
    const s = titanicStage();
    const old = dies(s);
    s.after(10_000);
    const fresh = dies(s);
    expect(retriesDead(s, { acceptedBefore: { agoMs: 5000 } })()).toEqual(bulk(1));
    expect([s.stands(old), s.stands(fresh)]).toEqual(['pending', 'dead']);
  });
});

describe('an operator who cancels many', () => {
  it('ends what has no reply: what waits, what a worker has, and what is dead', () => {
    const s = titanicStage();
    const out = s.submits('echo', 'out');
    const w1 = s.worker('w1').ready('echo');
    const waiting = s.submits('never');
    const dead = dies(s, 'sum');
    const kept = replied(s, 'sum');
    expect(counts(s, 'cancel', {})).toBe(3);
    expect(does(s, 'cancel', {})()).toEqual(bulk(3));
    expect([out, waiting, dead, kept].map((uuid) => s.stands(uuid))).toEqual([
      ...['absent', 'absent', 'absent', 'replied'],
    ]);
    expect(s.told('titanic.cancelled')).toEqual([
      { name: 'titanic.cancelled', service: null, count: 3, who: 'alice' },
    ]);
    // The worker's late answer is nobody's.
    w1.final('late');
    expect(s.asks('reply', out)).toBe('400 unknown');
    expect(s.titanic.figures.inFlight).toBe(0);
  });

  it('of one state: not what has come to a worker, or from one, since it was read', () => {
    const s = titanicStage();
    const out = s.submits('echo', 'out');
    const w1 = s.worker('w1').ready('echo');
    const waiting = s.submits('sum', 'waiting');
    expect(counts(s, 'cancel', { state: 'dispatched' })).toBe(1);
    expect(counts(s, 'cancel', { state: 'pending' })).toBe(1);
    s.isReadingHeld = true;
    const answers = [
      does(s, 'cancel', { state: 'dispatched' }),
      does(s, 'cancel', { state: 'pending' }),
    ];
    w1.final('1');
    const w2 = s.worker('w2').ready('sum');
    expect(w2.inbox()).toEqual(['REQUEST waiting']);
    s.reads();
    expect(answers.map((answer) => answer())).toEqual([bulk(0), bulk(0)]);
    w2.final('2');
    s.isReadingHeld = false;
    expect([s.stands(out), s.stands(waiting)]).toEqual(['replied', 'replied']);
  });
});

describe('an operator who takes all of a group', () => {
  it('is told how many there are, changes these, and leaves the rest', () => {
    const s = titanicStage();
    const paper = [1, 2, 3].map((n) => failsWith(s, 'out-of-paper', `tray ${n}`));
    const other = failsWith(s, 'jam', 'tray 1');
    const outcome = s.operates<GroupPage>((operator, answer) => {
      operator.groups({ ...selectionOf(), by: 'reason', limit: 10 }, answer);
    })();
    const groups = outcome?.kind === 'done' ? outcome.value.groups : [];
    expect(groups.map(({ code, pattern, count }) => [code, pattern, count])).toEqual([
      ['out-of-paper', 'tray #', 3],
      ['jam', 'tray #', 1],
    ]);
    const group = { code: 'out-of-paper', pattern: 'tray #' };
    expect(counts(s, 'retry', group)).toBe(3);
    expect(s.store.disk.counts.dead).toBe(4);
    expect(does(s, 'retry', group)()).toEqual(bulk(3));
    expect(paper.map((uuid) => s.stands(uuid))).toEqual(['pending', 'pending', 'pending']);
    expect(s.stands(other)).toBe('dead');
    expect(counts(s, 'retry', group)).toBe(0);
  });

  it('goes on behind what was examined, so that nothing is read twice', () => {
    const s = titanicStage();
    for (let n = 0; n < 5; n++) dies(s);
    const first = does(s, 'retry', {}, 2)();
    const next = first?.kind === 'done' ? first.value.next : null;
    expect(does(s, 'retry', { after: next }, 2)()).toEqual(bulk(2, true));
    expect(s.store.disk.counts).toMatchObject({ pending: 4, dead: 1 });
  });

  it('is told what hinders the store, and nothing is changed', () => {
    const s = titanicStage();
    dies(s);
    s.queries.failure = FULL;
    expect(counts(s, 'retry', {})).toBeNull();
    expect(does(s, 'retry', {})()).toEqual({ kind: 'trouble', text: FULL.message });
    s.queries.failure = null;
    expect(s.store.disk.counts.dead).toBe(1);
  });
});

describe('an operator who purges', () => {
  it('deletes the dead and the replied ones, and of no other state unless it is asked for', () => {
    const s = titanicStage();
    dies(s);
    replied(s);
    const pending = s.submits('never');
    expect(purges(s, {})()).toEqual(bulk(2));
    expect(s.store.disk.rows.map(({ request }) => request.uuid)).toEqual([bytes(pending)]);
    expect(purges(s, { state: 'pending' })()).toEqual(bulk(1));
    expect(s.store.disk.rows).toEqual([]);
    expect(s.told('titanic.purged')).toEqual([
      { name: 'titanic.purged', service: null, state: null, count: 2, who: 'alice' },
      { name: 'titanic.purged', service: null, state: 'pending', count: 1, who: 'alice' },
    ]);
    expect(s.asks('reply', pending)).toBe('400 unknown');
  });

  it('of one state and service', () => {
    const s = titanicStage();
    const kept = [dies(s, 'sum'), replied(s)];
    dies(s);
    expect(purges(s, { state: 'dead', service: Buffer.from('echo') })()).toEqual(bulk(1));
    expect(kept.map((uuid) => s.stands(uuid))).toEqual(['dead', 'replied']);
  });

  it('leaves alone what is with a worker, also what came there after it was read', () => {
    const s = titanicStage();
    const out = s.submits('echo', 'out');
    const w1 = s.worker('w1').ready('echo');
    const waiting = s.submits('echo', 'waiting');
    s.isReadingHeld = true;
    const answer = purges(s, { state: 'pending' });
    const w2 = s.worker('w2').ready('echo');
    expect(w2.inbox()).toEqual(['REQUEST waiting']);
    s.reads();
    expect(answer()).toEqual(bulk(0));
    w1.final('1');
    w2.final('2');
    expect([s.stands(out), s.stands(waiting)]).toEqual(['replied', 'replied']);
  });

  it('leaves alone what was retried after it was read', () => {
    const s = titanicStage();
    const uuid = dies(s);
    s.isReadingHeld = true;
    const retry = retries(s, uuid);
    const purge = purges(s, { state: 'dead' });
    s.reads();
    expect([retry(), purge()]).toEqual([DONE, bulk(0)]);
    s.isReadingHeld = false;
    expect(s.stands(uuid)).toBe('pending');
  });

  it('hands over page by page, so that others get their turn, each on the disk before the next', () => {
    const s = titanicStage({ titanic: { maxOpen: 5000 } });
    for (let n = 0; n < 1000; n++) s.submits('never');
    s.holdsStore();
    const answer = purges(s, { state: 'pending' });
    let commits = 0;
    while (answer() === null) {
      expect(commits).toBeLessThan(1000);
      const asked = s.store.asked.find(({ kind }) => kind === 'commit');
      const closes = asked?.kind === 'commit' ? asked.changes.length : 0;
      expect(closes).toBeLessThanOrEqual(200);
      s.answers('commit');
      commits++;
    }
    expect(answer()).toEqual(bulk(1000));
    // The store begins with the first part of a page while the rest is handed over.
    expect(commits).toBe(10);
    s.freesStore();
  });

  it('stops when the store cannot go on, and says how many were done', () => {
    const s = titanicStage({ titanic: { maxOpen: 5000 } });
    for (let n = 0; n < 500; n++) s.submits('never');
    s.holdsStore();
    const answer = purges(s, { state: 'pending' });
    // The first page, in two parts.
    s.answers('commit');
    s.answers('commit');
    s.store.failure = FULL;
    s.answers('commit');
    s.after(1000);
    s.answers('commit');
    expect(answer()).toEqual({
      kind: 'trouble',
      text: 'no space left on device (after 200 requests)',
    });
    s.store.failure = null;
    s.after(20_000);
    s.freesStore();
    expect(s.store.disk.counts.pending).toBe(300);
    expect(s.told('titanic.purged')).toEqual([
      { name: 'titanic.purged', service: null, state: 'pending', count: 200, who: 'alice' },
    ]);
  });

  it('stops after 20 seconds, and says that there are more', () => {
    const s = titanicStage({ titanic: { maxOpen: 5000 } });
    for (let n = 0; n < 500; n++) s.submits('never');
    s.isReadingHeld = true;
    const answer = purges(s, { state: 'pending' });
    s.reads();
    s.after(20_000);
    s.reads();
    expect(answer()).toEqual(bulk(400, true));
    s.isReadingHeld = false;
  });

  it('goes no further when the broker is to end', () => {
    const s = titanicStage({ titanic: { maxOpen: 5000 } });
    for (let n = 0; n < 500; n++) s.submits('never');
    s.isReadingHeld = true;
    const answer = purges(s, { state: 'pending' });
    s.reads();
    s.operator.many.stop();
    s.reads();
    expect(answer()).toMatchObject({
      kind: 'trouble',
      text: expect.stringContaining('(after 200'),
    });
    s.isReadingHeld = false;
    expect(s.store.disk.counts.pending).toBe(300);
  });
});

describe('what people see', () => {
  it('tells pending ones from those that are with a worker now', () => {
    const s = titanicStage();
    s.submits('echo', 'a');
    const w1 = s.worker('w1').ready('echo');
    // Of one millisecond, they have no order.
    s.after(1);
    s.submits('echo', 'b');
    s.after(1);
    replied(s, 'sum', 'c');
    s.after(1);
    dies(s, 'sum', 'd');
    expect(list(s)).toEqual(['d dead', 'c replied', 'b pending', 'a dispatched']);
    expect(list(s, { state: 'pending' })).toEqual(['b pending']);
    expect(list(s, { state: 'dispatched' })).toEqual(['a dispatched']);
    expect(list(s, { state: 'dispatched', service: Buffer.from('sum') })).toEqual([]);
    w1.final('x').final('y');
    expect(list(s, { state: 'replied' })).toEqual(['c replied', 'b replied', 'a replied']);
  });

  it('a request that is prepared for a busy worker is pending', () => {
    const s = titanicStage();
    s.submits('echo', 'a');
    s.after(1);
    s.submits('echo', 'b');
    const w1 = s.worker('w1').ready('echo', { credit: 1 });
    expect(s.titanic.figures.inFlight).toBe(2);
    expect(list(s)).toEqual(['b pending', 'a dispatched']);
    w1.final('x').final('y');
  });

  it('by age: only what was accepted longer ago', () => {
    const s = titanicStage();
    s.submits('echo', 'old');
    s.after(10_000);
    s.submits('echo', 'new');
    expect(list(s, { acceptedBefore: { agoMs: 5000 } })).toEqual(['old pending']);
    expect(list(s, { acceptedBefore: { agoMs: 20_000 } })).toEqual([]);
  });

  it('one request’s history, with the delivery under way', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'a', { key: 'k' });
    s.worker('killed').ready('echo').disconnect();
    expect(history(s, uuid)).toMatchObject({
      value: { request: { state: 'pending', attempts: 1 }, hasKey: true, delivery: null },
    });
    s.after(2000);
    const w2 = s.worker('w2').ready('echo');
    expect(history(s, uuid)).toMatchObject({
      value: {
        request: { state: 'dispatched' },
        delivery: { worker: '2 127.0.0.1', startedAt: s.wall },
      },
    });
    w2.final('x');
    expect(history(s, uuid)).toMatchObject({
      value: { request: { state: 'replied' }, delivery: null, reply: { bytes: 3 } },
    });
    expect(history(s, NEVER)).toMatchObject({ kind: 'unknown' });
  });

  it('says why a pending request is not at a worker', () => {
    const s = titanicStage();
    const because = (uuid: string): object => {
      const found = history(s, uuid);
      return found?.kind === 'done' ? { ...found.value.waiting } : {};
    };
    const first = s.submits('echo', 'first');
    const none = { until: null, since: null, ahead: null };
    const unserved = { ...none, reason: 'no_worker', text: 'no worker serves its service' };
    expect(because(first)).toEqual(unserved);
    const w1 = s.worker('w1').ready('echo');
    expect(because(first)).toEqual({});
    const second = s.submits('echo', 'second');
    const third = s.submits('echo', 'third');
    const urgent = s.submits('echo', 'urgent', { priority: 9 });
    expect(because(second)).toMatchObject({ reason: 'worker', text: /is next/ });
    expect(because(third)).toMatchObject({ reason: 'queue', ahead: 2 });
    expect(because(urgent)).toMatchObject({ reason: 'queue', ahead: 1 });
    const later = s.submits('echo', 'later', { delayMs: 60_000 });
    expect(because(later)).toMatchObject({ reason: 'delay', until: s.wall + 60_000 });
    w1.disconnect();
    const lostAt = s.wall;
    expect(because(first)).toMatchObject({ reason: 'retry', until: expect.any(Number) });
    s.after(5000);
    expect(because(third)).toEqual({ ...unserved, since: lostAt });
    s.operates<null>((operator, answer) => {
      operator.setPaused({ kind: 'service', of: Buffer.from('echo') }, true, 'alice', answer);
    })();
    expect(because(third)).toMatchObject({ reason: 'paused' });
    expect(because(later)).toMatchObject({ reason: 'delay' });
    s.store.failure = FULL;
    expect(s.asks('request', 'echo', 'lost')).toMatch(/^500 /);
    expect(because(third)).toMatchObject({ reason: 'store', text: /no space left/ });
  });

  it('counts by state and service', () => {
    const s = titanicStage();
    const hostile = '\xff\x00';
    s.submits('echo', 'a');
    const w1 = s.worker('w1').ready('echo');
    s.submits('echo', 'b');
    dies(s, 'sum');
    replied(s, hostile);
    const none = { pending: 0, dispatched: 0, replied: 0, dead: 0 };
    expect(s.operator.counts()).toMatchObject({
      pending: 1,
      dispatched: 1,
      replied: 1,
      dead: 1,
      services: [
        { service: Buffer.from('echo'), ...none, pending: 1, dispatched: 1 },
        { service: Buffer.from('sum'), ...none, dead: 1 },
        { ...none, replied: 1 },
      ],
    });
    w1.final('x').final('y');
  });
});
