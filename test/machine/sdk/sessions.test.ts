/** A client goes on over another connection where the last one ended (D116). */
import { type AskOptions, PirateScript, type ScriptOptions } from './pirate-script.js';

/** The whole call may take 10 s. */
const PATIENT: AskOptions = { resendMs: 2500, timeoutMs: 10_000 };

/** A client that is connected to a broker with sessions, with these requests out there. */
function atBroker(names: readonly string[], options: ScriptOptions = {}): PirateScript {
  const script = new PirateScript({ ...options, hasSessions: true }).connect().meets('one', false);
  for (const name of names) script.ask(name, PATIENT);
  expect(script.effects.slice(2)).toEqual(names.map((name) => `0 send ${name} #1 on 1`));
  return script;
}

/** Cut, and connected again. */
function cut(script: PirateScript): PirateScript {
  script.cut();
  script.pass(100);
  script.connect();
  return script;
}

const REDIALLED = ['0 close 1', '50 open 2 to 0', '100 greet 2'];

describe('a broker with sessions', () => {
  it('is sent a request once, however long that takes, and hears when its time is over', () => {
    const script = atBroker(['a']);
    for (let at = 0; at < 9; at++) script.pass(1000).hear();
    script.pass(1000);
    const effects = script.effects;
    expect(effects.filter((line) => line.includes('send'))).toEqual([]);
    expect(effects.slice(-2)).toEqual(['10000 cancel a #1 on 1', '10000 fail a ERR_MDP_TIMEOUT']);
    expect(script.errors.get('a')?.details).toEqual({ service: 'a', sends: 1 });
  });

  it('is taken for dead if it is silent, and silent when it is asked', () => {
    const script = atBroker(['a']).pass(3750);
    expect(script.effects).toEqual(['2500 probe 1', '3750 close 1', '3750 open 2 to 0']);
  });

  it('is known as one when requests are out already: they are not sent again', () => {
    const script = new PirateScript({ hasSessions: true })
      .connect()
      .ask('a', PATIENT)
      .pass(1000)
      .meets('one', false);
    for (let at = 0; at < 8; at++) script.hear().pass(1000);
    expect(script.effects.filter((line) => line.includes('send'))).toEqual(['0 send a #1 on 1']);
  });
});

