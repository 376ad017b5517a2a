import type { FireCallback } from './schedules/schedules.js';
import type { GroupRule, ServiceWorkers } from '../../broker/ports.js';
import type { WrittenLimits } from '../../core/run-limits.js';
import type { TitanicContext } from './requests/context.js';
import type { ChangeCallback, OpenRequests } from './requests/open-requests.js';
import type { PauseTarget } from './schedules/pauses.js';
import type { Schedule } from './schedules/schedule-table.js';
import type { RequestUuid } from '../../store/store.js';

/** What the commands of operators (operator/operator.ts) use of the machine. */
export interface OperatorHost {
  readonly context: TitanicContext;
  /** The open requests of the present activation. */
  readonly requests: OpenRequests;
  /** The schedules that this node knows, in no order: none while it is not active. */
  schedules(): Iterable<Schedule>;
  /** The schedule with this uuid, or `null`. */
  schedule(uuid: RequestUuid): Schedule | null;
  /** See `Schedules.fire`. */
  fire(uuid: RequestUuid, decided: FireCallback): void;
  isPaused(target: PauseTarget): boolean;
  /** See `DeliveryPort.workersOf`. */
  workersOf(service: Buffer): ServiceWorkers;
  /** See `DeliveryPort.groupRule`. */
  groupRule(service: Buffer): GroupRule | null;
  /** See `DeliveryPort.whyHeld`. */
  whyHeld(service: Buffer, group: Buffer): string | null;
  /** See `Pauses.set`. */
  setPaused(target: PauseTarget, isOn: boolean, decided: ChangeCallback): void;
  /** See `OperatorLimits.set`. */
  setLimits(
    service: Buffer,
    written: WrittenLimits | null,
    by: string,
    decided: ChangeCallback,
  ): void;
}
