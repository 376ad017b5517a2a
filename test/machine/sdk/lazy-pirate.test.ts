import { type AskOptions, PirateScript, type ScriptOptions } from './pirate-script.js';

/** A script with a standing connection, whose effects so far are read. */
function connected(endpoints = 1): PirateScript {
  const script = new PirateScript({ endpoints }).connect();
  expect(script.effects).toEqual(['0 open 1 to 0', '0 greet 1']);
  return script;
}

describe('the client over one link (docs/sdk-delivery.md)', () => {
  it('says hello before any request, and sends what waited for the connection', () => {
    const script = new PirateScript().ask('a').ask('b');
    expect(script.effects).toEqual(['0 open 1 to 0']);
    script.connect();
    expect(script.effects).toEqual(['0 greet 1', '0 send a #1 on 1', '0 send b #1 on 1']);
  });

  it('sends a request again after each resendMs, then fails with ERR_MDP_TIMEOUT', () => {
    const script = connected().ask('a', { timeoutMs: 3000 }).hear();
    for (let tries = 1; tries <= 3; tries++) script.pass(999).hear().pass(1);
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '1000 send a #2 on 1',
      '2000 send a #3 on 1',
      ...['3000 cancel a #1 on 1', '3000 cancel a #2 on 1', '3000 cancel a #3 on 1'],
      '3000 fail a ERR_MDP_TIMEOUT',
    ]);
    expect(script.errors.get('a')?.details).toEqual({ service: 'a', sends: 3 });
    expect(script.strategy.nextMs()).toBe(Infinity);
  });

  it('takes a link on which nothing at all was heard since the send for a dead broker', () => {
    const script = connected(2).ask('a').pass(400).ask('b').pass(600);
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '400 send b #1 on 1',
      '1000 close 1',
      '1000 open 2 to 1',
    ]);
    script.connect();
    expect(script.effects).toEqual(['1000 greet 2', '1000 send a #2 on 2', '1000 send b #2 on 2']);
  });

  it('sends just the silent request again where anything else was heard', () => {
    const script = connected(2).ask('a').ask('b').pass(500);
    expect(script.answer('b')).toBe(true);
    script.pass(500);
    expect(script.effects).toEqual(['0 send a #1 on 1', '0 send b #1 on 1', '1000 send a #2 on 1']);
  });

  it('asks a quiet broker for a sign of life, so that a slow service is no dead broker', () => {
    const script = connected(2).broker(0).ask('a').pass(500);
    expect(script.effects).toEqual(['0 send a #1 on 1', '500 probe 1']);
    script.broker(0).pass(500);
    expect(script.effects).toEqual(['1000 send a #2 on 1']);
  });

  it('asks in time for the most impatient of those who wait', () => {
    const script = connected(2)
      .broker(0)
      .ask('long', { resendMs: 30_000, timeoutMs: 120_000 })
      .ask('a')
      .pass(500);
    expect(script.effects).toEqual(['0 send long #1 on 1', '0 send a #1 on 1', '500 probe 1']);
    script.broker(0).pass(500);
    expect(script.effects).toEqual(['1000 send a #2 on 1']);
  });

  it('asks no broker that has not answered before on this connection', () => {
    const script = connected(2).ask('a').pass(999);
    expect(script.effects).toEqual(['0 send a #1 on 1']);
  });

  it('sends again on a new link when the connection ends, and counts that send', () => {
    const script = connected().ask('a', { timeoutMs: 2000 }).pass(10).cut().pass(50);
    expect(script.effects).toEqual(['0 send a #1 on 1', '10 close 1', '60 open 2 to 0']);
    script.connect().pass(20).cut().pass(200).connect();
    expect(script.effects).toEqual([
      '60 greet 2',
      '60 send a #2 on 2',
      '80 close 2',
      '180 open 3 to 0',
      '280 greet 3',
      '280 send a #3 on 3',
    ]);
    expect(script.pass(2000).errors.get('a')?.details).toEqual({ service: 'a', sends: 3 });
  });

  it('never sends a request twice that has no resendMs, whatever happens', () => {
    const script = connected()
      .ask('a', { resendMs: Infinity, timeoutMs: 1000 })
      .pass(10)
      .cut()
      .pass(100)
      .connect();
    script.pass(2000);
    expect(script.effects.filter((line) => line.includes('send a'))).toEqual(['0 send a #1 on 1']);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_TIMEOUT');
  });

  it('tries the next endpoint after a second without a connection, and only if somebody waits', () => {
    const script = new PirateScript({ endpoints: 2 }).pass(60_000).ask('a').pass(3000);
    expect(script.effects).toEqual([
      '0 open 1 to 0',
      '61000 close 1',
      '61000 open 2 to 1',
      '62000 close 2',
      '62000 open 3 to 0',
      '63000 close 3',
      '63000 open 4 to 1',
    ]);
  });

  it('fails with ERR_MDP_UNREACHABLE when the time of all tries passed without a connection', () => {
    const script = new PirateScript().ask('a', { resendMs: 500, timeoutMs: 1000 }).pass(1000);
    expect(script.effects).toEqual(['0 open 1 to 0', '1000 fail a ERR_MDP_UNREACHABLE']);
  });

  it('uses the first answer, also one to an earlier send, and no second one', () => {
    const script = connected().ask('a').pass(500).hear().pass(500);
    expect(script.call('a').attempt).toBe(2);
    expect(script.answer('a', 1)).toBe(true);
    expect(script.call('a').state).toBe('settled');
    expect(script.strategy.nextMs()).toBe(Infinity);
  });
});