describe('after a connection was lost', () => {
  it('the client asks first, goes on with what is open, and sends what never arrived', () => {
    const script = cut(atBroker(['a', 'b', 'c']));
    script.ask('new', PATIENT);
    expect(script.effects).toEqual(REDIALLED);
    script.meets('one', true);
    expect(script.effects).toEqual(['100 resume a/1 b/1 c/1 on 2']);
    script.resumed('open', 'unknown', 'unknown');
    expect(script.effects).toEqual([
      '100 resumed',
      '100 send b #2 on 2',
      '100 send c #2 on 2',
      '100 send new #1 on 2',
    ]);
    // What is sent again has the id that it had, so that the broker knows it if it arrived after all.
    expect(['a', 'b', 'c', 'new'].map((name) => script.call(name).id)).toEqual([1, 2, 3, 4]);
    expect(script.answer('a', 1)).toBe(true);
    expect(script.call('b').sends).toBe(1);
  });

  it('answers may come before what the broker says of them', () => {
    const script = cut(atBroker(['a', 'b'])).meets('one', true);
    expect(script.answer('a')).toBe(true);
    script.resumed('answered', 'open');
    expect(script.effects.slice(3)).toEqual([
      '100 resume a/1 b/1 on 2',
      '100 resumed',
      '100 resumed',
    ]);
  });

  it('what has ended and is not kept has an outcome that nobody knows', () => {
    const script = cut(atBroker(['a']))
      .meets('one', true)
      .resumed('gone');
    expect(script.effects.at(-1)).toBe('100 fail a ERR_MDP_OUTCOME_UNKNOWN');
    expect(script.errors.get('a')?.message).toBe(
      "the outcome of the request to 'a' is unknown: the broker has neither the request nor its answer",
    );
  });

  it('the client asks again for an answer that is kept, when it has read what came before', () => {
    const script = cut(atBroker(['a', 'b']))
      .meets('one', true)
      .resumed('kept', 'open');
    expect(script.effects.at(-1)).toBe('100 resume a/1 on 2');
    script.resumed('kept');
    expect(script.pass(49).effects).toEqual([]);
    expect(script.pass(1).effects).toEqual(['150 resume a/1 on 2']);
    script.resumed('open');
    expect(script.effects).toEqual(['150 resumed']);
  });

  it('and no other connection, if that one is lost before', () => {
    const script = cut(atBroker(['a']))
      .meets('one', true)
      .resumed('kept');
    script.effects.splice(0);
    // The pause ends while the next one is dialled, which must not be sent anything before its hello.
    script.cut().pass(1000);
    expect(script.effects).toEqual(['100 close 2', '200 open 3 to 0']);
    script.connect().meets('one', true);
    expect(script.effects).toEqual(['1100 greet 3', '1100 resume a/1 on 3']);
  });

  it('it asks for a hundred at once', () => {
    const names = Array.from({ length: 101 }, (_, at) => `r${at}`);
    const script = cut(atBroker(names)).meets('one', true);
    expect(script.effects.at(-1)?.split(' ')).toHaveLength(104);
    script.resumed(...names.slice(1).map(() => 'open' as const));
    expect(script.effects.at(-1)).toBe('100 resume r100/1 on 2');
  });

  it('a broker that has died has none of them: they are sent again', () => {
    const script = cut(atBroker(['a'])).meets('two', false);
    expect(script.effects.slice(3)).toEqual(['100 send a #2 on 2']);
  });

  it('a broker that has dropped the session, because the client was away for too long, may have run them', () => {
    const script = atBroker([]).ask('a', { resendMs: 60_000, timeoutMs: 60_000 });
    script.cut().pass(10_000).connect().meets('one', false);
    expect(script.effects.at(-1)).toBe('10000 fail a ERR_MDP_OUTCOME_UNKNOWN');
  });

  it('so may one that dropped the session while the client was held up, however soon that is back then', () => {
    const script = atBroker([]).ask('a', { resendMs: 60_000, timeoutMs: 60_000 });
    script.now = 9_990;
    cut(script).meets('one', false);
    expect(script.effects.at(-1)).toBe('10090 fail a ERR_MDP_OUTCOME_UNKNOWN');
  });

  it('so may one that had not said yet which it is: within the time that it keeps a session it is sent them again', () => {
    const script = new PirateScript({ hasSessions: true }).connect();
    script.ask('a', { resendMs: 60_000, timeoutMs: 60_000 });
    cut(script).meets('one', false);
    expect(script.effects.at(-1)).toBe('100 send a #2 on 2');
    const late = new PirateScript({ hasSessions: true }).connect();
    late.ask('a', { resendMs: 60_000, timeoutMs: 60_000 });
    late.cut().pass(10_000).connect().meets('one', false);
    expect(late.effects.at(-1)).toBe('10000 fail a ERR_MDP_OUTCOME_UNKNOWN');
  });

  it('a broker without sessions is sent them again', () => {
    const script = cut(atBroker(['a'])).broker(0);
    script.strategy.greeted?.(2, { resumeMs: 0, isKnown: false }, script.now);
    expect(script.effects.slice(3)).toEqual(['100 send a #2 on 2']);
  });

  it('a broker that says nothing while it is asked is left', () => {
    const script = cut(atBroker(['a'])).pass(3000);
    expect(script.effects.slice(3)).toEqual(['1350 probe 2', '2600 close 2', '2600 open 3 to 0']);
  });

  it('what was given up meanwhile is taken back', () => {
    const script = atBroker(['a', 'b']);
    script.cut().abort('a');
    script.pass(100).connect().meets('one', true);
    expect(script.effects.slice(-2)).toEqual(['100 resume b/1 on 2', '100 cancel a #1 on 2']);
  });

  it('parts that have come make half a stream, which ends', () => {
    const script = atBroker([]).ask('s', { ...PATIENT, streams: true });
    script.part('s');
    script.cut();
    expect(script.effects.at(-1)).toBe('0 fail s ERR_MDP_STREAM_BROKEN');
  });
});

describe('with two brokers', () => {
  it('a request that the second refuses is asked for at the first, which may have it', () => {
    const script = atBroker(['a'], { endpoints: 2 });
    script.pass(3750).connect().meets('two', false);
    expect(script.effects.at(-1)).toBe('3750 send a #2 on 2');
    script.refuse('a', '503').pass(0);
    script.connect().meets('one', true);
    expect(script.effects.at(-1)).toBe(`3750 resume a/1 on 3`);
    script.resumed('open');
    expect(script.answer('a', 1)).toBe(true);
  });
});

describe('the ids of a session', () => {
  it('only grow: what is sent again over the same connection has a new one', () => {
    const script = atBroker(['a', 'b']).refuse('a', '429').pass(100);
    expect(script.effects).toEqual(['50 send a #2 on 1']);
    expect([script.call('a').id, script.call('b').id]).toEqual([3, 2]);
  });

  it('are used up at the end: a new session begins when nothing is out, and until then requests wait', () => {
    const script = new PirateScript({ lastId: 0xffff_0000 - 2, hasSessions: true })
      .connect()
      .meets('one', false);
    script.ask('a', PATIENT).ask('b', PATIENT).ask('c', PATIENT);
    expect(script.effects.slice(2)).toEqual(['0 send a #1 on 1', '0 send b #1 on 1']);
    script.answer('a');
    expect(script.effects).toEqual([]);
    script.answer('b');
    expect(script.effects).toEqual(['0 new session', '0 close 1']);
    script.pass(0).connect();
    expect(script.effects).toEqual(['0 open 2 to 0', '0 greet 2', '0 send c #1 on 2']);
    expect(script.call('c').id).toBe(1);
  });
});

