/**
 * The client's machine and the two nodes of a pair in virtual time: what the client sends arrives
 * after a moment, and each node answers as it stands. Links, deaths and stops are those of processes.
 */
import type { MajordomoError } from '../../../src/core/errors.js';
import { Call } from '../../../src/sdk/client/call.js';
import { type DeliverySink, NO_SESSION } from '../../../src/sdk/client/delivery-strategy.js';
import { LazyPirate } from '../../../src/sdk/client/lazy-pirate.js';

const TURNS_MAX = 1_000_000;

/** *passive* refuses (503), *stopped* takes everything and says nothing, *dead* has no listener. */
type Standing = 'active' | 'passive' | 'stopped' | 'dead';

interface Node {
  standing: Standing;
  /** Requests that its workers ran. */
  readonly ran: string[];
  /** Requests that came, refused ones, too. */
  arrivals: number;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly happens: () => void;
}

const ATTEMPTS = 256;
const WAY_MS = 1;
/** As the link's own, without jitter. */
const REDIAL_MS = 100;

export interface PairOptions {
  readonly heartbeatMs?: number;
  /** How long a worker takes. */
  readonly workMs?: number;
  readonly random?: () => number;
}

export class PairStage {
  now = 0;
  readonly nodes: readonly Node[];
  readonly pirate: LazyPirate;
  readonly heartbeatMs: number;
  readonly #workMs: number;
  readonly #calls: Call[] = [];
  /** When each was answered, by its number. */
  readonly answers = new Map<number, number>();
  readonly failures: MajordomoError[] = [];
  readonly #links = new Map<number, { readonly endpoint: number; connected: boolean }>();
  #events: Event[] = [];
  #order = 0;
  /** Links that were opened. */
  opened = 0;
  /** Decides, when a request comes to a node that is passive, whether it becomes active by it. */
  votes: (node: number) => boolean = () => false;

