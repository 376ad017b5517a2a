import { Frames } from '../../../src/core/frames.js';
import { STORED_BYTES_MAX } from '../../../src/wire/tsp.js';
import type { WorkerActor } from '../../support/stage-peers.js';
import { endTitanicStages, STAGE_WALL_MS, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const HOUR_MS = 3_600_000;

describe('a stored request whose delivery fails', () => {
  it('is sent again after a pause that doubles, with jitter from half to all of it (docs/protocol.md)', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const s = titanicStage({
        seed,
        titanic: { maxAttempts: 8, retryBaseMs: 1000, retryMaxMs: 8000 },
      });
      s.after(7777);
      s.submits('echo');
      const pauses: number[] = [];
      s.worker('w0').ready('echo').disconnect();
      for (let attempt = 1; attempt < 7; attempt++) {
        const w = s.worker(`w${attempt}`).ready('echo').heartbeatsEvery(500);
        const failedAt = s.now;
        while (w.inbox().length === 0 && s.now < failedAt + 60_000) s.after(1);
        pauses.push(s.now - failedAt);
        w.fallsSilent().disconnect();
      }
      for (const [index, pause] of pauses.entries()) {
        const whole = Math.min(8000, 1000 * 2 ** index);
        expect(pause).toBeGreaterThanOrEqual(whole / 2);
        expect(pause).toBeLessThanOrEqual(whole + 1);
      }
    }
  });

  it('is dead at once if its reply is larger than what can be stored', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.worker('w').ready('echo');
    const { index } = s.titanic.operatorHost().requests.dispatcher;
    const reply = new Frames();
    reply.push(Buffer.alloc(STORED_BYTES_MAX), 0, STORED_BYTES_MAX);
    s.titanic.replied(index.find(Buffer.from(uuid, 'hex')), reply, 0, null);
    s.turn();
    const most = `at most ${STORED_BYTES_MAX} can be stored`;
    expect(s.asks('reply', uuid)).toMatch(
      new RegExp(`^500 dead mdp.too-large: a reply of \\d+ bytes, ${most}$`),
    );
  });

  it('is dead after titanic.maxAttempts, with its history on disk, and its service goes on', () => {
    const s = titanicStage({ titanic: { maxAttempts: 3 } });
    const uuid = s.submits('echo');
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(s.asks('reply', uuid)).toBe('300');
      s.worker('w').ready('echo').disconnect();
      s.after(8000);
    }
    expect(s.asks('reply', uuid)).toBe(
      '500 dead mdp.no-reply: after 3 attempts, the last: connection',
    );
    expect(s.asks('wait', uuid, '1000')).toMatch(/^500 dead/);
    expect(s.titanic.figures.counters).toMatchObject({ retried: 2, dead: 1, completed: 0 });
    expect(s.worker('last').ready('echo').inbox()).toEqual([]);
    expect(s.asks('close', uuid)).toBe('200');
    expect(s.asks('reply', uuid)).toBe('400 unknown');
  });

  it.each([
    ['disconnected', (w1: WorkerActor) => w1.saysDisconnect()],
    ['connection', (w1: WorkerActor) => w1.disconnect()],
  ])(
    'that may run once is dead with its outcome unknown if its worker is lost (%s)',
    (how, lose) => {
      const s = titanicStage({ titanic: { maxAttempts: 1 } });
      const uuid = s.submits('echo');
      lose(s.worker('w1').ready('echo', { credit: 9 }));
      const reason = `outcome unknown: its worker was lost (${how})`;
      expect(s.asks('reply', uuid)).toBe(`500 dead mdp.no-reply: ${reason}`);
    },
  );

  it('that may run once has an outcome if its worker gave it back, or reported a failure', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const [back, failed] = [s.submits('echo'), s.submits('echo')];
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    w1.returns('no').fails(['retry', 'E_X', 'no', '']);
    const why = 'after 1 attempts, the last: given back: no';
    expect(s.asks('reply', back)).toBe(`500 dead mdp.no-reply: ${why}`);
    expect(s.asks('reply', failed)).toMatch(/^500 dead E_X: no/);
  });

  it('had no attempt if a worker that leaves did not begin it', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const uuid = s.submits('echo', 'hi');
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    w1.leaves().returns('mdp.not-begun: closing');
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    expect(s.asks('reply', uuid)).toBe('300');
    s.worker('w2').ready('echo').final('ho');
    expect(s.asks('reply', uuid)).toBe('200|ho');
  });

  it('keeps its place: of one priority the older goes first, also after an attempt', () => {
    const s = titanicStage();
    s.submits('echo', 'old');
    s.worker('w0').ready('echo').disconnect();
    s.submits('echo', 'new');
    s.after(8000);
    const w1 = s.worker('w1').ready('echo');
    w1.final('x').final('y');
    expect(w1.inbox()).toEqual(['REQUEST old', 'REQUEST new']);
  });

  it('is answered by the late reply of a lost worker, in its pause and while it is out again (D8)', () => {
    for (const isOutAgain of [false, true]) {
      const s = titanicStage({ busyTimeoutMs: 5000 });
      const uuid = s.submits('echo');
      const w1 = s.worker('w1').ready('echo');
      s.after(5000);
      const w2 = s.worker('w2');
      if (isOutAgain) {
        s.after(1000);
        w2.ready('echo');
        expect(w2.inbox()).toEqual(['REQUEST hi']);
      }
      w1.reconnects().final('late');
      expect(s.asks('reply', uuid)).toBe('200|late');
      if (isOutAgain) w2.final('second');
      s.after(60_000);
      expect(s.asks('reply', uuid)).toBe('200|late');
      expect(s.titanic.figures.counters).toMatchObject({ completed: 1, dead: 0 });
    }
  });

  it('is answered by it while its body is being read for the next delivery (D8)', () => {
    const s = titanicStage({ busyTimeoutMs: 5000 });
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo');
    s.after(6000);
    s.holdsStore();
    const w2 = s.worker('w2').ready('echo');
    w1.reconnects().final('late');
    s.freesStore();
    expect(w2.inbox()).toEqual([]);
    expect(s.asks('reply', uuid)).toBe('200|late');
    expect(s.titanic.figures.inFlight).toBe(0);
  });

  it('has no attempt counted when it was only prepared for the worker that is gone', () => {
    const s = titanicStage();
    const [first, second] = [s.submits('echo', 'a'), s.submits('echo', 'b')];
    s.worker('w1').ready('echo').disconnect();
    const attempts = (uuid: string): unknown =>
      s.store.disk.row(Buffer.from(uuid, 'hex'))?.request.attempts;
    expect([attempts(first), attempts(second)]).toEqual([1, 0]);
  });
});

