/** Makes the webhooks of requests due when those end. */
import type { Change, ChangeResult, RequestUuid, StoredRequest } from '../../store/store.js';
import type { TitanicContext } from './context.js';
import type { Dispatcher } from './dispatcher.js';
import { ATTEMPTS, GENERATION, NO_SLOT, type Slot } from './open-index.js';
import { dueWebhook, type WebhookOutcome } from './webhooks.js';

/** Commits a change, again after a failure. */
type Commit = (change: Change, committed: () => void) => void;

export class WebhookEnds {
  readonly #context: TitanicContext;
  readonly #dispatcher: Dispatcher;
  readonly #commit: Commit;

  constructor(context: TitanicContext, dispatcher: Dispatcher, commit: Commit) {
    this.#context = context;
    this.#dispatcher = dispatcher;
    this.#commit = commit;
  }

  /** What is stored with the end of a request that is open here. */
  due(slot: Slot, outcome: WebhookOutcome): readonly Change[] {
    const { index, partners } = this.#dispatcher;
    const webhook = partners.webhookOf(index.uuid(slot));
    if (webhook === null) return [];
    return [dueWebhook(webhook, index.get(slot, GENERATION), outcome, this.#context.wall)];
  }

  /** What is stored with the close of a request that is not open here. @param request `null`: it was not read */
  dueOf(request: StoredRequest | null): readonly Change[] {
    if (request?.kind !== 'request' || request.partner.length === 0) return [];
    return [dueWebhook(request.partner, request.generation, 'cancelled', this.#context.wall)];
  }

  /** A request was closed that was not open here: the store told of its webhook. */
  cancelled({ webhook, generation }: Extract<ChangeResult, { readonly kind: 'ended' }>): void {
    this.#commit(dueWebhook(webhook, generation, 'cancelled', this.#context.wall), () => {
      this.#arrived(webhook);
    });
  }

  /** A request has ended. In a shared store, its webhook is found by a claim. */
  ended(uuid: RequestUuid): void {
    const webhook = this.#dispatcher.partners.webhookOf(uuid);
    if (webhook !== null) this.#arrived(webhook);
  }

  #arrived(webhook: RequestUuid): void {
    const slot = this.#dispatcher.index.find(webhook);
    if (slot !== NO_SLOT) this.#dispatcher.arrived(slot, this.#context.now, this.#context.wall);
  }

  /** All pending requests are listed: the requests of some webhooks may not be among them. */
  lookForEnds(): void {
    const { index, partners } = this.#dispatcher;
    for (const [webhook, request] of partners.all()) {
      const slot = index.find(webhook);
      const isWaiting = slot !== NO_SLOT && index.get(slot, ATTEMPTS) === 0;
      if (isWaiting && index.find(request) === NO_SLOT) this.#arrived(webhook);
    }
  }
}