describe('refusals (D11)', () => {
  it.each(['408', '502', '400'])('a %s is final', (status) => {
    const script = connected().ask('a').refuse('a', status);
    expect(script.effects).toEqual(['0 send a #1 on 1', '0 fail a ERR_MDP_REFUSED']);
    expect(script.errors.get('a')?.details).toEqual({ status, service: 'a', reason: 'because' });
  });

  it('a 429 is sent again over the same link after a pause that grows', () => {
    const script = connected(2).ask('a').refuse('a', '429').pass(50).refuse('a', '429').pass(100);
    expect(script.effects).toEqual(['0 send a #1 on 1', '50 send a #2 on 1', '150 send a #3 on 1']);
  });

  it('a request that rests takes back what it had sent before: a worker may have it', () => {
    const script = connected().ask('a').hear().pass(999).hear().pass(1);
    script.refuse('a', '429').abort('a').ask('b').refuse('b', '429').abort('b');
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '1000 send a #2 on 1',
      '1000 cancel a #1 on 1',
      '1000 send b #1 on 1',
    ]);
  });

  it('does not count a refused send, as nobody ran it, but keeps to the time of all tries', () => {
    const script = connected().ask('a', { timeoutMs: 1000 });
    for (let tries = 0; script.call('a').state !== 'settled'; tries++) {
      expect(tries).toBeLessThan(100);
      script.refuse('a', '429').pass(50);
    }
    expect(script.now).toBeLessThanOrEqual(1050);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_REFUSED');
    expect(script.call('a').attempt).toBeGreaterThan(3);
  });

  it('leaves a request that was refused all its retries for silence', () => {
    const script = connected().ask('a', { timeoutMs: 2000 });
    script.refuse('a', '429').pass(50).refuse('a', '429').pass(100);
    expect(script.call('a').sends).toBe(1);
    script.hear().pass(1000);
    expect(script.effects.at(-1)).toBe('1150 send a #4 on 1');
  });

  it('a 503 is asked of the next endpoint at once, with pauses that grow while all refuse', () => {
    const script = connected(2).ask('a').refuse('a', '503').connect();
    script.refuse('a', '503').pass(50).connect().refuse('a', '503').pass(100).connect();
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '0 close 1',
      '0 open 2 to 1',
      '0 greet 2',
      '0 send a #2 on 2',
      '0 close 2',
      '50 open 3 to 0',
      '50 greet 3',
      '50 send a #3 on 3',
      '50 close 3',
      '150 open 4 to 1',
      '150 greet 4',
      '150 send a #4 on 4',
    ]);
  });

  it('an answer to any request ends the row of refusals', () => {
    const script = connected(2).ask('a').refuse('a', '503').connect();
    script.refuse('a', '503').pass(50).connect();
    expect(script.answer('a')).toBe(true);
    script.ask('b').refuse('b', '503');
    expect(script.effects.at(-1)).toBe('50 open 4 to 1');
  });

  it('keeps a link that refuses until what else is out on it is answered', () => {
    const script = connected(2).ask('a').ask('b').refuse('a', '503').connect();
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '0 send b #1 on 1',
      '0 open 2 to 1',
      '0 greet 2',
      '0 send a #2 on 2',
    ]);
    expect(script.answer('b')).toBe(true);
    expect(script.effects).toEqual(['0 close 1']);
  });

  it('with one endpoint a 503 is sent again over the same link', () => {
    const script = connected().ask('a').refuse('a', '503').pass(50);
    expect(script.effects).toEqual(['0 send a #1 on 1', '50 send a #2 on 1']);
  });
});

