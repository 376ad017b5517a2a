/** The part of a world that the clients of a map play, and what is checked of them when the faults are over. */
import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import { isDeletion } from '../../../src/extensions/map/machine/record.js';
import { isReservedKey } from '../../../src/extensions/map/machine/service-keys.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import { dialled } from '../stored/cast.js';
import { PlainMapClient } from './client.js';
import { MapPart, type MapSurroundings } from './part.js';
import { SdkMapClient } from './sdk-client.js';
import type { MapActor, MapHabits } from './writing.js';

const KEYS: readonly string[] = ['a', '/b/1', '/b/2', '/c/1', 'd'];
const SUBTREES = ['', '', '/b/', '/own/', '/none/'] as const;
const OWN_TTLS_S = [1, 2, 3] as const;
const STEP_MS = 100;
/** Clients notice the silence of a node after five seconds, and writers repeat themselves after two. */
const SETTLES_MS = 30_000;
/** An owner's keys are gone this long after their time to live, at the latest. */
const LATE_MS = 1000;
/** Between two nodes: from the offer to the first answer. */
const TAKEOVER_MS = 3000;

export interface MapWorld extends MapSurroundings {
  /** The map may be full. */
  readonly isTight: boolean;
  /** The disks of all nodes; the first is that of the node that serves. */
  disks(): readonly (readonly MapRecord[])[];
  /** Why not all nodes are as they should be; `null`: they are. */
  unsettled(): string | null;
  /** One node takes over from another one, if there are two. */
  takeOver(): void;
}

export class MapStage {
  readonly #world: MapWorld;
  readonly #clients: MapActor[] = [];
  readonly #owners: MapActor[] = [];

  constructor(world: MapWorld, random: SimRandom, startsWithinMs: number) {
    this.#world = world;
    const count = random.int(1, 4);
    for (let index = 0; index < count; index++) {
      const client = this.#add(`m${index}`, random.fork(index));
      world.clock.after(random.int(0, startsWithinMs), () => client.start());
    }
  }

  #add(name: string, random: SimRandom): MapActor {
    const isOwner = random.chance(0.4);
    const key = random.chance(0.5) ? `/own/${name}` : `/b/${name}`;
    const own = isOwner ? { key, ttlS: random.pick(OWN_TTLS_S) } : null;
    const habits: MapHabits = {
      // A writer sees the echoes of what it writes.
      subtree: random.chance(0.3) && own === null ? random.pick(SUBTREES) : '',
      keys: KEYS,
      gapMaxMs: random.pick([20, 200, 1500, Infinity]),
      own,
      stopChance: random.pick([0, 0, 0.02]),
    };
    const reads = habits.subtree === '' ? habits : { ...habits, gapMaxMs: Infinity };
    const Client = random.chance(0.5) ? SdkMapClient : PlainMapClient;
    const role = { name, habits: reads };
    const client = new Client(new MapPart(role, this.#world, random.fork(1), dialled(name)));
    this.#clients.push(client);
    if (own !== null) this.#owners.push(client);
    return client;
  }

  get acknowledged(): number {
    return this.#clients.reduce((sum, client) => sum + client.acknowledged, 0);
  }

  /** The faults are over: all clients have the same, and the keys of those that die end in time. */
  heal(): void {
    for (const client of this.#clients) client.rest(this.#world.isTight);
    this.#until(
      'the clients are not settled',
      SETTLES_MS,
      () =>
        this.#clients
          .map((client) =>
            client.isSynced && (this.#world.isTight || client.isSettled) ? null : client.name,
          )
          .find((name) => name !== null) ?? this.#difference(),
    );
    const [owner] = this.#owners;
    if (owner === undefined) return;
    this.#ownerDies(owner);
  }

  /** A dead owner's key is gone within its time to live, and that again if another node takes over (D51). */
  #ownerDies(owner: MapActor): void {
    const { clock } = this.#world;
    const { own } = owner.habits;
    if (own === null) return;
    this.#clients.splice(this.#clients.indexOf(owner), 1);
    owner.leave();
    const ttlMs = own.ttlS * 1000;
    clock.runUntil(clock.now + ttlMs / 2);
    this.#world.takeOver();
    clock.runUntil(clock.now + TAKEOVER_MS + ttlMs + LATE_MS);
    for (const disk of this.#world.disks()) {
      const isThere = disk.some((record) => record.key === own.key && !isDeletion(record));
      hold(!isThere, `${own.key} is there, although ${owner.name} is dead (D51)`);
    }
    for (const { name, isSynced, values } of this.#clients) {
      const isThere = isSynced && values.has(own.key);
      hold(!isThere, `${name} has ${own.key}, although ${owner.name} is dead (D51)`);
    }
  }

  /** What differs between the nodes and the clients; `null`: nothing. */
  #difference(): string | null {
    const unsettled = this.#world.unsettled();
    if (unsettled !== null) return unsettled;
    const [first = [], ...others] = this.#world.disks();
    const there = shown(first, '');
    for (const disk of others) {
      if (shown(disk, '') !== there) return `the disks differ: ${there} and ${shown(disk, '')}`;
    }
    for (const { name, values, habits } of this.#clients) {
      const right = shown(first, habits.subtree);
      const has = shownPairs(values);
      if (has !== right) return `${name} has ${has}, and the node ${right}`;
    }
    return null;
  }

  #until(what: string, withinMs: number, problem: () => string | null): void {
    const { clock } = this.#world;
    const until = clock.now + withinMs;
    for (let found = problem(); found !== null; found = problem()) {
      hold(clock.now < until, `${what}: ${found}`);
      clock.runUntil(clock.now + STEP_MS);
    }
  }
}

/** Keys and values, without the broker's own. */
function shown(records: readonly MapRecord[], subtree: string): string {
  const there = records.filter((record) => !isDeletion(record) && record.key.startsWith(subtree));
  return shownPairs(there.map(({ key, value }) => [key, String(value)]));
}

function shownPairs(pairs: Iterable<readonly [key: string, value: string]>): string {
  return Array.from(pairs)
    .filter(([key]) => !isReservedKey(key))
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(' ');
}
