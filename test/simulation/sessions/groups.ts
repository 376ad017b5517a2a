/** What a process of a broker starts of each group (D118), counted from what goes in and out, not from the machine's state. */
import type { RunLimit, ServiceLimits } from '../../../src/broker/options.js';
import { hold } from '../world/failure.js';

const SERVICE = '*';
const NO_LIMIT: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };
/** Sums of fractions of milliseconds are not exact. */
const ABOUT = 1e-6;

/** The name of a request tells its group; empty: it is of none. */
export function groupOf(name: string): string {
  return name.split('@')[1] ?? '';
}

export function limitOf(limits: ServiceLimits | null, group: string | null): RunLimit {
  if (group === '') return NO_LIMIT;
  return (group === null ? limits?.service : limits?.group) ?? NO_LIMIT;
}

interface Bucket {
  starts: number;
  at: number;
}

export class GroupWatch {
  readonly #limits: ServiceLimits | null;
  #now = 0;
  #beganAt = 0;
  /** Counts what happens, to tell what came before what. */
  #order = 0;
  readonly #arrived = new Map<string, { readonly first: number; last: number }>();
  readonly #delivered = new Set<string>();
  readonly #out = new Map<string, number>();
  readonly #buckets = new Map<string, Bucket>();
  /** When requests of each group were dispatched. */
  readonly #turns = new Map<string, number[]>();
  /** When nothing of each group might start, the last time. */
  readonly #shutAt = new Map<string, number>();
  /** Of those of each group that were dispatched: the last arrival. */
  readonly #newest = new Map<string, number>();

  readonly #spanMs: number;

  /** @param spanMs from the begin, when nothing that has a limit of what runs starts */
  constructor(limits: ServiceLimits | null, spanMs: number) {
    this.#limits = limits;
    this.#spanMs = spanMs;
  }

  /** The broker is reachable: its buckets are empty. */
  begins(now: number): void {
    this.#now = now;
    this.#beganAt = now;
    this.#buckets.clear();
  }

  passes(now: number): void {
    this.#now = Math.max(this.#now, now);
  }

  arrives(name: string): void {
    const order = ++this.#order;
    const group = groupOf(name);
    if (!this.#turns.has(group)) this.#turns.set(group, []);
    const known = this.#arrived.get(name);
    if (known === undefined) this.#arrived.set(name, { first: order, last: order });
    else known.last = order;
  }

  starts(name: string): void {
    const group = groupOf(name);
    const arrival = this.#arrived.get(name);
    this.#checkLimit(SERVICE, limitOf(this.#limits, null));
    this.#checkLimit(group, limitOf(this.#limits, group));
    if (arrival !== undefined && !this.#delivered.has(name)) {
      const newest = this.#newest.get(group) ?? 0;
      hold(newest <= arrival.last, `${name} starts out of order`);
      this.#newest.set(group, Math.max(newest, arrival.first));
      this.#checkTurns(group, arrival.last);
    }
    this.#delivered.add(name);
    for (const key of [SERVICE, group]) this.#count(key, 1);
    const order = ++this.#order;
    this.#turns.set(group, [...(this.#turns.get(group) ?? []), order]);
    for (const each of this.#turns.keys()) if (this.#isShut(each)) this.#shutAt.set(each, order);
  }

  ended(name: string): void {
    for (const key of [SERVICE, groupOf(name)]) this.#count(key, -1);
  }

  #count(key: string, more: number): void {
    this.#out.set(key, (this.#out.get(key) ?? 0) + more);
  }

  #checkLimit(key: string, { running, perSecond }: RunLimit): void {
    if (running < Infinity) {
      const out = this.#out.get(key) ?? 0;
      hold(out < running, `${out + 1} of ${key} are out, of which ${running} may`);
      const sinceMs = this.#now - this.#beganAt;
      hold(sinceMs >= this.#spanMs, `one of ${key} starts ${sinceMs} ms after the broker`);
    }
    if (perSecond === Infinity) return;
    const bucket = this.#bucket(key);
    hold(bucket.starts >= 1 - ABOUT, `one of ${key} starts with ${bucket.starts} in its bucket`);
    bucket.starts--;
  }

  #bucket(key: string): Bucket {
    const bucket = this.#buckets.get(key) ?? { starts: 0, at: this.#beganAt };
    const { perSecond, burst } = limitOf(this.#limits, key === SERVICE ? null : key);
    bucket.starts = Math.min(burst, bucket.starts + ((this.#now - bucket.at) / 1000) * perSecond);
    bucket.at = this.#now;
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #isShut(group: string): boolean {
    const { perSecond } = limitOf(this.#limits, group);
    return perSecond < Infinity && this.#bucket(group).starts < 1 + ABOUT;
  }

  /** Since it waits, each other group had one turn at most. What workers say is not known here. */
  #checkTurns(group: string, arrivedAt: number): void {
    if (limitOf(this.#limits, group).running < Infinity) return;
    const lastTurn = this.#turns.get(group)?.at(-1) ?? 0;
    const since = Math.max(arrivedAt, lastTurn, this.#shutAt.get(group) ?? 0);
    for (const [other, turns] of this.#turns) {
      if (other === group) continue;
      const count = turns.filter((at) => at > since).length;
      hold(count <= 1, `${group} waits while ${other} has ${count} turns`);
    }
  }
}
