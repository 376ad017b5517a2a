/** A script of the client's machines in virtual time: inputs go in, effects come out as lines. */
import type { ResumeState } from '../../../src/wire/mmi.js';
import type { MajordomoError } from '../../../src/core/errors.js';
import { BareLinks } from '../../../src/sdk/client/bare-links.js';
import { Call } from '../../../src/sdk/client/call.js';
import {
  type DeliverySink,
  type DeliveryStrategy,
  NO_SESSION,
} from '../../../src/sdk/client/delivery-strategy.js';
import { Freelance } from '../../../src/sdk/client/freelance.js';
import { LazyPirate } from '../../../src/sdk/client/lazy-pirate.js';

export interface ScriptOptions {
  readonly endpoints?: number;
  readonly bare?: boolean;
  readonly maxLinks?: number;
  /** The id before that of the first request. */
  readonly lastId?: number;
  /** Its brokers say nothing of sessions until the script has them do so; others say that they have none. */
  readonly hasSessions?: boolean;
  /** The strategy for servers that know nothing of each other. */
  readonly freelance?: {
    readonly hedgeMs?: number;
    readonly pingIntervalMs?: number;
    readonly isAliveWhenConnected?: boolean;
  };
}

export interface AskOptions {
  readonly timeoutMs?: number;
  readonly resendMs?: number;
  readonly streams?: boolean;
  readonly headers?: boolean;
  readonly once?: boolean;
  readonly group?: string | undefined;
}

const ATTEMPTS = 256;

/** Pauses are exactly their longest half: jitter is the other half, and 0 here. */
const NO_JITTER = (): number => 0;

export class PirateScript {
  now = 0;
  link = 0;
  readonly strategy: DeliveryStrategy;
  /** Changes of the endpoint, beside the other effects. */
  readonly switches: string[] = [];
  readonly #lines: string[] = [];
  readonly #calls = new Map<string, Call>();
  readonly errors = new Map<string, MajordomoError>();
  #lastId: number;
  readonly #hasSessions: boolean;

  constructor(options: ScriptOptions = {}) {
    this.#lastId = options.lastId ?? 0;
    this.#hasSessions = options.hasSessions === true;
    const endpoints = options.endpoints ?? 1;
    const sink = this.#sink();
    const machine = { endpoints, connectMs: 1000, retryBaseMs: 100, retryMaxMs: 2000 };
    const { freelance } = options;
    if (freelance !== undefined) {
      const { hedgeMs = null, pingIntervalMs = 100_000, isAliveWhenConnected = true } = freelance;
      const own = { ...machine, hedgeMs, pingIntervalMs, isAliveWhenConnected };
      this.strategy = new Freelance(own, sink, NO_JITTER);
    } else if (options.bare === true) {
      this.strategy = new BareLinks({ ...machine, maxLinks: options.maxLinks ?? 2 }, sink);
    } else {
      this.strategy = new LazyPirate(machine, sink, NO_JITTER);
    }
    this.strategy.start(this.now);
  }

  /** The effects since the last call. */
  get effects(): string[] {
    return this.#lines.splice(0);
  }

  call(name: string): Call {
    const found = this.#calls.get(name);
    if (found === undefined) throw new Error(`no call ${name}`);
    return found;
  }

