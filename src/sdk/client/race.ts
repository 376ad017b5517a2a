/** What the strategy `freelance` knows of its servers, and of a request that several may have got. */
import type { MonotonicMs } from '../../core/clock.js';
import type { Call } from './call.js';
import type { DueQueue, Timed } from './deadlines.js';
import { Liveness } from './liveness.js';

/** A server, and the present connection to it. */
export interface Server {
  readonly endpoint: number;
  /** 0: none. */
  link: number;
  connected: boolean;
  readonly liveness: Liveness;
  /** Until when the server is not asked, because it refused. */
  restsUntilMs: MonotonicMs;
  /** Whether its broker supports headers; `null`: it has not said yet. */
  takesHeaders: boolean | null;
  /** Whether its broker takes options of a request. */
  takesOptions: boolean;
  /** Whether it takes the group of a request, too. */
  takesGroups: boolean;
  /** Whether its broker says why a request has no answer; `null`: as `takesHeaders`. */
  tellsWhy: boolean | null;
  /** When the server is dialled again. */
  openAt: MonotonicMs;
  /** Connections lost in a row without a message. */
  failures: number;
  /** Handshakes in a row that were refused because of this client's key. */
  keyRefusals: number;
  /** Requests that were sent over the present connection, and may still be answered there. */
  readonly out: Set<Race>;
}

/** A send of a request whose answer may still come. */
export interface Copy {
  readonly server: Server;
  /** `Call.attempt` of that send. */
  readonly send: number;
  /** The attempt that it is part of. */
  readonly attempt: number;
}

/** A request and the servers that it was sent to. */
export class Race implements Timed<Race> {
  dueMs: MonotonicMs = 0;
  lookMs: MonotonicMs = 0;
  dueQueue: DueQueue<Race> | null = null;
  dueBefore: Race | null = null;
  dueAfter: Race | null = null;

  readonly call: Call;
  /** Attempts begun. */
  attempts = 0;
  /** The endpoints that the present attempt has asked, in order. */
  asked: number[] = [];
  copies: Copy[] = [];
  /** The endpoint that the present attempt begins with, if it is alive. */
  first = 0;
  endsMs: MonotonicMs = Infinity;
  hedgesMs: MonotonicMs = Infinity;
  /** When a server is asked why there is no answer, shortly before the time of the call is over. */
  whyAtMs: MonotonicMs = Infinity;
  /** A server of the present attempt may take the request later: 429, 503, or its copy was taken back. */
  mayServeLater = false;

  constructor(call: Call) {
    this.call = call;
  }
}

/** A server without a connection. @param endpoint its index */
export function serverAt(endpoint: number): Server {
  return {
    endpoint,
    link: 0,
    connected: false,
    liveness: new Liveness(),
    restsUntilMs: -Infinity,
    takesHeaders: null,
    takesOptions: false,
    takesGroups: false,
    tellsWhy: null,
    openAt: Infinity,
    failures: 0,
    keyRefusals: 0,
    out: new Set<Race>(),
  };
}

export function isAlive({ connected, liveness }: Server): boolean {
  return connected && liveness.isAlive;
}

export function isReady(server: Server, now: MonotonicMs): boolean {
  return isAlive(server) && server.restsUntilMs <= now;
}
