/** What a configuration means to the parts of a node. */
import type { BrokerOptions, LimitsOf } from '../broker/options.js';
import type { ListenerRules } from '../broker/rights.js';
import type { Config } from '../config/config.js';
import type { ListenerConfig, ServiceLimitsConfig } from '../config/entries.js';
import { quotasOf } from '../config/quotas.js';
import { GlobSet } from '../core/glob.js';
import { appliedLimits } from '../core/run-limits.js';
import { isPostgres } from '../core/postgres-url.js';
import { packageVersion } from '../core/version.js';
import { PROTOCOL_EXTENSIONS, RESUME, TITANIC_EXTENSIONS } from '../mmi/protocol-extensions.js';
import type { MinimalStatus } from '../wire/mmi-answers.js';
import type { RouterLimits } from '../zmtp/port.js';
import type { Keys } from './io/keys.js';
import type { PairView } from './pair-view.js';

export function routerLimits(config: Config, { rightsOf }: Keys): RouterLimits {
  const { limits } = config;
  return {
    messageBytesMax: limits.messageBytes,
    framesMax: limits.frames,
    outputBytesMax: limits.outputBytes,
    sparesReaders: true,
    connectionsMax: limits.connections,
    connectionsPerIdentityMax: quotasOf(config, null).connections,
    connectionsPerKeyMax: (listener, key) =>
      quotasOf(config, rightsOf(listener, key).quota).connections,
    receiveBytesMax: limits.queuedBytes,
    receiveLimit: 'limits.queuedBytes',
  };
}

export function rulesOf({
  client,
  worker,
  mmi,
  curve,
  service,
  transport,
}: ListenerConfig): ListenerRules {
  const rights = { client: GlobSet.of(client), worker: GlobSet.of(worker) };
  return {
    ...rights,
    mmi: mmi ?? 'minimal',
    hasKeys: curve !== undefined,
    resumes: transport !== 'libzmq',
    service: service === null ? null : Buffer.from(service),
  };
}

export function brokerOptions(
  config: Config,
  { rightsOf }: Keys,
): Omit<BrokerOptions, 'quotasOf' | 'listeners'> {
  return {
    heartbeatIntervalMs: config.broker.heartbeatIntervalMs,
    heartbeatLiveness: config.broker.heartbeatLiveness,
    requestTtlMs: config.broker.requestTtlMs,
    busyTimeoutMs: config.broker.busyTimeoutMs,
    maxDeliveries: config.broker.maxDeliveries,
    resumeMs: config.broker.resumeMs,
    rightsOf,
    limits: config.limits,
  };
}

/** The part of `mmi.broker` that the broker itself decides. */
export function brokerStatus(
  config: Config,
  uptimeMs: number,
  view: PairView | null,
): MinimalStatus {
  const { state, epoch } = view?.status() ?? { state: 'active', epoch: 0 };
  return {
    version: packageVersion(),
    uptimeMs: Math.round(uptimeMs),
    node: config.node.name,
    role: isOneOfSeveral(config) ? 'fleet' : config.bstar.role,
    state,
    epoch,
    limits: numbersOf(config.limits),
    extensions: [
      ...PROTOCOL_EXTENSIONS,
      ...(config.broker.resumeMs > 0 ? [RESUME] : []),
      ...(config.titanic.enabled ? TITANIC_EXTENSIONS : []),
    ],
    pairHeartbeatMs: config.bstar.role === 'standalone' ? 0 : config.bstar.heartbeatIntervalMs,
  };
}

/** Whether other brokers may carry this one's requests, or share its store. */
function isOneOfSeveral({ fleet, titanic }: Config): boolean {
  return fleet.nats.length > 0 || (titanic.enabled && isPostgres(titanic.store));
}

/** The limits without the quotas, whose names are only for the operator. */
function numbersOf(limits: Config['limits']): Readonly<Record<string, number>> {
  const isNumber = (entry: [string, unknown]): entry is [string, number] =>
    typeof entry[1] === 'number';
  return Object.fromEntries(Object.entries(limits).filter(isNumber));
}

/** The limits of a service: those of the first entry that matches its name. */
export function limitsOfServices(entries: readonly ServiceLimitsConfig[]): LimitsOf {
  const all = entries.map((entry) => ({
    globs: GlobSet.of([entry.match]),
    limits: appliedLimits(entry),
  }));
  return (name) => all.find(({ globs }) => globs.matches(name, 0, name.length))?.limits ?? null;
}
