/** For `majordomo doctor`: whether the port for subscribers is free. */
import { otherListener } from '../../../cli/diagnosis/checkup/listeners.js';
import type { Config } from '../../../config/config.js';
import type { Finding } from '../../../core/finding.js';

/** @param served whether a broker answers at the listeners of this configuration */
export async function check({ events }: Config, served: boolean): Promise<readonly Finding[]> {
  if (events.listen === null) return [];
  const { endpoint } = events.listen;
  return await otherListener(`events listener ${endpoint}`, 'events.listen', endpoint, served);
}
