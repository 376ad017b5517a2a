/** Which webhook tells of which request, of those that are open here. */
import type { RequestUuid, StoredRequest } from '../../store/store.js';

export class Partners {
  /** By the uuid of a request: its webhook. */
  readonly #webhooks = new Map<string, RequestUuid>();
  /** By the uuid of a webhook that is open: the request that it tells of. */
  readonly #requests = new Map<string, RequestUuid>();

  opened({ uuid, kind, partner }: StoredRequest): void {
    if (partner.length === 0) return;
    const isWebhook = kind === 'webhook';
    const [request, webhook] = isWebhook ? [partner, uuid] : [uuid, partner];
    this.#webhooks.set(keyOf(request), Buffer.from(webhook));
    if (isWebhook) this.#requests.set(keyOf(webhook), Buffer.from(request));
  }

  /** A record is not open any more. The webhook of a request that has ended is still known while it is open itself. */
  closed(uuid: RequestUuid): void {
    if (this.#webhooks.size === 0) return;
    const key = keyOf(uuid);
    const request = this.#requests.get(key);
    if (request !== undefined) {
      this.#requests.delete(key);
      this.#webhooks.delete(keyOf(request));
      return;
    }
    const webhook = this.#webhooks.get(key);
    if (webhook !== undefined && !this.#requests.has(keyOf(webhook))) this.#webhooks.delete(key);
  }

  /** The webhook of a request; `null`: it has none, or neither is open here. */
  webhookOf(uuid: RequestUuid): RequestUuid | null {
    return this.#webhooks.size === 0 ? null : (this.#webhooks.get(keyOf(uuid)) ?? null);
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