describe('a client that is unlucky', () => {
  it('asks again over another connection if its question is refused', () => {
    const script = cut(atBroker(['a'])).meets('one', true);
    script.strategy.resumed?.(2, null, script.now);
    script.pass(200).connect().meets('one', true);
    expect(script.effects.at(-1)).toBe('300 resume a/1 on 3');
  });

  it('does not send again what the same broker had, because it has no session there now', () => {
    const script = cut(atBroker(['a']));
    script.strategy.greeted?.(2, { resumeMs: 0, isKnown: false }, script.now);
    const broker = {
      takesHeaders: true,
      takesOptions: true,
      takesGroups: true,
      tellsWhy: false,
      pairHeartbeatMs: 0,
      instance: 'one',
    };
    script.strategy.learnt(2, broker, script.now);
    expect(script.effects.at(-1)).toBe('100 fail a ERR_MDP_OUTCOME_UNKNOWN');
  });

  it('does not ask another broker for what it had not yet asked the last one for', () => {
    const names = Array.from({ length: 101 }, (_, at) => `r${at}`);
    const script = cut(atBroker(names)).meets('one', true);
    expect(script.effects.at(-1)).toContain('resume');
    cut(script).meets('two', false);
    expect(script.effects.filter((line) => line.includes('resume'))).toEqual([]);
  });

  it('takes no answer for one to a question that it has not asked', () => {
    const script = cut(atBroker(['a']));
    script.resumed('open');
    expect(script.effects).toEqual(REDIALLED);
    script.meets('one', true);
    expect(script.effects).toEqual(['100 resume a/1 on 2']);
  });

  it('leaves a broker that refuses its hello, which may have the session', () => {
    const script = cut(atBroker(['a']));
    script.strategy.greeted?.(2, null, script.now);
    script.broker(0);
    expect(script.effects.slice(3)).toEqual(['100 close 2']);
    script.pass(200).connect().meets('one', true);
    expect(script.effects.at(-1)).toBe('300 resume a/1 on 3');
  });

  it('asks for what is lost while it asks', () => {
    const script = atBroker(['a', 'b'], { endpoints: 2 });
    // The other endpoint leads to the same broker.
    script.refuse('b', '503').pass(0).connect().meets('one', true);
    script.cut(2).pass(100).connect().meets('one', true);
    expect(script.effects.at(-1)).toBe('100 resume b/2 on 3');
    script.cut(1).resumed('open');
    expect(script.effects).toEqual(['100 close 1', '100 resumed', '100 resume a/1 on 3']);
  });
});

describe('a node that hands over', () => {
  it('is watched while it has requests: if it dies, they go to the node that serves', () => {
    const script = new PirateScript({ endpoints: 2, hasSessions: true }).connect();
    script.meets('one', false).ask('a', PATIENT).ask('b', PATIENT).refuse('b', '503');
    script.connect(2).meets('two', false, 2);
    expect(script.effects.slice(-1)).toEqual(['0 send b #2 on 2']);
    expect(script.answer('b')).toBe(true);
    script.pass(1000).hear(1).pass(5000);
    const effects = script.effects.slice(0, 3);
    expect(effects).toEqual(['2500 probe 1', '3750 close 1', '3750 send a #2 on 2']);
  });
});

describe('the same broker, which does not know the session', () => {
  it('may have seen the connection end before its client did: what it had is not sent again', () => {
    const script = atBroker([]).ask('a', { resendMs: 60_000, timeoutMs: 120_000 });
    // The link is dead from the beginning: the client finds that out after 3.75 s, the broker at once.
    script.pass(3750);
    script.pass(7000).connect().meets('one', false);
    expect(script.effects.at(-1)).toBe('10750 fail a ERR_MDP_OUTCOME_UNKNOWN');
  });

  it('sends no id again that a broker has seen which it meets again', () => {
    const script = new PirateScript({ endpoints: 2, hasSessions: true })
      .connect()
      .meets('one', false);
    script.ask('a', PATIENT).ask('b', PATIENT).refuse('b', '429').pass(50);
    // The first broker has seen the id 3; the other one, where nothing is known, is sent the id 1.
    expect(script.call('b').id).toBe(3);
    script.refuse('b', '429').cut().pass(50).connect().meets('two', false);
    script.cut().pass(100).connect().meets('one', true).resumed('open').pass(100);
    expect([script.call('b').state, script.call('b').id]).toEqual(['sent', 4]);
  });
});

