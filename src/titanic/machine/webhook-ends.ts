/** Makes the webhooks of requests due when those end. */
import type { Change, RequestUuid } from '../../store/store.js';
import type { TitanicContext } from './context.js';
import type { Dispatcher } from './dispatcher.js';
import { ATTEMPTS, GENERATION, NO_SLOT, type Slot } from './open-index.js';
import {
  dueWebhook,
  hasWebhook,
  type WebhookOutcome,
  webhookOf,
  WEBHOOKS,
  withWebhook,
} from './webhooks.js';

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

  /** What is stored with the end of a request. @param slot `NO_SLOT`: it is not open here */
  due(uuid: RequestUuid, slot: Slot, outcome: WebhookOutcome): readonly Change[] {
    const { index } = this.#dispatcher;
    const generation = slot === NO_SLOT ? 0 : index.get(slot, GENERATION);
    return dueWebhook(uuid, generation, outcome, this.#context.wall);
  }

  /** Its owner closed it, and it was not open here. */
  cancelled(uuid: RequestUuid): void {
    const [due] = this.due(uuid, NO_SLOT, 'cancelled');
    if (due === undefined) return;
    this.#commit(due, () => {
      this.ended(uuid);
    });
  }

  /** A request has ended. In a shared store, its webhook is found by a claim. */
  ended(uuid: RequestUuid): void {
    if (!hasWebhook(uuid)) return;
    const slot = this.#dispatcher.index.find(webhookOf(uuid));
    if (slot !== NO_SLOT) this.#dispatcher.arrived(slot, this.#context.now, this.#context.wall);
  }

  /** All pending requests are listed: the requests of some webhooks may not be among them. */
  lookForEnds(): void {
    const { index } = this.#dispatcher;
    for (const slot of [...this.#dispatcher.slots()]) {
      const { name } = this.#dispatcher.serviceOf(slot);
      if (!name.equals(WEBHOOKS) || index.get(slot, ATTEMPTS) > 0) continue;
      const uuid = withWebhook(index.uuid(slot));
      if (index.find(uuid) === NO_SLOT) this.ended(uuid);
    }
  }
}
