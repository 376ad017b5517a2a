import { retryEntry } from '../../../src/store/attempt.js';
import { StageDisk, StageStore } from '../../support/stage-store.js';
import { StageReplica } from '../../support/stage-replica.js';
import { requestOf } from '../../support/store-changes.js';
import { packed } from '../../support/store-pair.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  type TitanicStage,
  titanicStage,
  type TitanicStageOptions,
} from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const UNKNOWN = '0190A0B0C0D07000800000000000ABCD';
const A_UUID = /\|[0-9A-F]{32}/;
const UNKNOWN_SUBMISSION = /^500 outcome unknown: the disk is full\|[0-9A-F]{32}$/;
const FULL = { kind: 'full', message: 'the disk is full' } as const;

interface Pair {
  readonly s: TitanicStage;
  readonly replica: StageReplica;
}

function pair(options: TitanicStageOptions = {}): Pair {
  const replica = new StageReplica();
  return { s: titanicStage({ ...options, replica }), replica };
}

/** Numbers of requests of the tests' own, on a disk that a machine finds. */
function diskWith(count: number): StageDisk {
  const disk = new StageDisk();
  const store = new StageStore(disk);
  const s = titanicStage({ disk: store.disk, seed: 77 });
  for (let n = 1; n <= count; n++) s.submits('echo', `body ${n}`);
  return disk;
}

describe('a node that is not active', () => {
  it('knows nothing of what is stored, asks the store for nothing, and dispatches nothing', () => {
    const disk = diskWith(10);
    const { s } = pair({ disk, isDormant: true });
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(60_000);
    expect(w1.inbox()).toEqual([]);
    expect(s.store.asked).toEqual([]);
    expect(s.store.changes).toEqual([]);
    expect(s.titanic.dueInMs(s.now, s.wall)).toBe(Infinity);
  });

  it('serves from the moment when it is, while what is pending comes in pieces', () => {
    const disk = diskWith(10);
    const uuids = disk.pending.map(({ uuid }) => uuid.toString('hex').toUpperCase());
    const { s } = pair({ disk, isDormant: true });
    s.holdsStore().activates();
    expect(s.titanic.isRestored).toBe(false);
    // (The first commit is a sweep.)
    s.answers('list').answers('commit');
    // New ones, look-ups and closes of what has not come yet: at once.
    expect(s.asks('request', 'echo', 'new')).toBe('');
    s.answers('commit');
    expect(s.hears()).toMatch(/^200/);
    expect(s.asks('reply', uuids[8] ?? '')).toBe('');
    s.answers('lookUp');
    expect(s.hears()).toBe('300');
    expect(s.asks('wait', uuids[9] ?? '', '5000')).toBe('');
    s.answers('lookUp');
    expect(s.hears()).toBe('');
    expect(s.asks('close', uuids[7] ?? '')).toBe('');
    s.answers('commit');
    expect(s.hears()).toBe('200');
    s.freesStore();
    expect(s.titanic.isRestored).toBe(true);
    expect(s.told('titanic.recovered')).toHaveLength(1);
    const w1 = s.worker('w1').ready('echo', { credit: 100 });
    const bodies = [1, 2, 3, 4, 5, 6, 7, 9, 10].map((n) => `REQUEST body ${n}`);
    expect(w1.inbox()).toEqual([...bodies, 'REQUEST new']);
    for (const _ of bodies) w1.final('done');
    expect(s.hears()).toBe('200|done');
    w1.final('done');
  });

  it('tries a piece again that could not be read', () => {
    const { s } = pair({ disk: diskWith(2), isDormant: true });
    s.store.readFailure = { kind: 'busy', message: 'cannot read now' };
    s.activates();
    s.store.readFailure = null;
    expect(s.titanic.isRestored).toBe(false);
    s.after(1000);
    expect(s.titanic.isRestored).toBe(true);
  });

  it('does not take back a number that the broker has given to another request meanwhile', () => {
    const { s } = pair();
    s.submits('echo');
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    s.batch(() => {
      s.deactivates();
      // Its record is free now, and the next request's.
      w1.final('too late');
      c1.request('other', 'x');
    });
    expect(s.worker('w2').ready('other').inbox()).toEqual(['REQUEST x']);
  });

  it('forgets who waits, what is out and what was not answered when it steps down', () => {
    const { s, replica } = pair();
    s.store.mayOverlap = true;
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    s.asks('wait', uuid, '60000');
    s.holdsPeer();
    expect(s.asks('request', 'other', 'x')).toBe('');
    s.deactivates();
    expect(s.titanic.figures.inFlight).toBe(0);
    w1.final('too late');
    s.confirmsAll();
    s.after(60_000);
    expect(s.hears()).toBe('');
    expect(s.stands(uuid)).toBe('pending');
    // The same node again: all of it runs from the disk.
    s.isPeerHeld = false;
    s.activates();
    s.after(500);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
    expect(replica.kinds).toEqual(['accept', 'accept', 'reply']);
  });

  it('ignores what the store answers to questions of before it stepped down', () => {
    const disk = diskWith(0);
    const acceptedAt = STAGE_WALL_MS;
    const request = requestOf(1, { attempts: 3, maxAttempts: 3, acceptedAt });
    disk.apply({ kind: 'accept', request, body: packed('body'), key: null });
    const { s } = pair({ disk, isDormant: true });
    s.holdsStore().activates();
    s.deactivates();
    const before = s.store.changes.length;
    s.answers('list');
    // As the active node, it would have made the request dead.
    expect([s.store.asked.map(({ kind }) => kind), s.titanic.isSettled]).toEqual([
      ['commit'],
      true,
    ]);
    expect(s.store.changes.slice(before)).toEqual([]);
    s.store.mayOverlap = true;
    s.freesStore();
  });
});

