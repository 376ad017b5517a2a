/** What new requests count against before they are in the store, and what becomes of them then. */
import type { Asker } from '../../../broker/ports.js';
import type { MemoryAccount } from '../../../core/holdings.js';
import { increment } from '../../../core/counts.js';
import { escapeName } from '../../../core/escape.js';
import { STORED } from './counters.js';
import type { Claiming } from './claiming.js';
import { uuidPrefix, type TitanicContext } from './context.js';
import type { OpenRequests } from './open-requests.js';
import { storedContent } from '../../../store/fields.js';
import { allCounted } from '../../../store/record-kind.js';
import { ANONYMOUS } from '../../../store/request.js';
import {
  type ChangeResult,
  FIRST_CLAIM,
  type NewRequest,
  type Owner,
  type StoredContent,
  type StoredRequest,
} from '../../../store/store.js';

/** Memory that a request on its way to the store takes besides its body. */
const WAITING_BYTES = 1024;

/** Who is to own a new request. */
interface NewOwner {
  readonly owner: Owner;
  readonly quotas: Pick<Asker['quotas'], 'stored' | 'storedBytes' | 'services'>;
  /** Accounts for it until it is stored; `null`: it is not sent by a peer. */
  readonly memory: MemoryAccount | null;
}

export class Acceptances {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  /** `null`: no other broker uses the store. */
  readonly #claiming: Claiming | null;
  /** Requests accepted but not committed: for each owner, and in total. */
  readonly #ofOwner = new Map<Owner, { stored: number; bytes: number }>();
  #count = 0;

  constructor(context: TitanicContext, requests: OpenRequests, claiming: Claiming | null) {
    this.#context = context;
    this.#requests = requests;
    this.#claiming = claiming;
  }

  /**
   * @param change 1: it is being accepted; -1: it is committed or given up
   * @param service for which it will be open; `null`: for none that a client names
   */
  count(
    { owner, memory }: Omit<NewOwner, 'quotas'>,
    bytes: number,
    change: 1 | -1,
    service: Buffer | null,
  ): void {
    if (service !== null && owner !== ANONYMOUS) this.#countService(service, owner, change);
    this.#count += change;
    memory?.add('stored', change * (bytes + WAITING_BYTES));
    const count = this.#ofOwner.get(owner) ?? { stored: 0, bytes: 0 };
    count.stored += change;
    count.bytes += change * bytes;
    if (count.stored === 0) this.#ofOwner.delete(owner);
    else this.#ofOwner.set(owner, count);
  }

  #countService(name: Buffer, owner: Owner, change: 1 | -1): void {
    const { services } = this.#requests.dispatcher;
    const service = services.findOrAdd(name, owner);
    service.accepting += change;
    services.removeIfUnused(service);
  }

  /**
   * The limit, or the quota, that a new request would exceed, or `null`.
   * @param service see `count`
   * @param more how many more there are then; 0: it takes the place of one
   * @param freed bytes of that one
   */
  limit(who: NewOwner, bytes: number, service: Buffer | null, more = 1, freed = 0): string | null {
    // One that takes the place of another, and is no larger, needs no room.
    if (more === 0 && bytes <= freed) return null;
    const { options, counts, events } = this.#context;
    const text =
      more > 0 && allCounted(counts) + this.#count + more > options.maxOpen
        ? 'titanic.maxOpen is reached'
        : counts.bytes + this.#requests.writer.bytes >= options.maxBytes
          ? 'titanic.maxBytes is reached'
          : who.memory?.mayHold(bytes + WAITING_BYTES) === false
            ? 'limits.memoryBytes is reached'
            : (this.#quota(who, bytes - freed, more) ?? this.#quotaOfServices(who, service));
    if (text !== null) events.emit({ name: 'titanic.refused', reason: 'limit', text });
    return text;
  }

  /** The refusal by the quota of its owner that it would exceed (D75), or `null`. */
  #quota({ owner, quotas }: NewOwner, moreBytes: number, more: number): string | null {
    const context = this.#context;
    const { stored, bytes } = context.storedOf(owner);
    const accepting = this.#ofOwner.get(owner);
    if (more > 0 && stored + (accepting?.stored ?? 0) + more > quotas.stored) {
      return context.quotaUsedUp('stored');
    }
    const taken = bytes + (accepting?.bytes ?? 0) + moreBytes;
    return taken > quotas.storedBytes ? context.quotaUsedUp('storedBytes') : null;
  }

  /** Clients without a key are one owner: none of them may use up what all others need. */
  #quotaOfServices({ owner, quotas }: NewOwner, name: Buffer | null): string | null {
    const { services } = this.#requests.dispatcher;
    if (name === null || owner === ANONYMOUS || services.namedBy(owner) < quotas.services) {
      return null;
    }
    return services.find(name) === undefined ? this.#context.quotaUsedUp('services') : null;
  }

  /**
   * Whether this broker claims the request, whose batch is about to be sent, at once. If so, `decided` follows.
   */
  claims(request: StoredRequest): boolean {
    return this.#claiming?.takesNew(request) === true;
  }

  /** A request that was claimed is stored, or could not be. */
  decided({ service }: StoredRequest): void {
    this.#claiming?.acceptanceEnded(service);
  }

  /**
   * Opens a request that is in the store now, and traces it.
   * @param party see `RequestOwner`
   * @param isClaimed by this broker, in a shared store
   * @param content what is sent to a worker; `null`: to be read when one has room for it
   */
  #accepted(
    request: StoredRequest,
    party: string,
    isClaimed: boolean,
    content: StoredContent | null,
  ): void {
    const { counters } = this.#context;
    const shown = this.#open(request, party, isClaimed, content);
    increment(counters.of(shown), STORED.accepted);
    this.#context.trace?.({
      name: 'titanic.accepted',
      uuid: uuidPrefix(request.uuid),
      service: shown,
    });
  }

  /** A request has been stored, with what tells its webhook; `null`: it has none. */
  stored(
    change: NewRequest,
    webhook: NewRequest | null,
    party: string,
    { kind }: ChangeResult,
  ): void {
    const { request, claim, body, extra } = change;
    if (kind === 'known' || kind === 'another') {
      // The first request has its own.
      if (webhook !== null) this.#requests.close(webhook.request.uuid, () => undefined);
      return;
    }
    if (webhook !== null) this.#accepted(webhook.request, party, false, null);
    // The store has passed over one that was there before, perhaps closed: only a read shows what became of it.
    const content = kind === 'done' ? storedContent(body, extra ?? null) : null;
    this.#accepted(request, party, claim !== undefined, content);
  }

  /** @returns its service, as shown */
  #open(
    request: StoredRequest,
    party: string,
    isClaimed: boolean,
    content: StoredContent | null,
  ): string {
    if (this.#claiming !== null && !isClaimed) {
      this.#claiming.stored(request.service);
      if (request.notBefore <= this.#context.wall) this.#context.hints?.stored(request.service);
      return escapeName(request.service);
    }
    const slot =
      this.#claiming === null
        ? this.#requests.open(request, party, content)
        : this.#requests.openClaimed({ request, claim: FIRST_CLAIM, content, isTurn: false });
    return this.#requests.dispatcher.serviceOf(slot).shown;
  }
}
