/**
 * The limits that operators have set: of how many requests of a service, and of each of its groups, run at once and start
 * per second. The limits of one service are one record, which stands before what the configuration says of that service.
 */
import type { DeliveryPort, ServiceLimits } from '../../../broker/ports.js';
import { isWhole } from '../../../core/numbers.js';
import {
  appliedLimits,
  type FlatLimits,
  RATE_MIN,
  RUN_LIMIT_MAX,
  type WrittenLimits,
  writtenLimits,
} from '../../../core/run-limits.js';
import { type OwnOf, ownOf, packOwn } from '../../../store/own-fields.js';
import type { RequestUuid, StoredRequest, StoreFailure } from '../../../store/store.js';
import { uuidPrefix, type TitanicContext } from '../requests/context.js';
import { closeEach, keptAcceptance, KeptRecords } from './kept-records.js';
import type { ChangeCallback, OpenRequests } from '../requests/open-requests.js';
import { closeOf } from './schedule-table.js';
import type { Uuids } from '../requests/uuid.js';

/** Maximum number of services on a node. */
const LIMITS_MAX = 1000;
const FULL: StoreFailure = {
  kind: 'busy',
  message: `the limits of at most ${LIMITS_MAX} services can be stored`,
};
const CHANGING: StoreFailure = { kind: 'busy', message: 'its limits are being set: try again' };
const LOADING: StoreFailure = {
  kind: 'busy',
  message: 'the limits are still being read from the store: try again',
};

/** What operators set, and who. */
interface SetLimits {
  readonly service: Buffer;
  readonly written: WrittenLimits;
  readonly by: string;
  /** Wall milliseconds. */
  readonly at: number;
  /** What the broker is told: the same object as long as they hold, so that it sees what has changed. */
  readonly applied: ServiceLimits;
}

export class OperatorLimits {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  readonly #records: KeptRecords<SetLimits>;
  /** Services whose limits are being set, but not yet in the store. */
  readonly #changing = new Set<string>();
  /** Whether all that are in the store are known. */
  isKnown = false;

