/**
 * Sends webhooks: the worker of the stored requests that tell of the end of others
 * (titanic/machine/requests/webhooks.ts). Titanic stores them, tries again and gives up; here each is sent once, when there
 * is a place for its receiver.
 */
import type { InternalWorker } from '../../broker/ports.js';
import { Frames } from '../../core/frames.js';
import { UUID_BYTES } from '../../store/request.js';
import { ownOf } from '../../store/own-fields.js';
import type { OperatorResult, ShownHistory } from '../../titanic/operator/operator-api.js';
import type { RequestUuid } from '../../store/store.js';
import type { Host } from '../../node/extension.js';
import type { TitanicHost } from '../../node/stored.js';
import { PAUSE_MAX_MS, webhookId, WEBHOOKS } from '../../titanic/machine/requests/webhooks.js';
import { FailingHosts } from './failing-hosts.js';
import { pauseAfter } from './webhook-answer.js';
import { bodyOf, type Ended, signedHeaders } from './webhook-message.js';
import { endOf } from './webhook-outcome.js';
import { WebhookPlaces } from './webhook-places.js';
import { postWebhook } from './webhook-post.js';
import type { WebhookTargets } from './webhook-target.js';

/** Maximum number that is here before they have a place. */
const HERE_MAX = 256;
/** Maximum number that is read at once, to learn who their receivers are: operators' queries take turns with them. */
const READS_MAX = 16;
/** Delay after a read that failed. */
const READ_AGAIN_MS = 1000;
/** The receiver wants no more (Standard Webhooks). */
const GONE = 410;

/** Settings of webhooks, as the configuration has them now. */
export interface WebhookSettings {
  readonly targets: WebhookTargets;
  readonly secrets: readonly Buffer[];
}

interface WebhookAttempt {
  readonly reference: number;
  readonly abort: AbortController;
  /** Whether its host answered; `null`: nothing was sent. */
  answered: boolean | null;
  /** Its receiver; `null`: not known yet. */
  host: string | null;
}

/** What a webhook says, and to whom. */
interface WebhookContent {
  readonly url: string;
  readonly host: string;
  readonly ended: Ended | null;
  readonly generation: number;
}

/** What became of it: delivered, or not. */
type Result = { readonly frames: readonly string[] } | Failed;

interface Failed {
  readonly code: string;
  readonly text: string;
  /** How long the receiver wants nothing, in milliseconds. */
  readonly pauseMs: number;
}

export class Webhooks implements InternalWorker {
  readonly #stored: TitanicHost;
  readonly #loop: Host['loop'];
  readonly #settings: () => WebhookSettings | null;
  /** Webhooks that are here, by reference. */
  readonly #here = new Map<number, WebhookAttempt>();
  readonly #places = new WebhookPlaces();
  readonly #failing = new FailingHosts();
  /** Attempts whose webhooks are not read yet, in the order in which they came. */
  readonly #unread: WebhookAttempt[] = [];
  #reads = 0;
  #isEnding = false;

  /** @param settings `null`: webhooks are off now */
  constructor(stored: TitanicHost, loop: Host['loop'], settings: () => WebhookSettings | null) {
    this.#stored = stored;
    this.#loop = loop;
    this.#settings = settings;
  }

  /** No further one is begun. */
  drain(): void {
    this.#isEnding = true;
  }

  /** Gives up the webhooks that are being sent: they are sent again later. */
  close(): void {
    this.#isEnding = true;
    for (const reference of [...this.#here.keys()]) this.withdraw(reference);
  }

  /** The configuration has changed: there may be room now, or other entries for those that wait. */
  changed(): void {
    this.#report(({ titanic }) => {
      for (const reference of this.#places.callAll()) titanic.called(reference);
      titanic.roomAt(WEBHOOKS);
    });
  }

  /** Hosts that take no webhooks, and how many attempts failed since the last success. */
  get failing(): ReturnType<FailingHosts['counts']> {
    return this.#failing.counts(this.#stored.time.now());
  }

  // ---------------------------------------------------------------- for Titanic

  room(): number {
    return this.#isEnding || this.#settings() === null ? 0 : HERE_MAX;
  }

  take(reference: number): void {
    const attempt = { reference, abort: new AbortController(), answered: null, host: null };
    this.#here.set(reference, attempt);
    this.#unread.push(attempt);
    setImmediate(() => this.#readNext());
  }

  withdraw(reference: number): void {
    const attempt = this.#here.get(reference);
    this.#here.delete(reference);
    attempt?.abort.abort();
    const called = this.#places.leave(reference, null);
    if (called.length === 0) return;
    setImmediate(() => {
      const waiting = called.filter((each) => this.#places.placed.has(each));
      this.#report(({ titanic }) => {
        for (const each of waiting) titanic.called(each);
      });
    });
  }

  // ---------------------------------------------------------------- one after the other

  #isHere(attempt: WebhookAttempt): boolean {
    return this.#here.get(attempt.reference) === attempt;
  }

  #readNext(): void {
    while (this.#reads < READS_MAX) {
      const attempt = this.#unread.shift();
      if (attempt === undefined) return;
      if (this.#isHere(attempt)) void this.#read(attempt);
    }
  }

