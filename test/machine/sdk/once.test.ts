/** A request that at most one worker may run: what the client does, and what it says (D117). */
import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import { FakeNet } from './fake-dial.js';
import { type AskOptions, PirateScript, type ScriptOptions } from './pirate-script.js';

const ONCE: AskOptions = { once: true, timeoutMs: 10_000 };

/** Connected to a broker with a session, which has the request. */
function atBroker(options: ScriptOptions = {}): PirateScript {
  const script = new PirateScript({ ...options, hasSessions: true }).connect();
  script.meets('one', false).ask('a', ONCE);
  expect(script.effects.at(-1)).toBe('0 send a #1 on 1');
  return script;
}

function isUnknown(script: PirateScript, why: string): void {
  expect(script.errors.get('a')?.code).toBe('ERR_MDP_OUTCOME_UNKNOWN');
  const text = `the outcome of the request to 'a' is unknown: ${why}`;
  expect(script.errors.get('a')?.message).toBe(text);
}

const sends = (script: PirateScript): string[] =>
  script.effects.filter((line) => line.includes('send a'));

describe('a request that runs once', () => {
  it('is sent when the broker has said that it takes options, and to no other', () => {
    const script = new PirateScript().connect().ask('a', ONCE);
    expect(sends(script)).toEqual([]);
    expect(script.broker(0).effects).toEqual(['0 send a #1 on 1']);
    const old = new PirateScript().connect().broker(0, false).ask('a', ONCE);
    expect(old.errors.get('a')).toMatchObject({
      code: 'ERR_MDP_UNSUPPORTED',
      message: "the broker does not support once: the request to 'a' was not sent",
    });
    const silent = new PirateScript().connect().ask('a', ONCE);
    for (let at = 0; at < 21; at++) silent.pass(500).hear();
    expect(silent.errors.get('a')?.message).toContain('does not say whether it supports once');
  });

  it('goes on after a lost connection, and is sent again only if it never arrived', () => {
    for (const [state, next] of [
      ['open', '100 resumed'],
      ['unknown', '100 send a #2 on 2'],
    ] as const) {
      const script = atBroker().cut().pass(100).connect().meets('one', true).resumed(state);
      expect(script.effects.at(-1)).toBe(next);
    }
  });

  it('has an unknown outcome if the broker has neither it nor its answer, has died, or ended the session', () => {
    isUnknown(
      atBroker().cut().pass(100).connect().meets('one', true).resumed('gone'),
      'the broker has neither the request nor its answer',
    );
    isUnknown(atBroker().cut().pass(100).connect().meets('two', false), 'its broker was lost');
    isUnknown(atBroker().cut().pass(100).connect().meets('one', false), 'its broker was lost');
    const away = atBroker({ endpoints: 2 }).cut().pass(100).fail().connect();
    isUnknown(away.meets('two', false), 'its broker was lost');
  });

  it('and if a broker without a session loses the connection, or is silent', () => {
    const cut = new PirateScript().connect().broker(0).ask('a', ONCE).cut();
    isUnknown(cut, 'its broker was lost');
    const script = new PirateScript().connect().broker(0).ask('a', ONCE);
    for (let at = 0; at < 5; at++) script.pass(900).hear();
    expect(script.errors.size).toBe(0);
    isUnknown(script.pass(2000), 'the broker is silent');
    expect(sends(script)).toEqual(['0 send a #1 on 1']);
  });

  it('and if its time is over, or its worker was lost', () => {
    const late = atBroker();
    for (let at = 0; at < 10; at++) late.pass(1000).hear();
    isUnknown(late, 'no reply in time');
    const lost = atBroker().refuse('a', '520', 1, 'outcome unknown: worker gpu-3 was lost');
    isUnknown(lost, 'worker gpu-3 was lost');
  });

  it('and if the broker that has it refuses the key of its client then', () => {
    const script = atBroker().cut().pass(100).refuseKey().pass(500).refuseKey();
    isUnknown(script, 'the broker refuses the key of this client');
  });

  it('is sent again after a refusal, because nobody has run it', () => {
    const script = atBroker().refuse('a', '429').pass(50);
    expect(script.effects).toEqual(['50 send a #2 on 1']);
  });

  it('is sent to the other node of a pair when the first is about to end, however useless that was', () => {
    const script = new PirateScript({ endpoints: 2, hasSessions: true }).connect();
    script.greeted(false).broker(1000).ask('a', ONCE).refuse('a', '503');
    script.connect().greeted(false).broker(1000);
    expect(sends(script)).toEqual(['0 send a #1 on 1', '0 send a #2 on 2']);
    // The first one has refused just now, so the second one is asked again.
    script.refuse('a', '503').pass(200);
    expect(sends(script)).toEqual(['50 send a #3 on 2']);
    script.refuse('a', '503', 3, 'draining: this broker is shutting down').pass(2000);
    script.connect().greeted(true).broker(1000);
    expect(sends(script)).toEqual(['2200 send a #4 on 3']);
  });

  it('did not run if every broker is about to end', () => {
    const script = atBroker();
    for (let at = 0; at < 30; at++) {
      if (script.call('a').state === 'sent') script.refuse('a', '503', undefined, 'draining: x');
      script.pass(400);
    }
    expect(script.errors.get('a')).toMatchObject({
      code: 'ERR_MDP_REFUSED',
      message: "the broker refused the request to 'a': 503 draining: x; it did not run",
    });
  });

  it('did not run if it expired while it waited for a worker', () => {
    expect(atBroker().refuse('a', '408', 1, 'all workers are busy').errors.get('a')).toMatchObject({
      code: 'ERR_MDP_TIMEOUT',
      message:
        "no reply from 'a' in time (timeoutMs 10000; sent once): no worker had it: all workers are busy",
    });
  });

  it('is not sent to the other node of a pair while the first is quiet', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(1000).ask('a', ONCE);
    script.pass(2500).connect().broker(1000).pass(2000);
    expect(sends(script)).toEqual(['0 send a #1 on 1']);
  });

  it('is asked of one of several servers, and of the next only if that refused', () => {
    const asked = (): PirateScript => {
      const script = new PirateScript({ endpoints: 2, freelance: { pingIntervalMs: 400 } });
      script.connect(1).connect(2).ask('a', ONCE);
      expect(sends(script)).toEqual([]);
      return script.broker(0, true, 1).broker(0, true, 2);
    };
    expect(sends(asked().refuse('a', '503'))).toEqual(['0 send a #1 on 1', '0 send a #2 on 2']);
    isUnknown(asked().cut(1), 'its broker was lost');
    const lost = asked().refuse('a', '520', 1, 'outcome unknown: worker gpu-3 was lost');
    isUnknown(lost, 'worker gpu-3 was lost');
    expect(sends(lost)).toEqual(['0 send a #1 on 1']);
    const silent = asked();
    for (let at = 0; at < 20; at++) silent.pass(500).hear(2);
    isUnknown(silent, 'no reply in time');
    expect(sends(silent)).toEqual(['0 send a #1 on 1']);
  });
});