describe('a key that is not let in', () => {
  it('fails what waits after the second refusal in a row, and what comes then at the next', () => {
    const script = new PirateScript().ask('a').refuseKey();
    expect(script.effects).toEqual(['0 open 1 to 0']);
    script.pass(100).refuseKey();
    expect(script.effects).toEqual(['100 fail a ERR_MDP_KEY_REFUSED']);
    script.ask('b').pass(100);
    expect(script.effects).toEqual([]);
    script.refuseKey();
    expect(script.effects).toEqual(['200 fail b ERR_MDP_KEY_REFUSED']);
    script.ask('c').connect();
    expect(script.effects).toEqual(['200 greet 1', '200 send c #1 on 1']);
  });

  it('is why a request had no time for another handshake', () => {
    const script = new PirateScript().ask('a').refuseKey().refuseKey();
    script.ask('b', { resendMs: 100, timeoutMs: 100 }).pass(100);
    expect(script.effects.slice(1)).toEqual([
      '0 fail a ERR_MDP_KEY_REFUSED',
      '100 fail b ERR_MDP_KEY_REFUSED',
    ]);
  });

  it('fails nothing where the other node lets it in', () => {
    const script = new PirateScript({ endpoints: 2 }).ask('a').refuseKey();
    expect(script.effects).toEqual(['0 open 1 to 0', '0 close 1', '0 open 2 to 1']);
    script.connect().pass(1);
    expect(script.effects).toEqual(['0 greet 2', '0 send a #1 on 2']);
  });

  it('fails the one request that a link carries, without an envelope', () => {
    const script = new PirateScript({ bare: true }).ask('a').refuseKey().refuseKey();
    expect(script.effects).toEqual(['0 open 1 to 0', '0 close 1', '0 fail a ERR_MDP_KEY_REFUSED']);
  });
});

