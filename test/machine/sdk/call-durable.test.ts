/** Which questions `Client.callDurable` asks, whatever the broker offers (D122). */
import { codeOf } from '../../../src/core/errors.js';
import { type Body, bodyFrames, frameList } from '../../../src/sdk/body.js';
import type { Call, CallOwner } from '../../../src/sdk/client/call.js';
import { Jobs } from '../../../src/sdk/jobs/jobs.js';
import { type Message, ReceivedMessage } from '../../../src/sdk/message.js';
import { type ClientOptions, clientSettings } from '../../../src/sdk/options.js';
import type { Offers } from '../../../src/sdk/broker-facts.js';
import type { RequestSettings } from '../../../src/sdk/request-options.js';

const UUID = '0123456789ABCDEF0123456789ABCDEF';

/** A broker that answers each question with what is written for its service: frames, with `/` before a part. */
class Script {
  readonly asked: { service: string; body: string[]; settings: RequestSettings }[] = [];
  readonly jobs: Jobs;
  readonly #answers: Record<string, string[]>;

  constructor(
    offers: Partial<Offers>,
    answers: Record<string, string[]>,
    client: Partial<ClientOptions> = {},
  ) {
    this.#answers = answers;
    const settings = clientSettings({ endpoints: 'tcp://127.0.0.1:1', ...client });
    this.jobs = new Jobs({
      settings,
      broker: {
        offers: { ...NONE, submit: true, wait: true, fail: true, ...offers },
        isSilent: false,
        isConnected: true,
        learn: () => undefined,
        missed: () => undefined,
        askWhyNow: () => undefined,
        whyOf: () => '',
      },
      encode: (_service, body) => bodyFrames(body),
      decodersOf: () => ({ decode: null, decodeProgress: null }),
      request: (service, body, given) =>
        new Promise((resolve, reject) => this.#ask(service, body, given, resolve, reject)),
      ask: (service, body, given, resolve, reject, owner) => {
        this.#ask(service, body, given, resolve, reject, owner);
        return null;
      },
      abandon: () => undefined,
      giveUp: () => {
        throw new Error('nothing is given up');
      },
    });
  }

  #ask(
    service: string,
    body: Body,
    settings: RequestSettings,
    resolve: (reply: Message) => void,
    reject: (error: never) => void,
    owner?: CallOwner,
  ): void {
    this.asked.push({ service, body: frameList(bodyFrames(body)).map(String), settings });
    const texts = this.#answers[service]?.shift()?.split('/') ?? [];
    const messages = texts.map(
      (text) =>
        new ReceivedMessage(
          service,
          null,
          text.split('|').map((each) => Buffer.from(each)),
        ),
    );
    const final = messages.pop();
    const call = { resolve, reject } as Partial<Call> as Call;
    queueMicrotask(() => {
      for (const part of messages) owner?.part(call, part);
      if (final === undefined) return;
      if (owner === undefined) resolve(final);
      else owner.done(call, final);
    });
  }

  get services(): string[] {
    return this.asked.map(({ service }) => service.replace('titanic.', ''));
  }

  /** The options of the question with this number. */
  options(at: number): Record<string, unknown> {
    return JSON.parse(this.asked[at]?.body[0] ?? '') as Record<string, unknown>;
  }
}

const NONE: Offers = {
  ...{ submit: false, wait: false, fail: false, headers: false, backoff: false, progress: false },
  ...{ cancel: false, existed: false, call: false, why: false, options: false, group: false },
};

describe('callDurable', () => {
  it('asks one question, and closes without waiting for that', async () => {
    const s = new Script({ call: true }, { 'titanic.call': [`200|${UUID}/200|a|b`] });
    const reply = await s.jobs.call('echo', ['x', 'y'], { idempotencyKey: 'k', priority: 1 });
    expect(reply.frames.map(String)).toEqual(['a', 'b']);
    expect(s.services).toEqual(['call', 'close']);
    expect(s.asked[0]?.body).toEqual(['{"key":"k","priority":1}', 'echo', 'x', 'y']);
    expect(s.asked[1]?.body).toEqual([UUID]);
  });

  it('is sent again soon if a broker does not answer, as enqueue is', async () => {
    const s = new Script({ call: true }, { 'titanic.call': [`200|${UUID}/200|a`] });
    await s.jobs.call('echo', 'x', undefined);
    expect(s.asked[0]?.settings).toMatchObject({ timeoutMs: Infinity, resendMs: 2500 });
  });

  it('has a random key of its own if none is given, which it can be found by', async () => {
    const s = new Script({ call: true }, { 'titanic.call': [`200|${UUID}/200|a`] });
    await s.jobs.call('echo', 'x', undefined);
    expect(s.options(0)).toEqual({ key: expect.stringMatching(/^once-[0-9a-f]{32}$/) as unknown });
  });

  it.each([
    ['a broker without `call`', {}, {}],
    ['a client of 0.1', { call: true }, { protocol: '0.1' }],
    ['a client without envelope', { call: true }, { envelope: false }],
  ] as const)('asks three questions: %s', async (_who, offers, client) => {
    const answers = {
      'titanic.submit': [`200|${UUID}`],
      'titanic.wait': ['200|a'],
      'titanic.close': [],
    };
    const s = new Script(offers, answers, client);
    expect((await s.jobs.call('echo', 'x', undefined)).text()).toBe('a');
    expect(s.services).toEqual(['submit', 'wait', 'close']);
  });

  it('asks three questions, with the same key, of a broker that was replaced by an older one', async () => {
    const answers = {
      'titanic.call': ['501'],
      'titanic.submit': [`200|${UUID}`],
      'titanic.wait': ['200|a'],
    };
    const s = new Script({ call: true }, answers);
    expect((await s.jobs.call('echo', 'x', undefined)).text()).toBe('a');
    expect(s.services).toEqual(['call', 'submit', 'wait', 'close']);
    expect(s.options(1)).toEqual(s.options(0));
  });

  it('does not store again what is stored, if the broker then has no Titanic any more', async () => {
    const answers = {
      'titanic.call': [`200|${UUID}/501`],
      'titanic.wait': ['501'],
      'titanic.reply': ['501'],
    };
    const s = new Script({ call: true }, answers);
    const failed = await s.jobs.call('echo', 'x', undefined).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'ERR_TITANIC_REFUSED', details: { uuid: UUID } });
    expect(s.services).toEqual(['call', 'wait', 'reply']);
  });

  it('does not close what failed: it is for the operator to look at', async () => {
    const s = new Script({ call: true }, { 'titanic.call': [`200|${UUID}/500 dead NO: no|more`] });
    const failed = await s.jobs.call('echo', 'x', undefined).catch((error: unknown) => error);
    expect(codeOf(failed)).toBe('ERR_SERVICE_FAILED');
    expect(s.services).toEqual(['call']);
  });

  it('refuses what enqueue refuses', async () => {
    const s = new Script({ call: true }, {});
    await expect(s.jobs.call('echo', 'x', { once: true })).rejects.toMatchObject({
      code: 'ERR_MDP_OPTION',
    });
    await expect(s.jobs.call('echo', 'x', { group: 'g' })).rejects.toMatchObject({
      code: 'ERR_TITANIC_UNSUPPORTED',
    });
    expect(s.asked).toEqual([]);
  });
});
