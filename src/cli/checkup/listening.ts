/** Listens to a running broker: whom does it refuse? */
import { messageOf } from '../../core/errors.js';
import type { AdminClient } from '../admin-client.js';
import { type Finding, problem } from '../../core/finding.js';
import { NAME, refusals } from './refusals.js';

/**
 * @param client of the broker that this configuration is for
 * @param seconds how long to listen
 */
export async function listening(
  client: () => Promise<AdminClient>,
  seconds: number,
): Promise<readonly Finding[]> {
  try {
    const stream = await (await client()).listen('/api/v1/events', seconds * 1000);
    return refusals(stream, seconds);
  } catch (error) {
    const remedy = 'start the broker, with http.listen, or name it with --admin';
    return [problem(NAME, messageOf(error), remedy)];
  }
}