  /** @param seen see `KeptRecords` */
  constructor(context: TitanicContext, requests: OpenRequests, uuids: Uuids, seen: () => number) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#records = new KeptRecords(seen);
  }

  /** Takes up a record that is in the store: stored, listed, or merged from the other node of the pair. */
  restore(request: StoredRequest): void {
    const { uuid, acceptedAt: at } = request;
    if (this.#records.isKnown(uuid)) return;
    const own = ownOf('limit', request.own);
    const written = own === null ? null : writtenIn(own);
    if (own !== null && written !== null) {
      const { service, by } = own;
      const applied = { ...appliedLimits(written), set: { by, at } };
      this.#records.add(uuid, keyOf(service), { service, written, by, at, applied });
    } else {
      this.#records.addUnreadable(uuid);
      this.#context.events.emit({ name: 'service.limit_unreadable', uuid: uuidPrefix(uuid) });
    }
  }

  gone(uuid: RequestUuid): void {
    this.#records.gone(uuid);
  }

  /** See `KeptRecords.allListed`. */
  allListed(list: number): void {
    this.isKnown = true;
    this.#records.allListed(list);
  }

  /**
   * Sets the limits of a service, in place of those that an operator set before.
   * @param written `null`: the configuration's hold again
   * @param decided `passed`: it was so before
   */
  set(
    service: Buffer,
    written: WrittenLimits | null,
    by: string,
    isReady: boolean,
    decided: ChangeCallback,
  ): void {
    const key = keyOf(service);
    const known = this.#records.of(key);
    const own = written && packedOwn(service, written, by);
    const isSame = known.length === 1 && own?.equals(packedOf(known[0]?.item ?? null)) === true;
    if (!isReady) decided(LOADING);
    else if (this.#changing.has(key)) decided(CHANGING);
    else if (isSame || (own === null && known.length === 0)) decided('passed');
    else if (known.length === 0 && this.#records.size + this.#changing.size >= LIMITS_MAX) {
      decided(FULL);
    } else {
      this.#changing.add(key);
      const over: ChangeCallback = (result) => {
        this.#changing.delete(key);
        decided(result);
      };
      if (own === null) closeEach(this.#requests, known, over);
      else this.#replace(own, [...known], over);
    }
  }

  /** Stores the new record, and ends those before it, in one batch. */
  #replace(own: Buffer, known: readonly { uuid: RequestUuid }[], over: ChangeCallback): void {
    const accept = keptAcceptance(this.#context, this.#uuids, 'limit', own);
    const before = known.map((each) => closeOf(each, this.#context.wall));
    const ended = (isStored: boolean): void => {
      if (!isStored) return;
      for (const { uuid } of known) this.gone(uuid);
      this.restore(accept.request);
    };
    this.#requests.order(accept, (result) => ended(result !== null), over, null, before);
  }

  /** Whether `run` has something to tell the broker. */
  get isChanged(): boolean {
    return this.isKnown && this.#records.isChanged;
  }

  /** Tells the broker the limits of all services, once they are known. */
  run(broker: DeliveryPort): void {
    if (!this.isChanged) return;
    this.#records.isChanged = false;
    if (this.#records.size === 0 && !this.#context.hasToldLimits) return;
    this.#context.hasToldLimits = this.#records.size > 0;
    const newest = new Map<string, SetLimits>();
    for (const { key, item } of this.#records.all()) {
      const other = newest.get(key);
      // Both nodes decide alike about two that a split has left.
      if (other === undefined || isLater(item, other)) newest.set(key, item);
    }
    const told = new Map<string, ServiceLimits>();
    for (const [key, { applied }] of newest) told.set(key, applied);
    broker.setLimits(told);
  }
}

function keyOf(service: Buffer): string {
  return service.toString('latin1');
}

function isLater(a: SetLimits, b: SetLimits): boolean {
  return a.at === b.at ? packedOf(a).compare(packedOf(b)) > 0 : a.at > b.at;
}

// ---------------------------------------------------------------- as they are stored

function packedOf(item: SetLimits | null): Buffer {
  return item === null ? Buffer.alloc(0) : packedOwn(item.service, item.written, item.by);
}

function packedOwn(service: Buffer, written: WrittenLimits, by: string): Buffer {
  const { group = {} } = written;
  const text = (value: number | undefined): string => (value === undefined ? '' : String(value));
  return packOwn('limit', {
    service,
    by,
    running: text(written.running),
    perSecond: text(written.perSecond),
    burst: text(written.burst),
    groupRunning: text(group.running),
    groupPerSecond: text(group.perSecond),
    groupBurst: text(group.burst),
    onFailure: group.onFailure ?? '',
  });
}

/** @returns `null`: this version does not understand it */
function writtenIn(own: OwnOf<'limit'>): WrittenLimits | null {
  const { service: _service, by: _by, onFailure, perSecond, groupPerSecond, ...counts } = own;
  if (onFailure !== '' && onFailure !== 'hold' && onFailure !== 'pass') return null;
  const rates = Object.entries({ perSecond, groupPerSecond });
  const numbers = [
    ...rates.map(([name, text]) => [name, text, isRate(Number(text))] as const),
    ...Object.entries(counts).map(
      ([name, text]) => [name, text, isWhole(Number(text), 1, RUN_LIMIT_MAX)] as const,
    ),
  ].filter(([, text]) => text !== '');
  if (numbers.some(([, , isKnown]) => !isKnown)) return null;
  return writtenLimits({
    ...(Object.fromEntries(numbers.map(([name, text]) => [name, Number(text)])) as FlatLimits),
    ...(onFailure === '' ? {} : { onFailure }),
  });
}

function isRate(value: number): boolean {
  return value >= RATE_MIN && value <= RUN_LIMIT_MAX;
}
