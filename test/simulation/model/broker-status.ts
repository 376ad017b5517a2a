/** What a simulated broker says of itself. */
import type { BrokerStatus } from '../../../src/wire/mmi-answers.js';

export const STATUS: BrokerStatus = {
  version: '0',
  uptimeMs: 0,
  node: 'simulated',
  role: 'standalone',
  state: 'active',
  epoch: 0,
  limits: {},
  extensions: ['credit', 'hello', 'headers'],
  pairHeartbeatMs: 0,
  http: null,
  publicUrl: null,
  events: null,
  map: null,
};
