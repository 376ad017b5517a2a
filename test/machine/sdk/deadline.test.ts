/** `timeoutMs` is the time of a whole call. */
import { setImmediate as turn } from 'node:timers/promises';

import { monotonicMs } from '../../../src/core/clock.js';
import { codeOf } from '../../../src/core/errors.js';
import {
  Client,
  type ClientOptions,
  FreelanceClient,
  type RequestOptions,
} from '../../../src/sdk/client.js';
import { restOf } from '../../../src/sdk/jobs/job-options.js';
import { FakeNet } from './fake-dial.js';
import { PirateScript, type ScriptOptions } from './pirate-script.js';

const OFFERS = JSON.stringify({ extensions: ['submit', 'headers', 'schedule'] });
const PROBE = Buffer.alloc(5);
const ECHO = Buffer.from('echo');

const STRATEGIES: [string, ScriptOptions][] = [
  ['over one link', {}],
  ['of several servers', { freelance: {} }],
  ['over brokers that return no envelope', { bare: true }],
];

describe.each(STRATEGIES)('a client %s', (_, options) => {
  const connected = (): PirateScript => new PirateScript(options).connect();

  it('ends a call when its time is over', () => {
    const script = connected().ask('a', { resendMs: 400, timeoutMs: 1000 });
    script.pass(400).connect().pass(400).connect().pass(199);
    expect(script.errors.size).toBe(0);
    script.pass(1);
    expect(script.effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
  });

  it('ends a call before it would be sent again', () => {
    const script = connected().ask('a', { timeoutMs: 30 }).pass(30);
    expect(script.effects.at(-1)).toBe('30 fail a ERR_MDP_TIMEOUT');
  });

  it('ends a call that waits for a connection', () => {
    const script = new PirateScript(options).ask('a', { timeoutMs: 700 }).pass(700);
    expect(script.effects.at(-1)).toBe('700 fail a ERR_MDP_UNREACHABLE');
  });

  it('ends a stream, though parts come in time', () => {
    const script = connected().ask('a', { streams: true, resendMs: 400, timeoutMs: 1000 });
    for (let at = 0; at < 3; at++) expect(script.pass(300).part('a')).toBe(true);
    script.pass(99);
    expect(script.errors.size).toBe(0);
    script.pass(1);
    expect(script.effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
  });

  it('ends a call whose parts are joined', () => {
    const script = connected().ask('a', { resendMs: 400, timeoutMs: 1000 });
    for (let at = 0; at < 3; at++) expect(script.pass(300).part('a')).toBe(true);
    script.pass(100);
    expect(script.effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
  });
});

describe('a client', () => {
  it('ends a call that pauses after a refusal', () => {
    const script = new PirateScript().connect().ask('a', { timeoutMs: 70 });
    script.refuse('a', '429').pass(50).refuse('a', '429').pass(20);
    expect(script.effects.at(-1)).toBe('70 fail a ERR_MDP_REFUSED');
  });

  it('keeps to it at a pair', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(1000);
    script.ask('a', { resendMs: 100, timeoutMs: 400 }).pass(500);
    expect(script.effects.filter((line) => /send|fail/.test(line))).toEqual([
      '0 send a #1 on 1',
      '400 fail a ERR_MDP_TIMEOUT',
    ]);
  });

  it.each(STRATEGIES.slice(0, 2))('%s takes back what it had sent', (_, options) => {
    const script = new PirateScript(options).connect();
    script.ask('a', { resendMs: 400, timeoutMs: 600 }).pass(300).hear().pass(300);
    const effects = script.effects;
    const sends = effects.filter((line) => line.includes('send a'));
    const cancels = effects.filter((line) => line.includes('600 cancel a'));
    expect(cancels).toHaveLength(sends.length);
    expect(effects.at(-1)).toBe('600 fail a ERR_MDP_TIMEOUT');
  });

  it('takes no broker for dead that had less than resendMs to answer', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(0);
    for (let at = 0; at < 3; at++) script.ask(`a${at}`, { timeoutMs: 400 }).pass(400).hear();
    expect(script.effects.filter((line) => line.includes('close'))).toEqual([]);
    expect(script.errors.size).toBe(3);
  });

  it('takes one for dead that is silent for resendMs, to calls that end before', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(0).hear();
    for (let at = 0; at < 3; at++) script.ask(`a${at}`, { timeoutMs: 400 }).pass(400);
    expect(script.effects.filter((line) => /close|open 2/.test(line))).toEqual([
      '1200 close 1',
      '1200 open 2 to 1',
    ]);
  });
});

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

function clientOf(
  options: Partial<ClientOptions> = {},
  offers = OFFERS,
): { client: Client; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: 'tcp://a:1', dial: net.dial, ...options });
  closing.push(() => client.close());
  net.link.events.connected();
  net.link.says(PROBE, '', 'MDPC02', '\x03', 'mmi.broker', '200', offers);
  net.link.written();
  return { client, net };
}

/** The deadline that the last request was sent with, in milliseconds; 0: none. */
function sentDeadline(net: FakeNet): number {
  return Number(net.link.written().at(-1)?.at(-3));
}

async function codeAndMs(act: Promise<unknown>): Promise<[code: unknown, ms: number]> {
  const began = monotonicMs();
  const code = await act.then(() => 'resolved', codeOf);
  return [code, monotonicMs() - began];
}

