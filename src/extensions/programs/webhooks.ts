/**
 * Sends webhooks: the worker of the stored requests that tell of the end of others
 * (titanic/machine/webhooks.ts). Titanic stores them, tries again and gives up; here each is sent once, when there
 * is a place for its receiver.
 */
import { Frames } from '../../core/frames.js';
import { isWhole, WALL_MS_MAX } from '../../core/numbers.js';
import { unpack } from '../../core/packed.js';
import type { StoredBody } from '../../broker/ports.js';
import type { RequestUuid } from '../../store/store.js';
import type { Host } from '../../node/extension.js';
import type { TitanicHost } from '../../node/stored.js';
import type { WebhookWorker } from '../../titanic/machine/webhook-worker.js';
import { webhookId, WEBHOOKS } from '../../titanic/machine/webhooks.js';
import { bodyOf, type Ended, signedHeaders } from './webhook-message.js';
import { detailOf, endOf } from './webhook-outcome.js';
import { WebhookPlaces } from './webhook-places.js';
import { postWebhook } from './webhook-post.js';
import type { WebhookTargets } from './webhook-target.js';

/** How many are read at once to learn who their receivers are. */
const READ_MAX = 256;
/** The receiver wants no more (Standard Webhooks). */
const GONE = 410;

/** Settings of webhooks, as the configuration has them now. */
export interface WebhookSettings {
  readonly targets: WebhookTargets;
  readonly secrets: readonly Buffer[];
}

interface Delivery {
  readonly reference: number;
  readonly uuid: Buffer;
  readonly url: string;
  readonly acceptedAt: number;
  readonly service: Buffer;
  readonly host: string;
  readonly abort: AbortController;
  /** Whether its host answered; `null`: nothing was sent. */
  answered: boolean | null;
}

/** What became of it: delivered, or not. */
type Result = { readonly frames: readonly string[] } | Failed;

interface Failed {
  readonly code: string;
  readonly text: string;
  readonly ended: Ended | null;
}

interface Found {
  readonly ended: Ended;
  readonly generation: number;
}

export class Webhooks implements WebhookWorker {
  readonly #stored: TitanicHost;
  readonly #loop: Host['loop'];
  readonly #settings: () => WebhookSettings | null;
  /** Webhooks whose bodies are here, by reference. */
  readonly #here = new Map<number, Delivery>();
  readonly #places = new WebhookPlaces();
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

  // ---------------------------------------------------------------- for Titanic

  room(): number {
    return this.#isEnding || this.#settings() === null ? 0 : READ_MAX;
  }

  take(reference: number, { body }: StoredBody): void {
    const delivery = deliveryOf(reference, body);
    this.#here.set(reference, delivery);
    setImmediate(() => {
      if (this.#isHere(delivery)) this.#begin(delivery);
    });
  }

  withdraw(reference: number): void {
    const delivery = this.#here.get(reference);
    this.#here.delete(reference);
    delivery?.abort.abort();
    const called = this.#places.leave(reference, null);
    if (called.length === 0) return;
    setImmediate(() => {
      const waiting = called.filter((each) => this.#places.has(each));
      this.#report(({ titanic }) => {
        for (const each of waiting) titanic.called(each);
      });
    });
  }

  // ---------------------------------------------------------------- one after the other

