/** The search through every state that can be reached, and what must hold in each. */

import { messageOf } from '../../src/core/errors.js';
import { factsAtStart, type Persisted } from '../../src/bstar/facts.js';
import type { Fsm, FsmSink } from '../../src/bstar/fsm.js';
import { type Action, dueActions, faults, NAMES, timeouts, traffic, votes } from './actions.js';
import { Codec } from './codec.js';
import { type Budget, type Side, World, type WorldState } from './world.js';

export interface Bound extends Budget {
  readonly requests: number;
  /** States after which it stops without having seen all. */
  readonly statesMax: number;
  /** Of so many states one is healed, and has to come to a good end. */
  readonly healOneOf: number;
}

export interface Finding {
  readonly what: string;
  /** What happened, from the start on. */
  readonly path: readonly string[];
}

export interface Result {
  readonly states: number;
  readonly steps: number;
  readonly healed: number;
  readonly isComplete: boolean;
  readonly finding: Finding | null;
}

export type MakeFsm = (side: Side, sink: FsmSink) => Fsm;

/** Hashes of states that were seen: two 32-bit halves, open addressing; grows. */
class Seen {
  #table = new Uint32Array(2 * (1 << 16));
  #count = 0;

  /** Returns true if it is new. */
  add(low: number, high: number): boolean {
    // (0, 0) marks a free place.
    const a = low === 0 && high === 0 ? 1 : low;
    if (!insert(this.#table, a, high)) return false;
    if (++this.#count * 3 > this.#table.length) this.#grow();
    return true;
  }

  #grow(): void {
    const bigger = new Uint32Array(this.#table.length * 2);
    for (let at = 0; at < this.#table.length; at += 2) {
      const low = this.#table[at] ?? 0;
      const high = this.#table[at + 1] ?? 0;
      if (low !== 0 || high !== 0) insert(bigger, low, high);
    }
    this.#table = bigger;
  }
}

function insert(table: Uint32Array, low: number, high: number): boolean {
  const mask = table.length / 2 - 1;
  for (let place = (low ^ (high >>> 7)) & mask; ; place = (place + 1) & mask) {
    const there = table[2 * place];
    const thereHigh = table[2 * place + 1];
    if (there === low && thereHigh === high) return false;
    if (there === 0 && thereHigh === 0) {
      table[2 * place] = low;
      table[2 * place + 1] = high;
      return true;
    }
  }
}

/** States in the order in which they were found, each with where it came from. */
class States {
  readonly #pages: Uint8Array[] = [];
  #used = PAGE_BYTES;
  #starts = new Float64Array(1 << 12);
  #parents = new Uint32Array(1 << 12);
  #actions = new Uint8Array(1 << 12);
  count = 0;

  add(bytes: Uint8Array, parent: number, action: number): void {
    if (this.#used + bytes.length + 1 > PAGE_BYTES) {
      this.#pages.push(new Uint8Array(PAGE_BYTES));
      this.#used = 0;
    }
    if (this.count === this.#parents.length) this.#grow();
    const page = this.#pages.at(-1);
    page?.set([bytes.length], this.#used);
    page?.set(bytes, this.#used + 1);
    this.#starts[this.count] = (this.#pages.length - 1) * PAGE_BYTES + this.#used;
    this.#parents[this.count] = parent;
    this.#actions[this.count] = action;
    this.#used += bytes.length + 1;
    this.count++;
  }

  bytes(index: number): Uint8Array {
    const start = this.#starts[index] ?? 0;
    const page = this.#pages[Math.floor(start / PAGE_BYTES)] ?? new Uint8Array();
    const at = start % PAGE_BYTES;
    return page.subarray(at + 1, at + 1 + (page[at] ?? 0));
  }

  /** The numbers of the actions that led there, and the states they were taken in. */
  way(index: number): { readonly from: number; readonly action: number }[] {
    const way = [];
    for (let at = index; at > 0; at = this.#parents[at] ?? 0) {
      way.unshift({ from: this.#parents[at] ?? 0, action: this.#actions[at] ?? 0 });
    }
    return way;
  }

  #grow(): void {
    const size = this.count * 2;
    this.#starts = grown(this.#starts, new Float64Array(size));
    this.#parents = grown(this.#parents, new Uint32Array(size));
    this.#actions = grown(this.#actions, new Uint8Array(size));
  }
}

const PAGE_BYTES = 1 << 22;

function grown<T extends Float64Array | Uint32Array | Uint8Array>(old: T, bigger: T): T {
  bigger.set(old);
  return bigger;
}

const FRESH: Persisted = { epoch: 0, wasActive: false };

function start({ requests, statesMax: _s, healOneOf: _h, ...left }: Bound): WorldState {
  const node = (): WorldState['nodes'][0] => ({
    standing: 'down',
    disk: FRESH,
    facts: factsAtStart(FRESH),
    steps: Array.from({ length: requests }, () => 0),
    flight: null,
    merging: null,
    isProbing: false,
  });
  return {
    nodes: [node(), node()],
    queues: [[], []],
    stalled: [false, false],
    shown: Array.from({ length: requests }, () => ({
      isSubmitted: false,
      isCloseSent: false,
      any: 0,
      safe: 0,
    })),
    acted: [0, 0],
    left,
    isHurt: false,
    isTorn: false,
  };
}

function actionsOf(world: World): Action[] {
  return [
    ...dueActions(world),
    ...timeouts(world),
    ...votes(world),
    ...traffic(world),
    ...faults(world),
  ];
}

/** Breadth first, so that what is found is found on a shortest way. */
export function search(bound: Bound, makeFsm: MakeFsm, isTrusting = false): Result {
  const codec = new Codec(bound.requests);
  const world = new World(makeFsm, isTrusting);
  const seen = new Seen();
  const states = new States();
  let steps = 0;
  let healed = 0;
  const note = (parent: number, action: number): void => {
    const bytes = codec.encode(world.state);
    const { low, high } = hash(bytes);
    if (seen.add(low, high)) states.add(bytes, parent, action);
  };
  world.load(start(bound));
  note(0, 0);
  for (let index = 0; index < states.count; index++) {
    if (states.count > bound.statesMax) {
      return { states: states.count, steps, healed, isComplete: false, finding: null };
    }
    const bytes = states.bytes(index);
    world.load(codec.decode(bytes));
    const actions = actionsOf(world);
    for (const [number, action] of actions.entries()) {
      world.load(codec.decode(bytes));
      steps++;
      try {
        action.run(world);
        world.check();
      } catch (error) {
        const finding = {
          what: text(error),
          path: [...tell(states, index, codec, world), action.name],
        };
        return { states: states.count, steps, healed, isComplete: false, finding };
      }
      note(index, number);
    }
    if (index % bound.healOneOf !== 0) continue;
    healed++;
    world.load(codec.decode(bytes));
    const failure = heal(world, null) ?? healWithout(world, codec, bytes);
    if (failure === null) continue;
    const finding = {
      what: failure.what,
      path: [...tell(states, index, codec, world), ...failure.path],
    };
    return { states: states.count, steps, healed, isComplete: false, finding };
  }
  return { states: states.count, steps, healed, isComplete: true, finding: null };
}

function text(error: unknown): string {
  return messageOf(error);
}

function tell(states: States, index: number, codec: Codec, world: World): string[] {
  return states.way(index).map(({ from, action }) => {
    world.load(codec.decode(states.bytes(from)));
    return actionsOf(world)[action]?.name ?? '?';
  });
}

// ---------------------------------------------------------------- healing

const HEALING_STEPS_MAX = 400;

/**
 * No more faults, everybody runs, clients ask: exactly one has to serve, with its peer in sync and
 * all that was ever shown in both stores. Returns what is wrong.
 * @param missing a node that stays away: then the other one has to serve alone
 */
function heal(world: World, missing: Side | null): Finding | null {
  const path: string[] = [];
  const take = (action: Action): void => {
    path.push(action.name);
    action.run(world);
    world.check();
  };
  try {
    for (const action of faults(world)) {
      const isOfMissing = missing !== null && action.name.startsWith(NAMES[missing]);
      if (!isOfMissing && /healed|starts|goes on/.test(action.name)) take(action);
    }
    for (let step = 0; step < HEALING_STEPS_MAX; step++) {
      const action = dueActions(world)[0] ?? timeouts(world)[0];
      if (action !== undefined) take(action);
      else if (!votes(world).some((vote) => isCounted(world, vote, path))) break;
    }
    const wrong = missing === null ? wrongAtTheEnd(world) : wrongWithout(world, missing);
    return wrong === null ? null : { what: `after healing: ${wrong}`, path };
  } catch (error) {
    return { what: `while healing: ${text(error)}`, path };
  }
}

/** Takes a client's vote; false if it changed nothing. */
function isCounted(world: World, vote: Action, path: string[]): boolean {
  const before = world.state.nodes.map(({ facts }) => facts.writing);
  vote.run(world);
  if (world.state.nodes.every(({ facts }, side) => facts.writing === before[side])) return false;
  path.push(vote.name);
  return true;
}

/** A node whose peer is down for good. */
function healWithout(world: World, codec: Codec, bytes: Uint8Array): Finding | null {
  world.load(codec.decode(bytes));
  const missing = ([0, 1] as const).find((side) => world.state.nodes[side].standing === 'down');
  return missing === undefined ? null : heal(world, missing);
}

function wrongAtTheEnd(world: World): string | null {
  const { nodes, shown } = world.state;
  const serving = ([0, 1] as const).filter((side) => world.isServing(side));
  if (serving.length !== 1) return `${serving.length} serve`;
  const side = serving[0] ?? 0;
  if (!world.fsms[side].isInSync) return 'the peer is not in sync';
  for (const [request, { any }] of shown.entries()) {
    const steps = nodes.map((node) => node.steps[request] ?? 0);
    if (steps[0] !== steps[1]) return `request ${request} is at steps ${steps.join(' and ')}`;
    if ((steps[0] ?? 0) < any) return `request ${request} was shown at ${any}, is at ${steps[0]}`;
  }
  return null;
}

function wrongWithout(world: World, missing: Side): string | null {
  const side = missing === 0 ? 1 : 0;
  const { facts, flight } = world.state.nodes[side];
  // D21: it does not know what the other one did.
  if (side === 1 && facts.state === 'waiting' && !facts.wasActive) return null;
  if (!world.isServing(side)) return `alone, the ${NAMES[side]} does not serve`;
  return flight === null ? null : `alone, the ${NAMES[side]} never answers`;
}

/** Taken once: in Jest's virtual machine a global is dear, and this one is wanted for every byte. */
const { imul } = Math;

/** FNV-1a, twice: 64 bits together. */
function hash(bytes: Uint8Array): { readonly low: number; readonly high: number } {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (const byte of bytes) {
    low = imul(low ^ byte, 0x01000193);
    high = imul(high ^ byte, 0x85ebca6b) ^ (high >>> 15);
  }
  return { low: low >>> 0, high: high >>> 0 };
}