describe('the option once', () => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });

  function clientOf(options: Partial<ClientOptions> = {}): { client: Client; net: FakeNet } {
    const net = new FakeNet();
    const client = new Client({ endpoints: ['tcp://a:1'], dial: net.dial, ...options });
    closing.push(() => client.close());
    net.link.events.connected();
    const offers = JSON.stringify({ extensions: ['headers', 'options'] });
    net.link.says(Buffer.alloc(5), '', 'MDPC02', '\x03', 'mmi.broker', '200', offers);
    net.link.written();
    return { client, net };
  }

  it('is sent as options of the request, with what is left of its time, less what the broker needs to say more', () => {
    const { client, net } = clientOf();
    void client.request('echo', 'x', { once: true, headers: { a: 'b' } }).catch(() => undefined);
    const [frames = []] = net.link.written();
    const [, , header, command, service, options, group, deadline, headers, body] = frames;
    expect([header, service, options, group, headers, body].map(String)).toEqual([
      ...['MDPC02', 'echo', '{"once":true}', '', '{"a":"b"}', 'x'],
    ]);
    expect(command).toEqual(Buffer.from([5]));
    expect(Number(deadline)).toBeGreaterThan(9000);
    expect(Number(deadline)).toBeLessThanOrEqual(9500);
    void client.request('echo', 'x').catch(() => undefined);
    expect(net.link.written()[0]?.[3]).toEqual(Buffer.from([1]));
  });

  it('certainly did not run if its broker ends and has not answered it: it goes to the next one', async () => {
    const { client, net } = clientOf({ endpoints: ['tcp://a:1', 'tcp://b:1'], timeoutMs: 60_000 });
    net.link.says('', 'MDPC02', '\x03', 'mmi.hello', '200', '{"resumeMs":10000,"known":false}');
    const answer = client.request('echo', 'x', { once: true });
    void client.request('mmi.service', 'echo').catch(() => undefined);
    const draining = 'draining: this broker is shutting down';
    net.link.says('', 'MDPC02', '\x03', 'mmi.refused', '503', 'mmi.hello', draining);
    await Promise.resolve();
    net.links[0]?.events.disconnected();
    expect(net.link.endpoint).toBe('tcp://b:1');
    net.link.events.connected();
    net.link.says('', 'MDPC02', '\x03', 'mmi.hello', '200', '{"resumeMs":10000,"known":false}');
    const offers = JSON.stringify({ extensions: ['headers', 'options'], instance: 'two' });
    net.link.says(Buffer.alloc(5), '', 'MDPC02', '\x03', 'mmi.broker', '200', offers);
    const sent = net.link.written().find((frames) => String(frames[4]) === 'echo');
    net.link.says(sent?.[0] ?? '', '', 'MDPC02', '\x03', 'echo', 'done');
    expect((await answer).text()).toBe('done');
  });

  it.each<[string, Partial<ClientOptions>]>([
    ['needs protocol', { protocol: '0.1' }],
    ['needs protocol', { envelope: false }],
    ['hedgeMs', { strategy: 'freelance', hedgeMs: 0 }],
  ])('says that it %s, with %j', async (says, options) => {
    const { client } = clientOf(options);
    await expect(client.request('echo', '', { once: true })).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      message: expect.stringContaining(says),
    });
  });

  it('is not for questions to the broker, nor for durable requests', async () => {
    const { client } = clientOf();
    const once = { once: true };
    for (const asked of [
      client.request('mmi.service', 'echo', once),
      client.enqueue('echo', '', once as object),
      client.request('echo', '', { once: 1 as never }),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: 'ERR_MDP_OPTION' });
    }
  });
});
