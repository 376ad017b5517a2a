/**
 * A client with the SDK's strategy `freelance`, its requests and its protocol. It carries out what the
 * strategy decides, as `Exchange` of the SDK does, in virtual time.
 */
import type { Frames } from '../../../src/core/frames.js';
import { codeOf, type MajordomoError } from '../../../src/core/errors.js';
import { Call, type Target } from '../../../src/sdk/client/call.js';
import { CallTable } from '../../../src/sdk/client/call-table.js';
import { ATTEMPT_MODULUS } from '../../../src/sdk/client/correlation.js';
import type { DeliverySink } from '../../../src/sdk/client/delivery-strategy.js';
import { Freelance, type FreelanceOptions } from '../../../src/sdk/client/freelance.js';
import { PendingReplies } from '../../../src/sdk/client/pending-replies.js';
import { type Message, ReceivedMessage } from '../../../src/sdk/message.js';
import { PLENTY } from '../stored/weather.js';
import { EventLoop } from '../world/event-loop.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import { SimLink } from './link.js';
import { type BrokerMachine, dialledBy, type Stage } from './machine.js';
import { Outages } from './outages.js';
import { type ClientTongue, FlpTongue, type Heard, MdpTongue } from './protocols.js';
import {
  BROKERS,
  ECHO,
  FOR_ALL,
  FOR_FREELANCE,
  type FreelanceHabits,
  type FreelanceWeather,
  PARTS,
  RETRY_BASE_MS,
  RETRY_MAX_MS,
} from './weather.js';
import { type SeenServer, Witness } from './witness.js';

/** Breaks a correct strategy, or its surroundings, to verify that the simulation detects it. */
export interface FreelanceSabotage {
  /** Worlds in which it shows soon. */
  weather?(weather: FreelanceWeather): FreelanceWeather;
  options?(options: FreelanceOptions): FreelanceOptions;
  sink?(sink: DeliverySink): DeliverySink;
  strategy?(strategy: Freelance): void;
  call?(call: Call): void;
}

interface OpenLink {
  readonly link: SimLink;
  readonly endpoint: number;
}

const HEADERS = Buffer.from('{"from":"a simulation"}');

export class FreelanceSimClient {
  readonly name: string;
  readonly habits: FreelanceHabits;
  readonly witness: Witness;
  /** When something was wrong with the way to a server, by its endpoint. */
  readonly ways = Array.from({ length: BROKERS }, () => new Outages());
  readonly stalls = new Outages();
  readonly #stage: Stage;
  readonly #random: SimRandom;
  readonly #machines: readonly BrokerMachine[];
  readonly #tongue: ClientTongue;
  readonly #strategy: Freelance;
  readonly #sabotage: FreelanceSabotage;
  /** A request was sent. */
  readonly #sent: (endpoint: number) => void;
  readonly #calls = new CallTable();
  readonly #links = new Map<number, OpenLink>();
  readonly #loop: EventLoop;
  readonly #servers: readonly SeenServer[];
  readonly #replies = new PendingReplies(PLENTY, null, () => undefined);
  #started = 0;
  #isPausing = false;
  #open = 0;
  /** Requests that a sound server had to answer. */
  certain = 0;

