/** How much a `FairHistory` keeps, and how it sorts items into groups and members. */
interface HistoryBounds<Item> {
  readonly itemsMax: number;
  readonly bytesMax: number;
  readonly groupOf: (item: Item) => string;
  readonly memberOf: (item: Item) => string;
  readonly bytesOf: (item: Item) => number;
}

interface Entry<Item> {
  readonly item: Item;
  readonly bytes: number;
  /** The place of the item among all that were ever added. */
  readonly place: number;
}

interface Group<Item> {
  readonly members: Map<string, Entry<Item>[]>;
  bytes: number;
}

/**
 * The latest items of many groups, each with members, bounded in number and bytes. If there are too many, the
 * group with the most bytes loses an item: the oldest of its member with the most items. So neither a group that
 * is repeated nor a member of it pushes out the others.
 */
export class FairHistory<Item> {
  readonly #bounds: HistoryBounds<Item>;
  readonly #groups = new Map<string, Group<Item>>();
  #added = 0;
  #count = 0;
  #bytes = 0;

  constructor(bounds: HistoryBounds<Item>) {
    this.#bounds = bounds;
  }

  add(item: Item): void {
    const { itemsMax, bytesMax, groupOf, memberOf, bytesOf } = this.#bounds;
    const group = gotten(this.#groups, groupOf(item), (): Group<Item> => ({
      members: new Map(),
      bytes: 0,
    }));
    const bytes = bytesOf(item);
    const entry = { item, bytes, place: this.#added++ };
    gotten(group.members, memberOf(item), (): Entry<Item>[] => []).push(entry);
    group.bytes += bytes;
    this.#count++;
    this.#bytes += bytes;
    while (this.#count > itemsMax || this.#bytes > bytesMax) this.#forgetOne();
  }

  /** The items in the order in which they came. */
  all(): Item[] {
    return [...this.#groups.values()]
      .flatMap(({ members }) => [...members.values()].flat())
      .sort((left, right) => left.place - right.place)
      .map(({ item }) => item);
  }

  #forgetOne(): void {
    const [name, group] = first(this.#groups, (one, other) => one.bytes > other.bytes);
    const [member, entries] = first(group.members, isBefore);
    const bytes = entries.shift()?.bytes ?? 0;
    group.bytes -= bytes;
    this.#count--;
    this.#bytes -= bytes;
    if (entries.length === 0) group.members.delete(member);
    if (group.members.size === 0) this.#groups.delete(name);
  }
}

/** True if the first one has more items or, of as many, the oldest item. */
function isBefore<Item>(one: readonly Entry<Item>[], other: readonly Entry<Item>[]): boolean {
  if (one.length !== other.length) return one.length > other.length;
  return (one[0]?.place ?? 0) < (other[0]?.place ?? 0);
}

function gotten<Value>(map: Map<string, Value>, key: string, made: () => Value): Value {
  const found = map.get(key) ?? made();
  map.set(key, found);
  return found;
}

/** The entry of a map that is before all others. */
function first<Value>(
  map: ReadonlyMap<string, Value>,
  isBefore: (one: Value, other: Value) => boolean,
): [string, Value] {
  return [...map].reduce((best, each) => (isBefore(each[1], best[1]) ? each : best));
}
