/** What a process of a node starts within the limits of its services (D118), counted from what goes in and out. */
import type { BrokerEvent } from '../../../src/broker/broker-events.js';
import type { RunLimit, ServiceLimits } from '../../../src/broker/options.js';
import type { Intent } from '../model/intent.js';
import { GroupWatch } from '../sessions/groups.js';
import type { SimRandom } from '../world/random.js';

const FREE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };
const ONE_EACH: ServiceLimits = {
  service: null,
  group: { ...FREE, running: 1 },
  holds: false,
};
const LIMITS: readonly [ServiceLimits, ...ServiceLimits[]] = [
  ONE_EACH,
  { ...ONE_EACH, holds: true },
  { ...ONE_EACH, service: { ...FREE, running: 2 } },
  { ...ONE_EACH, group: { ...FREE, perSecond: 10, burst: 2 } },
  { service: { ...FREE, perSecond: 20 }, group: null, holds: false },
];
const GROUPS = ['', 'a', 'b'];

export function limitsOf(random: SimRandom): ServiceLimits | null {
  return random.chance(0.5) ? random.pick(LIMITS) : null;
}

/** The same limits, which hold nothing after the first moments of a broker. */
export function loosened(limits: ServiceLimits | null): ServiceLimits | null {
  if (limits === null) return null;
  const loose = (limit: RunLimit | null): RunLimit | null => limit && { ...FREE, running: 1000 };
  return { ...limits, service: loose(limits.service), group: loose(limits.group) };
}

/** The group of a client's durable request, by the request's name; empty: it has none. */
export function groupOfJob(name: string): string {
  const number = /^c[0-9]+j([0-9]+)/.exec(name)?.[1];
  return number === undefined ? '' : (GROUPS[Number(number) % GROUPS.length] ?? '');
}

interface Out {
  readonly peer: number;
  readonly name: string;
  readonly service: GroupWatch;
}

export class LimitWatch {
  readonly #limits: ServiceLimits | null;
  readonly #spanMs: number;
  readonly #services = new Map<string, GroupWatch>();
  readonly #out = new Map<string, Out>();
  /** The services of registered workers, by their connections. */
  readonly #serviceOf = new Map<number, string>();
  readonly #peerOf = new Map<number, number>();
  #reading = -1;
  #now = 0;
  #beganAt = 0;

  constructor(limits: ServiceLimits | null, spanMs: number) {
    this.#limits = limits;
    this.#spanMs = spanMs;
  }

  begins(now: number): void {
    this.#beganAt = now;
    this.#now = now;
    for (const service of this.#services.values()) service.begins(now);
  }

  passes(now: number): void {
    this.#now = now;
  }

  heard(peer: number, intent: Intent): void {
    this.#reading = peer;
    const { kind } = intent;
    if (kind !== 'final' && kind !== 'fail' && kind !== 'return') return;
    if (this.#out.get(intent.token)?.peer === peer) this.#ends(intent.token);
  }

  told(event: BrokerEvent): void {
    if (event.name === 'worker.registered') {
      this.#peerOf.set(event.worker, this.#reading);
      this.#serviceOf.set(this.#reading, event.service);
    }
    if (event.name !== 'worker.lost') return;
    const peer = this.#peerOf.get(event.worker);
    this.#peerOf.delete(event.worker);
    for (const [token, each] of this.#out) if (each.peer === peer) this.#ends(token);
  }

  delivered(key: string, peer: number, token: string): void {
    const service = this.#watchOf(this.#serviceOf.get(peer) ?? '');
    const name = `${key}@${groupOfJob(key)}`;
    service.passes(this.#now);
    service.starts(name);
    this.#out.set(token, { peer, name, service });
  }

  #ends(token: string): void {
    const out = this.#out.get(token);
    this.#out.delete(token);
    out?.service.ended(out.name);
  }

  #watchOf(name: string): GroupWatch {
    let service = this.#services.get(name);
    if (service === undefined) {
      service = new GroupWatch(this.#limits, this.#spanMs);
      service.begins(this.#beganAt);
      this.#services.set(name, service);
    }
    return service;
  }
}