  #isHere(delivery: Delivery): boolean {
    return this.#here.get(delivery.reference) === delivery;
  }

  #begin(delivery: Delivery): void {
    const { reference, host, url } = delivery;
    this.#report(({ titanic }) => {
      const [owner, webhook] = [titanic.ownerOf(reference), titanic.uuidOf(reference)];
      if (owner === null || webhook === null) return;
      const entry = this.#settings()?.targets.entryOf(url) ?? host;
      if (host !== '' && !this.#places.take(reference, { host, entry, owner })) {
        this.#here.delete(reference);
        titanic.deferred(reference);
        return;
      }
      titanic.dispatched(reference, { number: 0, name: 'webhooks', address: host });
      if (host !== '') void this.#settle(delivery, this.#send(delivery, webhook));
      else this.#ended(delivery, failed('webhook.malformed', 'what is stored is no webhook'));
    });
  }

  async #settle(delivery: Delivery, result: Promise<Result>): Promise<void> {
    this.#ended(
      delivery,
      await result.catch((error: unknown) => failed('webhook.failed', String(error))),
    );
  }

  /** How the request ended, and the generation of the webhook. */
  async #find({ uuid, ...known }: Delivery, webhookUuid: RequestUuid): Promise<Found | Failed> {
    const { operatorApi, time } = this.#stored;
    const [request, webhook] = await Promise.all([
      operatorApi.history(uuid),
      operatorApi.history(webhookUuid),
    ]);
    if (request.kind === 'trouble' || webhook.kind !== 'done') {
      return failed('webhook.store', 'the store cannot be read');
    }
    const ended = endOf(
      { ...known, uuid },
      'value' in request ? request.value : null,
      webhook.value.attempts,
      time.wall(),
    );
    if (ended === null) return failed('webhook.early', 'the request has not ended');
    return { ended, generation: webhook.value.request.generation };
  }

  async #send(delivery: Delivery, webhook: RequestUuid): Promise<Result> {
    const found = await this.#find(delivery, webhook);
    if ('code' in found) return found;
    const { ended, generation } = found;
    const settings = this.#settings();
    if (settings === null) return failed('webhook.off', 'webhooks are switched off', ended);
    const { uuid, url, host, abort } = delivery;
    const fault = settings.targets.fault(url);
    if (fault !== null) return failed('webhook.refused', fault, ended);
    const body = bodyOf(ended);
    const id = webhookId(uuid, generation);
    const headers = signedHeaders(id, body, settings.secrets, this.#stored.time.wall());
    const sent = await postWebhook(url, headers, body, settings.targets, abort.signal);
    delivery.answered = sent.kind === 'status';
    if (sent.kind === 'failed') return failed('webhook.failed', `${host}: ${sent.why}`, ended);
    const { status } = sent;
    if (status >= 200 && status < 300) {
      return { frames: ended.outcome === 'dead' ? [String(status), 'dead'] : [String(status)] };
    }
    return failed(`webhook.${status}`, `${host} answered ${status}`, ended);
  }

  #ended(delivery: Delivery, result: Result): void {
    if (!this.#isHere(delivery)) return;
    const { reference, answered } = delivery;
    this.#here.delete(reference);
    const called = this.#places.leave(reference, answered);
    this.#report(({ titanic }) => {
      for (const each of called) titanic.called(each);
      if ('frames' in result) {
        const frames = Frames.of(...result.frames.map((text) => Buffer.from(text)));
        titanic.replied(reference, frames, 0, null);
        return;
      }
      const { code, text, ended } = result;
      const kind = code === `webhook.${GONE}` ? 'final' : 'error';
      titanic.failed(reference, `${code}: ${text}`, false, {
        kind,
        code,
        text,
        detail: detailOf(ended),
      });
    });
  }

  #report(report: (stored: TitanicHost) => void): void {
    const { titanic, time } = this.#stored;
    this.#loop.wake();
    titanic.setTime(time.now(), time.wall());
    report(this.#stored);
  }
}

function failed(code: string, text: string, ended: Ended | null = null): Failed {
  return { code, text, ended };
}

/** Reads what `acceptWebhook` wrote. */
function deliveryOf(reference: number, packed: Buffer): Delivery {
  const frames = new Frames();
  unpack(packed, 0, packed.length, frames);
  const textOf = (at: number): string => (at < frames.count ? frames.view(at).toString() : '');
  const [uuid, url, acceptedAt] = [textOf(0), textOf(1), Number(textOf(2))];
  // A record of a peer, or of a database, may say anything.
  const isValid =
    frames.count === 4 &&
    /^[\dA-F]{32}$/i.test(uuid) &&
    URL.canParse(url) &&
    isWhole(acceptedAt, 0, WALL_MS_MAX);
  return {
    reference,
    url,
    acceptedAt: isValid ? acceptedAt : 0,
    service: frames.count === 4 ? frames.copy(3) : Buffer.alloc(0),
    uuid: Buffer.from(isValid ? uuid : '', 'hex'),
    host: isValid ? new URL(url).host : '',
    abort: new AbortController(),
    answered: null,
  };
}
