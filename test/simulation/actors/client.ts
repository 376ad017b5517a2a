/**
 * A client: sends requests, waits, retries (Lazy Pirate), and checks what it receives without any
 * knowledge of the broker or the model.
 */
import { Frames } from '../../../src/core/frames.js';
import {
  clientRequest,
  clientRequestWithHeaders,
  clientRequestWithOptions,
  type Metadata,
  readClientReply,
} from '../../../src/wire/client-side.js';
import { EMPTY, type MdpVersion } from '../../../src/wire/mdp.js';
import { requestOptionsFrame } from '../../../src/wire/request-options.js';
import type { Delivered, RequestIntent, Sent } from '../model/intent.js';
import type { SimTimer } from '../world/clock.js';
import { hold, violated } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import type { Actor, Line, Surroundings } from './line.js';

export interface ClientHabits {
  readonly version: MdpVersion;
  /** With correlation ids: many requests at once. Without: one after another. */
  readonly correlates: boolean;
  /** Ids added by proxies before its own. */
  readonly prefix: readonly Buffer[];
  /**
   * What its hello declares. `refuse`: also that it does not want to wait for a worker. `failures`:
   * that it understands them.
   */
  readonly says: 'nothing' | 'hello' | 'refuse' | 'failures';
  readonly services: readonly [string, ...string[]];
  readonly requests: number;
  readonly window: number;
  readonly gapMaxMs: number;
  /** Infinity: it waits for ever. */
  readonly patienceMs: number;
  readonly retries: number;
  /** It closes and reconnects before it retries. */
  readonly redials: boolean;
  readonly bodyBytesMax: number;
  readonly cutChance: number;
  readonly stopChance: number;
  readonly mmiChance: number;
}

interface Attempt {
  readonly key: string;
  readonly correlation: string;
  readonly service: string;
  readonly number: number;
  readonly dial: number;
  parts: number;
  over: boolean;
  timer: SimTimer | null;
}

/** Answers to `mmi.service`, `mmi.hello` and unknown names. */
const MMI_STATUS = ['200', '404', '501'];
const OPTIONS = {
  nothing: '',
  hello: '',
  refuse: '{"noWorker":"refuse"}',
  failures: '{"failures":true}',
};
/** Failures that a broker reports by itself. */
const OF_BROKERS = ['mdp.invalid-failure', 'mdp.too-large'];
const REFUSALS = ['403', '404', '408', '429', '502', '503', '520'];
const ONCE = requestOptionsFrame({ once: true });
const NO_METADATA: Metadata = { deadlineMs: 0, headers: EMPTY };

export class SimClient implements Actor {
  readonly name: string;
  readonly habits: ClientHabits;
  readonly #around: Surroundings;
  readonly #random: SimRandom;
  readonly #line: Line;
  /** By key: everything it ever sent. */
  readonly #attempts = new Map<string, Attempt>();
  readonly #byCorrelation = new Map<string, Attempt>();
  readonly #mmi = new Map<string, number>();
  #started = 0;
  #open = 0;
  #left = false;
  answered = 0;

  constructor(
    name: string,
    habits: ClientHabits,
    around: Surroundings,
    line: Line,
    random: SimRandom,
  ) {
    this.name = name;
    this.habits = habits;
    this.#around = around;
    this.#line = line;
    this.#random = random;
  }

  get isSatisfied(): boolean {
    return this.answered === this.habits.requests;
  }

  start(): void {
    if (!this.#line.isOpen) this.#line.dial();
    const { says } = this.habits;
    const options = OPTIONS[says];
    if (says !== 'nothing') this.#ask('mmi.hello', Buffer.from(options), []);
    this.#pause();
  }

  leave(): void {
    this.#left = true;
    this.#line.close();
  }

  /** Its connection is gone; it reconnects. (For a proxied client the proxy does.) */
  lost(): void {
    if (this.#left) return;
    this.#around.clock.after(this.#random.int(0, this.habits.gapMaxMs), () => {
      if (!this.#left && !this.#line.isOpen) this.#line.dial();
    });
  }

  // ---------------------------------------------------------------- sending

  #pause(): void {
    this.#around.clock.after(this.#random.int(0, this.habits.gapMaxMs), () => {
      if (this.#left) return;
      this.#misbehave();
      if (this.#random.chance(this.habits.mmiChance)) this.#askMmi();
      if (this.#started >= this.habits.requests) return;
      if (this.#open < this.habits.window) {
        this.#open++;
        this.#try(this.#started++, 0);
      }
      this.#pause();
    });
  }

  #misbehave(): void {
    const { cutChance, stopChance, gapMaxMs } = this.habits;
    if (this.#random.chance(cutChance)) this.#line.cut(this.#random.chance(0.7), true);
    if (!this.#random.chance(stopChance)) return;
    this.#line.stopReading();
    this.#around.clock.after(this.#random.int(0, gapMaxMs * 4), () => this.#line.resumeReading());
  }

  #askMmi(): void {
    const service = Buffer.from(this.#random.pick([...this.habits.services]));
    this.#ask(this.#random.pick(['mmi.service', 'mmi.nothing']), service, this.#correlated('mmi'));
  }

  #correlated(id: string): Buffer[] {
    return this.habits.correlates ? [Buffer.from(id)] : [];
  }

  #ask(service: string, argument: Buffer, ids: readonly Buffer[]): void {
    this.#mmi.set(service, (this.#mmi.get(service) ?? 0) + 1);
    this.#send(service, ids, [argument]);
  }

