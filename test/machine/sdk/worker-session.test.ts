import { ConcurrencyLimiter } from '../../../src/sdk/worker/concurrency-limiter.js';
import { Frames } from '../../../src/core/frames.js';
import { ReceivedRequest } from '../../../src/sdk/message.js';
import { NO_WORKER_OFFERS, type WorkerOffers } from '../../../src/sdk/broker-facts.js';
import type { Failure } from '../../../src/wire/failure.js';
import { type SessionSink, Task, WorkerSession } from '../../../src/sdk/worker/worker-session.js';

const OPTIONS = {
  heartbeatIntervalMs: 1000,
  heartbeatLiveness: 3,
  retryBaseMs: 100,
  retryMaxMs: 400,
};

const ALL_OFFERED: WorkerOffers = {
  credit: true,
  options: true,
  headers: true,
  cancel: true,
  group: true,
  contract: true,
  fail: true,
  leave: true,
  messageBytesMax: Infinity,
};

const FAILURE = { kind: 'error', code: 'E', text: 'no', detail: [] } as const;

function taskOf(token: string): Task {
  return new Task(Frames.of(token, '', 'body'), 0, new ReceivedRequest('s', null, []));
}

/** A session in virtual time: inputs go in, effects come out as lines; tasks go by their token. */
class SessionScript {
  now = 0;
  readonly session: WorkerSession;
  /** Whether the registration stands: beside the other effects. */
  readonly reports: string[] = [];
  readonly failures: Failure[] = [];
  readonly #tasks = new Map<string, Task>();
  readonly #lines: string[] = [];

  constructor(credit = 1, limiter = new ConcurrencyLimiter(Infinity), hasOptions = false) {
    const options = { ...OPTIONS, credit, hasOptions, asks: credit > 1 || hasOptions };
    // Without jitter pauses are half of their longest.
    this.session = new WorkerSession(options, this.#sink(), limiter, () => 0);
    this.session.start();
  }

  get effects(): string[] {
    return this.#lines.splice(0);
  }

  /** What it has done so far is of no interest. */
  forget(): void {
    this.#lines.length = 0;
  }

  connect(): this {
    this.session.connected(this.now);
    return this;
  }

  cut(): this {
    this.session.disconnected(this.now);
    return this;
  }

  offers(credit: boolean, options = false, fail = false, headers = false): this {
    const offers = { ...NO_WORKER_OFFERS, credit, options, fail, headers };
    this.session.offers(offers, this.now);
    return this;
  }

  beat(): this {
    this.session.heartbeat(this.now);
    return this;
  }

  dismiss(): this {
    this.session.dismissed(this.now);
    return this;
  }

  request(...tokens: string[]): this {
    for (const token of tokens) this.session.request(taskOf(token), this.now);
    return this;
  }

  part(token: string): boolean {
    return this.session.partial(this.task(token), []);
  }

  tell(token: string): this {
    this.session.progress(this.task(token), []);
    return this;
  }

  answer(token: string): this {
    this.session.finished(this.task(token), [], this.now);
    return this;
  }

  fail(token: string, failure: Failure = FAILURE): this {
    this.session.failed(this.task(token), failure, this.now);
    return this;
  }

  giveBack(token: string, reason: string): this {
    this.session.returned(this.task(token), this.now, reason);
    return this;
  }

  close(): this {
    this.session.close(this.now);
    return this;
  }

  task(token: string): Task {
    const found = this.#tasks.get(token);
    if (found === undefined) throw new Error(`no task ${token}`);
    return found;
  }

  pass(ms: number): this {
    const until = this.now + ms;
    for (let next = this.session.nextMs(); next <= until; next = this.session.nextMs()) {
      this.now = Math.max(this.now, next);
      this.session.tick(this.now);
    }
    this.now = until;
    return this;
  }

  #sink(): SessionSink {
    const say = (line: string): void => {
      this.#lines.push(`${this.now} ${line}`);
    };
    const saying = (line: string) => (): void => say(line);
    const about = (line: string) => (task: Task) => say(`${line} ${task.token.toString()}`);
    return {
      open: saying('open'),
      close: saying('close link'),
      ask: saying('ask'),
      askAgain: () => {
        this.reports.push('asked');
      },
      ready: (credit, tellsName, { headers, cancel, group }) => {
        const stated = credit === null ? '' : ` ${credit}`;
        const asked =
          (headers ? ' with headers' : '') +
          (cancel ? ' with cancel' : '') +
          (group ? ' with group' : '');
        say(`READY${stated}${tellsName ? ' as NAME' : ''}${asked}`);
      },
      heartbeat: saying('HEARTBEAT'),
      disconnect: saying('DISCONNECT'),
      tellRuns: saying('RUNS'),
      leave: saying('leaving'),
      begin: (task) => {
        this.#tasks.set(task.token.toString(), task);
        about('begin')(task);
      },
      waitingBytes: () => 0,
      awaitRoom: () => undefined,
      partial: about('PARTIAL'),
      final: about('FINAL'),
      late: about('late FINAL'),
      fail: (task, failure) => {
        this.failures.push(failure);
        about('FAIL')(task);
      },
      giveBack: (task, reason) => {
        const shown = reason === 'the handler failed' ? '' : ` ${reason}`;
        about(`RETURN${shown}`)(task);
      },
      learnt: (credit) => say(credit ? 'credit' : 'no credit'),
      confirmed: () => {
        this.reports.push('confirmed');
      },
      lost: (reason) => {
        this.reports.push(reason);
      },
      ended: saying('ended'),
    };
  }
}

