/** Plain requests between brokers, over NATS (`fleet.nats`). */
import type { Extension } from '../../node/extension.js';
import { FLEET_EVENTS } from './machine/fleet-events.js';

export const fleet: Extension = {
  name: 'fleet',
  events: FLEET_EVENTS,
  check: async (config) => {
    const { check } = await import('./checkup.js');
    return await check(config);
  },
  attach: async (host) => {
    const { FleetHost } = await import('./host.js');
    return new FleetHost(host);
  },
};