describe('what counts when both have it (D14)', () => {
  it('200 leaves when the store has committed and the peer has confirmed, in either order', () => {
    const { s, replica } = pair();
    s.holdsStore().holdsPeer();
    expect(s.asks('request', 'echo', 'a')).toBe('');
    expect(replica.kinds).toEqual(['accept']);
    s.answers('commit');
    expect(s.hears()).toBe('');
    s.confirms();
    expect(s.hears()).toMatch(/^200/);
    expect(s.asks('request', 'echo', 'b')).toBe('');
    s.confirms();
    expect(s.hears()).toBe('');
    s.answers('commit');
    expect(s.hears()).toMatch(/^200/);
  });

  it('nothing is dispatched before both have it, and the next batch waits', () => {
    const { s, replica } = pair();
    const w1 = s.worker('w1').ready('echo');
    s.holdsPeer();
    s.asks('request', 'echo', 'a');
    s.asks('request', 'echo', 'b');
    expect(w1.inbox()).toEqual([]);
    expect(replica.shippings).toHaveLength(1 + 1);
    s.confirms().confirms();
    expect(w1.inbox()).toEqual(['REQUEST a']);
    s.freesPeer();
    w1.final('x').final('y');
  });

  it('a request that a list shows before its receipt may leave runs once', () => {
    const { s } = pair();
    s.deactivates();
    // Its sweep is over when the request comes.
    s.holdsStore().activates().answers('commit').holdsPeer();
    expect(s.asks('request', 'echo', 'a')).toBe('');
    s.answers('commit').answers('list').freesStore();
    s.confirmsAll().freesPeer();
    const [, uuid = ''] = s.hears().split('|');
    const w1 = s.worker('w1').ready('echo', { credit: 10 });
    expect(w1.inbox()).toEqual(['REQUEST a']);
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
  });

  it('a reply on its way is withheld: not 300, not when the patience ends, until it is told', () => {
    const { s } = pair();
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo');
    expect(s.asks('wait', uuid, '100')).toBe('');
    s.holdsPeer();
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('');
    s.after(200);
    expect(s.hears()).toBe('');
    s.freesPeer();
    expect(s.hears()).toBe('200|done / 200|done');
  });

  it('alone, a reply that is being stored is pending', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').final('done');
    const next = titanicStage();
    const other = next.submits('echo');
    const w2 = next.worker('w2').ready('echo');
    next.holdsStore();
    w2.final('done');
    expect(next.asks('reply', other)).toBe('300');
    next.freesStore();
    expect(s.asks('reply', uuid)).toBe('200|done');
  });

  it('what the store shows is held back while the peer has not confirmed what it may contain', () => {
    const { s } = pair();
    const [first, second] = [s.submits('echo'), s.submits('echo')];
    const w1 = s.worker('w1').ready('echo');
    w1.final('one');
    expect(s.asks('reply', first)).toBe('200|one');
    s.holdsPeer();
    expect(s.asks('close', first)).toBe('');
    // Stored, but not confirmed: neither its reply nor that it is unknown may be told.
    expect(s.asks('reply', first)).toBe('');
    expect(s.asks('reply', second)).toBe('300');
    s.confirms();
    expect(s.hears()).toBe('200 / 400 unknown');
    s.freesPeer();
    w1.final('two');
  });

  it('in sync mode what was shipped counts alone when the peer is lost', () => {
    const { s } = pair();
    s.holdsPeer();
    expect(s.asks('request', 'echo', 'a')).toBe('');
    s.losesPeer();
    expect(s.hears()).toMatch(/^200/);
    expect(s.asks('request', 'echo', 'b')).toMatch(/^200/);
  });

  it('also if the peer is lost before the store has it', () => {
    const { s } = pair();
    s.holdsStore().holdsPeer();
    expect(s.asks('request', 'echo', 'a')).toBe('');
    s.losesPeer();
    expect(s.hears()).toBe('');
    s.answers('commit');
    expect(s.hears()).toMatch(/^200/);
  });

  it('what is confirmed late, or of a batch that is over, changes nothing', () => {
    const { s, replica } = pair();
    s.holdsPeer();
    expect(s.asks('request', 'echo', 'a')).toBe('');
    const [first] = replica.unconfirmed;
    s.confirms();
    expect(s.hears()).toMatch(/^200/);
    expect(s.asks('request', 'echo', 'b')).toBe('');
    first?.released(false);
    first?.released(true);
    s.turn();
    expect(s.hears()).toBe('');
    s.freesPeer();
    expect(s.hears()).toMatch(/^200/);
  });
});