describe('the body of a request', () => {
  it('is not read from the store for a worker that waits as it is stored', () => {
    const s = titanicStage();
    const reads = jest.spyOn(s.store, 'load');
    const w = s.worker('w').ready('echo', { credit: 3 });
    s.submits('echo', 'a');
    expect(w.inbox()).toEqual(['REQUEST a']);
    expect(reads).not.toHaveBeenCalled();
    w.final('a').disconnect();
  });

  it('is read if no worker had room as it was stored', () => {
    const s = titanicStage();
    const reads = jest.spyOn(s.store, 'load');
    s.submits('echo', 'a');
    s.submits('echo', 'b');
    const w = s.worker('w').ready('echo', { credit: 2 });
    expect(w.inbox()).toEqual(['REQUEST a', 'REQUEST b']);
    expect(reads).toHaveBeenCalledTimes(1);
    w.final('a').final('b').disconnect();
  });

  it('is sent after that of an earlier request, which is being read', () => {
    const s = titanicStage();
    s.submits('echo', 'first');
    s.holdsStore();
    const w = s.worker('w').ready('echo', { credit: 3 });
    s.asks('submit', '{}', 'echo', 'second');
    s.answers('commit');
    expect(w.inbox()).toEqual([]);
    s.freesStore();
    expect(w.inbox()).toEqual(['REQUEST first', 'REQUEST second']);
    w.final('1').final('2').disconnect();
  });
});

