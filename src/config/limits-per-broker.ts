/** What is said of limits where several brokers may serve: kept apart, because a check and a start say it alike. */
import { isPostgres } from '../core/postgres-url.js';
import type { Config } from './config.js';
import type { Problem } from './problem.js';

/** Limits of services that each broker counts for itself, in a fleet or on a database (D118). */
export function limitsPerBroker({ broker, titanic, fleet }: Config): Problem[] {
  const limited = broker.services.find(({ running, perSecond, group }) => {
    return [running, perSecond, group?.running, group?.perSecond].some(
      (each) => each !== undefined,
    );
  });
  const isInFleet = fleet.nats.length > 0;
  if (limited === undefined || !(isInFleet || isPostgres(titanic.store))) return [];
  const where = isInFleet ? 'in a fleet' : 'with titanic.store a database';
  const message = `${where} each broker counts for itself: with three brokers, a limit of 10 is at most 30`;
  return [{ place: '', path: 'broker.services', message }];
}