describe('a pair (docs/sdk-delivery.md, §7)', () => {
  it('is away from the first endpoint for at least two heartbeats', () => {
    const script = connected(2)
      .broker(1000)
      .ask('a', { resendMs: 5000, timeoutMs: 20_000 })
      .pass(10)
      .cut();
    script.pass(1500).fail().pass(3000);
    expect(script.effects.slice(1)).toEqual([
      '10 close 1',
      '60 open 2 to 0',
      '1060 close 2',
      '1060 open 3 to 1',
      '1510 close 3',
      '3060 open 4 to 0',
      '4060 close 4',
      '4060 open 5 to 1',
    ]);
  });

  it('leaves an endpoint where nobody listens at once, and once it needs to', () => {
    const script = connected(2).broker(1000).cut().pass(50).fail();
    expect(script.effects).toEqual(['0 close 1', '50 open 2 to 0']);
    script
      .ask('a', { resendMs: 5000, timeoutMs: 20_000 })
      .connect()
      .ask('b', { resendMs: 5000, timeoutMs: 20_000 });
    expect(script.effects).toEqual([
      '50 close 2',
      '50 open 3 to 1',
      '50 greet 3',
      '50 send a #1 on 3',
      '50 send b #1 on 3',
    ]);
  });

  it('asks the other node again and again where it has just been refused by this one', () => {
    const script = connected(2).broker(1000).ask('a', { resendMs: 5000, timeoutMs: 20_000 });
    script.refuse('a', '503').connect().broker(1000);
    expect(script.effects.slice(1)).toEqual([
      '0 close 1',
      '0 open 2 to 1',
      '0 greet 2',
      '0 send a #2 on 2',
    ]);
    for (const pause of [50, 100, 200, 400, 500, 500]) script.refuse('a', '503').pass(pause);
    expect(script.effects).toEqual(
      [50, 150, 350, 750, 1250, 1750].map((at, sent) => `${at} send a #${sent + 3} on 2`),
    );
    script.refuse('a', '503').pass(500).refuse('a', '503').pass(50);
    expect(script.effects).toEqual(['2250 send a #9 on 2', '2250 close 2', '2300 open 3 to 0']);
  });

  it('goes back and forth at once when the nodes have changed their places meanwhile', () => {
    const script = connected(2).broker(1000).ask('a').refuse('a', '503').connect();
    expect(script.answer('a')).toBe(true);
    script.pass(10_000).ask('b').refuse('b', '503');
    expect(script.effects.slice(-2)).toEqual(['10000 close 2', '10000 open 3 to 0']);
  });

  it('looks after the node that a long request is out at, and goes to the other in time', () => {
    const script = connected(2)
      .broker(1000)
      .ask('long', { resendMs: 60_000, timeoutMs: 240_000 })
      .pass(1249);
    script.hear().pass(2501);
    expect(script.effects).toEqual([
      '0 send long #1 on 1',
      '2500 probe 1',
      '3750 close 1',
      '3750 open 2 to 1',
    ]);
  });

  it('does not take a node that says anything for dead, however long a request is out', () => {
    const script = connected(2).broker(1000).ask('long', { resendMs: 60_000, timeoutMs: 240_000 });
    for (let at = 0; at < 20; at++) script.pass(2000).broker(1000);
    expect(script.effects.every((line) => /send long #1|probe 1/.test(line))).toBe(true);
    expect(script.answer('long')).toBe(true);
    script.pass(60_000);
    expect(script.strategy.nextMs()).toBe(Infinity);
  });

  it('sends again what may be, and still takes what the quiet node brings', () => {
    const script = connected(2).broker(1000);
    script
      .ask('once', { resendMs: Infinity, timeoutMs: 60_000 })
      .ask('often', { resendMs: 60_000, timeoutMs: 240_000 });
    script.pass(2500).connect();
    expect(script.effects.slice(-3)).toEqual([
      '2500 open 2 to 1',
      '2500 greet 2',
      '2500 send often #2 on 2',
    ]);
    expect(script.answer('once')).toBe(true);
    expect(script.effects).toEqual(['2500 close 1']);
    expect(script.answer('often', 1)).toBe(true);
  });

  it('a request that is out when the heartbeat becomes known gets the time that it needs', () => {
    const script = connected(2)
      .ask('a', { resendMs: 300, timeoutMs: 6000 })
      .pass(100)
      .broker(1000)
      .pass(2499);
    script.hear().pass(1);
    expect(script.effects).toEqual(['0 send a #1 on 1', '1350 probe 1', '2600 send a #2 on 1']);
  });

  it('is sent a request again after 2.5 heartbeats at the earliest', () => {
    const script = connected(2).broker(1000).ask('a').pass(2499);
    script.broker(1000).pass(1);
    expect(script.effects).toEqual(['0 send a #1 on 1', '1250 probe 1', '2500 send a #2 on 1']);
  });
});

describe('a request with headers (D67)', () => {
  const settings = { headers: true, timeoutMs: 3000 };

  it('is sent when the broker has said that it supports them, and its time-out counts from then', () => {
    const script = new PirateScript();
    script.connect().ask('r', settings).ask('other', settings).pass(400);
    expect(script.effects).toEqual(['0 open 1 to 0', '0 greet 1']);
    expect(script.call('r')).toMatchObject({ state: 'waiting', attempt: 0, sends: 0 });
    script.broker(0);
    expect(script.effects).toEqual(['400 send r #1 on 1', '400 send other #1 on 1']);
    script.pass(999);
    expect(script.effects).toEqual(['900 probe 1']);
    script.pass(1);
    expect(script.effects[0]).toBe('1400 close 1');
    // What the broker supports is unknown on each new connection.
    script.connect();
    expect(script.effects).toEqual(['1400 greet 2']);
    script.broker(0);
    expect(script.effects).toEqual(['1400 send r #2 on 2', '1400 send other #2 on 2']);
  });

  it('is not sent by waiting, so its tries are not used up by nodes that do not answer', () => {
    const script = new PirateScript({ endpoints: 2 });
    script
      .connect()
      .ask('r', { ...settings, timeoutMs: 2000 })
      .pass(1000);
    expect(script.switches).toEqual(['0 to 1: silent']);
    script.connect().cut().pass(100);
    expect(script.call('r')).toMatchObject({ attempt: 0, sends: 0 });
    script.connect().broker(0);
    expect(script.effects.at(-1)).toBe('1100 send r #1 on 3');
    expect(script.answer('r')).toBe(true);
  });

  it('fails at once at a broker that does not support them, and in time at one that never says', () => {
    const old = new PirateScript();
    old.connect().ask('r', settings).broker(null, false);
    expect(old.effects.at(-1)).toBe('0 fail r ERR_MDP_UNSUPPORTED');
    old.ask('later', settings);
    expect(old.effects.at(-1)).toBe('0 fail later ERR_MDP_UNSUPPORTED');
    old.ask('plain');
    expect(old.effects.at(-1)).toBe('0 send plain #1 on 1');

    const silent = new PirateScript();
    silent.connect().ask('r', settings);
    for (let round = 0; round < 3; round++) silent.pass(1000).connect();
    expect(silent.effects).toContain('3000 fail r ERR_MDP_UNSUPPORTED');
    expect(silent.errors.get('r')?.message).toContain('does not say');
    const busy = new PirateScript();
    busy.connect().ask('r', settings);
    for (let round = 0; round < 3; round++) busy.hear().pass(1000);
    expect(busy.effects).toEqual(['0 open 1 to 0', '0 greet 1', '3000 fail r ERR_MDP_UNSUPPORTED']);
  });

  it('that was sent once is ERR_MDP_TIMEOUT, and one that met no broker ERR_MDP_UNREACHABLE', () => {
    const script = new PirateScript();
    script.connect().ask('r', settings).broker(0);
    script.cut().pass(100).connect().pass(3000);
    expect(script.errors.get('r')).toMatchObject({
      code: 'ERR_MDP_TIMEOUT',
      details: { sends: 1 },
    });
    const alone = new PirateScript();
    alone.ask('r', settings).pass(3000);
    expect(alone.errors.get('r')?.code).toBe('ERR_MDP_UNREACHABLE');
  });

  it('is forgotten while it waits', () => {
    const script = new PirateScript();
    script.connect().ask('r', settings).abort('r').broker(0);
    expect(script.effects).toEqual(['0 open 1 to 0', '0 greet 1']);
  });
});

describe('parts of an answer', () => {
  it('may take their time while their broker is alive; if it is silent, the stream is broken', () => {
    const script = connected().ask('a', { streams: true, timeoutMs: 60_000 });
    for (let part = 0; part < 5; part++) {
      script.pass(900);
      expect(script.part('a')).toBe(true);
    }
    for (let beat = 0; beat < 3; beat++) script.pass(900).hear();
    script.pass(2000);
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '8500 close 1',
      '8500 open 2 to 0',
      '8500 fail a ERR_MDP_STREAM_BROKEN',
    ]);
  });

  const kinds: readonly (readonly [string, ScriptOptions])[] = [
    ['a broker', {}],
    ['a broker without envelope', { bare: true }],
    ['servers that know nothing of each other', { freelance: {} }],
  ];
  it.each(kinds)('of %s give a call no more time than it has', (_, options) => {
    for (const streams of [false, true]) {
      const script = new PirateScript(options).connect().ask('a', { streams, timeoutMs: 2000 });
      for (let part = 1; part <= 2; part++) expect(script.pass(900).part('a')).toBe(true);
      expect(script.pass(200).effects.at(-1)).toBe('2000 fail a ERR_MDP_TIMEOUT');
    }
  });

  it('a stream is sent again before its first part, never after it', () => {
    const script = connected().ask('a', { streams: true }).pass(500).hear().pass(500);
    expect(script.effects).toEqual(['0 send a #1 on 1', '1000 send a #2 on 1']);
    expect(script.part('a')).toBe(true);
    script.cut();
    expect(script.effects.slice(0, 2)).toEqual(['1000 cancel a #1 on 1', '1000 close 1']);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_STREAM_BROKEN');
  });

  it('never mixes the parts of two sends', () => {
    const script = connected().ask('a', { streams: true }).pass(500).hear().pass(500);
    expect(script.part('a', 2)).toBe(true);
    expect(script.part('a', 1)).toBe(false);
    expect(script.answer('a', 1)).toBe(false);
    expect(script.answer('a', 2)).toBe(true);
  });

  it('a request whose parts are joined is sent again only after its broker is lost; parts of the old send are ignored', () => {
    const script = connected().ask('a', { timeoutMs: 60_000 }).pass(10);
    expect(script.part('a', 1)).toBe(true);
    for (let beat = 0; beat < 9; beat++) script.pass(900).hear();
    expect(script.call('a').attempt).toBe(1);
    script.pass(2000).connect();
    expect(script.call('a').attempt).toBe(2);
    expect(script.part('a', 1)).toBe(false);
    expect(script.answer('a', 2)).toBe(true);
  });
});

