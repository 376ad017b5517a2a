/** Following the parts of a reply while a worker sends them (D82). */
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { StageReplica } from '../../support/stage-replica.js';
import type { WorkerActor } from '../../support/stage-peers.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const UNKNOWN = '0190A0B0C0D07000800000000000ABCD';
const WAIT = '60000';

/** One client that follows a request, as the SDK does. */
class Follower {
  readonly #s: TitanicStage;
  readonly #uuid: string;
  #place = '';

  constructor(s: TitanicStage, uuid: string) {
    this.#s = s;
    this.#uuid = uuid;
  }

  /** Asks; returns the answer, if there is one: see `hears`. */
  asks(waitMs = '0'): string {
    return this.#read(this.#s.asks('progress', this.#uuid, this.#place, waitMs));
  }

  /** The answer that has come: `ATTEMPT.FIRST COUNTS: FRAME|FRAME`, or a status. */
  hears(): string {
    return this.#read(this.#s.hears());
  }

  #read(answer: string): string {
    const [status = '', place, facts, ...frames] = answer.split('|');
    if (place === undefined || facts === undefined || status !== '300') return answer;
    this.#place = place;
    const {
      attempt,
      first,
      frames: counts,
    } = JSON.parse(facts) as {
      attempt: number;
      first: number;
      frames: number[];
    };
    return `${attempt}.${first} ${counts.join(',')}: ${frames.join('|')}`;
  }
}

function at(s: TitanicStage, name = 'w1'): WorkerActor {
  return s.worker(name).ready('echo').heartbeatsEvery(500);
}