describe('a request whose parts are joined', () => {
  it('is sent once, too, however long the next part takes', () => {
    const script = atBroker(['a']);
    script.part('a');
    for (let at = 0; at < 5; at++) script.pass(1000).hear();
    expect(script.effects.filter((line) => line.includes('send'))).toEqual([]);
    expect(script.answer('a')).toBe(true);
  });
});

describe('what was sent before its broker had said anything', () => {
  /** The connection is lost within the first round trip, and there is another one. */
  function lostEarly(): PirateScript {
    const script = new PirateScript({ hasSessions: true }).connect().ask('a', PATIENT).pass(10);
    cut(script);
    expect(script.effects.slice(-2)).toEqual(['60 open 2 to 0', '110 greet 2']);
    return script;
  }

  it('is asked for where the session is known, because it was that broker', () => {
    const script = lostEarly().meets('one', true);
    expect(script.effects).toEqual(['110 resume a/1 on 2']);
    expect(script.resumed('open').effects).toEqual(['110 resumed']);
  });

  it('is sent again where the session is not known: it arrived at no living broker', () => {
    expect(lostEarly().meets('two', false).effects).toEqual(['110 send a #2 on 2']);
  });

  it('is sent again to a broker that says nothing, which has no sessions, and from then on at once', () => {
    const script = lostEarly().pass(1249);
    expect(script.effects).toEqual([]);
    expect(script.pass(1).effects).toEqual(['1360 send a #2 on 2']);
    expect(cut(script).effects.at(-1)).toBe('1460 send a #3 on 3');
  });

  it('is asked for as well if the connection is lost once more before that', () => {
    const script = cut(lostEarly());
    script.meets('one', true);
    expect(script.effects.at(-1)).toBe('210 resume a/1 on 3');
  });
});

describe('a refusal that was kept', () => {
  it('says why, and not that the outcome is unknown', () => {
    const script = cut(atBroker(['a', 'b'])).meets('one', true);
    script.refuse('a', '408').refuse('b', '429').resumed('answered', 'answered');
    expect(script.effects.slice(-1)).toEqual(['100 fail a ERR_MDP_REFUSED']);
    expect(script.pass(50).effects).toEqual(['150 send b #2 on 2']);
  });

  it('sends it to another broker, whatever is said then of the send that was refused', () => {
    const script = cut(atBroker(['a', 'b'], { endpoints: 2 })).meets('one', true);
    script.refuse('a', '503').resumed('answered', 'open');
    expect(script.effects.slice(-2)).toEqual(['100 resumed', '100 send a #2 on 2']);
    expect(script.call('a').sends).toBe(1);
  });
});

describe('a broker that refused the hello first', () => {
  it('keeps what it is sent once it has taken one', () => {
    const script = new PirateScript({ hasSessions: true }).connect();
    script.strategy.greeted?.(1, null, script.now);
    script.ask('a', PATIENT).meets('one', false);
    cut(script).meets('one', true);
    expect(script.effects.at(-1)).toBe('100 resume a/1 on 2');
  });
});

describe('a line that was left', () => {
  it('is closed if another broker answers on it, behind a proxy: what was out goes on elsewhere', () => {
    const script = new PirateScript({ endpoints: 2, hasSessions: true }).connect();
    script.meets('one', false).ask('a', PATIENT).ask('b', PATIENT).refuse('b', '503');
    script.connect(2).meets('two', false, 2).meets('three', false, 1);
    expect(script.effects.slice(-2)).toEqual(['0 close 1', '0 send a #2 on 2']);
  });
});

describe('while the broker is asked', () => {
  it('what is given up is taken back when it has said all', () => {
    const script = cut(atBroker(['a', 'b'])).meets('one', true);
    script.abort('a').resumed('open', 'open');
    expect(script.effects.slice(-2)).toEqual(['100 resumed', '100 cancel a #1 on 2']);
  });

  it('no new session begins, although all ids are used up', () => {
    const script = new PirateScript({ lastId: 0xffff_0000 - 1, hasSessions: true })
      .connect()
      .meets('one', false)
      .ask('a', PATIENT);
    cut(script).ask('b', PATIENT).meets('one', true).resumed('open');
    expect(script.effects.slice(-2)).toEqual(['100 resume a/1 on 2', '100 resumed']);
  });
});

describe('a broker without sessions', () => {
  it('is not taken for dead before it was asked, although the program was too busy for that', () => {
    const script = new PirateScript().connect().broker(0);
    script.ask('s', { streams: true, resendMs: 1000, timeoutMs: 60_000 });
    script.part('s');
    script.now = 1000;
    script.strategy.tick(script.now);
    expect(script.effects.slice(3)).toEqual(['1000 probe 1']);
    script.pass(1000);
    expect(script.effects.at(-1)).toBe('2000 fail s ERR_MDP_STREAM_BROKEN');
  });
});