const nothing = (): void => undefined;
const SILENT: SessionSink = {
  open: nothing,
  close: nothing,
  ask: nothing,
  askAgain: nothing,
  ready: nothing,
  heartbeat: nothing,
  disconnect: nothing,
  tellRuns: nothing,
  leave: nothing,
  begin: nothing,
  waitingBytes: () => 0,
  awaitRoom: nothing,
  partial: nothing,
  final: nothing,
  late: nothing,
  fail: nothing,
  giveBack: nothing,
  learnt: nothing,
  confirmed: nothing,
  lost: nothing,
  ended: nothing,
};

let script: SessionScript;

/** A registered session of one place, or of `credit` places by credit. */
function registered(credit = 1, limiter?: ConcurrencyLimiter): SessionScript {
  const made = new SessionScript(credit, limiter).connect();
  if (credit > 1) made.offers(true);
  made.forget();
  return made;
}

describe('a registration (7/MDP, 18/MDP)', () => {
  beforeEach(() => {
    script = registered();
  });

  it('begins with READY, and answers each request by its token', () => {
    const fresh = new SessionScript().connect().request('t1').answer('t1').request('t2');
    expect(fresh.effects).toEqual(['0 open', '0 READY', '0 begin t1', '0 FINAL t1', '0 begin t2']);
  });

  it('answers the heartbeats of a broker whose interval is shorter (18/MDP §Heartbeating)', () => {
    script.request('t1').pass(300).beat().pass(300).beat();
    expect(script.effects.slice(1)).toEqual(['300 HEARTBEAT', '600 HEARTBEAT']);
    script.pass(1000);
    expect(script.effects).toEqual(['1600 HEARTBEAT']);
  });

  it('does not answer where the intervals are alike, or the broker has the longer one', () => {
    script.pass(1000).beat().pass(1000).beat().pass(2000).beat();
    const beats = script.effects.filter((line) => line.endsWith('HEARTBEAT'));
    expect(beats).toEqual(['1000 HEARTBEAT', '2000 HEARTBEAT', '3000 HEARTBEAT', '4000 HEARTBEAT']);
  });

  it('heartbeats each interval, also while busy', () => {
    script.request('t1').pass(1000).beat().pass(1000);
    expect(script.effects).toEqual(['0 begin t1', '1000 HEARTBEAT', '2000 HEARTBEAT']);
  });

  it('leaves a broker that is silent for interval × liveness, and registers on a new connection', () => {
    script.pass(3050).connect();
    expect(script.effects).toEqual([
      '1000 HEARTBEAT',
      '2000 HEARTBEAT',
      '3000 close link',
      '3050 open',
      '3050 READY',
    ]);
  });

  it('does not take a pause of its own process for silence of the broker', () => {
    script.now = 10_000;
    script.session.tick(10_000);
    expect(script.effects).toEqual(['10000 HEARTBEAT']);
  });

  it('notices that its process stood still, while it works within a second', () => {
    script.pass(500);
    expect(script.session.stoodStill(1200)).toBe(false);
    script.request('t1').pass(0);
    expect(script.session.stoodStill(script.now + 400)).toBe(false);
    expect(script.session.stoodStill(script.now + 600)).toBe(true);
  });

  it('registers again after a DISCONNECT, after a pause that grows', () => {
    script.dismiss().pass(50).dismiss().pass(100).beat().dismiss().pass(50);
    expect(script.effects).toEqual(['50 READY', '150 READY', '150 HEARTBEAT', '200 READY']);
  });

  it('registers again on a new link when the connection has ended', () => {
    script.cut().pass(50).connect();
    expect(script.effects).toEqual(['0 close link', '50 open', '50 READY']);
  });

  it('gives a request whose handler threw back by DISCONNECT and READY (D25)', () => {
    script.request('t1').fail('t1').pass(50);
    expect(script.effects).toEqual(['0 begin t1', '0 DISCONNECT', '50 READY']);
  });

  it('ignores a request that crossed its DISCONNECT', () => {
    script.request('t1').fail('t1').request('t2').pass(10);
    expect(script.effects).toEqual(['0 begin t1', '0 DISCONNECT']);
  });
});

