/**
 * Records that operators make, which are never due, and which a node keeps in mind while it serves: pauses and limits.
 * So they survive a restart, and the other node of the pair and the brokers that share the store have them, too.
 */
import { ownCopy } from '../../../core/bytes.js';
import { DURATION_MS_MAX } from '../../../core/numbers.js';
import { NO_BODY } from '../../../store/fields.js';
import type { KnownKind } from '../../../store/record-kind.js';
import { ANONYMOUS, newRequest } from '../../../store/request.js';
import type { NewRequest, RequestUuid, StoredRequest } from '../../../store/store.js';
import { UNSENT, type TitanicContext } from '../requests/context.js';
import type { ChangeCallback, OpenRequests } from '../requests/open-requests.js';
import type { Uuids } from '../requests/uuid.js';

interface KeptRecord<Item> {
  readonly uuid: RequestUuid;
  /** What it is about: see `KeptRecords.of`. */
  readonly key: string;
  readonly item: Item;
  /** See `Schedule.listed`. */
  listed: number;
}

/** The records of one kind that are in the store. */
export class KeptRecords<Item> {
  readonly #seen: () => number;
  readonly #all = new Map<string, KeptRecord<Item>>();
  /** By what they are about. After a split, there may be two about the same. */
  readonly #byKey = new Map<string, readonly KeptRecord<Item>[]>();
  /** The records that this version does not understand: each is reported once. */
  readonly #unreadable = new Set<string>();
  /** Whether the broker is to be told. */
  isChanged = true;

  /** @param seen the list in which a record that becomes known now is: see `Schedule.listed` */
  constructor(seen: () => number) {
    this.#seen = seen;
  }

  get size(): number {
    return this.#all.size;
  }

  /** The records about this. */
  of(key: string): readonly KeptRecord<Item>[] {
    return this.#byKey.get(key) ?? [];
  }

  all(): Iterable<KeptRecord<Item>> {
    return this.#all.values();
  }

  /** Whether it is known, and then it is in the list, too. */
  isKnown(uuid: RequestUuid): boolean {
    const known = this.#all.get(uuid.toString('latin1'));
    if (known !== undefined) known.listed = this.#seen();
    return known !== undefined || this.#unreadable.has(uuid.toString('latin1'));
  }

  /** Takes up one of which nothing can be understood: it is known from now on. */
  addUnreadable(uuid: RequestUuid): void {
    this.#unreadable.add(uuid.toString('latin1'));
  }

  /** Takes up one that is in the store, and was not known. */
  add(uuid: RequestUuid, key: string, item: Item): void {
    const kept = { uuid: ownCopy(uuid), key, item, listed: this.#seen() };
    this.#all.set(uuid.toString('latin1'), kept);
    this.#byKey.set(key, [...this.of(key), kept]);
    this.isChanged = true;
  }

  gone(uuid: RequestUuid): void {
    this.#unreadable.delete(uuid.toString('latin1'));
    const kept = this.#all.get(uuid.toString('latin1'));
    if (kept === undefined) return;
    this.#all.delete(uuid.toString('latin1'));
    const left = this.of(kept.key).filter((each) => each !== kept);
    if (left.length > 0) this.#byKey.set(kept.key, left);
    else this.#byKey.delete(kept.key);
    this.isChanged = true;
  }

  /** All in the store have been listed: another broker ended those that are not in the list. */
  allListed(list: number): void {
    for (const { uuid, listed } of [...this.#all.values()]) if (listed < list) this.gone(uuid);
  }
}

/** The acceptance of a record that is never due. */
export function keptAcceptance(
  { wall }: TitanicContext,
  uuids: Uuids,
  kind: KnownKind,
  own: Buffer,
): NewRequest {
  const never = wall + DURATION_MS_MAX;
  const request: StoredRequest = newRequest(uuids.next(wall), NO_BODY.length, {
    ...UNSENT,
    kind,
    owner: ANONYMOUS,
    own,
    acceptedAt: wall,
    notBefore: never,
    expiresAt: never,
  });
  return { kind: 'accept', request, body: NO_BODY, key: null };
}

/** Closes records one after the other: there is nearly always one. */
export function closeEach(
  requests: OpenRequests,
  [first, ...others]: readonly { readonly uuid: RequestUuid }[],
  over: ChangeCallback,
): void {
  if (first === undefined) {
    over('done');
    return;
  }
  requests.close(first.uuid, (result) => {
    // One that another broker has ended is gone, too.
    if (result === 'done' || result === 'passed') closeEach(requests, others, over);
    else over(result);
  });
}