describe('closing a request', () => {
  it.each(['while it waits', 'while it is delayed', 'in its pause'])('ends it %s', (when) => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { delayMs: when.includes('delayed') ? 5000 : 0 });
    if (when.includes('pause')) s.worker('w0').ready('echo').disconnect();
    expect(s.asks('close', uuid)).toBe('200');
    s.after(60_000);
    expect(s.worker('w1').ready('echo').inbox()).toEqual([]);
    expect(s.store.disk.rows.length).toBe(0);
  });

  it('ends it while its body is being read', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x');
    const other = s.submits('echo', 'y');
    s.holdsStore();
    const w1 = s.worker('w1').ready('echo');
    s.asks('close', uuid);
    s.freesStore();
    expect(s.hears()).toBe('200');
    expect(w1.inbox()).toEqual(['REQUEST y']);
    w1.final('z');
    expect(s.asks('reply', other)).toBe('200|z');
  });

  it('ends it while it is at a worker, whose reply is dropped', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x');
    const w1 = s.worker('w1').ready('echo');
    s.asks('close', uuid);
    w1.final('late');
    expect(s.asks('reply', uuid)).toBe('400 unknown');
    expect(s.titanic.figures.counters.completed).toBe(0);
    s.submits('echo', 'next');
    expect(w1.inbox()).toEqual(['REQUEST x', 'REQUEST next']);
    w1.final('x');
  });

  it('makes room for the next that waits behind a worker busy with something else', () => {
    const s = titanicStage();
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.client('c1').request('echo', 'plain');
    const [prepared] = [s.submits('echo', 'a'), s.submits('echo', 'b')];
    expect(s.asks('close', prepared)).toBe('200');
    w1.final('x');
    expect(w1.inbox()).toEqual(['REQUEST plain', 'REQUEST b']);
    w1.final('y');
  });

  it.each(['final', 'disconnect', 'partial'])(
    'in one turn with what its worker does: %s',
    (what) => {
      for (const first of ['close', 'worker']) {
        const s = titanicStage();
        const uuid = s.submits('echo', 'x');
        const next = s.submits('echo', 'y');
        const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
        const acts = (): void => {
          if (what === 'final') w1.final('done');
          else if (what === 'disconnect') w1.fallsSilent().disconnect();
          else w1.partial('p');
        };
        s.batch(() => {
          if (first === 'worker') acts();
          s.asks('close', uuid);
          if (first === 'close') acts();
        });
        expect(s.hears()).toBe('200');
        expect(s.asks('reply', uuid)).toBe('400 unknown');
        if (what === 'partial') w1.final('end');
        const w2 = what === 'disconnect' ? s.worker('w2').ready('echo') : w1;
        w2.final('second');
        expect(s.asks('reply', next)).toBe('200|second');
        expect(s.titanic.figures.inFlight).toBe(0);
      }
    },
  );

  it('in one batch with its reply ends it, in either order (D17)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x');
    const w1 = s.worker('w1').ready('echo');
    s.asks('wait', uuid, '60000');
    s.holdsStore();
    s.asks('close', '0190A0B0C0D07000800000000000ABCD');
    w1.final('done');
    s.asks('close', uuid);
    s.freesStore();
    const heard = s.hears().split(' / ').sort();
    expect(heard).toEqual(['200', '200', '200|done']);
    expect(s.asks('reply', uuid)).toBe('400 unknown');
  });
});

