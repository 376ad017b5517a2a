/**
 * The client for brokers that return no envelope, such as the Guide's. Nothing in a reply says
 * which request it answers, so each request has its own link while it is out (Lazy Pirate as in the
 * Guide). When a request is given up its link is closed, because a late reply would be taken for
 * the next one's. The client sends no `mmi.hello`: these brokers send no refusals.
 */
import type { MonotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import type { Call, BrokerRefusal } from './call.js';
import { type DeliveryStrategy, type DeliverySink, KEY_REFUSALS } from './delivery-strategy.js';
import { Deadlines } from './deadlines.js';
import { sdkError } from '../errors.js';

interface BareLinksOptions {
  /** Number of endpoints. */
  readonly endpoints: number;
  /** The most links; further requests wait for one. */
  readonly maxLinks: number;
  /** How long an endpoint may have no connection before the next is tried, in milliseconds. */
  readonly connectMs: number;
}

interface Line {
  readonly link: number;
  readonly endpoint: number;
  connected: boolean;
  /** Handshakes in a row that were refused because of this client's key. */
  keyRefusals: number;
  call: Call | null;
}

export class BareLinks implements DeliveryStrategy {
  readonly #options: BareLinksOptions;
  readonly #sink: DeliverySink;
  readonly #lines = new Map<number, Line>();
  readonly #idle: Line[] = [];
  /** Calls that wait for a link, in order of arrival. */
  readonly #queue = new Set<Call>();
  readonly #deadlines = new Deadlines<Call>();
  #links = 0;
  /** The endpoint that answered last, or the next one after it failed. */
  #endpoint = 0;

  constructor(options: BareLinksOptions, sink: DeliverySink) {
    this.#options = options;
    this.#sink = sink;
  }

  /** Opens the first link at once, so that a wrong endpoint is reported early. */
  start(): void {
    this.#idle.push(this.#open(this.#endpoint));
  }

  add(call: Call, now: MonotonicMs): void {
    call.startedAt = Math.ceil(now);
    this.#queue.add(call);
    this.#deadlines.set(call, now, call.leftMs(now));
    this.#pump(now);
  }

  connected(link: number, now: MonotonicMs): void {
    const line = this.#lines.get(link);
    if (line === undefined) return;
    line.connected = true;
    line.keyRefusals = 0;
    if (line.call?.state === 'waiting') this.#send(line, line.call, now);
  }

  disconnected(link: number, now: MonotonicMs): void {
    const line = this.#lines.get(link);
    if (line === undefined) return;
    const call = line.call;
    this.#close(line);
    if (call === null) {
      this.#idle.splice(this.#idle.indexOf(line), 1);
    } else if (call.streams && call.hasParts) {
      this.#fail(call, call.brokenError('the connection was lost'), now);
    } else if (call.mayBeSent) {
      this.#carry(this.#open(line.endpoint), call, now);
    } else {
      // The last send of the call is lost, and its time-out runs on.
      call.link = 0;
    }
  }

  unreachable(link: number, isKeyRefused: boolean, now: MonotonicMs): void {
    // Otherwise each request waits for its link for `connectMs`.
    const line = this.#lines.get(link);
    if (line === undefined || !isKeyRefused || ++line.keyRefusals < KEY_REFUSALS) return;
    if (line.call !== null) this.#fail(line.call, line.call.keyError(), now);
  }

  heard(): boolean {
    // A link carries one request: what arrives is its answer.
    return false;
  }

  learnt(): void {
    // Not asked of these brokers.
  }

  refused(call: Call, _send: number, refusal: BrokerRefusal, now: MonotonicMs): boolean {
    this.#fail(call, call.refusedError(refusal), now);
    return true;
  }

  progressed(call: Call, now: MonotonicMs): void {
    this.#deadlines.set(call, now, Math.min(call.settings.resendMs, call.leftMs(now)));
  }

  answered(call: Call, now: MonotonicMs): void {
    const line = this.#lines.get(call.link);
    this.#settle(call);
    if (line === undefined) return;
    line.call = null;
    this.#endpoint = line.endpoint;
    this.#idle.push(line);
    this.#pump(now);
  }

  cancel(call: Call, now: MonotonicMs): void {
    if (call.state === 'settled') return;
    const line = this.#lines.get(call.link);
    this.#settle(call);
    if (line !== undefined) this.#close(line);
    this.#pump(now);
  }

  tick(now: MonotonicMs): void {
    let call = this.#deadlines.takeDue(now);
    while (call !== undefined) {
      this.#due(call, now);
      call = this.#deadlines.takeDue(now);
    }
  }

  nextMs(): MonotonicMs {
    return this.#deadlines.nextMs();
  }

  /** The call that the link carries. */
  callOn(link: number): Call | undefined {
    return this.#lines.get(link)?.call ?? undefined;
  }

  #settle(call: Call): void {
    this.#queue.delete(call);
    this.#deadlines.clear(call);
    call.state = 'settled';
  }

  #pump(now: MonotonicMs): void {
    for (const call of this.#queue) {
      const line = this.#idle.pop() ?? this.#openIfRoom();
      if (line === null) return;
      this.#queue.delete(call);
      this.#carry(line, call, now);
    }
  }

  #carry(line: Line, call: Call, now: MonotonicMs): void {
    line.call = call;
    call.link = line.link;
    if (line.connected) this.#send(line, call, now);
    else this.#await(call, now);
  }

  /** Waits until the call's link is connected. */
  #await(call: Call, now: MonotonicMs): void {
    call.state = 'waiting';
    const remaining = call.leftMs(now);
    const several = this.#options.endpoints > 1;
    this.#deadlines.set(
      call,
      now,
      several ? Math.min(this.#options.connectMs, remaining) : remaining,
    );
  }

  #send(line: Line, call: Call, now: MonotonicMs): void {
    call.sent(line.link, 0, false);
    this.#deadlines.set(call, now, Math.min(call.settings.resendMs, call.leftMs(now)));
    this.#sink.send(line.link, call);
  }

  #due(call: Call, now: MonotonicMs): void {
    const over = call.leftMs(now) < 1;
    const line = this.#lines.get(call.link);
    if (line === undefined && call.sends === 0) {
      const text = `all connections were busy (maxLinks): the request to '${call.service}' was not sent`;
      this.#fail(call, sdkError('ERR_MDP_TIMEOUT', text, { details: { sends: 0 } }), now);
      return;
    }
    if (line !== undefined) this.#moveOn(line);
    if (over || line === undefined || !call.mayBeSent) {
      this.#fail(call, call.timeoutError(now), now);
      return;
    }
    this.#close(line);
    this.#carry(this.#open(this.#endpoint), call, now);
  }

  #moveOn(line: Line): void {
    const next = (line.endpoint + 1) % this.#options.endpoints;
    if (next === this.#endpoint) return;
    this.#sink.switched(this.#endpoint, next, line.connected ? 'silent' : 'unreachable');
    this.#endpoint = next;
  }

  #fail(call: Call, error: MajordomoError, now: MonotonicMs): void {
    this.cancel(call, now);
    this.#sink.fail(call, error);
  }

  #openIfRoom(): Line | null {
    return this.#lines.size < this.#options.maxLinks ? this.#open(this.#endpoint) : null;
  }

  #open(endpoint: number): Line {
    this.#links++;
    const line: Line = {
      link: this.#links,
      endpoint,
      connected: false,
      keyRefusals: 0,
      call: null,
    };
    this.#lines.set(line.link, line);
    this.#sink.open(line.link, line.endpoint);
    return line;
  }

  #close(line: Line): void {
    this.#lines.delete(line.link);
    this.#sink.close(line.link);
  }
}