describe('titanic.progress', () => {
  it('gives the parts so far, and those that follow as they come', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const follower = new Follower(s, uuid);
    expect(follower.asks()).toBe('300');
    const w1 = at(s);
    expect(follower.asks()).toBe('300');
    w1.partial(['a', '', 'b']).partial('');
    expect(follower.asks()).toBe('1.0 3,1: a||b|');
    expect(follower.asks()).toBe('300');
    expect(follower.asks(WAIT)).toBe('');
    w1.partial('c');
    expect(follower.hears()).toBe('1.2 1: c');
    expect(follower.asks(WAIT)).toBe('');
    w1.final('done');
    expect(follower.hears()).toBe('200');
    expect(follower.asks()).toBe('200');
    expect(s.asks('reply', uuid)).toBe('200|a||b||c|done');
  });

  it('answers 300 when nothing has come in time', () => {
    const s = titanicStage();
    const follower = new Follower(s, s.submits('echo'));
    expect(follower.asks('5000')).toBe('');
    s.after(4999);
    expect(follower.hears()).toBe('');
    s.after(1);
    expect(follower.hears()).toBe('300');
  });

  it('begins again with each attempt, which it numbers', () => {
    const s = titanicStage();
    const follower = new Follower(s, s.submits('echo'));
    const w1 = at(s).partial('a').partial('b');
    expect(follower.asks()).toBe('1.0 1,1: a|b');
    w1.fallsSilent().disconnect();
    expect(follower.asks(WAIT)).toBe('');
    s.after(1000);
    const w2 = at(s, 'w2').partial('a2');
    expect(follower.hears()).toBe('2.0 1: a2');
    w2.final('done');
    expect(follower.asks()).toBe('200');
  });

  it('begins again after a crash of the broker, whose parts are lost', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    at(s).partial('a');
    const place = s.asks('progress', uuid, '', '0').split('|')[1] ?? '';
    const next = s.crashes();
    expect(next.asks('progress', uuid, place, '0')).toBe('300');
    next.after(1);
    const w = next.worker('w').ready('echo').partial('a again');
    expect(next.asks('progress', uuid, place, '0')).toMatch(
      /^300\|[^|]+\|\{"attempt":1,"first":0,"frames":\[1\]\}\|a again$/,
    );
    w.final('done');
  });

  it('shows the last parts although the reply came at the same moment', () => {
    const s = titanicStage();
    const follower = new Follower(s, s.submits('echo'));
    const w1 = at(s);
    expect(follower.asks(WAIT)).toBe('');
    s.batch(() => {
      w1.partial('a').partial('b').final('done');
    });
    expect(follower.hears()).toBe('1.0 1,1: a|b');
    expect(follower.asks()).toBe('200');
  });

  it('shows the last parts to a client that was between two questions, for ten seconds', () => {
    const s = titanicStage();
    const uuids: string[] = [];
    const [first, second] = ['w1', 'w2'].map((name) => {
      uuids.push(s.submits('echo'));
      const follower = new Follower(s, uuids.at(-1) ?? '');
      const w = at(s, name).partial('a');
      expect(follower.asks()).toBe('1.0 1: a');
      w.partial('b').final('done').fallsSilent().disconnect();
      return follower;
    });
    expect(first?.asks()).toBe('1.1 1: b');
    s.after(10_001);
    expect(second?.asks()).toBe('200');
    expect(s.asks('progress', uuids[1] ?? '', '', '0')).toBe('200');
  });

  it('shows all parts to a client that asks for the first time after the reply', () => {
    const s = titanicStage();
    const [apart, atOnce] = [s.submits('echo'), s.submits('echo')];
    const w1 = at(s).partial('a').partial('b').final('done');
    s.batch(() => {
      w1.partial('c').final('done');
    });
    expect(new Follower(s, apart).asks()).toBe('1.0 1,1: a|b');
    expect(new Follower(s, atOnce).asks()).toBe('1.0 1: c');
  });

  it('keeps nothing of a request that is closed', () => {
    const s = titanicStage();
    const closed = s.submits('echo');
    const w1 = at(s).partial('a');
    expect(new Follower(s, closed).asks()).toBe('1.0 1: a');
    w1.final('done');
    expect(s.asks('close', closed)).toBe('200');
    expect(s.asks('progress', closed, '', '0')).toBe('400 unknown');
  });

  it('keeps at most 16 MiB of the parts of complete replies, the latest', () => {
    const s = titanicStage({
      limits: { messageBytes: 12 * 1024 * 1024, queuedBytes: 2 ** 30 },
      titanic: { maxBytes: 2 ** 30 },
    });
    const followers = [1, 2].map((n) => {
      const follower = new Follower(s, s.submits('echo'));
      const w = at(s, `w${n}`);
      expect(follower.asks()).toBe('300');
      w.partial(Buffer.alloc(9 * 1024 * 1024, 'x'))
        .final('done')
        .fallsSilent()
        .disconnect();
      return follower;
    });
    expect(followers[0]?.asks()).toBe('200');
    expect(followers[1]?.asks()).toMatch(/^1\.0 1: x/);
  });

  it('gives at most a mebibyte at a time, or one part', () => {
    const s = titanicStage({ limits: { messageBytes: 16 * 1024 * 1024 } });
    const follower = new Follower(s, s.submits('echo'));
    const w1 = at(s);
    for (const size of [400_000, 600_000, 100_000, 2_000_000]) w1.partial(Buffer.alloc(size, 'x'));
    expect(follower.asks()).toMatch(/^1\.0 1,1: /);
    expect(follower.asks()).toMatch(/^1\.2 1: /);
    expect(follower.asks()).toMatch(/^1\.3 1: /);
    expect(follower.asks()).toBe('300');
    w1.disconnect();
  });

  it('hands over a mebibyte in a turn, to a client that asks much at once, and what it has room for (D76)', () => {
    const output = { left: Infinity };
    const s = titanicStage({
      limits: { messageBytes: 16 * 1024 * 1024 },
      outputLeft: () => output.left,
    });
    const uuid = s.submits('echo');
    const w1 = at(s).partial(Buffer.alloc(600_000, 'x'));
    const { internalRequests } = s.broker;
    const bytesOfTurns: number[] = [];
    const settledOfTurns: boolean[] = [];
    const answer = internalRequests.answer.bind(internalRequests);
    internalRequests.answer = (id, body): void => {
      const bytes = body.reduce((sum, frame) => sum + frame.length, 0);
      bytesOfTurns[bytesOfTurns.length - 1] = (bytesOfTurns.at(-1) ?? 0) + bytes;
      answer(id, body);
    };
    const run = s.titanic.run.bind(s.titanic);
    s.titanic.run = (...args): void => {
      bytesOfTurns.push(0);
      run(...args);
      settledOfTurns.push(s.titanic.isSettled);
    };
    const client = s.client('flooder');
    s.batch(() => {
      for (let n = 0; n < 20; n++) client.request('titanic.progress', uuid, '', '0');
    });
    const full = bytesOfTurns.filter((bytes) => bytes > 600_000);
    expect(full).toHaveLength(10);
    expect(Math.max(...full)).toBeLessThan(1_201_000);
    expect(client.inbox()).toHaveLength(20);
    // Who drains must not end before the last has its answer.
    const lastOf = (list: readonly unknown[], one: unknown): number => list.lastIndexOf(one);
    expect(lastOf(settledOfTurns, false)).toBe(bytesOfTurns.lastIndexOf(full[0] ?? 0) - 1);

    // There is room for the first two when they are asked, and for one when they go out.
    output.left = 700_000;
    internalRequests.answer = (id, body): void => {
      output.left -= body.reduce((sum, frame) => sum + frame.length, 0);
      answer(id, body);
    };
    s.batch(() => {
      for (let n = 0; n < 3; n++) client.request('titanic.progress', uuid, '', '0');
    });
    const lengths = client.inbox().map((line) => line.length);
    expect(lengths[0]).toBeGreaterThan(600_000);
    expect(lengths.slice(1)).toEqual(Array(2).fill('FINAL titanic.progress 300'.length));
    w1.disconnect();
  });

  it('ends with the death of the request', () => {
    const s = titanicStage({ titanic: { maxAttempts: 1 } });
    const follower = new Follower(s, s.submits('echo'));
    const w1 = at(s).partial('a');
    expect(follower.asks()).toBe('1.0 1: a');
    expect(follower.asks(WAIT)).toBe('');
    w1.disconnect();
    expect(follower.hears()).toMatch(/^500 dead mdp\.no-reply: /);
    expect(follower.asks()).toMatch(/^500 dead mdp\.no-reply: /);
  });

  it('ends with 400 when the request is closed or expires', () => {
    const s = titanicStage({ titanic: { requestTtlMs: 10_000 } });
    const uuid = s.submits('echo');
    const follower = new Follower(s, uuid);
    expect(follower.asks(WAIT)).toBe('');
    expect(s.asks('close', uuid)).toMatch(/400 unknown/);
    const other = new Follower(s, s.submits('echo'));
    expect(other.asks(WAIT)).toBe('');
    s.after(10_000);
    expect(other.hears()).toBe('400 unknown');
  });

  it('waits in a pair until both nodes have the reply, but not for parts', () => {
    const s = titanicStage({ replica: new StageReplica() });
    const follower = new Follower(s, s.submits('echo'));
    const w1 = at(s).partial('a');
    expect(follower.asks()).toBe('1.0 1: a');
    s.holdsPeer();
    w1.partial('b').final('done');
    expect(follower.asks()).toBe('1.1 1: b');
    expect(follower.asks()).toBe('');
    s.freesPeer();
    expect(follower.hears()).toBe('200');
  });

  it('is answered with 300 at once over the quota of waits (D75)', () => {
    const s = titanicStage({ quotasOf: () => ({ ...NO_QUOTAS, waits: 2 }) });
    const uuid = s.submits('echo');
    expect(s.asks('wait', uuid, WAIT)).toBe('');
    expect(new Follower(s, uuid).asks(WAIT)).toBe('');
    expect(new Follower(s, uuid).asks(WAIT)).toBe('300');
    expect(s.asks('wait', uuid, WAIT)).toBe('300');
  });

  it('answers 400 to every key but the one that stored it (D71)', () => {
    const s = titanicStage();
    const alice = s.client('alice', { key: 'alice' });
    const bob = s.client('bob', { key: 'bob' });
    alice.request('titanic.request', 'echo', 'hi');
    const [, uuid = ''] = (alice.inbox()[0] ?? '').split('|');
    const w1 = at(s).partial('a');
    const ask = (): void => {
      bob.request('titanic.progress', uuid, '', '0');
      alice.request('titanic.progress', uuid, '', '0');
    };
    ask();
    expect(bob.inbox()).toEqual(['FINAL titanic.progress 400 unknown']);
    expect(alice.inbox()[0]).toMatch(/\|a$/);
    expect(s.told('titanic.denied')).toHaveLength(1);
    w1.final('done');
    ask();
    expect(bob.inbox()).toEqual(['FINAL titanic.progress 400 unknown']);
    expect(alice.inbox()[0]).toMatch(/\|a$/);
  });

  it('is refused when the node steps down', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const c1 = s.client('c1').hello().request('titanic.progress', uuid, '', WAIT);
    s.deactivates();
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 503|titanic.progress|this node is not active']);
  });

  it.each<[string, string[]]>([
    ['400 a uuid is 32 hexadecimal characters', []],
    ['400 a uuid is 32 hexadecimal characters', ['x', '', '0']],
    ['400 no place, or no time', [UNKNOWN]],
    ['400 no place, or no time', [UNKNOWN, '']],
    ['400 the place is too long', [UNKNOWN, 'x'.repeat(65), '0']],
    ['400 the time is decimal milliseconds from 0 to 60000', [UNKNOWN, '', '60001']],
    ['400 the time is decimal milliseconds from 0 to 60000', [UNKNOWN, '', '']],
    ['400 frames too many', [UNKNOWN, '', '0', 'x']],
    ['400 unknown', [UNKNOWN, '', '0']],
  ])('answers %s %#', (answer, body) => {
    expect(titanicStage().asks('progress', ...body)).toBe(answer);
  });

  it('takes a place that no broker gave as the start', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const w1 = at(s).partial('a');
    for (const place of ['x', '1-2', '9-9-9-9', '1-2-3-99999999999', '-1-1-1-1']) {
      expect(s.asks('progress', uuid, place, '0')).toMatch(/^300\|.*"first":0.*\|a$/);
    }
    w1.final('done');
  });
});
