import type { MonotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import type { ResumeState } from '../../wire/mmi.js';
import type { Call, BrokerRefusal } from './call.js';
import type { Leaving } from './endpoint-order.js';

/** After this many refused handshakes in a row, waiting requests fail. */
export const KEY_REFUSALS = 2;

/** Effects of the client's machines, carried out in order. Links have numbers from 1. */
export interface DeliverySink {
  /** Dial the endpoint with this index. */
  open(link: number, endpoint: number): void;
  /** Close the link; ignore what still arrives on it. */
  close(link: number): void;
  /** Send `mmi.hello` and ask `mmi.broker`: the first messages on a connection. */
  greet(link: number): void;
  /** Ask `mmi.resume` what became of these sends; the answer is `resumed`. */
  resume(link: number, sends: readonly (readonly [id: number, send: number])[]): void;
  /** The call gets a later id than all before; answers to its last one are still its own. */
  renewId(call: Call): void;
  /** All ids are used up: the next connection begins a session of its own. */
  renewSession(): void;
  /** The client goes on with a request that it had sent over a lost connection. */
  resumed(): void;
  /** Ask `mmi.broker` as a sign of life. */
  probe(link: number): void;
  /** The time of the call is nearly over: ask the broker of the link why it has no answer. */
  askWhy(link: number, call: Call): void;
  /** Ask for a sign of life that costs the server nothing. */
  ping(link: number): void;
  /** The next send is one more, because the first answer is late. */
  hedged(): void;
  send(link: number, call: Call): void;
  /**
   * Nobody wants the answer to this send any more: tell the broker, if it wants to know.
   * @param id of the call when it was sent
   * @param send its number
   */
  cancel(link: number, id: number, send: number): void;
  /** The call has settled without an answer. */
  fail(call: Call, error: MajordomoError): void;
  /** Requests go to another endpoint from now on. Endpoints by their indexes. */
  switched(from: number, to: number, why: Leaving): void;
}

/** What a broker's answer to `mmi.broker` says. */
export interface LearntBroker {
  readonly takesHeaders: boolean;
  /** Whether it takes options of a request, such as `once`. */
  readonly takesOptions: boolean;
  /** Whether it takes the group of a request, too. */
  readonly takesGroups: boolean;
  /** Whether it says why a request has no answer. */
  readonly tellsWhy: boolean;
  /** 0: not in a pair; `null`: the answer has no status. */
  readonly pairHeartbeatMs: number | null;
  /** Tells this start of the broker from all others; empty: it does not say. */
  readonly instance: string;
}

/** What a broker's answer to `mmi.hello` says of the client's session. */
export interface SessionState {
  /** How long the broker keeps it for a client without a connection; 0: there is none. */
  readonly resumeMs: number;
  /** Whether the broker had it before this connection. */
  readonly isKnown: boolean;
}

/** No session: the broker knows none. */
export const NO_SESSION: SessionState = { resumeMs: 0, isKnown: false };

/** A machine that delivers requests to brokers: pure, with time as an argument. */
export interface DeliveryStrategy {
  start(now: MonotonicMs): void;
  add(call: Call, now: MonotonicMs): void;
  connected(link: number, now: MonotonicMs): void;
  disconnected(link: number, now: MonotonicMs): void;
  /**
   * Dialling failed; the link keeps trying.
   * @param isKeyRefused the broker does not admit this client's key
   */
  unreachable(link: number, isKeyRefused: boolean, now: MonotonicMs): void;
  /**
   * A message of any kind arrived on the link, or the answer to a PING.
   * @returns whether `nextMs` has changed
   */
  heard(link: number): boolean;
  /** The broker answered `mmi.broker`. */
  learnt(link: number, broker: LearntBroker, now: MonotonicMs): void;
  /** The broker answered the hello; `null`: it refused it. Absent: the strategy has no sessions. */
  greeted?(link: number, session: SessionState | null, now: MonotonicMs): void;
  /** The answer to `resume`, a state for each of its sends; `null`: the broker does not say. */
  resumed?(link: number, states: readonly ResumeState[] | null, now: MonotonicMs): void;
  /** A PARTIAL for the call arrived. */
  progressed(call: Call, now: MonotonicMs): void;
  /** The call has its answer. */
  answered(call: Call, now: MonotonicMs): void;
  /**
   * @param send the number of the send that was refused, modulo `ATTEMPT_MODULUS`
   * @returns false if it says nothing about the request: a later send is out
   */
  refused(call: Call, send: number, refusal: BrokerRefusal, now: MonotonicMs): boolean;
  /** The number of the call's send that is out on a link; 0: none. Absent: only its last send is out. */
  sendOn?(call: Call, link: number): number;
  /** The user does not wait for the call any longer. */
  cancel(call: Call, now: MonotonicMs): void;
  tick(now: MonotonicMs): void;
  /** When `tick` should be called next; `Infinity`: never. */
  nextMs(): MonotonicMs;
}