describe('replies that come late (D8)', () => {
  it('go out with their old token beside the new registration, which waits for the place', () => {
    script = registered().request('t1').cut().pass(50).connect();
    expect(script.effects).toEqual(['0 begin t1', '0 close link', '50 open']);
    script.answer('t1');
    expect(script.effects).toEqual(['50 late FINAL t1', '50 READY']);
  });

  it('go over the next connection, before READY: the broker must not give the request out again', () => {
    script = registered(2).request('t1').cut().answer('t1').pass(50).connect().offers(true);
    expect(script.effects.slice(2)).toEqual([
      '50 open',
      '50 FINAL t1',
      '50 ask',
      '50 credit',
      '50 READY 2',
    ]);
  });

  it('do not keep a worker with credit from registering, nor make it run too many', () => {
    script = registered(2).request('t1').cut().pass(50).connect().offers(true).request('t2', 't3');
    expect(script.effects.slice(-3)).toEqual(['50 credit', '50 READY 2', '50 begin t2']);
    script.answer('t1');
    expect(script.effects).toEqual(['50 late FINAL t1', '50 begin t3']);
  });

  it('are not sent when parts have left already, since the rest alone is no answer', () => {
    script = registered().request('t1');
    expect(script.part('t1')).toBe(true);
    script.cut();
    expect(script.part('t1')).toBe(false);
    script.forget();
    expect(script.answer('t1').effects).toEqual([]);
  });

  it('are sent when only progress was told, which is not told without a registration', () => {
    script = registered().request('t1').tell('t1').cut().tell('t1').pass(50).connect().tell('t1');
    expect(script.effects).toEqual([...['0 begin t1', '0 PARTIAL t1', '0 close link', '50 open']]);
    expect(script.answer('t1').effects).toEqual(['50 late FINAL t1', '50 READY']);
  });

  it('a late failure says nothing: the broker has given the request to another', () => {
    script = registered().request('t1').cut();
    script.forget();
    expect(script.fail('t1').effects).toEqual([]);
  });
});

