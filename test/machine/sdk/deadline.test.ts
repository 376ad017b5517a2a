/** `deadlineMs` is the whole of a call, `timeoutMs` one attempt. */
import { setImmediate as turn } from 'node:timers/promises';

import { monotonicMs } from '../../../src/core/clock.js';
import { codeOf } from '../../../src/core/errors.js';
import { Client, type ClientOptions, FreelanceClient } from '../../../src/sdk/client.js';
import { restOf } from '../../../src/sdk/jobs/job-options.js';
import { FakeNet } from './fake-dial.js';
import { PirateScript, type ScriptOptions } from './pirate-script.js';

const OFFERS = JSON.stringify({ extensions: ['submit', 'headers', 'schedule'] });
const PROBE = Buffer.alloc(5);

const STRATEGIES: [string, ScriptOptions][] = [
  ['over one link', {}],
  ['of several servers', { freelance: {} }],
  ['over brokers that return no envelope', { bare: true }],
];

describe.each(STRATEGIES)('a client %s', (_, options) => {
  const connected = (): PirateScript => new PirateScript(options).connect();

  it('ends a call at its deadline, whatever retries remain', () => {
    const script = connected().ask('a', { timeoutMs: 400, deadlineMs: 1000 });
    script.pass(400).connect().pass(400).connect().pass(199);
    expect(script.errors.size).toBe(0);
    script.pass(1);
    expect(script.effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
    expect(script.errors.get('a')?.details).toEqual({ service: 'a', sends: 3 });
  });

  it('ends a call before its first time-out', () => {
    const script = connected().ask('a', { timeoutMs: 1000, deadlineMs: 30 }).pass(30);
    expect(script.effects.at(-1)).toBe('30 fail a ERR_MDP_TIMEOUT');
  });

  it('does not lengthen a call', () => {
    const script = connected().ask('a', { timeoutMs: 100, retries: 0, deadlineMs: 5000 }).pass(100);
    expect(script.effects.at(-1)).toBe('100 fail a ERR_MDP_TIMEOUT');
  });

  it('ends a call that waits for a connection', () => {
    const script = new PirateScript(options).ask('a', { deadlineMs: 700 }).pass(700);
    expect(script.effects.at(-1)).toBe('700 fail a ERR_MDP_UNREACHABLE');
  });

  it('ends a stream, though parts come in time', () => {
    const script = connected().ask('a', { streams: true, timeoutMs: 400, deadlineMs: 1000 });
    for (let at = 0; at < 3; at++) expect(script.pass(300).part('a')).toBe(true);
    script.pass(99);
    expect(script.errors.size).toBe(0);
    script.pass(1);
    expect(script.effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
  });

  it('ends a call whose parts are joined', () => {
    const script = connected().ask('a', { timeoutMs: 400, deadlineMs: 1000 });
    for (let at = 0; at < 3; at++) expect(script.pass(300).part('a')).toBe(true);
    script.pass(100);
    expect(script.effects.at(-1)).toBe('1000 fail a ERR_MDP_TIMEOUT');
  });
});

describe('a client', () => {
  it('ends a call that pauses after a refusal', () => {
    const script = new PirateScript().connect().ask('a', { deadlineMs: 70 });
    script.refuse('a', '429').pass(50).refuse('a', '429').pass(20);
    expect(script.effects.at(-1)).toBe('70 fail a ERR_MDP_REFUSED');
  });

  it('keeps to it at a pair, which raises the time-out', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(1000);
    script.ask('a', { timeoutMs: 100, deadlineMs: 500 }).pass(500);
    expect(script.effects.filter((line) => /send|fail/.test(line))).toEqual([
      '0 send a #1 on 1',
      '500 fail a ERR_MDP_TIMEOUT',
    ]);
  });

  it.each(STRATEGIES.slice(0, 2))('%s takes back what it had sent', (_, options) => {
    const script = new PirateScript(options).connect();
    script.ask('a', { timeoutMs: 400, deadlineMs: 600 }).pass(300).hear().pass(300);
    expect(script.effects.slice(-3)).toEqual([
      '600 cancel a #1 on 1',
      '600 cancel a #2 on 1',
      '600 fail a ERR_MDP_TIMEOUT',
    ]);
  });

  it('takes no broker for dead that had less than a time-out to answer', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(0);
    for (let at = 0; at < 3; at++) script.ask(`a${at}`, { deadlineMs: 400 }).pass(400).hear();
    expect(script.effects.filter((line) => line.includes('close'))).toEqual([]);
    expect(script.errors.size).toBe(3);
  });

  it('takes one for dead that is silent for a time-out, to calls that end before', () => {
    const script = new PirateScript({ endpoints: 2 }).connect().broker(0).hear();
    for (let at = 0; at < 3; at++) script.ask(`a${at}`, { deadlineMs: 400 }).pass(400);
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

function clientOf(options: Partial<ClientOptions> = {}): { client: Client; net: FakeNet } {
  const net = new FakeNet();
  const client = new Client({ endpoints: 'tcp://a:1', dial: net.dial, ...options });
  closing.push(() => client.close());
  net.link.events.connected();
  net.link.says(PROBE, '', 'MDPC02', '\x03', 'mmi.broker', '200', OFFERS);
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
    const { client } = clientOf({ deadlineMs: 20 });
    const [code, ms] = await codeAndMs(client.request('echo', ''));
    expect(code).toBe('ERR_MDP_TIMEOUT');
    expect(ms).toBeGreaterThan(15);
    const [, longerMs] = await codeAndMs(client.request('echo', '', { deadlineMs: 60 }));
    expect(longerMs).toBeGreaterThan(50);
    const [streamCode] = await codeAndMs(client.stream('echo', '').next());
    expect(streamCode).toBe('ERR_MDP_TIMEOUT');
  });

  it('says what is wrong', async () => {
    const { client } = clientOf();
    await expect(client.request('echo', '', { deadlineMs: 0 })).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
      details: { option: 'deadlineMs' },
    });
    expect(() => clientOf({ deadlineMs: 1.5 })).toThrow('deadlineMs must be a whole number');
  });

  it('a request with headers tells its worker, and so does a stream', async () => {
    const { client, net } = clientOf();
    // A busy machine takes long to send it.
    const options = { headers: {}, timeoutMs: 900_000, deadlineMs: 700_000 };
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
    expect(sentDeadline(net)).toBe(0);
    await turn();
  });

  it('a durable request is stored by it: it is for all questions together', async () => {
    const options = { deadlineMs: 100, timeoutMs: 60_000 };
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
    expect(restOf({}, now - 1000)).toEqual({});
    expect(restOf({ deadlineMs: 60_000 }, now - 1000).deadlineMs).toBeLessThanOrEqual(59_000);
    expect(() => restOf({ deadlineMs: 1000 }, now - 1000)).toThrow('deadlineMs is over');
  });

  it('a FreelanceClient has it, too', async () => {
    const net = new FakeNet();
    const client = new FreelanceClient({ endpoints: 'tcp://a:1', dial: net.dial, deadlineMs: 20 });
    closing.push(() => client.close());
    net.link.events.connected();
    const [code, ms] = await codeAndMs(client.request(''));
    expect(code).toBe('ERR_MDP_UNREACHABLE');
    expect(ms).toBeGreaterThan(15);
    const [, longerMs] = await codeAndMs(client.request('', { deadlineMs: 60 }));
    expect(longerMs).toBeGreaterThan(50);
  });
});
