/** Which webhook tells of which request, of those that are open here. */
import { ownCopy } from '../../../core/bytes.js';
import { type RequestUuid, type StoredRequest, webhookOf } from '../../../store/store.js';

export class Partners {
  /** By the uuid of an open request: its webhook, as the request says. */
  readonly #webhooks = new Map<string, RequestUuid>();
  /** By the uuid of an open webhook: the request that it tells of. */
  readonly #requests = new Map<string, RequestUuid>();
  /** By the uuid of a request, open or not: an open webhook that tells of it, as the webhook says. */
  readonly #openWebhooks = new Map<string, RequestUuid>();

  opened(record: StoredRequest): void {
    const { uuid, kind, partner } = record;
    if (partner.length === 0) return;
    const other = ownCopy(partner);
    if (webhookOf(record) !== null) this.#webhooks.set(keyOf(uuid), other);
    if (kind !== 'webhook') return;
    this.#requests.set(keyOf(uuid), other);
    if (!this.#openWebhooks.has(keyOf(other))) {
      this.#openWebhooks.set(keyOf(other), ownCopy(uuid));
    }
  }

  /** A record is not open any more. The webhook of a request that has ended is still known while it is open itself. */
  closed(uuid: RequestUuid): void {
    if (this.#webhooks.size + this.#requests.size === 0) return;
    const key = keyOf(uuid);
    this.#webhooks.delete(key);
    const request = this.#requests.get(key);
    if (request === undefined) return;
    this.#requests.delete(key);
    if (this.#openWebhooks.get(keyOf(request))?.equals(uuid) === true) {
      this.#openWebhooks.delete(keyOf(request));
    }
  }

  /** The webhook of a request; `null`: it has none, or neither is open here. */
  webhookOf(uuid: RequestUuid): RequestUuid | null {
    if (this.#webhooks.size + this.#openWebhooks.size === 0) return null;
    const key = keyOf(uuid);
    return this.#webhooks.get(key) ?? this.#openWebhooks.get(key) ?? null;
  }

  /** The request that an open webhook tells of; `null`: it is no webhook. */
  requestOf(uuid: RequestUuid): RequestUuid | null {
    return this.#requests.size === 0 ? null : (this.#requests.get(keyOf(uuid)) ?? null);
  }

  /** The open webhooks, and the requests that they tell of. */
  all(): readonly (readonly [webhook: RequestUuid, request: RequestUuid])[] {
    return [...this.#requests].map(([key, request]) => [Buffer.from(key, 'latin1'), request]);
  }
}

function keyOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}