describe('strict, without a peer in sync (D14)', () => {
  const REFUSAL = 'the peer is not in sync';

  it('every write is answered 500, what is stored is shown', () => {
    const { s } = pair();
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').final('done');
    s.losesPeer(REFUSAL);
    expect(s.asks('request', 'echo', 'x')).toBe(`500 ${REFUSAL}`);
    expect(s.asks('submit', '{}', 'echo', 'x')).toBe(`500 ${REFUSAL}`);
    expect(s.asks('close', uuid)).toBe(`500 ${REFUSAL}`);
    expect(s.asks('reply', uuid)).toBe('200|done');
    expect(s.told('titanic.refused')[0]).toMatchObject({ reason: 'peer', text: REFUSAL });
    s.findsPeer();
    expect(s.asks('close', uuid)).toBe('200');
  });

  it('nothing more goes out, and a reply waits unseen until the peer is back', () => {
    const { s, replica } = pair();
    const [first, second] = [s.submits('echo', 'one'), s.submits('other', 'two')];
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    expect(w1.inbox()).toEqual(['REQUEST one']);
    s.losesPeer(REFUSAL);
    const { length } = s.store.changes;
    const w2 = s.worker('w2').ready('other').heartbeatsEvery(500);
    w1.final('done');
    expect(s.asks('reply', first)).toBe('');
    s.after(60_000);
    expect(w2.inbox().filter((text) => text.startsWith('REQUEST'))).toEqual([]);
    expect(s.store.changes).toHaveLength(length);
    s.findsPeer();
    expect(s.hears()).toBe('200|done');
    expect(replica.kinds.at(-1)).toBe('reply');
    w2.final('done, too');
    expect(s.asks('reply', second)).toBe('200|done, too');
  });

  it('what was on its way when the peer was lost is answered 500 outcome unknown, and unseen', () => {
    const { s } = pair();
    const [pending, replied] = [s.submits('echo', 'one'), s.submits('echo', 'two')];
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.holdsPeer();
    s.batch(() => {
      w1.final('done');
      s.asks('request', 'other', 'x');
      s.asks('close', replied);
      s.asks('wait', pending, '1000');
    });
    s.losesPeer(REFUSAL);
    const unknown = '500 outcome unknown: the peer was lost during the operation';
    // The uuid of the one that was submitted: it may be stored.
    expect(s.hears().replace(A_UUID, '|uuid')).toBe(`${unknown}|uuid / ${unknown}`);
    // It is stored here, perhaps only here.
    expect(s.stands(pending)).toBe('replied');
    expect(s.asks('reply', pending)).toBe('');
    s.after(5000);
    expect(s.hears()).toBe('');
    s.freesPeer().findsPeer();
    expect(s.hears()).toBe('200|done / 200|done');
    expect(s.asks('reply', replied)).toBe('400 unknown');
  });
});

