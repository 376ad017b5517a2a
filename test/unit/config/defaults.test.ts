import { totalmem } from 'node:os';

import { loadConfig } from '../../../src/config/io/load.js';
import { SECTIONS } from '../../../src/config/schema-data.js';
import { load, OPEN } from './support.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const DAY_MS = 86_400_000;

/** The table of the contract; `broker.transport` is the one engine of this version. */
const TABLE = {
  node: { name: 'here', dataDir: './data' },
  broker: {
    listen: [{ endpoint: 'tcp://127.0.0.1:5555', ...OPEN }],
    transport: 'zmtp',
    heartbeatIntervalMs: 2500,
    heartbeatLiveness: 3,
    requestTtlMs: 60_000,
    busyTimeoutMs: 600_000,
    resumeMs: 10_000,
    services: [],
    maxDeliveries: 3,
  },
  limits: {
    messageBytes: 16 * MIB,
    frames: 256,
    services: 10_000,
    workers: 10_000,
    queuedRequests: 1_000_000,
    queuedBytes: GIB,
    outputBytes: 64 * MIB,
    connections: 10_000,
    queuedRequestsPerService: 100_000,
    mapBytes: 256 * MIB,
    memoryBytes: GIB,
    perPeer: { share: 0.875 },
    quotas: {},
  },
  titanic: {
    enabled: true,
    file: 'titanic.db',
    store: 'sqlite',
    storePasswordFile: null,
    storeTimeoutMs: 2000,
    replication: 'off',
    maxAttempts: 10,
    retryBaseMs: 500,
    retryMaxMs: 60_000,
    replyTtlMs: 7 * DAY_MS,
    requestTtlMs: 7 * DAY_MS,
    keyTtlMs: DAY_MS,
    maxInFlight: 1000,
    inFlightBytes: 256 * MIB,
    maxOpen: 10_000_000,
    maxBytes: 64 * GIB,
    showBodies: false,
  },
  fleet: { nats: [], natsCredsFile: null, name: 'default', insecure: false, leaseMs: 10_000 },
  bstar: {
    role: 'standalone',
    pair: 'default',
    listen: null,
    peer: null,
    heartbeatIntervalMs: 1000,
    curve: null,
  },
  events: { listen: null },
  map: { listen: null },
  http: {
    listen: '127.0.0.1:5580',
    token: null,
    tokens: [],
    readToken: null,
    requireToken: false,
    trustedUserHeader: null,
    trustedProxies: [],
    webhookHosts: null,
    webhookSecretFile: null,
    tls: null,
    idleTimeoutMs: 75_000,
    insecure: false,
    publicUrl: null,
  },
  metrics: { services: 1000 },
  log: { level: 'info', format: 'auto' },
  security: { authorize: null },
  shutdown: { graceMs: 10_000 },
};

describe('the defaults', () => {
  it('are those of the contract, every key and no other', () => {
    expect(load({}).config).toEqual(TABLE);
  });

  it('hold for an empty file, for one of comments, and for sections without keys', () => {
    for (const text of ['', '# nothing\n', '---\n', '{}', 'broker:\nlimits:\n  # frames: 1\n']) {
      expect(load({ text }).config).toEqual(TABLE);
    }
  });

  it.each(Object.keys(SECTIONS))('hold for a file that has only the section %s, empty', (name) => {
    expect(load({ text: `${name}:` }).config).toEqual(TABLE);
    expect(load({ text: `${name}: {}` }).config).toEqual(TABLE);
  });

  it('leave two thirds of the memory of this machine, or of its cgroup, to others', () => {
    const { memoryBytes } = loadConfig().config.limits;
    expect(memoryBytes).toBeGreaterThan(0);
    expect(memoryBytes).toBeLessThanOrEqual(Math.min(2 * GIB, totalmem() / 3));
  });

  it('cause no warning', () => expect(load({}).warnings).toEqual([]));
});