  constructor(options: PairOptions = {}) {
    this.heartbeatMs = options.heartbeatMs ?? 1000;
    this.#workMs = options.workMs ?? 5;
    const standings: Standing[] = ['active', 'passive'];
    this.nodes = standings.map((standing) => ({ standing, ran: [], arrivals: 0 }));
    const machine = { endpoints: 2, connectMs: 1000, retryBaseMs: 100, retryMaxMs: 2000 };
    this.pirate = new LazyPirate(machine, this.#sink(), options.random ?? Math.random);
    this.pirate.start(this.now);
  }

  ask(
    count: number,
    options: {
      readonly timeoutMs?: number;
      readonly resendMs?: number;
    } = {},
  ): this {
    for (let left = count; left > 0; left--) {
      const number = this.#calls.length + 1;
      const settings = {
        timeoutMs: options.timeoutMs ?? 10_000,
        resendMs: options.resendMs ?? 2500,
        saysTime: false,
        once: false,
        signal: undefined,
        headers: undefined,
      };
      const owner = { part: () => undefined, done: () => undefined, fail: () => undefined };
      const target = {
        service: 'echo',
        name: Buffer.from('echo'),
        head: Buffer.alloc(0),
        isOfBroker: false,
        headers: null,
      };
      const call = new Call(number, target, [], false, settings, owner);
      this.#calls.push(call);
      this.pirate.add(call, this.now);
    }
    return this;
  }

  /** Killed, or the process that was stopped is: its connections end. */
  kill(at: number): this {
    this.#node(at).standing = 'dead';
    for (const [link, { endpoint, connected }] of [...this.#links]) {
      if (endpoint === at && connected) this.#drop(link);
    }
    return this;
  }

  becomes(at: number, standing: Exclude<Standing, 'dead'>): this {
    this.#node(at).standing = standing;
    return this;
  }

  /** Only a connection, of a process that goes on. */
  cut(at: number): this {
    for (const [link, { endpoint, connected }] of [...this.#links]) {
      if (endpoint === at && connected) this.#drop(link);
    }
    return this;
  }

  after(ms: number, happens: () => void): this {
    this.#events.push({ at: this.now + ms, order: this.#order++, happens });
    return this;
  }

  pass(ms: number): this {
    const until = this.now + ms;
    for (let turns = 0; ; turns++) {
      // Jest cannot end an endless loop.
      if (turns === TURNS_MAX) throw new Error(`${turns} turns in ${ms} ms`);
      this.#events.sort((a, b) => a.at - b.at || a.order - b.order);
      const event = this.#events[0];
      const tickMs = this.pirate.nextMs();
      const next = Math.min(event?.at ?? Infinity, tickMs);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      // What can be read is read before a time-out counts.
      if (event !== undefined && event.at <= this.now) {
        this.#events.shift();
        event.happens();
      } else {
        this.pirate.tick(this.now);
      }
    }
    this.now = until;
    return this;
  }

  get outstanding(): number {
    return this.#calls.filter(({ state }) => state !== 'settled').length;
  }

  /** Milliseconds from `since` to each answer that came after it, in order. */
  answeredSince(since: number): number[] {
    const waits = [...this.answers.values()].filter((at) => at > since).map((at) => at - since);
    return waits.sort((a, b) => a - b);
  }

  #node(at: number): Node {
    const node = this.nodes[at];
    if (node === undefined) throw new Error(`no node ${at}`);
    return node;
  }

  #drop(link: number): void {
    this.#links.delete(link);
    this.pirate.disconnected(link, this.now);
  }

  #dial(link: number): void {
    const found = this.#links.get(link);
    if (found === undefined) return;
    const { standing } = this.#node(found.endpoint);
    if (standing === 'dead') {
      this.after(REDIAL_MS, () => this.#dial(link));
      this.pirate.unreachable(link, false, this.now);
    } else if (standing !== 'stopped') {
      found.connected = true;
      this.pirate.connected(link, this.now);
    }
  }

  /** What a node says arrives, if the connection still stands. */
  #says(link: number, hears: () => void): void {
    this.after(WAY_MS, () => {
      if (this.#links.get(link)?.connected !== true) return;
      this.pirate.heard(link);
      hears();
    });
  }

  #arrives(link: number, call: Call, attempt: number): void {
    const endpoint = this.#links.get(link)?.endpoint;
    if (endpoint === undefined) return;
    const node = this.#node(endpoint);
    if (node.standing === 'stopped' || node.standing === 'dead') return;
    node.arrivals++;
    if (node.standing === 'passive' && this.votes(endpoint)) node.standing = 'active';
    if (node.standing === 'passive') {
      this.#says(link, () => {
        const refusal = { status: '503', reason: 'not active' };
        this.pirate.refused(call, attempt % ATTEMPTS, refusal, this.now);
      });
      return;
    }
    this.after(this.#workMs, () => {
      if (node.standing === 'stopped' || node.standing === 'dead') return;
      node.ran.push(String(call.id));
      this.#says(link, () => {
        if (call.state === 'settled' || !call.accepts(attempt % ATTEMPTS, ATTEMPTS, true)) return;
        this.answers.set(call.id, this.now);
        this.pirate.answered(call, this.now);
      });
    });
  }

  #probed(link: number): void {
    this.after(WAY_MS, () => {
      const endpoint = this.#links.get(link)?.endpoint;
      if (endpoint === undefined) return;
      const { standing } = this.#node(endpoint);
      if (standing === 'stopped' || standing === 'dead') return;
      this.#says(link, () => {
        const broker = {
          takesHeaders: true,
          takesOptions: true,
          takesGroups: true,
          tellsWhy: false,
          pairHeartbeatMs: this.heartbeatMs,
          instance: '',
        };
        this.pirate.learnt(link, broker, this.now);
      });
    });
  }

  #sink(): DeliverySink {
    return {
      open: (link, endpoint) => {
        this.opened++;
        this.#links.set(link, { endpoint, connected: false });
        this.after(WAY_MS, () => this.#dial(link));
      },
      close: (link) => {
        this.#links.delete(link);
      },
      greet: (link) => {
        this.#probed(link);
        this.#says(link, () => this.pirate.greeted(link, NO_SESSION, this.now));
      },
      probe: (link) => this.#probed(link),
      ping: () => undefined,
      askWhy: () => undefined,
      hedged: () => undefined,
      resume: () => undefined,
      renewId: () => undefined,
      renewSession: () => undefined,
      resumed: () => undefined,
      cancel: () => undefined,
      send: (link, call) => {
        const { attempt } = call;
        this.after(WAY_MS, () => this.#arrives(link, call, attempt));
      },
      fail: (_call, error) => {
        this.failures.push(error);
      },
      switched: () => undefined,
    };
  }
}