describe('credit (D23)', () => {
  it('is asked for on the connection, then declared with READY', () => {
    script = new SessionScript(4).connect().offers(true);
    expect(script.effects).toEqual(['0 open', '0 ask', '0 credit', '0 READY 4']);
  });

  it('is not declared to a broker that does not offer it, or is silent for an interval', () => {
    script = new SessionScript(4).connect().offers(false);
    expect(script.effects).toEqual(['0 open', '0 ask', '0 no credit', '0 READY']);
    script = new SessionScript(4).connect().pass(1000);
    expect(script.effects).toEqual(['0 open', '0 ask', '1000 no credit', '1000 READY']);
  });

  it('is asked for anew on each connection: another broker may stand there', () => {
    script = registered(4).cut().pass(50).connect();
    expect(script.effects).toEqual(['0 close link', '50 open', '50 ask']);
  });

  it('lets handlers run side by side and answer in any order', () => {
    script = registered(2).request('t1', 't2').answer('t2').answer('t1');
    expect(script.effects).toEqual(['0 begin t1', '0 begin t2', '0 FINAL t2', '0 FINAL t1']);
  });

  it('gives one request back by RETURN, and keeps the others (D25)', () => {
    script = registered(2).request('t1', 't2').fail('t1').answer('t2');
    expect(script.effects.slice(2)).toEqual(['0 RETURN t1', '0 FINAL t2']);
  });

  it('says that it failed to a broker that knows failures, and stays registered (D60)', () => {
    script = registered(2).offers(true, false, true).request('t1', 't2').fail('t1').answer('t2');
    expect(script.effects.slice(2)).toEqual(['0 FAIL t1', '0 FINAL t2']);
  });

  it('says nothing of a failure when its registration is over', () => {
    script = registered(2).offers(true, false, true).request('t1').cut().pass(50).connect();
    script.forget();
    expect(script.fail('t1').effects).toEqual([]);
  });

  it('takes no more from a broker than it was promised', () => {
    script = registered(2).request('t1', 't2', 't3', 't4', 't5').answer('t1').answer('t2');
    script.answer('t3').answer('t4');
    expect(script.effects.filter((line) => line.includes('begin'))).toHaveLength(4);
  });
});

describe('headers (D67)', () => {
  const asking = (credit = 1): SessionScript =>
    new SessionScript(credit, new ConcurrencyLimiter(Infinity), true);

  it('are asked for where the broker knows them', () => {
    script = asking().connect().offers(true, true, true, true);
    expect(script.effects.slice(2)).toEqual(['0 READY 1 as NAME with headers']);
    script = asking(4).connect().offers(true, true, true, true);
    expect(script.effects.slice(3)).toEqual(['0 READY 4 as NAME with headers']);
  });

  it('are not asked for where the broker does not know them', () => {
    script = asking().connect().offers(true, true, true);
    expect(script.effects.slice(2)).toEqual(['0 READY 1 as NAME']);
  });
});