  #try(request: number, tries: number): void {
    const { habits } = this;
    const { tally } = this.#around;
    const isOnce = habits.version === 2 && request % 4 === 3;
    const key = tally.keyOf(`${this.name}-${request}.${tries}`, isOnce);
    const attempt: Attempt = {
      key,
      correlation: `#${key}`,
      service: habits.services[request % habits.services.length] ?? habits.services[0],
      number: request,
      dial: this.#line.dials,
      parts: 0,
      over: false,
      timer: null,
    };
    this.#attempts.set(key, attempt);
    this.#byCorrelation.set(attempt.correlation, attempt);
    tally.requests++;
    const filler = Buffer.alloc(this.#random.int(0, habits.bodyBytesMax), 'x');
    const ids = this.#correlated(attempt.correlation);
    const body = [Buffer.from(key), filler];
    this.#send(attempt.service, ids, body, this.#metadataOf(attempt), isOnce);
    if (habits.patienceMs === Infinity) return;
    attempt.timer = this.#around.clock.after(habits.patienceMs, () => this.#giveUp(attempt, tries));
  }

  #giveUp(attempt: Attempt, tries: number): void {
    attempt.timer = null;
    if (this.#left) return;
    // Some take back what they do not wait for any longer (D106).
    if (this.habits.correlates && attempt.number % 2 === 0) {
      this.#ask('mmi.cancel', Buffer.from(attempt.correlation), []);
    }
    if (tries >= this.habits.retries) {
      this.#open--;
      return;
    }
    this.#around.tally.fault('client tries again');
    if (this.habits.redials) this.#line.dial();
    this.#try(attempt.number, tries + 1);
  }