describe('400 needs certainty (docs/protocol.md)', () => {
  it('what this node does not know is pending while the other may know it', () => {
    const { s } = pair();
    expect(s.asks('reply', UNKNOWN)).toBe('400 unknown');
    s.losesPeer();
    expect(s.asks('reply', UNKNOWN)).toBe('300');
    expect(s.asks('wait', UNKNOWN, '1000')).toBe('');
    s.after(999);
    expect(s.hears()).toBe('');
    s.after(1);
    expect(s.hears()).toBe('300');
    expect(s.asks('reply', 'nonsense')).toBe('400 a uuid is 32 hexadecimal characters');
    s.findsPeer();
    expect(s.asks('reply', UNKNOWN)).toBe('400 unknown');
  });

  it('a close of it is kept, so that it does not come back from the other', () => {
    const { s } = pair();
    s.losesPeer();
    expect(s.asks('close', UNKNOWN)).toBe('200');
    expect(s.store.disk.tables.content().tombstones).toHaveLength(1);
    s.findsPeer();
    expect(s.asks('close', UNKNOWN.replace('AB', 'BA'))).toBe('200');
    expect(s.store.disk.tables.content().tombstones).toHaveLength(1);
  });
});

describe('a shipped batch that fails here: the peer may have it', () => {
  it('it is answered 500 outcome unknown, and not taken back: the peer may acknowledge it (D12, D16)', () => {
    const { s, replica } = pair();
    s.store.failure = FULL;
    expect(s.asks('submit', '{"key":"k"}', 'echo', 'x')).toMatch(UNKNOWN_SUBMISSION);
    s.after(5000);
    s.store.failure = null;
    s.after(1000);
    expect(s.asks('submit', '{"key":"other"}', 'echo', 'y')).toMatch(/^200/);
    expect(replica.kinds).toEqual(['accept', 'accept']);
    expect(s.store.disk.tables.content().tombstones).toEqual([]);
  });

  it('what the peer kept of it comes with the next merge, and runs', () => {
    const { s } = pair();
    s.store.failure = FULL;
    expect(s.asks('request', 'echo', 'x')).toMatch(UNKNOWN_SUBMISSION);
    s.store.failure = null;
    s.merges(diskWith(1));
    const w1 = s.worker('w1').ready('echo', { credit: 10 }).heartbeatsEvery(500);
    // The store is tried again by itself.
    s.after(10_000);
    expect(w1.inbox().filter((text) => text.startsWith('REQUEST'))).toHaveLength(1);
  });

  it('a close is answered 500 once, and goes on until it is stored: nothing of it is shown again', () => {
    const { s } = pair();
    const uuid = s.submits('echo');
    s.store.failure = FULL;
    expect(s.asks('close', uuid)).toBe('500 the disk is full');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(1500);
    s.losesPeer();
    s.after(1500);
    expect(w1.inbox().filter((text) => text.startsWith('REQUEST'))).toEqual([]);
    s.store.failure = null;
    s.after(1000);
    expect(s.hears()).toBe('');
    expect(s.stands(uuid)).toBe('closed');
  });
});