describe('a name (D67)', () => {
  const named = (credit = 1): SessionScript =>
    new SessionScript(credit, new ConcurrencyLimiter(Infinity), true);

  it('is told with READY, beside a credit that is always stated, where options are known', () => {
    script = named().connect().offers(true, true);
    expect(script.effects).toEqual(['0 open', '0 ask', '0 READY 1 as NAME']);
    script = named(4).connect().offers(true, true);
    expect(script.effects).toEqual(['0 open', '0 ask', '0 credit', '0 READY 4 as NAME']);
  });

  it('is not told to an older broker, which gets the READY that it knows', () => {
    for (const credit of [true, false]) {
      script = named().connect().offers(credit);
      expect(script.effects).toEqual(['0 open', '0 ask', '0 READY']);
    }
    script = named(4).connect().offers(true);
    expect(script.effects.slice(2)).toEqual(['0 credit', '0 READY 4']);
  });

  it('is told again with every READY: after a DISCONNECT, and on a new connection', () => {
    script = named().connect().offers(true, true);
    script.forget();
    script.dismiss().pass(50).offers(true, true);
    expect(script.effects).toEqual(['50 ask', '50 READY 1 as NAME']);
    script.cut().pass(100).connect().offers(true, true);
    expect(script.effects.slice(-2)).toEqual(['150 ask', '150 READY 1 as NAME']);
  });

  it('gives back with a reason what its handler did not do: by DISCONNECT where there is no RETURN', () => {
    script = named()
      .connect()
      .offers(true, true)
      .request('t1')
      .giveBack('t1', 'gone')
      .request('t2');
    expect(script.effects.slice(-3)).toEqual(['0 begin t1', '0 RETURN gone t1', '0 begin t2']);
    script = named().connect().offers(false, false).request('t1');
    script.forget();
    script.giveBack('t1', 'gone').pass(50);
    expect(script.effects[0]).toBe('0 DISCONNECT');
  });

  it('is told by a registration that waited for handlers of an earlier one', () => {
    script = named().connect().offers(true, true).request('t1').cut().pass(50).connect();
    script.offers(true, true);
    script.forget();
    script.answer('t1').offers(true, true);
    expect(script.effects).toEqual(['50 FINAL t1', '50 ask', '50 READY 1 as NAME']);
  });

  it('makes a worker without concurrency give requests back by RETURN, and stay (D25)', () => {
    script = named().connect().offers(true, true).request('t1').fail('t1').request('t2');
    expect(script.effects.slice(-3)).toEqual(['0 begin t1', '0 RETURN t1', '0 begin t2']);
  });

  it('is not waited for again where a broker did not answer, until it does', () => {
    script = named().connect().pass(1000);
    expect(script.effects).toEqual(['0 open', '0 ask', '1000 READY']);
    script.dismiss().pass(50);
    expect(script.effects).toEqual(['1050 ask', '1050 READY']);
    script.offers(true, true).pass(100);
    expect(script.effects).toEqual(['1050 DISCONNECT', '1150 ask']);
    script.offers(true, true);
    expect(script.effects).toEqual(['1150 READY 1 as NAME']);
  });

  it.each([1, 4])(
    'registers anew when it is idle, once, if the answer comes after READY',
    (credit) => {
      const late = { ...ALL_OFFERED, options: false };
      script = new SessionScript(credit, new ConcurrencyLimiter(credit), true).connect().pass(1000);
      script.request('t1');
      script.forget();
      script.session.offers(late, script.now);
      script.answer('t1').request('t2').pass(50);
      expect(script.effects).toEqual(['1000 FINAL t1', '1000 DISCONNECT', '1050 ask']);
      // The answer is late once more.
      script.pass(1000);
      script.forget();
      script.session.offers(late, script.now);
      expect(script.effects.join()).not.toContain('DISCONNECT');
      expect(script.reports.filter((each) => each === 'reregister')).toHaveLength(1);
    },
  );

  it('does not register anew for what it does not want, nor while it drains', () => {
    script = named().connect().pass(1000).offers(true).offers(false, true);
    expect(script.effects.join()).not.toContain('DISCONNECT');
    script = named().connect().pass(1000).request('t1').offers(true, true).close().answer('t1');
    expect(script.effects.slice(-3)).toEqual(['1000 DISCONNECT', '1000 close link', '1000 ended']);
  });

  it('is waited for no longer than a second, be the interval as long as it may', () => {
    const options = {
      ...OPTIONS,
      heartbeatIntervalMs: 60_000,
      credit: 1,
      hasOptions: true,
      asks: true,
    };
    const slow = new WorkerSession(options, SILENT, new ConcurrencyLimiter(1), () => 0);
    slow.start();
    slow.connected(0);
    expect(slow.nextMs()).toBe(1000);
  });

  it('of one of several connections nothing is asked for', () => {
    expect(new SessionScript().connect().effects).toEqual(['0 open', '0 READY']);
  });
});