  /** Every third request of 0.2 has headers; its deadline is the client's patience (D68). */
  #metadataOf({ key, number }: Attempt): Metadata | null {
    const { version, patienceMs, bodyBytesMax } = this.habits;
    if (version === 1 || number % 3 !== 1) return null;
    // They count in the limits of the broker, as the body does.
    const filler = 'x'.repeat(Math.min(key.length * 20, bodyBytesMax));
    const headers = Buffer.from(JSON.stringify({ key, filler }));
    const deadlineMs = patienceMs === Infinity ? 0 : Math.max(1, Math.round(patienceMs));
    return { deadlineMs, headers };
  }

  #send(
    service: string,
    ids: readonly Buffer[],
    body: readonly Buffer[],
    metadata: Metadata | null = null,
    once = false,
  ): void {
    const { version, prefix } = this.habits;
    const envelope = [...prefix, ...ids];
    const name = Buffer.from(service);
    // The first id is the proxy's or the correlation id; further ones precede it on the wire.
    const enveloped = version === 1 || envelope.length > 0;
    const id = envelope.at(-1) ?? null;
    let frames = clientRequest(version, id, name, body);
    if (once) frames = clientRequestWithOptions(id, name, ONCE, metadata ?? NO_METADATA, body);
    else if (metadata !== null) frames = clientRequestWithHeaders(id, name, metadata, body);
    const intent: RequestIntent = {
      ...{ kind: 'request', version, enveloped, envelope, service, body, metadata, once },
    };
    const sent: Sent = { frames: [...envelope.slice(0, -1), ...frames], intent };
    this.#line.send(sent);
  }

  // ---------------------------------------------------------------- receiving

  received(delivered: Delivered): void {
    if (this.#left) return;
    const frames = Frames.of(...delivered);
    const reply = readClientReply(frames);
    if (reply.kind === 'malformed') violated(`${this.name} cannot read a reply: ${reply.reason}`);
    const { habits } = this;
    hold(reply.version === habits.version, `${this.name} gets a reply of another version`);
    const envelope = frames.copyFrom(0).slice(0, Math.max(0, reply.envelopeFrames));
    const own = habits.prefix.every((id, i) => envelope[i]?.equals(id) === true);
    hold(own, `${this.name} gets the reply of another`);
    const correlation = envelope
      .slice(habits.prefix.length)
      .map((id) => id.toString())
      .join();
    const service = frames.view(reply.service).toString();
    const body = frames.copyFrom(reply.body).map((frame) => frame.toString());
    if (service === 'mmi.refused') this.#refused(body, correlation);
    else if (service === 'mmi.failed') this.#failed(body, correlation);
    else if (service.startsWith('mmi.')) this.#informed(service, body);
    else this.#answered(service, body, correlation, reply.kind === 'final');
  }

  #informed(service: string, body: readonly string[]): void {
    const open = this.#mmi.get(service) ?? 0;
    hold(open > 0, `${this.name} is told of ${service} without having asked`);
    this.#mmi.set(service, open - 1);
    hold(MMI_STATUS.includes(body[0] ?? ''), `${service} answers ${body.join()}`);
  }

  #refused(body: readonly string[], correlation: string): void {
    const { says } = this.habits;
    hold(says !== 'nothing', `${this.name} is told of a refusal it cannot understand`);
    hold(body[0] !== '404' || says === 'refuse', `${this.name} wants to wait for a worker`);
    hold(REFUSALS.includes(body[0] ?? ''), `a refusal of status ${body[0] ?? ''}`);
    if (!this.habits.correlates) return;
    const attempt = this.#byCorrelation.get(correlation);
    hold(attempt !== undefined, `${this.name} is refused what it did not ask`);
    hold(!attempt.over, `${attempt.key} is refused after its end`);
    const isUnknown = body[0] === '520';
    hold(!isUnknown || attempt.key.endsWith('!'), `${attempt.key} may run more than once`);
    attempt.over = true;
  }

  /** D62: the failure is for its own request, and the last message about it. */
  #failed([service = '', code = '', text = '']: readonly string[], correlation: string): void {
    hold(this.habits.says === 'failures', `${this.name} is told of a failure it cannot understand`);
    const isRight = /^f-(error|final|retry)$/.test(code);
    hold(
      isRight || OF_BROKERS.includes(code),
      `${this.name} is told a failure ${code} that nobody said`,
    );
    const attempt = isRight ? this.#attempts.get(text) : this.#byCorrelation.get(correlation);
    if (!isRight && !this.habits.correlates) return;
    hold(attempt !== undefined, `${this.name} is told the failure of another: ${text}`);
    hold(attempt.service === service, `${attempt.key} is told a failure of another service`);
    hold(!attempt.over, `${attempt.key} fails after its end`);
    attempt.over = true;
  }

  #answered(service: string, body: readonly string[], correlation: string, final: boolean): void {
    const [derived = '', counted = ''] = body.slice(-2);
    const attempt = this.#attempts.get(derived.slice(1));
    hold(attempt !== undefined, `${this.name} gets a reply that is not its own: ${body.join()}`);
    const { key } = attempt;
    hold(derived.startsWith('A'), `${key} gets a reply that was made up: ${body.join()}`);
    hold(service === attempt.service, `${key} gets a reply of another service`);
    const right = this.habits.correlates ? attempt.correlation : '';
    hold(correlation === right, `${key} gets a reply with another envelope: ${correlation}`);
    hold(!attempt.over, `${key} is answered twice`);
    if (!final) {
      this.#isWhole(attempt, counted === `p${attempt.parts}`, body);
      attempt.parts++;
      return;
    }
    attempt.over = true;
    if (this.habits.version === 1) attempt.parts = body.length / 2 - 1;
    this.#isWhole(attempt, counted === `f${attempt.parts}`, body);
    this.#around.tally.replies++;
    if (attempt.timer === null && this.habits.patienceMs !== Infinity) return;
    attempt.timer?.cancel();
    attempt.timer = null;
    this.#open--;
    this.answered++;
  }

  /** Over one connection no part may be missing; across reconnections, parts may be lost. */
  #isWhole(attempt: Attempt, whole: boolean, body: readonly string[]): void {
    if (attempt.dial !== this.#line.dials || !this.#line.isWhole) return;
    hold(whole, `${attempt.key} misses parts (has ${attempt.parts}): ${body.join()}`);
  }
}
