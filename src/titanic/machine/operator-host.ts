import type { TitanicContext } from './context.js';
import type { OpenRequests } from './open-requests.js';
import type { Schedule } from './schedule-table.js';

/** What the commands of operators (operator/operator.ts) use of the machine. */
export interface OperatorHost {
  readonly context: TitanicContext;
  /** The open requests of the present activation. */
  readonly requests: OpenRequests;
  /** Those that this node knows, in no order: none while it is not active. */
  schedules(): Iterable<Schedule>;
}
