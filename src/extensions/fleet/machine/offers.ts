/** What this broker offers others: the credit that workers here have left, by service (D83). */
import { ownCopy } from '../../../core/bytes.js';
import { type FleetCredit, offerEntry } from './codec.js';
import type { FleetOffer } from './protocol.js';
import { FOLLOW_MS, OFFER_MS, PACK_BYTES, SERVICES_MAX } from './options.js';

interface Offered {
  readonly service: Buffer;
  /** When the service was last asked for, or used. */
  wantedAt: number;
  /** The level that was last told. */
  level: number;
}

/** The level of the credit left, 0 to 3: none, below a quarter, below half, more; -1: there are no workers. */
function levelOf({ free, total }: FleetCredit): number {
  if (total === 0) return -1;
  if (free === 0) return 0;
  if (free * 4 < total) return 1;
  return free * 2 < total ? 2 : 3;
}

export class Offers {
  /** Offers by service, one character per byte. */
  readonly #offered = new Map<string, Offered>();
  #sentAt = -Infinity;

  /** Another broker asks for the service, or uses it. */
  wanted(service: Buffer, now: number): void {
    const name = service.toString('latin1');
    const known = this.#offered.get(name);
    if (known !== undefined) known.wantedAt = now;
    else if (this.#offered.size < SERVICES_MAX) {
      this.#offered.set(name, { service: ownCopy(service), wantedAt: now, level: -2 });
    }
  }

  /** Notes what another broker was told that the service can take now: if it rises from there, all are told. */
  stated(service: Buffer, credit: FleetCredit): void {
    const known = this.#offered.get(service.toString('latin1'));
    if (known !== undefined) known.level = Math.min(known.level, levelOf(credit));
  }

  /**
   * Offers whose level has changed since they were told, at most every 100 ms.
   * @param send publishes an entry to those who follow
   */
  run(
    now: number,
    credit: (service: Buffer) => FleetCredit,
    bytes: number,
    send: (entry: Buffer) => void,
  ): void {
    if (now < this.#sentAt + OFFER_MS || this.#offered.size === 0) return;
    let changed: FleetOffer[] = [];
    let size = 0;
    const end = (): void => {
      if (changed.length > 0) send(offerEntry(changed));
      changed = [];
      size = 0;
    };
    for (const [name, offered] of this.#offered) {
      const { service, wantedAt, level } = offered;
      if (wantedAt + FOLLOW_MS <= now) {
        this.#offered.delete(name);
        continue;
      }
      const left = credit(service);
      const reached = levelOf(left);
      if (reached === level) continue;
      offered.level = reached;
      this.#sentAt = now;
      changed.push({ service, ...left, bytes });
      size += service.length + 13;
      if (size > PACK_BYTES / 2) end();
    }
    end();
  }

  /** Monotonic milliseconds; Infinity: never. */
  nextDueAt(now: number): number {
    return this.#offered.size === 0
      ? Infinity
      : Math.max(now + 1, this.#sentAt + OFFER_MS, now + OFFER_MS / 2);
  }
}
