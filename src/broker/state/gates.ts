/**
 * Limits of how many requests run at once and how many start per second (D118): a gate for each service, and for each
 * group of a service, that has one. A gate is open while a request may start.
 */
import { IndexedHeap } from '../../core/indexed-heap.js';
import type { MemoryAccount } from '../../core/holdings.js';
import type { RunLimit } from '../options.js';

/** Memory of a gate, and of the group that is kept for it (measured). */
const GATE_BYTES = 300;
/** Maximum number of groups that are kept only until their buckets are full: above it, they are forgotten at once. */
const IDLE_MAX = 100_000;

export class Gate {
  /** The number of the service. */
  readonly service: number;
  /** The bytes of the name of the group, one character per byte; `null`: it is the gate of the service itself. */
  readonly group: string | null;
  limit: RunLimit;
  /** Requests of the service or group that are at workers. */
  running = 0;
  /** When the bucket of starts is full again, in monotonic milliseconds. */
  fullAt: number;
  /** When it is to be told of, with a place in the heap. */
  opensAt = 0;
  /** Nothing starts until then. */
  isTimed = false;
  /** The gate is to be told of, because it may have opened. */
  isListed = false;
  /** Nothing of it waits or runs: it is kept until the bucket is full. */
  isIdle = false;
  /** Whether Titanic waits until something of it may start. */
  isAwaited = false;
  /** Place in the heap; -1: it is in none. */
  place = -1;
  readonly number: number;

  constructor(
    service: number,
    group: string | null,
    number: number,
    limit: RunLimit,
    fullAt: number,
  ) {
    this.service = service;
    this.group = group;
    this.number = number;
    this.limit = limit;
    this.fullAt = fullAt;
  }

  get isOpen(): boolean {
    return !this.isTimed && this.running < this.limit.running;
  }

  /** How many are enough, waiting, that none that may start is waited for: others may run what is more than that. */
  get lookahead(): number {
    const { running, perSecond, burst } = this.limit;
    return Math.min(running, Math.max(burst, Math.ceil(perSecond)));
  }

  /** When the next one may start, as far as the rate goes. */
  get nextStartAt(): number {
    const { perSecond, burst } = this.limit;
    return perSecond === Infinity ? -Infinity : this.fullAt - ((burst - 1) / perSecond) * 1000;
  }

  /** Why nothing of it starts now; `null`: something may. */
  whyShut(now: number): string | null {
    const { running } = this.limit;
    if (running === 0) return 'what operators have limited is still being read from the store';
    if (this.running >= running) return `${this.running} of ${running} run`;
    return this.isTimed ? `next start in ${Math.ceil(Math.max(0, this.opensAt - now))} ms` : null;
  }

  /** How many more may start now. */
  free(now: number): number {
    if (this.isTimed) return 0;
    const { running, perSecond, burst } = this.limit;
    const places = running - this.running;
    if (perSecond === Infinity) return places;
    // A difference of times is not exact.
    const starts = burst - (Math.max(0, this.fullAt - now) / 1000) * perSecond + 1e-6;
    return Math.min(places, Math.floor(starts));
  }
}