describe('closing', () => {
  it('an idle worker says DISCONNECT at once', () => {
    expect(registered().close().effects).toEqual(['0 DISCONNECT', '0 close link', '0 ended']);
  });

  it('a busy one answers first; what comes meanwhile is given back by the DISCONNECT', () => {
    script = registered(3).request('t1').close().request('t2').pass(1000).answer('t1');
    expect(script.effects).toEqual([
      '0 begin t1',
      '1000 HEARTBEAT',
      '1000 FINAL t1',
      '1000 DISCONNECT',
      '1000 close link',
      '1000 ended',
    ]);
  });

  describe('at a broker that lets workers leave (D117)', () => {
    const CLOSING = 'RETURN mdp.not-begun: the worker closes';

    /** Of two places. */
    function leaver(limiter?: ConcurrencyLimiter): SessionScript {
      const made = new SessionScript(2, limiter).connect();
      made.session.offers(ALL_OFFERED, made.now);
      made.forget();
      return made;
    }

    it('an idle worker says that it leaves, and ends when the broker lets it go', () => {
      script = leaver().close();
      expect(script.effects).toEqual(['0 leaving']);
      expect(script.close().effects).toEqual([]);
      expect(script.session.state).toBe('registered');
      expect(script.dismiss().effects).toEqual(['0 close link', '0 ended']);
    });

    it('a busy one answers first, and gives back what has not begun, also what comes meanwhile', () => {
      const limiter = new ConcurrencyLimiter(1);
      script = leaver(limiter).request('t1', 't2');
      script.forget();
      script.close().request('t3').pass(1000);
      expect(script.effects).toEqual([
        '0 leaving',
        `0 ${CLOSING} t2`,
        `0 ${CLOSING} t3`,
        '1000 HEARTBEAT',
      ]);
      script.answer('t1').request('t4');
      expect(script.effects).toEqual(['1000 FINAL t1', `1000 ${CLOSING} t4`]);
      expect(script.dismiss().effects).toEqual(['1000 close link', '1000 ended']);
    });

    it('says DISCONNECT after a second in which the broker did not let it go', () => {
      script = leaver().close();
      script.pass(999);
      expect(script.session.state).toBe('registered');
      script.pass(1);
      expect(script.effects).toEqual([
        ...['0 leaving', '1000 DISCONNECT', '1000 close link', '1000 ended'],
      ]);
    });

    it('waits for that also if its grace is over, unless something runs', () => {
      script = leaver().close();
      script.session.abort();
      expect(script.effects).toEqual(['0 leaving']);
      expect(script.dismiss().effects).toEqual(['0 close link', '0 ended']);
      script = leaver().request('t1').close();
      script.forget();
      script.session.abort();
      expect(script.answer('t1').effects).toEqual(['0 DISCONNECT', '0 close link', '0 ended']);
    });

    it('does not take a pause of its own process for that second', () => {
      script = leaver().close();
      script.forget();
      script.now = 5000;
      script.session.tick(5000);
      expect(script.effects).toEqual(['5000 HEARTBEAT']);
      expect(script.request('t1').effects).toEqual([`5000 ${CLOSING} t1`]);
      expect(script.dismiss().effects).toEqual(['5000 close link', '5000 ended']);
    });

    it('gives back what has not begun also if it ends at once, after it has said that it leaves', () => {
      script = leaver(new ConcurrencyLimiter(1)).request('t1', 't2');
      script.forget();
      script.session.abort();
      expect(script.effects).toEqual([
        '0 leaving',
        `0 ${CLOSING} t2`,
        '0 DISCONNECT',
        '0 close link',
        '0 ended',
      ]);
    });

    it('ends if the connection is lost meanwhile', () => {
      script = leaver().close();
      script.forget();
      expect(script.cut().effects.slice(1)).toEqual(['0 close link', '0 ended']);
    });
  });

  it('when its grace is over, all that is out is given back, and late ends say nothing', () => {
    script = registered(2).request('t1');
    script.forget();
    script.session.abort();
    expect(script.answer('t1').effects).toEqual(['0 DISCONNECT', '0 close link', '0 ended']);
    expect(script.session.nextMs()).toBe(Infinity);
  });

  describe('without a connection, sends what its handlers answer over the next one, and then ends (D8)', () => {
    it('although it was closed after the answer', () => {
      script = registered().request('t1').cut().answer('t1');
      script.forget();
      expect(script.close().effects).toEqual([]);
      expect(script.pass(50).cut().pass(100).connect().effects).toEqual([
        ...['50 open', '50 close link', '150 open'],
        ...['150 FINAL t1', '150 close link', '150 ended'],
      ]);
    });

    it('although it was closed before the answer', () => {
      for (const passMs of [0, 50]) {
        script = registered().request('t1').cut().close().pass(passMs);
        expect(script.session.state).toBe(passMs === 0 ? 'away' : 'dialling');
        script.answer('t1').pass(50).connect();
        expect(script.effects.slice(2)).toEqual([
          '50 open',
          ...['FINAL t1', 'close link', 'ended'].map((line) => `${script.now} ${line}`),
        ]);
      }
    });

    it('when the last of them has answered', () => {
      script = registered(2).request('t1', 't2').cut().answer('t1').close().pass(50).connect();
      expect(script.effects.slice(3)).toEqual(['50 open', '50 FINAL t1', '50 ask']);
      expect(script.session.state).toBe('full');
      script.pass(5000).answer('t2');
      expect(script.effects).toEqual(['5050 FINAL t2', '5050 close link', '5050 ended']);
    });

    it('also when the last of them has failed, or the new connection is lost as well', () => {
      script = registered(2).request('t1', 't2').cut().answer('t1').close().fail('t2');
      expect(script.pass(50).connect().effects.slice(3)).toEqual([
        ...['50 open', '50 FINAL t1', '50 close link', '50 ended'],
      ]);
      script = registered().request('t1').cut().close().pass(50).connect().cut().answer('t1');
      expect(script.pass(100).connect().effects.slice(2)).toEqual([
        ...['50 open', '50 close link', '150 open'],
        ...['150 FINAL t1', '150 close link', '150 ended'],
      ]);
    });

    it('until its grace is over, which tells how many were not sent', () => {
      script = registered(2).request('t1', 't2').cut().answer('t1').close().answer('t2');
      expect(script.session.unsent).toBe(2);
      script.forget();
      script.session.abort();
      expect(script.effects).toEqual(['0 close link', '0 ended']);
      script = registered(2).request('t1').cut().answer('t1').pass(50).connect();
      expect(script.session.unsent).toBe(0);
    });
  });

  it('does not register any more, wherever it is', () => {
    script = registered(2).request('t1').cut().pass(50).connect().close();
    script.forget();
    expect(script.offers(true).effects).toEqual(['50 credit']);
    expect(script.answer('t1').effects).toEqual(['50 FINAL t1', '50 close link', '50 ended']);
    script = registered(2).request('t1').dismiss().close();
    script.forget();
    expect(script.pass(1000).effects).toEqual([]);
    expect(script.answer('t1').effects).toEqual(['1000 FINAL t1', '1000 close link', '1000 ended']);
  });
});