describe('a merge while it serves (D17)', () => {
  it('what came from the other side runs here, in its turn', () => {
    const { s } = pair();
    s.submits('echo', 'ours');
    s.merges(diskWith(2));
    const w1 = s.worker('w1').ready('echo', { credit: 10 });
    expect(w1.inbox()).toHaveLength(3);
    w1.final('a').final('b').final('c');
    expect(s.store.disk.counts).toMatchObject({ pending: 0, replied: 3 });
    // Numbers that came with them are not given again.
    s.submits('echo', 'later');
    expect(s.store.disk.pending[0]?.number).toBe(4);
    expect(w1.inbox()).toEqual(['REQUEST later']);
    w1.final('d');
  });

  it('what ended on the other side ends here: taken from its worker, and told to who waits', () => {
    const { s } = pair();
    const [first, second] = [s.submits('echo', 'one'), s.submits('echo', 'two')];
    const other = titanicStage({ disk: copyOf(s.store.disk), seed: 5 });
    const w2 = other.worker('w2').ready('echo');
    w2.final('from there');
    expect(other.asks('reply', first)).toBe('200|from there');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    expect(s.asks('wait', first, '60000')).toBe('');
    s.merges(other.store.disk);
    expect(s.hears()).toBe('200|from there');
    w1.final('from here');
    expect(s.asks('reply', first)).toBe('200|from there');
    s.after(500);
    w1.final('x');
    expect(s.asks('reply', second)).toBe('200|x');
    w2.final('x');
  });

  it('who waits for what only the other side knew is told as soon as it has come', () => {
    const { s } = pair();
    s.losesPeer();
    const other = titanicStage({ seed: 5 });
    const uuid = other.submits('echo', 'one');
    const w2 = other.worker('w2').ready('echo');
    expect(w2.inbox()).toHaveLength(1);
    w2.final('from there');
    expect(s.asks('wait', uuid, '60000')).toBe('');
    s.merges(other.store.disk);
    expect(s.hears()).toBe('200|from there');
  });

  it('an operator’s retry on the other side is one here: attempts count anew', () => {
    const { s } = pair({ titanic: { maxAttempts: 1 } });
    const uuid = s.submits('echo');
    const other = copyOf(s.store.disk);
    const bytes = Buffer.from(uuid, 'hex');
    const steps = { uuid: bytes, at: s.wall, expiresAt: s.wall + 60_000 };
    other.apply({ kind: 'dead', generation: 0, reason: 'worn out', ...steps });
    const attempt = retryEntry('alice', s.wall, 'worn out');
    other.apply({ kind: 'retry', generation: 1, ...steps, attempt });
    const w1 = s.worker('w1').ready('echo');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    s.merges(other);
    w1.final('of the generation before');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
    expect(s.store.disk.row(bytes)?.request.generation).toBe(1);
  });
});

/** As the peer has it that was in sync until now. */
function copyOf(disk: StageDisk): StageDisk {
  const copy = new StageDisk();
  const { records } = disk.tables.read(
    { upTo: 0, bodiesUpTo: 0, changed: 0, number: 0 },
    1000,
    1_000_000,
  );
  const { firstTransaction: number } = copy.recovered;
  copy.tables.merge({ number, tombstones: 'all', holds: null, peerHolds: 0 }, records, true);
  return copy;
}

/** Of the first request that was shipped. */

describe('an active node that hands over', () => {
  it('sends workers no more, however much is pending, and goes on if the peer does not take over', () => {
    const { s, replica } = pair({ disk: diskWith(10) });
    replica.isInSync = false;
    const w = s.worker('w').ready('echo').heartbeatsEvery(500);
    s.after(100);
    expect(w.inbox()).toEqual(['REQUEST body 1']);
    replica.isHandingOver = true;
    s.turn();
    w.final('done');
    s.after(100);
    expect([w.inbox(), s.titanic.isSettled]).toEqual([[], true]);
    replica.isHandingOver = false;
    s.after(100);
    expect(w.inbox()).toEqual(['REQUEST body 2']);
  });
});