  /** Reads from the store what a webhook says, and to whom; again later if that fails, which Titanic does not count. */
  async #read(attempt: WebhookAttempt): Promise<void> {
    const webhook = this.#stored.titanic.uuidOf(attempt.reference);
    if (webhook === null) return;
    this.#reads++;
    const content = await this.#find(webhook).catch((error: unknown) =>
      failed('webhook.failed', String(error)),
    );
    this.#reads--;
    if (content === null) {
      const again = setTimeout(() => this.#readAgain(attempt), READ_AGAIN_MS);
      again.unref();
    } else if (this.#isHere(attempt)) this.#begin(attempt, content);
    this.#readNext();
  }

  #readAgain(attempt: WebhookAttempt): void {
    this.#unread.push(attempt);
    this.#readNext();
  }

  #begin(attempt: WebhookAttempt, content: WebhookContent | Failed): void {
    const { reference } = attempt;
    const host = 'host' in content ? content.host : '';
    if (host !== '') attempt.host = host;
    this.#report(({ titanic }) => {
      const owner = titanic.ownerOf(reference);
      if (owner === null) return;
      if ('host' in content) {
        const entry = this.#settings()?.targets.entryOf(content.url) ?? host;
        if (!this.#places.take(reference, { host, entry, owner })) {
          this.#here.delete(reference);
          titanic.deferred(reference);
          return;
        }
      }
      titanic.dispatched(reference, { number: 0, name: 'webhooks', address: host });
      if ('host' in content) void this.#settle(attempt, this.#send(attempt, content));
      else this.#ended(attempt, content);
    });
  }

  async #settle(attempt: WebhookAttempt, result: Promise<Result>): Promise<void> {
    this.#ended(
      attempt,
      await result.catch((error: unknown) => failed('webhook.failed', String(error))),
    );
  }

  /** @returns `null`: the store cannot be read now */
  async #find(uuid: RequestUuid): Promise<WebhookContent | Failed | null> {
    const { operatorApi, time } = this.#stored;
    const webhook = await operatorApi.history(uuid);
    if (webhook.kind === 'trouble') return null;
    if (webhook.kind !== 'done') return failed('webhook.malformed', 'it is not in the store');
    const {
      kind,
      own: packed,
      partner,
      acceptedAt,
      generation,
      ...outcome
    } = webhook.value.request;
    const own = kind === 'webhook' ? ownOf(kind, packed) : null;
    // A record of a peer, or of a database, may say anything.
    if (own === null || partner.length !== UUID_BYTES || !URL.canParse(own.url)) {
      return failed('webhook.malformed', 'what is stored is no webhook');
    }
    const request = await operatorApi.history(partner);
    if (request.kind === 'trouble') return null;
    const { url, service } = own;
    const known = { uuid: partner, service, acceptedAt };
    const ended = endOf(known, valueOf(request), outcome, time.wall());
    return { url, host: new URL(url).host, ended, generation };
  }

  async #send(
    attempt: WebhookAttempt,
    { url, host, ended, generation }: WebhookContent,
  ): Promise<Result> {
    if (ended === null) return failed('webhook.early', 'the request has not ended');
    const settings = this.#settings();
    if (settings === null) return failed('webhook.off', 'webhooks are switched off');
    const fault = settings.targets.fault(url);
    if (fault !== null) return failed('webhook.refused', fault);
    const body = bodyOf(ended);
    const id = webhookId(ended.uuid, generation);
    const headers = signedHeaders(id, body, settings.secrets, this.#stored.time.wall());
    const sent = await postWebhook(url, headers, body, settings.targets, attempt.abort.signal);
    attempt.answered = sent.kind === 'status';
    if (sent.kind === 'failed') return failed('webhook.failed', `${host}: ${sent.why}`);
    const { status } = sent;
    if (status >= 200 && status < 300) {
      return { frames: ended.outcome === 'dead' ? [String(status), 'dead'] : [String(status)] };
    }
    const wanted = pauseAfter(sent.retryAfter ?? '', this.#stored.time.wall());
    const pauseMs = Math.min(wanted, PAUSE_MAX_MS);
    return failed(`webhook.${status}`, `${host} answered ${status}`, pauseMs);
  }

  #ended(attempt: WebhookAttempt, result: Result): void {
    if (!this.#isHere(attempt)) return;
    const { reference, answered, host } = attempt;
    this.#here.delete(reference);
    if (host !== null) this.#note(host, 'frames' in result);
    const called = this.#places.leave(reference, answered);
    this.#report(({ titanic }) => {
      for (const each of called) titanic.called(each);
      if ('frames' in result) {
        const frames = Frames.of(...result.frames.map((text) => Buffer.from(text)));
        titanic.replied(reference, frames, 0, null);
        return;
      }
      const { code, text, pauseMs } = result;
      const kind = code === `webhook.${GONE}` ? 'final' : 'error';
      const failure = { kind, code, text, detail: [] } as const;
      titanic.failed(reference, `${code}: ${text}`, false, failure, pauseMs);
    });
  }

  #note(host: string, isTaken: boolean): void {
    if (isTaken) this.#failing.noteSuccess(host);
    else this.#failing.noteFailure(host, this.#stored.time.now());
  }

  #report(report: (stored: TitanicHost) => void): void {
    const { titanic, time } = this.#stored;
    this.#loop.wake();
    titanic.setTime(time.now(), time.wall());
    report(this.#stored);
  }
}

function failed(code: string, text: string, pauseMs = 0): Failed {
  return { code, text, pauseMs };
}

/** What the store says of the request; `null`: it has none. */
function valueOf(request: OperatorResult<ShownHistory>): ShownHistory | null {
  return request.kind === 'done' ? request.value : null;
}