describe('the registrations of one worker', () => {
  it('run no more at once than the worker may, and take turns', () => {
    const limiter = new ConcurrencyLimiter(2);
    const [a, b] = [registered(2, limiter), registered(2, limiter)];
    a.request('a1', 'a2', 'a3');
    b.request('b1', 'b2');
    expect([a.effects, b.effects]).toEqual([['0 begin a1', '0 begin a2'], []]);
    a.answer('a1');
    expect([a.effects, b.effects]).toEqual([['0 FINAL a1'], ['0 begin b1']]);
    a.answer('a2');
    expect([a.effects, b.effects]).toEqual([['0 FINAL a2'], ['0 begin b2']]);
    b.answer('b1').answer('b2');
    expect([a.effects, b.effects]).toEqual([['0 begin a3'], ['0 FINAL b1', '0 FINAL b2']]);
  });

  it('heartbeat while their requests wait for a place', () => {
    const limiter = new ConcurrencyLimiter(1);
    const [a, b] = [registered(1, limiter), registered(1, limiter)];
    a.request('a1');
    b.request('b1').pass(1000);
    expect(b.effects).toEqual(['1000 HEARTBEAT']);
  });

  it('give back what waits for a place when they close, and free the places of what ran', () => {
    const limiter = new ConcurrencyLimiter(1);
    const [a, b, c] = [1, 2, 3].map(() => registered(1, limiter));
    if (!a || !b || !c) throw new Error('three');
    a.request('a1');
    b.request('b1').close();
    c.request('c1');
    expect(b.effects).toEqual(['0 DISCONNECT', '0 close link', '0 ended']);
    a.session.abort();
    expect(c.effects).toEqual([]);
    a.fail('a1');
    expect(c.effects).toEqual(['0 begin c1']);
  });

  it('a request that waited for a place is not begun when its registration has ended', () => {
    const limiter = new ConcurrencyLimiter(1);
    const [a, b] = [registered(1, limiter), registered(1, limiter)];
    a.request('a1');
    b.request('b1').cut();
    b.forget();
    a.answer('a1').request('a2');
    expect([a.effects.at(-1), b.effects]).toEqual(['0 begin a2', []]);
  });
});

