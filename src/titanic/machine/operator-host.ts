import type { ServiceCount, RequestUuid, StoreCounts } from '../../store/store.js';
import type { Dispatcher } from './dispatcher.js';
import type { TitanicEvents } from './events.js';
import type { ChangeCallback } from './open-requests.js';
import type { Schedule } from './schedule-table.js';

/** What the commands of operators (operator/operator.ts) use of the machine. */
export interface OperatorHost {
  /** The current one. */
  readonly dispatcher: Dispatcher;
  readonly events: TitanicEvents;
  counts(): StoreCounts;
  /** Services that have something in the store. */
  services(): Iterable<ServiceCount>;
  /** Those that this node knows, in no order: none while it is not active. */
  schedules(): Iterable<Schedule>;
  /** Milliseconds since 1970. */
  wall(): number;
  /** Monotonic milliseconds. */
  now(): number;
  /** Why the store accepts no change now, or `null`. */
  obstacle(): string | null;
  close(uuid: RequestUuid, decided: ChangeCallback): void;
  /** Other brokers use the store, too: what this one has not claimed, they may have. */
  readonly isShared: boolean;
  closeUnclaimed(uuid: RequestUuid, decided: ChangeCallback): void;
  reopen(uuid: RequestUuid, generation: number, decided: ChangeCallback): void;
}
