/**
 * The services that have open requests, each with its requests in the order of dispatch and of age. Each takes much
 * more memory than a request does: it counts in the quota `services` of the owner who named it first.
 */
import { present } from '../../../core/assert.js';
import { ownCopy } from '../../../core/bytes.js';
import { escapeName } from '../../../core/escape.js';
import { type HeapOrder, IndexedHeap } from '../../../core/indexed-heap.js';
import type { Owner } from '../../../store/store.js';
import type { Before } from './group-heap.js';
import { AGE_PLACE, NUMBER, type OpenIndex, PRIORITY, SINCE } from './open-index.js';
import type { PlaceHolder } from './places.js';
import { OpenGroups, ReadyRequests } from './ready-requests.js';

/** A service that has open requests. */
export interface OpenService extends PlaceHolder {
  readonly number: number;
  readonly name: Buffer;
  /** The name in printable form (D3). */
  readonly shown: string;
  /** Requests that could be sent now. */
  readonly ready: ReadyRequests;
  /** Requests that are not with a worker, longest wait first. */
  readonly oldest: IndexedHeap;
  /** Who named it while it had no open request. */
  readonly namedBy: Owner;
  /** Number of open requests. */
  open: number;
  /** Number of requests on their way to the store. */
  accepting: number;
  /** Number of requests that are DELAYED. */
  delayed: number;
  /** Number of requests that are with a worker. */
  out: number;
  /** Number of requests that are LOADING: the broker does not know them yet. */
  loading: number;
  /** Whether the dispatcher has it in its list of services with requests to send. */
  hasDemand: boolean;
  /** Whether requests that wait for their next attempt hold their groups, as was known when some were last read. */
  holds: boolean;
}

export class OpenServices {
  readonly byName = new Map<string, OpenService>();
  readonly #byNumber: (OpenService | null)[] = [];
  readonly #freeNumbers: number[] = [];
  /** How many each owner named. */
  readonly #named = new Map<Owner, number>();
  readonly #index: OpenIndex;
  readonly #groups = new OpenGroups();
  readonly #byAge: HeapOrder;

  /** @param index the open requests, which hold their places in the heaps */
  constructor(index: OpenIndex) {
    this.#index = index;
    this.#byAge = {
      before: (a, b) => index.getDouble(a, SINCE) < index.getDouble(b, SINCE),
      moved: (slot, place) => index.set(slot, AGE_PLACE, place),
    };
  }

  readonly #isMoreUrgent: Before = (a, b) => {
    const index = this.#index;
    const byPriority = index.get(b, PRIORITY) - index.get(a, PRIORITY);
    if (byPriority !== 0) return byPriority < 0;
    return index.getDouble(a, NUMBER) < index.getDouble(b, NUMBER);
  };

  /** @param number of a service that has an open request */
  of(number: number): OpenService {
    return present(this.#byNumber[number], 'an open request has a service');
  }

  find(name: Buffer): OpenService | undefined {
    return this.byName.get(name.toString('latin1'));
  }

  /** False if it was removed; another service may have its number now. */
  has(service: OpenService): boolean {
    return this.#byNumber[service.number] === service;
  }

  /** How many services are known because this owner named them. */
  namedBy(owner: Owner): number {
    return this.#named.get(owner) ?? 0;
  }

  findOrAdd(name: Buffer, owner: Owner): OpenService {
    const known = this.find(name);
    if (known !== undefined) return known;
    const number = this.#freeNumbers.pop() ?? this.#byNumber.length;
    const copy = ownCopy(name);
    const service: OpenService = {
      number,
      name: copy,
      shown: escapeName(copy),
      ready: new ReadyRequests(this.#index, this.#isMoreUrgent, this.#groups),
      oldest: new IndexedHeap(this.#byAge),
      namedBy: owner,
      open: 0,
      accepting: 0,
      delayed: 0,
      out: 0,
      loading: 0,
      inFlight: 0,
      inFlightBytes: 0,
      lack: null,
      hasDemand: false,
      holds: false,
    };
    this.byName.set(name.toString('latin1'), service);
    this.#byNumber[number] = service;
    this.#named.set(owner, this.namedBy(owner) + 1);
    return service;
  }

  /** Removes a service that has no request any more. */
  removeIfUnused({ name, number, namedBy, open, accepting }: OpenService): void {
    if (open + accepting > 0) return;
    const left = this.namedBy(namedBy) - 1;
    if (left > 0) this.#named.set(namedBy, left);
    else this.#named.delete(namedBy);
    this.byName.delete(name.toString('latin1'));
    this.#byNumber[number] = null;
    this.#freeNumbers.push(number);
  }
}
