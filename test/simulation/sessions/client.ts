/**
 * A client with the SDK's strategy for brokers with sessions. It carries out what the strategy decides, as `Exchange` and
 * `MdpExchange` of the SDK do, in virtual time.
 */
import type { Frames } from '../../../src/core/frames.js';
import type { MajordomoError } from '../../../src/core/errors.js';
import { Call, type Target } from '../../../src/sdk/client/call.js';
import { CallTable } from '../../../src/sdk/client/call-table.js';
import { ATTEMPT_MODULUS } from '../../../src/sdk/client/correlation.js';
import type { DeliverySink } from '../../../src/sdk/client/delivery-strategy.js';
import { LazyPirate } from '../../../src/sdk/client/lazy-pirate.js';
import { SimLink } from '../freelance/link.js';
import { type BrokerMachine, dialledBy, type Stage } from '../freelance/machine.js';
import { Outages } from '../freelance/outages.js';
import { RETRY_BASE_MS, RETRY_MAX_MS } from '../freelance/weather.js';
import { EventLoop } from '../world/event-loop.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import { groupOf } from './groups.js';
import type { Runs, Watched } from './runs.js';
import { type ClientHabits, SERVICE } from './weather.js';
import * as wire from './wire.js';

/** Breaks a correct client, or what its broker tells it, to verify that the simulation detects it. */
export interface ClientSabotage {
  sink?(sink: DeliverySink, strategy: () => LazyPirate): DeliverySink;
  strategy?(strategy: LazyPirate): void;
  call?(call: Call): void;
  heard?(heard: wire.Heard): wire.Heard;
  /** Each send has an id of its own. */
  readonly renewsIds?: true;
  /** Whether the strategy, and the broker, know that a request is to run once. */
  readonly strategyHearsOnce?: false;
  readonly brokerHearsOnce?: false;
  /** The group that a request is sent with. @param name of the request, with its group */
  group?(name: string): string;
}

type Sends = (readonly [id: number, send: number])[];

interface OpenLink {
  readonly link: SimLink;
  readonly endpoint: number;
  /** Cancels for a broker that has not said yet whether it takes them; `null`: it has. */
  cancels: Sends | null;
}

const CONNECT_MS = 1000;
const RESEND_MS = 2500;
const TARGET: Target = {
  service: SERVICE,
  name: Buffer.from(SERVICE),
  head: Buffer.alloc(0),
  isOfBroker: false,
  headers: null,
};

export class SessionClient {
  readonly name: string;
  readonly habits: ClientHabits;
  /** When something was wrong with the way to a broker, by its endpoint. */
  readonly ways: readonly Outages[];
  readonly stalls = new Outages();
  readonly #stage: Stage;
  readonly #random: SimRandom;
  readonly #ofGroups: SimRandom;
  readonly #machines: readonly BrokerMachine[];
  readonly #runs: Runs;
  readonly #sabotage: ClientSabotage;
  /** A request was sent. */
  readonly #sent: (endpoint: number) => void;
  readonly #strategy: LazyPirate;
  readonly #calls = new CallTable();
  readonly #watched = new Map<Call, Watched>();
  readonly #links = new Map<number, OpenLink>();
  readonly #loop: EventLoop;
  #session: string;
  #sessions = 0;
  #started = 0;
  #isPausing = false;