describe('what nobody waits for', () => {
  /** Sent three times: each time-out is over, and the broker lives. */
  function sentThrice(options: AskOptions = {}): PirateScript {
    const script = connected().ask('a', options);
    for (let tries = 1; tries < 3; tries++) script.pass(999).hear().pass(1);
    script.effects.splice(0);
    return script;
  }

  it.each([
    [1, [2, 3]],
    [2, [1, 3]],
    [3, [1, 2]],
  ])('is every send but #%i, once that is answered', (answered, others) => {
    const script = sentThrice();
    expect(script.answer('a', answered)).toBe(true);
    expect(script.effects).toEqual(others.map((send) => `2000 cancel a #${send} on 1`));
    expect(script.abort('a').pass(60_000).effects).toEqual([]);
  });

  it.each([
    [1, [2, 3]],
    [3, [1, 2]],
  ])('is every send but #%i, once its first part is there', (begun, others) => {
    const script = sentThrice({ timeoutMs: 60_000 });
    expect(script.part('a', begun)).toBe(true);
    expect(script.effects).toEqual(others.map((send) => `2000 cancel a #${send} on 1`));
    expect(script.part('a', begun)).toBe(true);
    for (let beat = 0; beat < 9; beat++) script.pass(999).hear();
    expect(script.answer('a', begun)).toBe(true);
    expect(script.effects).toEqual([]);
  });

  it('is what was sent before a refusal that is final, and nothing else', () => {
    expect(sentThrice().refuse('a', '403').effects).toEqual([
      '2000 cancel a #1 on 1',
      '2000 cancel a #2 on 1',
      '2000 fail a ERR_MDP_FORBIDDEN',
    ]);
  });

  it('is told over the link that it was sent over, while that stands', () => {
    const script = connected(2).broker(1000).ask('once', { resendMs: Infinity, timeoutMs: 60_000 });
    script.ask('a', { resendMs: 60_000, timeoutMs: 240_000 }).pass(2500).connect();
    expect(script.effects.filter((line) => line.includes(' a '))).toEqual([
      '0 send a #1 on 1',
      '2500 send a #2 on 2',
    ]);
    expect(script.answer('a', 2)).toBe(true);
    expect(script.effects).toEqual(['2500 cancel a #1 on 1']);
    const lost = sentThrice().cut().pass(50).connect();
    lost.effects.splice(0);
    expect(lost.answer('a', 4)).toBe(true);
    expect(lost.effects).toEqual([]);
  });

  it('is told over a link that was left, before that is closed', () => {
    const script = connected(2).broker(1000).ask('once', { resendMs: Infinity, timeoutMs: 60_000 });
    script.pass(2500).connect();
    script.effects.splice(0);
    expect(script.pass(57_500).effects.filter((line) => / on 1$|close/.test(line))).toEqual([
      '60000 cancel once #1 on 1',
      '60000 close 1',
    ]);
  });

  it('is over, also if its refusal crosses the message that tells it', () => {
    const script = sentThrice();
    expect(script.part('a', 1)).toBe(true);
    script.effects.splice(0);
    expect(script.refuse('a', '403').effects).toEqual([]);
    expect(script.answer('a', 1)).toBe(true);
  });

  it('is at most as much as has different numbers', () => {
    const script = connected().ask('a', { timeoutMs: 1_000_000 });
    for (let tries = 1; tries < 300; tries++) script.pass(999).hear().pass(1);
    script.effects.splice(0);
    script.abort('a');
    expect(script.effects.map((line) => line.split(' ')[3])).toEqual(
      Array.from({ length: 256 }, (_, at) => `#${at + 45}`),
    );
  });

  it('leaves nothing behind', () => {
    const script = connected(2).ask('a').ask('b').refuse('a', '429').abort('a').abort('b');
    script.pass(60_000);
    expect(script.effects).toEqual(['0 send a #1 on 1', '0 send b #1 on 1', '0 cancel b #1 on 1']);
    expect(script.strategy.nextMs()).toBe(Infinity);
  });
});