export class Gates {
  /** The time of the turn, in monotonic milliseconds. */
  now = 0;
  /** When the broker began to serve. */
  #beganAt = -Infinity;
  /** Until then nothing with a limit of `running` starts: workers may still run what they had before. */
  #unknownUntil = -Infinity;
  /** How long workers have to come back. */
  readonly #spanMs: number;
  readonly #memory: MemoryAccount;
  #idle = 0;
  readonly #byNumber: (Gate | null)[] = [];
  readonly #free: number[] = [];
  readonly #timed = new IndexedHeap({
    before: (a, b) => (this.#at(a)?.opensAt ?? 0) < (this.#at(b)?.opensAt ?? 0),
    moved: (number, place) => {
      const gate = this.#at(number);
      if (gate !== null) gate.place = place;
    },
  });
  #changed: Gate[] = [];

  /** @param memory of the node itself */
  constructor(spanMs: number, memory: MemoryAccount) {
    this.#spanMs = spanMs;
    this.#memory = memory;
  }

  /** The broker serves from now on. What its workers run is not known yet, and the buckets are empty. */
  begin(now: number): void {
    this.now = now;
    this.#beganAt = now;
    this.#unknownUntil = now + this.#spanMs;
    for (const gate of this.#byNumber) {
      if (gate === null) continue;
      gate.fullAt = Math.max(gate.fullAt, this.#firstFullAt(gate.limit));
      this.#time(gate);
    }
  }

  /** Whether workers may run what this broker does not know yet. */
  areUnknown(now: number): boolean {
    return now < this.#unknownUntil;
  }

  add(service: number, group: string | null, limit: RunLimit): Gate {
    const number = this.#free.pop() ?? this.#byNumber.length;
    const gate = new Gate(service, group, number, limit, this.#firstFullAt(limit));
    this.#byNumber[number] = gate;
    this.#memory.add('requests', GATE_BYTES);
    this.#time(gate);
    return gate;
  }

  remove(gate: Gate): void {
    this.#untime(gate);
    this.#idles(gate, false);
    this.#memory.add('requests', -GATE_BYTES);
    this.#byNumber[gate.number] = null;
    this.#free.push(gate.number);
  }

  /** Sets another limit. What runs is to be counted again; starts that were taken come back at the new rate. */
  change(gate: Gate, limit: RunLimit): void {
    const { perSecond } = gate.limit;
    const perStart = 1000 / limit.perSecond;
    const takenMs =
      perSecond === Infinity ? 0 : (gate.fullAt - this.now) * (perSecond / limit.perSecond);
    gate.limit = limit;
    gate.running = 0;
    gate.fullAt = Math.max(
      this.#firstFullAt(limit),
      this.now + Math.min(takenMs, limit.burst * perStart),
    );
    this.#time(gate);
    this.#list(gate);
  }

  /** A request of it is sent to a worker. */
  started(gate: Gate): void {
    gate.running++;
    const { perSecond } = gate.limit;
    if (perSecond === Infinity) return;
    gate.fullAt = Math.max(gate.fullAt, this.now) + 1000 / perSecond;
    this.#time(gate);
  }

  /** A delivery of it has ended. */
  ended(gate: Gate): void {
    this.runs(gate, -1);
  }

  /** Workers run so many more of it, or fewer. */
  runs(gate: Gate, more: number): void {
    gate.running += more;
    this.#list(gate);
  }

  /** At most so many of those that may have opened since the last turn. */
  take(now: number, most: number): readonly Gate[] {
    this.now = now;
    while (this.#changed.length < most) {
      const gate = this.#at(this.#timed.peek());
      if (gate === null || gate.opensAt > now) break;
      this.#untime(gate);
      this.#list(gate);
    }
    if (this.#changed.length === 0) return this.#changed;
    const taken = this.#changed.splice(0, most);
    for (const gate of taken) gate.isListed = false;
    return taken.filter((gate) => this.#at(gate.number) === gate);
  }

  /** Whether starts were taken from the bucket of a gate that have not come back yet. */
  isUsed(gate: Gate): boolean {
    return gate.limit.perSecond < Infinity && gate.fullAt > this.now;
  }

  /** Nothing of the gate waits or runs: it is told of when its bucket is full. @returns false: it is not kept */
  keepIdle(gate: Gate): boolean {
    if (!this.isUsed(gate) || (!gate.isIdle && this.#idle >= IDLE_MAX)) return false;
    this.#idles(gate, true);
    this.#time(gate);
    return true;
  }

  #idles(gate: Gate, isIdle: boolean): void {
    if (gate.isIdle !== isIdle) this.#idle += isIdle ? 1 : -1;
    gate.isIdle = isIdle;
  }

  /** When a gate may next open by itself, in monotonic milliseconds; Infinity for never. */
  nextDueAt(): number {
    if (this.#changed.length > 0) return -Infinity;
    const number = this.#timed.peek();
    return number < 0 ? Infinity : (this.#at(number)?.opensAt ?? Infinity);
  }

  /** A gate that was kept until its bucket is full is used again. */
  reopen(gate: Gate): void {
    this.#idles(gate, false);
    this.#time(gate);
  }

  /** Has it shut until the time from which the next one may start; an idle one is told of when its bucket is full, too. */
  #time(gate: Gate): void {
    this.#untime(gate);
    const hasSpan = gate.limit.running < Infinity;
    const at = Math.max(gate.nextStartAt, hasSpan ? this.#unknownUntil : -Infinity);
    gate.isTimed = at > this.now;
    if (!gate.isTimed && !(gate.isIdle && this.isUsed(gate))) return;
    gate.opensAt = gate.isTimed ? at : gate.fullAt;
    this.#timed.push(gate.number);
  }

  #untime(gate: Gate): void {
    if (gate.place >= 0) this.#timed.removeAt(gate.place);
    gate.isTimed = false;
  }

  #list(gate: Gate): void {
    if (gate.isListed) return;
    gate.isListed = true;
    this.#changed.push(gate);
  }

  /** A bucket that nothing was taken from was empty when the broker began to serve. */
  #firstFullAt({ perSecond, burst }: RunLimit): number {
    return perSecond === Infinity ? -Infinity : this.#beganAt + (burst / perSecond) * 1000;
  }

  #at(number: number): Gate | null {
    return this.#byNumber[number] ?? null;
  }
}