  constructor(
    name: string,
    habits: ClientHabits,
    machines: readonly BrokerMachine[],
    stage: Stage,
    random: SimRandom,
    runs: Runs,
    sabotage: ClientSabotage,
    sent: (endpoint: number) => void,
  ) {
    this.name = name;
    this.habits = habits;
    this.#machines = machines;
    this.#stage = stage;
    this.#random = random;
    this.#runs = runs;
    this.#sabotage = sabotage;
    this.#sent = sent;
    this.ways = machines.map(() => new Outages());
    this.#session = this.#newSession();
    const options = {
      endpoints: machines.length,
      connectMs: CONNECT_MS,
      retryBaseMs: RETRY_BASE_MS,
      retryMaxMs: RETRY_MAX_MS,
    };
    this.#ofGroups = random.fork(2);
    const own = this.#sink();
    const sink = sabotage.sink?.(own, () => this.#strategy) ?? own;
    const chance = random.fork(1);
    this.#strategy = new LazyPirate(options, sink, () => chance.word() / 0x1_0000_0000);
    sabotage.strategy?.(this.#strategy);
    const ticking = {
      nextMs: () => this.#strategy.nextMs(),
      tick: () => this.#strategy.tick(this.#now),
    };
    this.#loop = new EventLoop(stage.clock, ticking, habits.fraction);
  }

  start(): void {
    this.#strategy.start(this.#now);
    this.#loop.wake();
    this.#pause();
  }

  /** It makes `more` requests. */
  askMore(more: number): void {
    this.#started -= more;
    if (!this.#isPausing) this.#pause();
  }

  get isDone(): boolean {
    return this.#started >= this.habits.requests && this.#calls.size === 0;
  }

  /** All requests have settled, and its broker is well: nothing is due any more. */
  checkMemory(): void {
    const next = this.#strategy.nextMs();
    hold(next === Infinity, `${this.name} still waits for ${next}`);
  }

  close(): void {
    for (const { link } of this.#links.values()) link.close();
    this.#links.clear();
    this.#loop.end();
  }

  // ---------------------------------------------------------------- faults

  /** Its event loop does nothing before `until`. */
  stall(until: number): void {
    this.#note(`stalls until ${until}`);
    this.#loop.stall(until);
  }

  cut(endpoint: number, brokerKnows: boolean, clientKnows: boolean, unnoticedMs: number): void {
    const who = `${brokerKnows ? '' : ' in silence for the broker'}${clientKnows ? '' : ' in silence'}`;
    this.#note(`is cut from ${endpoint}${who}`);
    for (const open of this.#links.values()) {
      if (open.endpoint === endpoint) open.link.cut(brokerKnows, clientKnows, unnoticedMs);
    }
  }

  // ---------------------------------------------------------------- requests

  #pause(): void {
    this.#isPausing = true;
    this.#stage.clock.after(this.#random.int(0, this.habits.gapMaxMs), () => {
      this.#isPausing = false;
      if (this.#started >= this.habits.requests) return;
      if (this.#calls.size < this.habits.window && !this.#loop.isStalled) {
        this.#started++;
        this.#ask();
      }
      this.#pause();
    });
  }

  #ask(): void {
    const { onceChance, abortChance, saysTimeChance, timeoutsMs } = this.habits;
    const number = this.#stage.tally.requests++;
    const name = `${this.name}-${number}@${this.#ofGroups.pick(this.habits.groups)}`;
    const random = this.#random;
    const once = random.chance(onceChance);
    const timeoutMs = random.pick(timeoutsMs);
    const settings = {
      timeoutMs,
      resendMs: RESEND_MS,
      saysTime: random.chance(saysTimeChance),
      once: once && this.#sabotage.strategyHearsOnce !== false,
    };
    const owner = {
      part: () => undefined,
      done: () => undefined,
      fail: (failed: Call, error: MajordomoError) => this.#ended(failed, error.code),
    };
    const body = [Buffer.from(name)];
    const call = new Call(this.#calls.nextId(), TARGET, body, false, settings, owner);
    this.#sabotage.call?.(call);
    this.#calls.add(call);
    const { ways, stalls } = this;
    this.#watched.set(call, this.#runs.asked({ name, once, timeoutMs, ways, stalls }));
    this.#note(`asks ${name}${once ? ' once' : ''} within ${timeoutMs}`);
    this.#strategy.add(call, this.#now);
    this.#loop.wake();
    if (!random.chance(abortChance)) return;
    this.#stage.clock.after(random.int(0, timeoutMs), () => {
      this.#loop.do(() => {
        if (this.#calls.get(call.id) !== call) return;
        this.#calls.delete(call);
        this.#strategy.cancel(call, this.#now);
        this.#ended(call, 'aborted');
        this.#loop.wake();
      });
    });
  }

  #ended(call: Call, outcome: string): void {
    const watched = this.#watched.get(call);
    hold(watched !== undefined, 'a call ends once');
    this.#note(`${watched.name}: ${outcome}`);
    const { tally } = this.#stage;
    if (outcome === 'answered') tally.replies++;
    else tally.fault(`request ${outcome}`);
    this.#runs.ended(watched, outcome);
  }

  #newSession(): string {
    return `a-session-of-${this.name}-${this.#sessions++}`.padEnd(24, '-');
  }

  // ---------------------------------------------------------------- what the strategy decides

  #sink(): DeliverySink {
    const write = (link: number, frames: readonly Uint8Array[], asks?: string): void => {
      const intent =
        asks === undefined ? ({ kind: 'ping' } as const) : ({ kind: 'ping', asks } as const);
      this.#links.get(link)?.link.send({ frames, intent });
    };
    return {
      open: (link, endpoint) => this.#open(link, endpoint),
      close: (link) => {
        this.#links.get(link)?.link.close();
        this.#links.delete(link);
      },
      greet: (link) => {
        write(link, wire.hello(this.#session));
        write(link, wire.probe());
      },
      probe: (link) => write(link, wire.probe()),
      ping: () => undefined,
      hedged: () => undefined,
      askWhy: () => undefined,
      resume: (link, sends) => {
        this.#note(`asks what became of ${sends.map(String).join(' ')}`);
        write(link, wire.resume(sends));
      },
      renewId: (call) => this.#calls.renew(call),
      renewSession: () => {
        this.#calls.restart();
        this.#session = this.#newSession();
      },
      resumed: () => this.#stage.tally.fault('request resumed'),
      cancel: (link, id, send) => {
        const open = this.#links.get(link);
        if (open?.cancels === null) write(link, wire.cancel([[id, send]]));
        else open?.cancels.push([id, send]);
      },
      send: (link, call) => {
        const open = this.#links.get(link);
        const watched = this.#watched.get(call);
        if (open === undefined || watched === undefined) return;
        if (call.attempt > 1 && this.#sabotage.renewsIds === true) this.#calls.renew(call);
        const once = watched.once && this.#sabotage.brokerHearsOnce !== false;
        const { attempt, id } = call;
        this.#note(`sends ${watched.name} #${attempt} as ${id} on ${link} to ${open.endpoint}`);
        if (attempt > 1) this.#stage.tally.fault('request is sent again');
        const { name } = watched;
        const group = this.#sabotage.group?.(name) ?? groupOf(name);
        write(link, wire.request(call, once, call.leftMs(this.#now), group), name);
        this.#sent(open.endpoint);
      },
      fail: (call, error) => {
        this.#calls.delete(call);
        call.owner.fail(call, error);
      },
      switched: (from, to, why) => {
        this.#note(`goes from ${from} to ${to}: ${why}`);
        this.#stage.tally.fault('client turns to another broker');
      },
    };
  }

  #open(link: number, endpoint: number): void {
    const machine = this.#machines[endpoint];
    hold(machine !== undefined, 'an endpoint is one of the brokers');
    /** Unless the strategy has closed the link meanwhile. */
    const input = (action: () => void) => (): void => {
      this.#loop.do(() => {
        if (this.#links.has(link)) action();
        this.#loop.wake();
      });
    };
    const events = {
      connected: input(() => {
        this.#note(`is connected to ${endpoint} by ${link}`);
        this.#strategy.connected(link, this.#now);
      }),
      heard: input(() => this.#strategy.heard(link)),
      disconnected: input(() => {
        this.#note(`is disconnected from ${endpoint}`);
        this.#strategy.disconnected(link, this.#now);
      }),
      unreachable: input(() => this.#strategy.unreachable(link, false, this.#now)),
      message: (frames: Frames) => {
        input(() => {
          this.#strategy.heard(link);
          this.#read(link, frames);
        })();
      },
    };
    const random = this.#random.fork(1000 + link);
    const dialled = dialledBy(this.name, 0, 'DEALER');
    const opened = new SimLink(machine, dialled, this.#stage, random, events, false);
    this.#links.set(link, { endpoint, cancels: [], link: opened });
  }

  // ---------------------------------------------------------------- what arrives

  #read(link: number, frames: Frames): void {
    const said = wire.read(frames);
    const heard = this.#sabotage.heard?.(said) ?? said;
    const strategy = this.#strategy;
    if (heard.kind === 'nothing') return;
    if (heard.kind === 'greeted') {
      strategy.greeted(link, heard.session, this.#now);
    } else if (heard.kind === 'resumed') {
      this.#note(`is told: ${heard.states?.join(' ') ?? 'nothing'}`);
      strategy.resumed(link, heard.states, this.#now);
    } else if (heard.kind === 'learnt') {
      strategy.learnt(link, heard.broker, this.#now);
      this.#cancelEarly(link);
    } else {
      this.#answer(heard);
    }
  }

  #cancelEarly(link: number): void {
    const open = this.#links.get(link);
    const early = open?.cancels ?? [];
    if (open === undefined) return;
    open.cancels = null;
    if (early.length === 0) return;
    open.link.send({ frames: wire.cancel(early), intent: { kind: 'ping' } });
  }

  #answer(heard: Extract<wire.Heard, { readonly id: number }>): void {
    const call = this.#calls.get(heard.id);
    if (call === undefined) return;
    const name = this.#watched.get(call)?.name ?? '';
    if (heard.kind === 'refused') {
      const { status, reason } = heard.refusal;
      this.#note(`is refused ${name}: ${status} ${reason}`);
      this.#stage.tally.fault(`refused ${status}`);
      this.#strategy.refused(call, heard.send, heard.refusal, this.#now);
      return;
    }
    if (!call.accepts(heard.send, ATTEMPT_MODULUS, true)) return;
    this.#calls.delete(call);
    this.#strategy.answered(call, this.#now);
    const [first = ''] = heard.body;
    const isAnswer = heard.kind === 'final';
    hold(!isAnswer || first === `A${name}`, `${name} gets the answer ${first}`);
    this.#ended(call, isAnswer ? 'answered' : 'failed by its worker');
  }

  // ---------------------------------------------------------------- time

  get #now(): number {
    return this.#loop.now;
  }

  #note(what: string): void {
    this.#stage.trace.note(this.#stage.clock.now, this.name, what);
  }
}
