import { PirateScript, type ScriptOptions } from './pirate-script.js';

type Given = NonNullable<ScriptOptions['freelance']>;

/** Connected to `endpoints` servers, by links 1, 2, …; the effects so far are read. */
function connected(endpoints: number, freelance: Given = {}): PirateScript {
  const script = new PirateScript({ endpoints, freelance });
  for (let link = 1; link <= endpoints; link++) script.connect(link);
  expect(script.effects).toContain(`0 open ${endpoints} to ${endpoints - 1}`);
  return script;
}

describe('a client of several servers that know nothing of each other (docs/sdk-delivery.md)', () => {
  it('is connected to all of them, and greets each before any request', () => {
    const script = new PirateScript({ endpoints: 3, freelance: {} }).ask('a');
    expect(script.effects).toEqual(['0 open 1 to 0', '0 open 2 to 1', '0 open 3 to 2']);
    script.connect(2);
    expect(script.effects).toEqual(['0 greet 2', '0 send a #1 on 2']);
  });

  it('sends requests to the first one alive, in the order of the endpoints', () => {
    const script = connected(3).ask('a').cut(1).ask('b').cut(2).ask('c');
    expect(script.effects.filter((line) => line.includes('send'))).toEqual([
      '0 send a #1 on 1',
      '0 send a #2 on 2',
      '0 send b #1 on 2',
      '0 send a #3 on 3',
      '0 send b #2 on 3',
      '0 send c #1 on 3',
    ]);
    expect(script.switches).toEqual(['0 to 1: unreachable', '1 to 2: unreachable']);
    script.pass(50).connect(4).ask('d');
    expect(script.effects).toEqual([
      '50 open 4 to 0',
      '50 open 5 to 1',
      '50 greet 4',
      '50 send d #1 on 4',
    ]);
    expect(script.switches.at(-1)).toBe('2 to 0: returned');
  });

  it('without hedgeMs asks the next one only after resendMs, and none again that is alive and has it', () => {
    const script = connected(2).ask('a', { timeoutMs: 3000 }).pass(3000);
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '1000 send a #2 on 2',
      ...['3000 cancel a #1 on 1', '3000 cancel a #2 on 2'],
      '3000 fail a ERR_MDP_TIMEOUT',
    ]);
    expect(script.errors.get('a')?.details).toEqual({ service: 'a', sends: 2 });
  });

  it('asks one more after each hedgeMs, each once per attempt; the first answer wins', () => {
    const script = connected(3, { hedgeMs: 20 }).ask('a').pass(100);
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '20 hedge',
      '20 send a #2 on 2',
      '40 hedge',
      '40 send a #3 on 3',
    ]);
    expect(script.answer('a', 2)).toBe(true);
    script.pass(10_000);
    expect(script.effects).toEqual(['100 cancel a #1 on 1', '100 cancel a #3 on 3']);
  });

  it('sends nothing more when the answer comes in time', () => {
    const script = connected(3, { hedgeMs: 20 }).ask('a').pass(19);
    expect(script.answer('a')).toBe(true);
    expect(script.pass(10_000).effects).toEqual(['0 send a #1 on 1']);
  });

  it('with hedgeMs 0 asks all at once', () => {
    const script = connected(3, { hedgeMs: 0 }).ask('a');
    expect(script.effects.filter((line) => line.includes('send'))).toEqual([
      '0 send a #1 on 1',
      '0 send a #2 on 2',
      '0 send a #3 on 3',
    ]);
  });

  it('hedges as soon as there is another server, if there was none in time', () => {
    const script = new PirateScript({ endpoints: 2, freelance: { hedgeMs: 20 } }).connect(1);
    script.ask('a').pass(500).connect(2);
    expect(script.effects.slice(2)).toEqual([
      '0 greet 1',
      '0 send a #1 on 1',
      '500 greet 2',
      '500 hedge',
      '500 send a #2 on 2',
    ]);
  });

  it('moves what was out at a lost server, at once', () => {
    const script = connected(2).ask('a').ask('b').pass(10).cut(1);
    expect(script.effects).toEqual([
      '0 send a #1 on 1',
      '0 send b #1 on 1',
      '10 close 1',
      '10 send a #2 on 2',
      '10 send b #2 on 2',
    ]);
  });

  it('begins another attempt when all that were asked are lost, as soon as one is back', () => {
    const script = connected(2).ask('a', { timeoutMs: 2000 }).cut(1).cut(2).pass(60);
    expect(script.effects.at(-1)).toBe('50 open 4 to 1');
    script.connect(3);
    expect(script.effects).toEqual(['60 greet 3', '60 send a #3 on 3']);
  });

  it('fails with ERR_MDP_UNREACHABLE if no server was ever there', () => {
    const script = new PirateScript({ endpoints: 2, freelance: {} });
    script.ask('a', { resendMs: 100, timeoutMs: 200 }).pass(1000);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_UNREACHABLE');
    expect(script.effects.at(-1)).toBe('200 fail a ERR_MDP_UNREACHABLE');
  });

  it('asks a quiet server for a sign of life, and takes it for dead after twice the time', () => {
    const script = connected(2, { pingIntervalMs: 1000 }).pass(1000);
    script.hear(2).ask('a', { resendMs: 60_000, timeoutMs: 240_000 }).pass(499);
    expect(script.effects).toEqual(['0 send a #1 on 1'].map((line) => line.replace('0', '1000')));
    script.pass(1).hear(2).pass(1000).hear(2);
    expect(script.effects).toEqual(['1500 ping 1', '2500 ping 1', '2500 send a #2 on 2']);
    expect(script.switches).toEqual(['0 to 1: silent']);
    // Its late answer counts.
    expect(script.answer('a', 1)).toBe(true);
  });

  it('uses a silent server again once it is heard', () => {
    const script = connected(1, { pingIntervalMs: 1000 }).pass(2500).ask('a');
    expect(script.effects.filter((line) => line.includes('send'))).toEqual([]);
    script.hear(1).pass(0);
    expect(script.effects).toEqual(['2500 send a #1 on 1']);
  });

  it('asks a server that must say so first whether it serves', () => {
    const script = new PirateScript({ endpoints: 1, freelance: { isAliveWhenConnected: false } });
    script.connect(1).ask('a');
    expect(script.effects).toEqual(['0 open 1 to 0', '0 greet 1', '0 ping 1']);
    script.hear(1).pass(0);
    expect(script.effects).toEqual(['0 send a #1 on 1']);
  });

  it('goes to the next server after 503, and comes back after an interval', () => {
    const script = connected(2, { pingIntervalMs: 1000 }).ask('a').pass(5).refuse('a', '503');
    script.ask('b');
    expect(script.effects).toEqual(['0 send a #1 on 1', '5 send a #2 on 2', '5 send b #1 on 2']);
    expect(script.switches).toEqual(['0 to 1: refused']);
    script.answer('a');
    script.answer('b');
    script.hear(1).hear(2).pass(1000).ask('c');
    expect(script.effects.at(-1)).toBe('1005 send c #1 on 1');
  });

  it('asks again after a pause when all have refused with 429', () => {
    const script = connected(2).ask('a').refuse('a', '429').refuse('a', '429').pass(49);
    expect(script.effects).toEqual(['0 send a #1 on 1', '0 send a #2 on 2']);
    script.pass(1);
    expect(script.effects).toEqual(['50 send a #3 on 1']);
    expect(script.call('a').sends).toBe(1);
  });

  it('fails when all have refused for good', () => {
    const script = connected(2).ask('a').refuse('a', '404');
    expect(script.effects.at(-1)).toBe('0 send a #2 on 2');
    script.refuse('a', '404');
    expect(script.effects).toEqual(['0 fail a ERR_MDP_NO_WORKER']);
  });

  it('waits for the others when one of several refuses', () => {
    const script = connected(2, { hedgeMs: 0 }).ask('a').refuse('a', '404', 1);
    expect(script.errors.size).toBe(0);
    expect(script.answer('a', 2)).toBe(true);
  });

  it('takes no refusal twice, and none for a request that was answered', () => {
    const script = connected(2, { hedgeMs: 0 }).ask('a');
    const refusal = { status: '503', reason: '' };
    const call = script.call('a');
    expect(script.strategy.refused(call, 1, refusal, 0)).toBe(true);
    expect(script.strategy.refused(call, 1, refusal, 0)).toBe(false);
    script.answer('a', 2);
    expect(script.strategy.refused(call, 2, refusal, 0)).toBe(false);
  });

  it('a refusal changes nothing while the answer of another server is arriving', () => {
    for (const streams of [false, true]) {
      const script = connected(3, { hedgeMs: 20 }).ask('a', { streams }).pass(25);
      expect(script.part('a', 2)).toBe(true);
      script.effects.splice(0);
      script.refuse('a', '502', 1).pass(100);
      expect(script.effects).toEqual([]);
      expect(script.answer('a', 2)).toBe(true);
    }
  });

  it('waits for what has begun to arrive from one that is alive, and takes it back when that falls silent', () => {
    const script = connected(2, { pingIntervalMs: 400 }).ask('a', { timeoutMs: 60_000 });
    expect(script.part('a')).toBe(true);
    for (let at = 0; at < 6; at++) script.pass(500).hear(1).hear(2);
    expect(script.effects.filter((line) => /send|cancel/.test(line))).toEqual(['0 send a #1 on 1']);
    for (let at = 0; at < 4; at++) script.pass(500).hear(2);
    expect(script.effects.filter((line) => /send|cancel/.test(line))).toEqual([
      '4000 cancel a #1 on 1',
      '4000 send a #2 on 2',
    ]);
  });

  it('asks the next server when the one that had begun to answer refuses', () => {
    const script = connected(2).ask('a');
    expect(script.part('a')).toBe(true);
    script.refuse('a', '502');
    expect(script.effects.at(-1)).toBe('0 send a #2 on 2');
    const hedged = connected(2, { hedgeMs: 0 }).ask('a', { timeoutMs: 1000 });
    expect(hedged.part('a', 1)).toBe(true);
    expect(hedged.effects.at(-1)).toBe('0 cancel a #2 on 2');
    hedged.refuse('a', '502', 1).pass(100);
    expect(hedged.effects).toEqual(['50 send a #3 on 1', '50 hedge', '50 send a #4 on 2']);
    expect(hedged.answer('a', 2)).toBe(false);
    expect(hedged.answer('a', 4)).toBe(true);
    expect(hedged.effects).toEqual(['100 cancel a #3 on 1']);
  });

  it('without hedgeMs asks nobody else while a server that is alive has the request', () => {
    const script = connected(3, { pingIntervalMs: 100 }).ask('a', {
      resendMs: 60_000,
      timeoutMs: 240_000,
    });
    for (let ms = 0; ms < 250; ms += 50) script.hear(2).hear(3).pass(50);
    expect(script.effects.at(-1)).toBe('250 send a #2 on 2');
    // It was only slow.
    script.hear(1).cut(2).pass(0);
    expect(script.effects).toEqual(['250 close 2']);
    script.cut(1);
    expect(script.effects).toEqual(['250 close 1', '250 send a #3 on 3']);
  });

  it('the end of what an earlier attempt has sent is no reason to ask one more', () => {
    for (const hedgeMs of [undefined, 2000]) {
      const given = hedgeMs === undefined ? {} : { hedgeMs };
      const script = connected(3, given).ask('a').pass(1000);
      expect(script.effects.at(-1)).toBe('1000 send a #2 on 2');
      script.refuse('a', '503', 1);
      expect(script.effects).toEqual([]);
      const lost = connected(3, given).ask('a').pass(1000);
      lost.cut(1).effects.splice(0);
      expect(lost.pass(20).effects).toEqual([]);
    }
  });

  it('does not end its pause after refusals because another server appears', () => {
    const script = new PirateScript({ endpoints: 3, freelance: { hedgeMs: 0 } }).connect(1);
    script.connect(2).ask('a').refuse('a', '503', 1).refuse('a', '503', 2);
    script.effects.splice(0);
    script.connect(3).pass(500);
    expect(script.effects).toEqual(['0 greet 3', '50 send a #3 on 3']);
  });

  it('does not hedge what a worker has begun to answer', () => {
    const script = connected(2, { hedgeMs: 20 }).ask('a').pass(10);
    expect(script.part('a')).toBe(true);
    expect(script.pass(500).effects).toEqual(['0 send a #1 on 1']);
    expect(script.answer('a')).toBe(true);
  });

  it('sends a joined reply anew when the server that streams it is lost', () => {
    const script = connected(2, { hedgeMs: 20 }).ask('a').pass(25);
    expect(script.part('a', 1)).toBe(true);
    expect(script.part('a', 2)).toBe(false);
    script.cut(1);
    // The answer of the second server lacks a part.
    expect(script.effects.slice(-1)).toEqual(['25 send a #3 on 2']);
    expect(script.answer('a', 2)).toBe(false);
    expect(script.answer('a', 3)).toBe(true);
  });

  it('breaks off a stream whose server is lost after the first part', () => {
    const script = connected(2).ask('a', { streams: true });
    script.part('a');
    script.cut(2);
    expect(script.errors.size).toBe(0);
    script.cut(1);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_STREAM_BROKEN');
  });

  it('sends headers only to servers that take them', () => {
    const script = connected(2).ask('a', { headers: true });
    script.broker(null, false, 1);
    expect(script.effects).toEqual([]);
    script.broker(null, true, 2);
    expect(script.effects).toEqual(['0 send a #1 on 2']);
    const other = connected(2).ask('a', { headers: true });
    other.broker(null, false, 1).broker(null, false, 2);
    expect(other.errors.get('a')?.code).toBe('ERR_MDP_UNSUPPORTED');
  });

  it('fails with ERR_MDP_KEY_REFUSED when every server refuses the key', () => {
    const script = new PirateScript({ endpoints: 2, freelance: {} }).ask('a');
    script.refuseKey(1).refuseKey(2).refuseKey(1);
    expect(script.errors.size).toBe(0);
    script.refuseKey(2);
    expect(script.errors.get('a')?.code).toBe('ERR_MDP_KEY_REFUSED');
  });

  it('forgets a request that nobody waits for', () => {
    const script = connected(2, { hedgeMs: 20 }).ask('a').abort('a').pass(5000).cut(1);
    expect(script.effects.filter((line) => line.includes('send'))).toEqual(['0 send a #1 on 1']);
  });
});

describe('a request of several servers whose time is nearly over (mmi.why)', () => {
  it('has the server asked that got it last, before the end of the last attempt', () => {
    const script = connected(2).tellingBroker(1).tellingBroker(2).ask('a', { timeoutMs: 2000 });
    script.pass(1899);
    expect(script.effects).toEqual(['0 send a #1 on 1', '1000 send a #2 on 2']);
    script.pass(1);
    expect(script.effects).toEqual(['1900 ask why a on 2']);
    script.pass(100);
    expect(script.effects.at(-1)).toBe('2000 fail a ERR_MDP_TIMEOUT');
    expect(script.strategy.nextMs()).toBeGreaterThan(2000);
  });

  it('has none asked that does not say that it can be, nor once it is answered', () => {
    const plain = connected(1).broker(0, true, 1).ask('a', { timeoutMs: 1000 }).pass(1000);
    expect(plain.effects.filter((line) => line.includes('why'))).toEqual([]);
    const answered = connected(1).tellingBroker(1).ask('a', { timeoutMs: 1000 }).pass(899);
    answered.answer('a');
    expect(answered.pass(500).effects).toEqual(['0 send a #1 on 1']);
  });
});