  ask(name: string, options: AskOptions = {}): this {
    const settings = {
      timeoutMs: options.timeoutMs ?? 4000,
      resendMs: options.resendMs ?? 1000,
      saysTime: false,
      once: options.once === true,
      group: options.group,
      signal: undefined,
      headers: undefined,
    };
    const owner = { part: () => undefined, done: () => undefined, fail: () => undefined };
    const streams = options.streams === true;
    const headers = options.headers === true ? Buffer.from('{}') : null;
    const target = {
      service: name,
      name: Buffer.from(name),
      head: Buffer.alloc(0),
      headers,
      isOfBroker: name.startsWith('mmi.'),
    };
    const call = new Call(++this.#lastId | 0, target, [], streams, settings, owner);
    this.#calls.set(name, call);
    this.strategy.add(call, this.now);
    return this;
  }

  connect(link = this.link): this {
    this.strategy.connected(link, this.now);
    if (!this.#hasSessions) this.strategy.greeted?.(link, NO_SESSION, this.now);
    return this;
  }

  cut(link = this.link): this {
    this.strategy.disconnected(link, this.now);
    return this;
  }

  /** Nobody listens there. */
  fail(link = this.link): this {
    this.strategy.unreachable(link, false, this.now);
    return this;
  }

  /** The broker there does not let its key in. */
  refuseKey(link = this.link): this {
    this.strategy.unreachable(link, true, this.now);
    return this;
  }

  /** Any message comes over the link. */
  hear(link = this.link): this {
    this.strategy.heard(link);
    return this;
  }

  /** The broker answers `mmi.broker`. */
  broker(pairHeartbeatMs: number | null, takesHeaders = true, link = this.link): this {
    this.strategy.heard(link);
    const instance = 'old';
    this.strategy.learnt(
      link,
      {
        ...{ takesHeaders, takesOptions: takesHeaders, takesGroups: takesHeaders },
        ...{ tellsWhy: false, pairHeartbeatMs, instance },
      },
      this.now,
    );
    return this;
  }

  /** The broker answers the hello. @param isKnown it had the session before */
  greeted(isKnown: boolean, link = this.link): this {
    this.strategy.heard(link);
    this.strategy.greeted?.(link, { resumeMs: 10_000, isKnown }, this.now);
    return this;
  }

  /** A broker with sessions answers both questions. */
  meets(instance: string, isKnown: boolean, link = this.link): this {
    this.greeted(isKnown, link);
    const broker = {
      takesHeaders: true,
      takesOptions: true,
      takesGroups: true,
      tellsWhy: false,
      pairHeartbeatMs: 0,
      instance,
    };
    this.strategy.heard(link);
    this.strategy.learnt(link, broker, this.now);
    return this;
  }

  /** The broker says what became of the requests that it was asked for. */
  resumed(...states: ResumeState[]): this {
    this.strategy.heard(this.link);
    this.strategy.resumed?.(this.link, states, this.now);
    return this;
  }

  /** The broker answers `mmi.broker`, and says why requests have no answer. */
  tellingBroker(link = this.link): this {
    this.strategy.heard(link);
    const broker = {
      takesHeaders: true,
      takesOptions: true,
      takesGroups: true,
      tellsWhy: true,
      pairHeartbeatMs: 0,
      instance: 'old',
    };
    this.strategy.learnt(link, broker, this.now);
    return this;
  }

  /** The answer to the present send, or to `attempt`. @returns whether it was used */
  answer(name: string, attempt = this.call(name).attempt): boolean {
    const call = this.call(name);
    this.strategy.heard(call.link);
    if (!call.accepts(attempt % ATTEMPTS, ATTEMPTS, true)) return false;
    this.strategy.answered(call, this.now);
    return true;
  }

  part(name: string, attempt = this.call(name).attempt): boolean {
    const call = this.call(name);
    this.strategy.heard(call.link);
    if (!call.accepts(attempt % ATTEMPTS, ATTEMPTS, false)) return false;
    this.strategy.progressed(call, this.now);
    return true;
  }

  refuse(
    name: string,
    status: string,
    attempt = this.call(name).attempt,
    reason = 'because',
  ): this {
    const call = this.call(name);
    const refusal = { status, reason };
    this.strategy.heard(call.link);
    this.strategy.refused(call, attempt % ATTEMPTS, refusal, this.now);
    return this;
  }

  abort(name: string): this {
    this.strategy.cancel(this.call(name), this.now);
    return this;
  }

  /** Lets time pass, tick by tick as the machine wants them. */
  pass(ms: number): this {
    const until = this.now + ms;
    for (let next = this.strategy.nextMs(); next <= until; next = this.strategy.nextMs()) {
      this.now = Math.max(this.now, next);
      this.strategy.tick(this.now);
    }
    this.now = until;
    return this;
  }

  #nameOf(id: number): string {
    for (const [name, call] of this.#calls) {
      if (call.id === id || call.earlierIds?.includes(id) === true) return name;
    }
    throw new Error(`no call has the id ${id}`);
  }

  #sink(): DeliverySink {
    const say = (line: string): void => {
      this.#lines.push(`${this.now} ${line}`);
    };
    return {
      open: (link, endpoint) => {
        this.link = link;
        say(`open ${link} to ${endpoint}`);
      },
      close: (link) => say(`close ${link}`),
      greet: (link) => say(`greet ${link}`),
      probe: (link) => say(`probe ${link}`),
      askWhy: (link, call) => say(`ask why ${call.service} on ${link}`),
      ping: (link) => say(`ping ${link}`),
      hedged: () => say('hedge'),
      send: (link, call) => say(`send ${call.service} #${call.attempt} on ${link}`),
      resume: (link, sends) => {
        say(
          `resume ${sends.map(([id, send]) => `${this.#nameOf(id)}/${send}`).join(' ')} on ${link}`,
        );
      },
      renewId: (call) => {
        (call.earlierIds ??= []).push(call.id);
        call.id = ++this.#lastId;
      },
      renewSession: () => {
        this.#lastId = 0;
        say('new session');
      },
      resumed: () => say('resumed'),
      cancel: (link, id, send) => {
        const call = this.call(this.#nameOf(id));
        say(`cancel ${call.service} #${send} on ${link}`);
      },
      fail: (call, error) => {
        this.errors.set(call.service, error);
        say(`fail ${call.service} ${error.code}`);
      },
      switched: (from, to, why) => {
        this.switches.push(`${from} to ${to}: ${why}`);
      },
    };
  }
}
