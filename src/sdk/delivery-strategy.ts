import type { MonotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import type { Call, BrokerRefusal } from './call.js';

/** So many refused handshakes in a row are no mistake: requests that wait are told. */
export const KEY_REFUSALS = 2;

/** What the client's machines have done: effects, carried out in order. Links have numbers from 1. */
export interface DeliverySink {
  /** Dial the endpoint with this index. */
  open(link: number, endpoint: number): void;
  /** Close the link; nothing that it may still bring is wanted. */
  close(link: number): void;
  /** Say `mmi.hello`, and ask `mmi.broker`: the first words on a connection. */
  greet(link: number): void;
  /** Ask `mmi.broker` as a sign of life. */
  probe(link: number): void;
  send(link: number, call: Call): void;
  /** The call has settled without an answer. */
  fail(call: Call, error: MajordomoError): void;
  /** A time-out was raised to what a pair needs. */
  raised(fromMs: number, toMs: number): void;
}

/** A machine that carries requests to brokers: pure, with time as an argument. */
export interface DeliveryStrategy {
  start(now: MonotonicMs): void;
  add(call: Call, now: MonotonicMs): void;
  connected(link: number, now: MonotonicMs): void;
  disconnected(link: number, now: MonotonicMs): void;
  /**
   * Dialling has failed; the link tries on by itself.
   * @param isKeyRefused the broker does not let this client's key in
   */
  unreachable(link: number, isKeyRefused: boolean, now: MonotonicMs): void;
  /** Any message came over the link. */
  heard(link: number): void;
  /** The broker answered `mmi.broker`. */
  learnt(link: number, pairHeartbeatMs: number, now: MonotonicMs): void;
  /** A PARTIAL came for the call. */
  progressed(call: Call, now: MonotonicMs): void;
  /** The call has its answer. */
  answered(call: Call, now: MonotonicMs): void;
  refused(call: Call, refusal: BrokerRefusal, now: MonotonicMs): void;
  /** Nobody waits for the call any longer. */
  forget(call: Call, now: MonotonicMs): void;
  tick(now: MonotonicMs): void;
  /** When `tick` is wanted next; `Infinity` for never. */
  nextMs(): MonotonicMs;
}