describe('whether a registration stands', () => {
  function asking(credit = 1): SessionScript {
    return new SessionScript(credit, new ConcurrencyLimiter(Infinity), true).connect();
  }

  it('says the answer to a question that was asked after READY', () => {
    script = asking();
    expect(script.reports).toEqual([]);
    script.offers(true, true);
    expect(script.reports).toEqual(['asked']);
    script.offers(true, true);
    expect(script.reports).toEqual(['asked', 'confirmed']);
    script.offers(true, true).beat().request('t1');
    expect(script.reports).toEqual(['asked', 'confirmed']);
  });

  it('says the next answer where READY did not wait for the first', () => {
    const options = { ...OPTIONS, credit: 1, hasOptions: false, asks: true };
    const reports: string[] = [];
    const session = new WorkerSession(
      options,
      {
        ...SILENT,
        askAgain: () => reports.push('asked'),
        confirmed: () => reports.push('confirmed'),
      },
      new ConcurrencyLimiter(1),
      () => 0,
    );
    session.start();
    session.connected(0);
    const offers = { ...ALL_OFFERED, headers: false };
    session.offers(offers, 1);
    expect(reports).toEqual(['asked']);
    session.offers(offers, 2);
    expect(reports).toEqual(['asked', 'confirmed']);
  });

  it('knows from the answer what is too large for the broker, also if it comes after READY', () => {
    script = new SessionScript().connect();
    const large = [Buffer.alloc(600), Buffer.alloc(401)];
    expect(script.session.tooLargeError(large)).toBeNull();
    script.session.offers({ ...ALL_OFFERED, messageBytesMax: 1000 }, script.now);
    expect(script.session.tooLargeError(large)).toMatchObject({
      serviceCode: 'too-large',
      retry: false,
      message: 'the reply has 1001 bytes, the broker accepts at most 1000',
      details: { bytes: 1001, bytesMax: 1000 },
    });
    expect(script.session.tooLargeError(Buffer.alloc(1000))).toBeNull();
  });

  it('leaves out the detail of a failure that the broker would skip for its size', () => {
    script = asking().beat();
    script.session.offers({ ...ALL_OFFERED, messageBytesMax: 2048 }, script.now);
    script.request('t1').fail('t1', { ...FAILURE, detail: [Buffer.alloc(2048)] });
    expect(script.failures).toMatchObject([{ kind: 'error', code: 'E', text: 'no' }]);
    expect(String(script.failures[0]?.detail)).toContain('"omitted":"the details have 2048 bytes');
  });

  it('says a request or a heartbeat of a broker that answers no question', () => {
    for (const sign of ['beat', 'request'] as const) {
      script = new SessionScript().connect();
      if (sign === 'beat') script.beat().beat();
      else script.request('t1');
      expect(script.reports).toEqual(['confirmed']);
    }
  });

  it('does not say an answer that the broker sent before it read READY', () => {
    script = asking().offers(true, true).dismiss();
    script.pass(50);
    // The late answer of the first READY, then that about options, then that of the second READY.
    script.offers(true, true).offers(true, true);
    expect(script.reports).toEqual(['asked', 'dismissed', 'asked']);
    script.offers(true, true);
    expect(script.reports).toEqual(['asked', 'dismissed', 'asked', 'confirmed']);
  });

  it('was given up for a moment, and the connection ends before the next one', () => {
    for (const passMs of [0, 60]) {
      const script = new SessionScript(1, new ConcurrencyLimiter(Infinity), true);
      script.connect().offers(false).request('t').fail('t').pass(passMs);
      expect(script.session.state).toBe(passMs === 0 ? 'resting' : 'asking');
      script.reports.length = 0;
      script.cut().pass(1000).connect().cut();
      expect(script.reports).toEqual(['connection']);
    }
  });

  it('ends, and says why', () => {
    const why = (script: SessionScript): string | undefined => script.reports.at(-1);
    expect(why(registered().beat().dismiss())).toBe('dismissed');
    expect(why(registered().beat().cut())).toBe('connection');
    expect(why(registered().pass(3000))).toBe('silent');
    expect(why(registered().request('t1').fail('t1'))).toBe('reregister');
    script = registered().beat().cut();
    script.close();
    expect(script.reports).toEqual(['confirmed', 'connection']);
  });

  it('gives back what nobody waits for any more and has not begun (D106)', () => {
    script = registered(2, new ConcurrencyLimiter(1)).request('t1', 't2');
    script.forget();
    expect(script.session.cancelHeld(Buffer.from('t1'), script.now)).toBe(false);
    expect(script.session.cancelHeld(Buffer.from('t2'), script.now)).toBe(true);
    expect(script.effects).toEqual([`${script.now} RETURN mdp.not-begun: cancelled t2`]);
    script.answer('t1');
    expect(script.effects).toEqual([`${script.now} FINAL t1`]);
  });
});
