import type { HaStatus } from '../api/node-answers.js';
import { OPERATIONS } from '../api/operations.js';
import { httpError } from './errors.js';
import type { HaOrder, Ports } from '../ports.js';
import { jsonRoute, type Route } from './route.js';

/** The pair, and an operator's commands to it. */
export function haRoutes({ node, pair }: Ports): Route[] {
  const status = (): HaStatus => ({ ...pair.status(), degraded: node.health().degraded });
  const order = (operation: typeof OPERATIONS.switchover, give: () => Promise<HaOrder>): Route =>
    jsonRoute(operation, async () => {
      const result = await give();
      if (!result.done) throw httpError('ERR_HTTP_STATE', result.reason);
      return status();
    });
  return [
    jsonRoute(OPERATIONS.ha, status),
    order(OPERATIONS.switchover, () => pair.switchover()),
    order(OPERATIONS.promote, () => pair.promote()),
  ];
}
