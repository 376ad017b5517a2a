/** Plain requests between brokers, over NATS (`fleet.nats`). */
import type { Extension } from '../../node/extension.js';
import { FLEET_LINES } from './lines.js';

export const fleet: Extension = {
  name: 'fleet',
  lines: FLEET_LINES,
  check: async (config) => {
    const { check } = await import('./checkup.js');
    return await check(config);
  },
  attach: async (host) => {
    const { FleetHost } = await import('./host.js');
    return new FleetHost(host);
  },
};
