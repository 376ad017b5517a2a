/** Makes the webhooks of requests due when those end. */
import {
  type Change,
  type ChangeResult,
  type RequestUuid,
  type StoredRequest,
  webhookOf,
} from '../../../store/store.js';
import type { TitanicContext } from './context.js';
import type { Dispatcher } from './dispatcher.js';
import { CLAIM, EXPIRES_AT, GENERATION, NO_SLOT, type Slot } from './open-index.js';
import {
  dueExpiry,
  dueGeneration,
  dueWebhook,
  isDueWebhook,
  type WebhookOutcome,
} from './webhooks.js';

/** Commits a change, again after a failure, and takes up what is due by that. */
type Commit = (change: Change) => void;

export class WebhookEnds {
  readonly #context: TitanicContext;
  readonly #dispatcher: Dispatcher;
  readonly #commit: Commit;
  /** Requests that are not known are not in the store: all pending ones were listed. */
  #areAllListed: boolean;

  constructor(context: TitanicContext, dispatcher: Dispatcher, commit: Commit) {
    this.#context = context;
    this.#dispatcher = dispatcher;
    this.#commit = commit;
    this.#areAllListed = context.claims !== null;
  }

  /** What is stored with the end of a request that is open here. */
  changesAtEnd(slot: Slot, outcome: WebhookOutcome): readonly Change[] {
    const { index, partners } = this.#dispatcher;
    const webhook = partners.webhookOf(index.uuid(slot));
    if (webhook === null) return [];
    // Of the ends, this one is not made without the claim.
    const claim = outcome === 'dead' ? index.get(slot, CLAIM) : 0;
    const generation = index.get(slot, GENERATION);
    const expiresAt = this.#expiryOf(index.getDouble(slot, EXPIRES_AT));
    return [dueWebhook(webhook, generation, outcome, this.#context.wall, expiresAt, claim)];
  }

  /** What is stored with the close of a request that is not open here. @param request `null`: it was not read */
  changesAtClose(request: StoredRequest | null): readonly Change[] {
    const webhook = request && webhookOf(request);
    if (request === null || webhook === null) return [];
    const expiresAt = this.#expiryOf(request.expiresAt);
    return [dueWebhook(webhook, request.generation, 'cancelled', this.#context.wall, expiresAt)];
  }

  /** See `dueExpiry`. */
  #expiryOf(endsBy: number): number {
    const { livesFrom, options } = this.#context;
    return dueExpiry(endsBy, livesFrom, options.replyTtlMs);
  }

  /** Whether a record is a webhook whose request is, or may be, open here: it does not expire before that ends. */
  isWaiting(slot: Slot): boolean {
    const { index, partners } = this.#dispatcher;
    const request = partners.requestOf(index.uuid(slot));
    if (request === null || isDueWebhook(index.get(slot, GENERATION))) return false;
    return !this.#areAllListed || index.find(request) !== NO_SLOT;
  }

  /** A request was closed that was not open here: the store told of its webhook. */
  cancelled({ webhook, generation }: Extract<ChangeResult, { readonly kind: 'ended' }>): void {
    this.#commit(dueWebhook(webhook, generation, 'cancelled', this.#context.wall));
  }

  /** A request that is not open here has a webhook that is: whether its end was told is not known. */
  ended(uuid: RequestUuid): void {
    const webhook = this.#dispatcher.partners.webhookOf(uuid);
    if (webhook !== null) this.#arrived(webhook);
  }

  /** Makes a webhook due, although no end of its request is stored in it. */
  #arrived(webhook: RequestUuid): void {
    const { index } = this.#dispatcher;
    const slot = index.find(webhook);
    const generation = slot === NO_SLOT ? 0 : index.get(slot, GENERATION);
    if (slot === NO_SLOT || isDueWebhook(generation)) return;
    const { now, wall } = this.#context;
    this.#dispatcher.arrived(slot, dueGeneration(generation), now, wall);
  }

  /** All pending requests are listed: the requests of some webhooks may not be among them. */
  lookForEnds(): void {
    this.#areAllListed = true;
    const { index, partners } = this.#dispatcher;
    for (const [webhook, request] of partners.all()) {
      if (index.find(request) === NO_SLOT) this.#arrived(webhook);
    }
  }
}