describe('the options of a call', () => {
  it('a call has its own deadline, or that of its client', async () => {
    const { client } = clientOf({ timeoutMs: 20 });
    const [code, ms] = await codeAndMs(client.request('echo', ''));
    expect(code).toBe('ERR_MDP_TIMEOUT');
    expect(ms).toBeGreaterThan(15);
    const [, longerMs] = await codeAndMs(client.request('echo', '', { timeoutMs: 60 }));
    expect(longerMs).toBeGreaterThan(50);
    const [streamCode] = await codeAndMs(client.stream('echo', '').next());
    expect(streamCode).toBe('ERR_MDP_TIMEOUT');
  });

  it('says what is wrong', async () => {
    const { client } = clientOf();
    await expect(client.request('echo', '', { timeoutMs: 0 })).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      details: { option: 'timeoutMs' },
    });
    expect(() => clientOf({ timeoutMs: 1.5 })).toThrow('timeoutMs must be a whole number');
    expect(() => clientOf({ deadlineMs: 100 } as object)).toThrow('write timeoutMs');
    expect(() => clientOf({ retries: 0 } as object)).toThrow('says with resendMs when');
  });

  it('a request with headers tells its worker, and so does a stream', async () => {
    const { client, net } = clientOf();
    // A busy machine takes long to send it.
    const options = { headers: {}, timeoutMs: 700_000 };
    void client.request('echo', '', options).catch(() => undefined);
    expect(sentDeadline(net)).toBeGreaterThan(600_000);
    void client
      .stream('echo', '', options)
      .next()
      .catch(() => undefined);
    const deadlineMs = sentDeadline(net);
    expect(deadlineMs).toBeGreaterThan(600_000);
    expect(deadlineMs).toBeLessThanOrEqual(700_000);
    void client
      .stream('echo', '', { headers: {} })
      .next()
      .catch(() => undefined);
    expect(sentDeadline(net)).toBeGreaterThan(9000);
    void client.request('echo', '', { headers: {}, timeoutMs: Infinity }).catch(() => undefined);
    expect(sentDeadline(net)).toBe(0);
    await turn();
  });

  it('its broker is told of it if it was named, and is known to take it; by default it is not', async () => {
    const { client, net } = clientOf();
    const commands = (): string[] =>
      net.link
        .written()
        .filter((frames) => frames.some((frame) => frame.equals(ECHO)))
        .map((frames) => String(frames[3]?.toString('hex')));
    const ask = (asking: Client, options?: RequestOptions): void => {
      void asking.request('echo', '', options).catch(() => undefined);
    };
    ask(client);
    ask(client, { timeoutMs: Infinity });
    ask(client, { timeoutMs: 700_000 });
    void client.request('mmi.service', 'echo', { timeoutMs: 5000 }).catch(() => undefined);
    expect(commands()).toEqual(['01', '01', '04', '01']);
    const named = clientOf({ timeoutMs: 700_000 });
    ask(named.client);
    expect(sentDeadline(named.net)).toBeGreaterThan(600_000);
    const other = clientOf({ timeoutMs: 700_000 }, JSON.stringify({ extensions: ['submit'] }));
    ask(other.client);
    expect(other.net.link.written().at(-1)?.[3]?.toString('hex')).toBe('01');
  });

  it('its end has one error, whoever finds it first', async () => {
    const { client, net } = clientOf();
    const asked = client.request('echo', '', { timeoutMs: 700_000 });
    const id = net.link.written().at(-1)?.[0] ?? '';
    net.link.says(id, '', 'MDPC02', '\x03', 'mmi.refused', '408', 'echo', 'all workers are busy');
    await expect(asked).rejects.toMatchObject({
      code: 'ERR_MDP_TIMEOUT',
      message: "no reply from 'echo' in time (timeoutMs 700000; sent once): all workers are busy",
    });
  });

  it('a durable request is stored by it: it is for all questions together', async () => {
    const options = { timeoutMs: 100 };
    // Two deadlines would be twice as long as one, each time; a busy machine is slow only sometimes.
    for (let ratio = 2, tries = 0; ratio > 1.5 && tries < 20; tries++) {
      const net = new FakeNet();
      const client = new Client({ endpoints: 'tcp://a:1', dial: net.dial });
      closing.push(() => client.close());
      net.link.events.connected();
      const [code, ms] = await codeAndMs(client.enqueue('echo', '', options));
      expect(code).toBe('ERR_MDP_TIMEOUT');
      const [, oneMs] = await codeAndMs(client.request('echo', '', options));
      ratio = ms / oneMs;
      if (tries === 19) expect(ratio).toBeLessThanOrEqual(1.5);
    }
  });

  it('the next question of a call has what is left, and none is asked when that is nothing', () => {
    const now = monotonicMs();
    expect(restOf({ timeoutMs: Infinity }, now - 1000)).toEqual({ timeoutMs: Infinity });
    expect(restOf({ timeoutMs: 60_000 }, now - 1000).timeoutMs).toBeLessThanOrEqual(59_000);
    expect(() => restOf({ timeoutMs: 1000 }, now - 1000)).toThrow('is over: nothing more');
  });

  it('a FreelanceClient has it, too', async () => {
    const net = new FakeNet();
    const client = new FreelanceClient({ endpoints: 'tcp://a:1', dial: net.dial, timeoutMs: 20 });
    closing.push(() => client.close());
    net.link.events.connected();
    const [code, ms] = await codeAndMs(client.request(''));
    expect(code).toBe('ERR_MDP_UNREACHABLE');
    expect(ms).toBeGreaterThan(15);
    const [, longerMs] = await codeAndMs(client.request('', { timeoutMs: 60 }));
    expect(longerMs).toBeGreaterThan(50);
  });
});