describe('dispatch', () => {
  it('goes on for one service while another has no workers, or workers that hang (the Guide blocks)', () => {
    const s = titanicStage({ titanic: { maxInFlight: 4 } });
    for (let i = 0; i < 50; i++) s.submits('dead', `d${i}`);
    for (let i = 0; i < 3; i++) s.submits('hung', `h${i}`);
    for (let i = 0; i < 5; i++) s.submits('good', `g${i}`);
    s.worker('h').ready('hung').heartbeatsEvery(500);
    const w1 = s.worker('w1').ready('good').heartbeatsEvery(500);
    for (let i = 0; i < 5; i++) w1.final('x');
    expect(w1.inbox()).toHaveLength(5);
  });

  it('has at most titanic.maxInFlight out and one for each further service, and services take turns', () => {
    const s = titanicStage({ titanic: { maxInFlight: 3 } });
    for (let i = 0; i < 10; i++) {
      for (const service of ['a', 'b', 'c']) s.submits(service, `${service}${i}`);
    }
    const workers = ['a', 'b', 'c'].map((service) =>
      s.worker(service).ready(service, { credit: 10 }).heartbeatsEvery(500),
    );
    const seen = new Map<string, number>();
    for (let done = 0; done < 30; done++) {
      expect(s.titanic.figures.inFlight).toBeLessThanOrEqual(3 + 2);
      const busy = workers.map((w) => w.inbox());
      for (const [index, inbox] of busy.entries()) {
        for (const text of inbox) {
          const service = text['REQUEST '.length] ?? '';
          seen.set(service, (seen.get(service) ?? 0) + 1);
          workers[index]?.final('x', { of: text.slice('REQUEST '.length) });
        }
      }
      const counts = [...seen.values()];
      if (seen.size === 3) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(6);
    }
    expect(s.titanic.figures.counters.completed).toBe(30);
  });

  it('reads no more bodies ahead than the workers take, however slow the disk is', () => {
    const s = titanicStage();
    for (let i = 0; i < 100; i++) s.submits('echo', `r${i}`);
    s.holdsStore();
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(500);
    for (let i = 0; i < 5; i++) {
      s.asks('request', 'echo', `more${i}`);
      s.answers('commit');
    }
    expect(s.titanic.figures.inFlight).toBe(1);
    s.freesStore();
    expect(s.titanic.figures.inFlight).toBeLessThanOrEqual(2);
    expect(w1.inbox()).toEqual(['REQUEST r0']);
    w1.final('x');
  });

  it('takes turns with plain requests of the same service (docs/protocol.md)', () => {
    const s = titanicStage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'first');
    for (let i = 0; i < 5; i++) {
      c1.request('echo', `p${i}`);
      s.submits('echo', `s${i}`);
    }
    for (let i = 0; i < 11; i++) w1.final('x');
    const turns = w1
      .inbox()
      .slice(1)
      .map((text) => text['REQUEST '.length])
      .join('');
    expect(turns).toMatch(/^(ps){5}$|^(sp){5}$/);
  });

  it('joins the PARTIALs of a worker of 0.2 (D10)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').partial(['a', 'b']).partial('').final('c');
    expect(s.asks('reply', uuid)).toBe('200|a|b||c');
  });

  it('stops while the broker drains; what is out may end and is stored', () => {
    const s = titanicStage();
    const [first, second] = [s.submits('echo', 'a'), s.submits('echo', 'b')];
    const w1 = s.worker('w1').ready('echo');
    s.input((broker, now) => broker.drain(now));
    w1.final('done');
    expect(w1.inbox()).toEqual(['REQUEST a', 'DISCONNECT']);
    expect(s.titanic.isSettled).toBe(true);
    const next = s.crashes();
    expect(next.asks('reply', first)).toBe('200|done');
    expect(next.worker('w2').ready('echo').final('more').inbox()).toEqual(['REQUEST b']);
    expect(next.asks('reply', second)).toBe('200|more');
  });
});

describe('limits', () => {
  it('titanic.maxOpen counts all that is neither closed nor expired, and what is being accepted', () => {
    const s = titanicStage({ titanic: { maxOpen: 3 } });
    const uuid = s.submits('echo');
    s.worker('w1').ready('echo').final('x');
    s.holdsStore();
    s.asks('request', 'other', 'x');
    s.asks('request', 'other', 'x');
    expect(s.asks('request', 'other', 'x')).toBe('500 titanic.maxOpen is reached');
    s.freesStore();
    expect(s.hears().match(/200/g)).toHaveLength(2);
    expect(s.asks('request', 'other', 'x')).toBe('500 titanic.maxOpen is reached');
    s.asks('close', uuid);
    expect(s.asks('request', 'other', 'x')).toMatch(/^200/);
  });

  it('titanic.maxBytes counts what is stored and what is on its way', () => {
    const s = titanicStage({ titanic: { maxBytes: 1000 } });
    s.holdsStore();
    s.asks('request', 'echo', 'x'.repeat(600));
    s.asks('request', 'echo', 'x'.repeat(600));
    expect(s.asks('request', 'echo', 'x')).toBe('500 titanic.maxBytes is reached');
    s.freesStore();
    expect(s.asks('request', 'echo', 'x')).toMatch(/500 titanic.maxBytes is reached$/);
  });

  it('a store that cannot keep up takes no more than so much', () => {
    const s = titanicStage({ titanic: { maxBytes: 1e12 }, limits: { messageBytes: 1e9 } });
    s.holdsStore();
    // One identity may have 7/8 of 256 MiB wait, besides what the store is writing.
    const half = 'x'.repeat(112 * 1024 * 1024);
    const answers = ['first', half, half, 'last'].map((body) => s.asks('request', 'echo', body));
    expect(answers).toEqual(['', '', '', '500 the store is overloaded']);
    s.freesStore();
    expect(s.hears().match(/200/g)).toHaveLength(3);
  });
});

