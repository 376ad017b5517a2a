/** For `majordomo doctor`: whether the three ports of the map are free. */
import { otherListener } from '../../../cli/diagnosis/checkup/listeners.js';
import type { Config } from '../../../config/config.js';
import { parseEndpoint } from '../../../config/endpoint.js';
import type { Finding } from '../../../core/finding.js';

/** @param served whether a broker answers at the listeners of this configuration */
export async function check({ map }: Config, served: boolean): Promise<readonly Finding[]> {
  const parsed = map.listen === null ? null : parseEndpoint(map.listen.endpoint);
  if (parsed?.ok !== true || parsed.value.scheme !== 'tcp') return [];
  const { host, port } = parsed.value;
  const found = await Promise.all(
    [0, 1, 2].map((above) => {
      const endpoint = `tcp://${host}:${port === 0 ? 0 : port + above}`;
      return otherListener(`map listener ${endpoint}`, 'map.listen', endpoint, served);
    }),
  );
  return port === 0 ? (found[0] ?? []) : found.flat();
}