describe('a request whose time is nearly over (mmi.why)', () => {
  function telling(options: AskOptions): PirateScript {
    return connected().tellingBroker().ask('a', options).hear();
  }

  it('has the broker asked once why it has no answer, and ends no later for that', () => {
    const script = telling({ timeoutMs: 2000 }).pass(999).hear().pass(1).hear();
    expect(script.effects).toEqual(['0 send a #1 on 1', '1000 send a #2 on 1']);
    script.pass(899).hear();
    expect(script.effects).toEqual([]);
    script.pass(1);
    expect(script.effects).toEqual(['1900 ask why a on 1']);
    script.pass(99);
    expect(script.effects).toEqual([]);
    script.pass(1);
    expect(script.effects.at(-1)).toBe('2000 fail a ERR_MDP_TIMEOUT');
    expect(script.strategy.nextMs()).toBe(Infinity);
  });

  it('has it asked half a second before the end at the earliest, also of its deadline', () => {
    const script = telling({ resendMs: 20_000, timeoutMs: 10_000 }).pass(9499);
    expect(script.effects).not.toContainEqual(expect.stringContaining('why'));
    script.pass(1);
    expect(script.effects).toEqual(['9500 ask why a on 1']);
    script.pass(500);
    expect(script.effects.at(-1)).toBe('10000 fail a ERR_MDP_TIMEOUT');
  });

  it('has it asked once the broker has told that it can be, also after the request was sent', () => {
    const script = connected().ask('a', { timeoutMs: 1000 }).tellingBroker().pass(1000);
    expect(script.effects).toContain('900 ask why a on 1');
  });

  it('has nobody asked who did not say that it can be', () => {
    const script = connected().broker(0).ask('a', { timeoutMs: 1000 }).pass(1000);
    expect(script.effects.filter((line) => line.includes('why'))).toEqual([]);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_TIMEOUT');
    const silent = connected().ask('a', { timeoutMs: 1000 }).pass(1000);
    expect(silent.effects.filter((line) => line.includes('why'))).toEqual([]);
  });

  it('has it not asked if it is answered, or refused and rests, or its parts come', () => {
    const answered = telling({ timeoutMs: 1000 }).pass(899);
    answered.answer('a');
    expect(answered.pass(5000).effects).toEqual(['0 send a #1 on 1']);
    const refused = telling({ timeoutMs: 1000 }).pass(850).refuse('a', '429').pass(49);
    expect(refused.effects.filter((line) => line.includes('why'))).toEqual([]);
    const streamed = telling({ streams: true, timeoutMs: 1000 }).pass(850);
    streamed.part('a');
    expect(streamed.pass(50).effects.slice(1)).toEqual([]);
    expect(streamed.pass(100).effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
  });

  it('ends in time if the program stood still meanwhile', () => {
    const script = telling({ timeoutMs: 1000 });
    script.now = 1050;
    script.pass(1);
    expect(script.effects).toContain('1050 fail a ERR_MDP_TIMEOUT');
  });
});