describe('after a crash', () => {
  it('what was acknowledged is there, in order; what was not is not', () => {
    const s = titanicStage();
    const uuids = ['a', 'b', 'c'].map((body) =>
      s.submits('echo', body, { priority: body === 'c' ? 5 : 0 }),
    );
    s.holdsStore();
    expect(s.asks('request', 'echo', 'lost')).toBe('');
    const next = s.crashes();
    expect(next.told('titanic.recovered')).toMatchObject([{ pending: 3, replied: 0, dead: 0 }]);
    expect(uuids.map((uuid) => next.asks('reply', uuid))).toEqual(['300', '300', '300']);
    next.submits('echo', 'later');
    const w1 = next.worker('w1').ready('echo');
    for (let i = 0; i < 4; i++) w1.final('x');
    expect(w1.inbox()).toEqual(['REQUEST c', 'REQUEST a', 'REQUEST b', 'REQUEST later']);
  });

  it('what was out runs again, and that was no attempt; a reply that was not committed is lost', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo');
    s.holdsStore();
    w1.final('lost');
    const next = s.crashes({ titanic: { maxAttempts: 1 } });
    expect(next.asks('reply', uuid)).toBe('300');
    next.worker('w2').ready('echo').final('kept');
    expect(next.asks('reply', uuid)).toBe('200|kept');
  });

  it('delays, pauses and times to live go on by the clock on the wall', () => {
    const s = titanicStage();
    s.submits('echo', 'late', { delayMs: 10_000 });
    const brief = s.submits('other', 'x', { ttlMs: 12_000 });
    s.after(6000);
    const next = s.crashes();
    const w1 = next.worker('w1').ready('echo').heartbeatsEvery(500);
    next.after(3999);
    expect(w1.inbox()).toEqual([]);
    next.after(1);
    expect(w1.inbox()).toEqual(['REQUEST late']);
    next.after(2000);
    expect(next.asks('reply', brief)).toBe('400 unknown');
    w1.final('x');
  });

  it('between the last attempt and its end a request is dead, not sent once more', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const uuid = s.submits('echo');
    const { disk } = s.store;
    disk.apply({
      kind: 'attempt',
      uuid: Buffer.from(uuid, 'hex'),
      generation: 0,
      attempts: 1,
      attempt: {
        ...{ worker: '1 127.0.0.1', startedAt: s.wall, endedAt: s.wall },
        ...{ reason: 'connection', failure: null, extra: null },
      },
      notBefore: s.wall,
    });
    const next = s.crashes();
    expect(next.worker('w1').ready('echo').inbox()).toEqual([]);
    expect(next.asks('reply', uuid)).toMatch(/^500 dead mdp\.no-reply: after 1 attempts/);
  });

  it('keys and replies are as they were', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { key: 'k' });
    s.worker('w1').ready('echo').final('done');
    const next = s.crashes();
    expect(next.submits('echo', 'x', { key: 'k' })).toBe(uuid);
    expect(next.asks('submit', '{"key":"k"}', 'echo', 'y')).toMatch(/^409 /);
    expect(next.asks('reply', uuid)).toBe('200|done');
  });
});

describe('the clock on the wall', () => {
  it('set back does not hold up what is delayed or in its pause', () => {
    const s = titanicStage();
    s.submits('echo', 'late', { delayMs: 5000 });
    s.submits('sum', 'again');
    s.worker('w0').ready('sum').disconnect();
    s.wallOffset -= 10 * HOUR_MS;
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    const w2 = s.worker('w2').ready('sum').heartbeatsEvery(500);
    s.after(5000);
    expect(w1.inbox()).toEqual(['REQUEST late']);
    expect(w2.inbox()).toEqual(['REQUEST again']);
    w1.final('x');
    w2.final('x');
  });

  it('of a node that takes over, behind the one that accepted, does not hold up what was to be done at once', () => {
    const s = titanicStage();
    s.submits('echo', 'now');
    s.wallOffset -= 10 * HOUR_MS;
    const next = s.crashes();
    expect(next.worker('w1').ready('echo').inbox()).toEqual(['REQUEST now']);
  });

  it('set forth ends what would be over by then, when what it holds goes on (D110), and is noticed without any input', () => {
    const s = titanicStage({ titanic: { requestTtlMs: HOUR_MS } });
    const uuid = s.submits('echo');
    s.wallOffset += 2 * HOUR_MS;
    s.after(20_000);
    expect(s.stands(uuid)).toBe('pending');
    s.after(60_000);
    expect(s.stands(uuid)).toBe('absent');
  });

  it('is that of the input: an idle night before it shortens no time to live', () => {
    const s = titanicStage({ wall: STAGE_WALL_MS });
    s.after(9500);
    const uuid = s.submits('echo', 'x', { ttlMs: 1000 });
    s.after(999);
    expect(s.asks('reply', uuid)).toBe('300');
    expect(s.store.disk.row(Buffer.from(uuid, 'hex'))?.request.acceptedAt).toBe(
      STAGE_WALL_MS + 9500,
    );
  });
});