  constructor(
    name: string,
    habits: FreelanceHabits,
    machines: readonly BrokerMachine[],
    stage: Stage,
    random: SimRandom,
    sabotage: FreelanceSabotage,
    sent: (endpoint: number) => void,
  ) {
    this.#sent = sent;
    this.name = name;
    this.habits = habits;
    this.#machines = machines;
    this.#stage = stage;
    this.#random = random;
    this.#sabotage = sabotage;
    const { version, refusesToWait, kind } = habits;
    this.#tongue = kind === 'mdp' ? new MdpTongue(version, refusesToWait) : new FlpTongue();
    this.#servers = machines.map((_, endpoint) => ({
      endpoint,
      link: 0,
      isConnected: false,
      heardAt: -Infinity,
    }));
    const hindrances = machines.map(({ outages }, endpoint) => ({
      machine: outages,
      way: this.ways[endpoint] ?? new Outages(),
    }));
    this.witness = new Witness(name, habits, hindrances, this.stalls);
    const options: FreelanceOptions = {
      endpoints: machines.length,
      hedgeMs: habits.hedgeMs,
      pingIntervalMs: habits.pingIntervalMs,
      isAliveWhenConnected: kind === 'mdp',
      retryBaseMs: RETRY_BASE_MS,
      retryMaxMs: RETRY_MAX_MS,
    };
    const sink = this.#sink();
    const chance = random.fork(1);
    this.#strategy = new Freelance(
      sabotage.options?.(options) ?? options,
      sabotage.sink?.(sink) ?? sink,
      () => chance.word() / 0x1_0000_0000,
    );
    sabotage.strategy?.(this.#strategy);
    const ticking = {
      nextMs: () => this.#strategy.nextMs(),
      tick: () => this.#strategy.tick(this.#now),
      lateMs: () => random.int(0, habits.tickLateMaxMs),
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
    return this.#started >= this.habits.requests && this.#open === 0;
  }

  /** All requests have settled: the strategy remembers none of them. */
  checkMemory(): void {
    const { held } = this.#strategy;
    hold(held === 0, `${this.name} remembers ${held} requests that have settled`);
    hold(this.#calls.size === 0, `${this.name} has ${this.#calls.size} calls that have settled`);
  }

  // ---------------------------------------------------------------- faults

  /** Its event loop does nothing before `until`. */
  stall(until: number): void {
    this.#note(`stalls until ${until}`);
    this.#loop.stall(until);
  }

  cut(endpoint: number, isSilent: boolean, unnoticedMs: number): void {
    this.#note(`is cut from ${endpoint}${isSilent ? ' in silence' : ''}`);
    for (const open of this.#links.values()) {
      if (open.endpoint === endpoint) open.link.cut(!isSilent, !isSilent, unnoticedMs);
    }
  }

  // ---------------------------------------------------------------- requests

  #pause(): void {
    this.#isPausing = true;
    this.#stage.clock.after(this.#random.int(0, this.habits.gapMaxMs), () => {
      this.#isPausing = false;
      if (this.#started >= this.habits.requests) return;
      if (this.#open < this.habits.window) {
        this.#started++;
        this.#open++;
        this.#loop.do(() => this.#ask());
      }
      this.#pause();
    });
  }

  #ask(): void {
    const { habits } = this;
    const { partsChance, streamChance, headersChance, abortChance, timeoutMs, resendMs } = habits;
    const name = `${this.name}-${this.#stage.tally.requests++}`;
    const random = this.#random;
    const service = random.chance(partsChance) ? PARTS : ECHO;
    const streams = random.chance(streamChance) && habits.kind === 'mdp' && habits.version === 2;
    const hasHeaders =
      random.chance(headersChance) && habits.kind === 'mdp' && habits.version === 2;
    const target: Target = {
      service,
      name: Buffer.from(service),
      head: Buffer.alloc(0),
      isOfBroker: false,
      headers: hasHeaders ? HEADERS : null,
    };
    const settings = { timeoutMs, resendMs, saysTime: false, once: false };
    const parts: string[] = [];
    // A stream gets its parts as they arrive; for a request they are joined.
    const owner = streams
      ? {
          part: (_call: Call, part: Message) => parts.push(...part.frames.map(String)),
          done: (done: Call, reply: Message) => {
            this.#answered(done, name, [...parts, ...reply.frames.map(String)]);
          },
          fail: (failed: Call, error: MajordomoError) => {
            this.#ended(failed, codeOf(error) ?? 'error');
          },
        }
      : this.#replies;
    const resolve = (reply: Message): void => this.#answered(call, name, reply.frames.map(String));
    const reject = (error: MajordomoError): void => this.#ended(call, codeOf(error) ?? 'error');
    const id = this.#calls.nextId();
    const body = [Buffer.from(name)];
    const call = new Call(id, target, body, streams, settings, owner, resolve, reject);
    this.#sabotage.call?.(call);
    this.#calls.add(call);
    this.witness.begins(name, call, this.#stage.clock.now);
    this.#note(`asks ${name} of ${service}`);
    this.#strategy.add(call, this.#now);
    this.#loop.wake();
    if (!random.chance(abortChance)) return;
    this.#stage.clock.after(random.int(0, timeoutMs), () => this.#loop.do(() => this.#abort(call)));
  }

  #abort(call: Call): void {
    if (this.#calls.get(call.id) !== call) return;
    this.#calls.delete(call);
    this.#strategy.cancel(call);
    this.#ended(call, 'aborted');
    this.#loop.wake();
  }

  /** All parts have the name of the request and of one send; they are `p0`, `p1`, … and `fN`. */
  #answered(call: Call, name: string, frames: readonly string[]): void {
    const count = frames.length / 2 - 1;
    const [head = ''] = frames;
    const send = Number(head.slice(name.length + 2));
    const isOwn = head.startsWith(`A${name}.`) && send >= 1 && send <= call.attempt;
    hold(isOwn, `${name} gets the answer of another: ${frames.join()}`);
    for (let part = 0; part <= count; part++) {
      hold(frames[part * 2] === head, `${name} gets parts of two answers: ${frames.join()}`);
      const mark = part === count ? `f${count}` : `p${part}`;
      hold(frames[part * 2 + 1] === mark, `${name} misses parts: ${frames.join()}`);
    }
    this.#stage.tally.replies++;
    this.#ended(call, 'answered');
  }

  #ended(call: Call, outcome: string): void {
    this.#open--;
    const { clock, tally } = this.#stage;
    this.#note(`${outcome} ${this.witness.watched.get(call)?.name ?? ''}`);
    if (outcome !== 'answered' && outcome !== 'aborted') tally.fault(`request ${outcome}`);
    if (this.witness.ends(call, outcome, clock.now)) this.certain++;
  }

  // ---------------------------------------------------------------- what the strategy decides

  #sink(): DeliverySink {
    const { witness } = this;
    return {
      open: (link, endpoint) => this.#openLink(link, endpoint),
      close: (link) => {
        this.#links.get(link)?.link.close();
        this.#links.delete(link);
      },
      greet: (link) => {
        for (const sent of this.#tongue.greeting()) this.#links.get(link)?.link.send(sent);
      },
      probe: (link) => this.#links.get(link)?.link.send(this.#tongue.ping()),
      ping: (link) => {
        this.#note(`pings on ${link}`);
        const open = this.#links.get(link);
        if (this.habits.hasLinkPings) open?.link.ping();
        else open?.link.send(this.#tongue.ping());
      },
      resume: () => undefined,
      renewId: () => undefined,
      renewSession: () => undefined,
      resumed: () => undefined,
      cancel: () => undefined,
      askWhy: () => undefined,
      hedged: () => {
        const { figures } = this.#stage.tally;
        figures.set('hedges', (figures.get('hedges') ?? 0) + 1);
      },
      send: (link, call) => {
        const open = this.#links.get(link);
        const server = this.#servers[open?.endpoint ?? -1];
        witness.sends(call, link, server, this.#stage.clock.now);
        const remainingMs = call.leftMs(this.#now);
        const sent = this.#tongue.request(call, remainingMs);
        this.#note(`sends #${call.attempt} on ${link} to ${open?.endpoint ?? -1}:`, sent.frames);
        open?.link.send(sent);
        this.#sent(server?.endpoint ?? 0);
      },
      fail: (call, error) => {
        this.#calls.delete(call);
        call.owner.fail(call, error);
      },
      switched: (from, to, why) => {
        hold(from !== to, `${this.name} goes from ${from} to the same`);
        this.#note(`goes from ${from} to ${to}: ${why}`);
      },
    };
  }

  #openLink(link: number, endpoint: number): void {
    const server = this.#servers[endpoint];
    const machine = this.#machines[endpoint];
    hold(server !== undefined && machine !== undefined, 'there are three endpoints');
    hold(!this.#links.has(server.link), `${this.name} has two links to ${endpoint}`);
    server.link = link;
    const isMdp = this.habits.kind === 'mdp';
    const listener = isMdp ? FOR_ALL : FOR_FREELANCE;
    const dialled = dialledBy(this.name, listener, isMdp ? 'DEALER' : 'ROUTER');
    /** Unless the strategy has closed the link meanwhile. */
    const input = (action: () => void) => (): void => {
      this.#loop.do(() => {
        if (this.#links.has(link)) action();
        this.#loop.wake();
      });
    };
    const heard = (): void => {
      server.heardAt = this.#stage.clock.now;
      this.#strategy.heard(link);
    };
    const events = {
      connected: input(() => {
        this.#note(`is connected to ${endpoint} by ${link}`);
        server.isConnected = true;
        server.heardAt = this.#stage.clock.now;
        this.#strategy.connected(link, this.#now);
      }),
      heard: input(heard),
      disconnected: input(() => {
        this.#note(`is disconnected from ${endpoint}`);
        server.isConnected = false;
        this.witness.lost(server, this.#stage.clock.now);
        this.#strategy.disconnected(link, this.#now);
      }),
      unreachable: input(() => this.#strategy.unreachable(link, false)),
      message: (frames: Frames) => {
        input(() => {
          heard();
          this.#read(link, frames);
        })();
      },
    };
    const random = this.#random.fork(1000 + link);
    this.#links.set(link, {
      endpoint,
      link: new SimLink(machine, dialled, this.#stage, random, events),
    });
  }

  // ---------------------------------------------------------------- what arrives

  #read(link: number, frames: Frames): void {
    const heard = this.#tongue.read(frames);
    if (heard.kind === 'nothing') return;
    if (heard.kind === 'learnt') {
      this.#strategy.learnt(link, heard.broker, this.#now);
      return;
    }
    const call = this.#calls.get(heard.id);
    if (call === undefined) return;
    if (heard.kind === 'refused') this.#refused(call, heard);
    else this.#answer(call, heard, frames);
  }

  #refused(call: Call, { send, refusal }: Extract<Heard, { kind: 'refused' }>): void {
    this.#note(`is refused ${this.witness.watched.get(call)?.name ?? ''}: ${refusal.status}`);
    this.#stage.tally.fault(`refused ${refusal.status}`);
    this.witness.refused(call, send, this.#stage.clock.now);
    this.#strategy.refused(call, send, refusal, this.#now);
  }

  #answer(call: Call, heard: Extract<Heard, { kind: 'part' | 'final' }>, frames: Frames): void {
    const isFinal = heard.kind === 'final';
    if (!call.accepts(heard.send, ATTEMPT_MODULUS, isFinal)) return;
    const message = ReceivedMessage.copied(call.service, null, frames, heard.body);
    if (isFinal) {
      this.#calls.delete(call);
      this.#strategy.answered(call);
      call.owner.done(call, message);
      return;
    }
    this.witness.part(call, this.#stage.clock.now);
    this.#strategy.progressed(call, this.#now);
    call.owner.part(call, message);
  }

  // ---------------------------------------------------------------- time

  get #now(): number {
    return this.#loop.now;
  }

  #note(what: string, frames: readonly Uint8Array[] = []): void {
    this.#stage.trace.note(this.#stage.clock.now, this.name, what, frames);
  }
}
