/**
 * The state of a broker and the classes that act on it, made once, in this order. Each class of this
 * folder and of `inputs/` is given the whole and reads what it needs. A constructor may read only what was
 * made before it: the rest is still undefined. The folders below do not see it: their classes are given
 * `Tables`, or single ones.
 */
import { Holdings } from '../../core/holdings.js';
import type { RandomFill } from '../../core/random.js';
import { Absence } from '../admission/absence.js';
import { Admission } from '../admission/admission.js';
import { Limits } from '../admission/limits.js';
import { BrokerCounters } from '../counters.js';
import type { BrokerEvents } from '../events.js';
import type { BrokerOptions, OutputRoom } from '../options.js';
import type { Interconnect, ServiceWatcher } from '../ports.js';
import { NO_QUOTAS } from '../quotas.js';
import { RequestTracer } from '../request-trace.js';
import type { BrokerSink } from '../sink.js';
import { Clients } from '../state/clients.js';
import { Identities } from '../state/identities.js';
import { InternalServices } from '../state/internal-services.js';
import { Peers } from '../state/peers.js';
import { RequestStore, type Tables } from '../state/request-store.js';
import { RequestTable } from '../state/request-table.js';
import { Revivals } from '../state/revivals.js';
import { ServiceTable } from '../state/service-table.js';
import { Tokens } from '../state/tokens.js';
import { Workers } from '../state/workers.js';
import { ClientScans } from './client-scans.js';
import { Deliveries } from './deliveries.js';
import { Departures } from './departures.js';
import { Dispatcher } from './dispatcher.js';
import { InternalRequests } from './internal-requests.js';
import { Lifecycle } from './lifecycle.js';
import { Registrations } from './registrations.js';
import { Replies } from './replies.js';
import { RequestEnds } from './request-ends.js';
import { StoredDeliveries } from './stored-deliveries.js';

const UNBOUNDED_OUTPUT: OutputRoom = {
  left: () => Infinity,
  max: () => Infinity,
  takesRequest: () => true,
};

export class BrokerState implements Tables {
  readonly options: BrokerOptions;
  readonly sink: BrokerSink;
  readonly events: BrokerEvents;
  readonly output: OutputRoom;
  readonly holdings: Holdings;
  readonly counters: BrokerCounters = new BrokerCounters();
  readonly tracer: RequestTracer = new RequestTracer();
  /** What knows the workers of other brokers; `null`: there is none. */
  interconnect: Interconnect | null = null;
  /** What is told which services have workers; `null`: nobody asked. */
  watcher: ServiceWatcher | null = null;

  readonly table: RequestTable = new RequestTable();
  readonly peers: Peers = new Peers();
  readonly internals: InternalServices = new InternalServices();
  readonly tokens: Tokens;
  readonly identities: Identities;
  readonly clients: Clients;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly revivals: Revivals;
  readonly requests: RequestStore;

  readonly limits: Limits;
  readonly admission: Admission;
  readonly absence: Absence;

  readonly replies: Replies;
  readonly ends: RequestEnds;
  readonly stored: StoredDeliveries;
  readonly deliveries: Deliveries;
  readonly lifecycle: Lifecycle;
  readonly departures: Departures;
  readonly registrations: Registrations;
  readonly internalRequests: InternalRequests;
  readonly scans: ClientScans;
  readonly dispatcher: Dispatcher;

  /** @param random unpredictable bytes, used for tokens and hashing */
  constructor(options: BrokerOptions, sink: BrokerSink, events: BrokerEvents, random: RandomFill) {
    const { heartbeatIntervalMs, heartbeatLiveness } = options;
    const seed = Buffer.alloc(4);
    random(seed);
    this.options = options;
    this.sink = sink;
    this.events = events;
    this.output = options.output ?? UNBOUNDED_OUTPUT;
    this.holdings = options.holdings ?? new Holdings();

    const { table } = this;
    this.tokens = new Tokens(table, random);
    this.identities = new Identities(this.holdings, options.quotasOf ?? (() => NO_QUOTAS));
    this.clients = new Clients(table);
    const { services: counted } = this.counters.requests;
    this.services = new ServiceTable(table, seed.readInt32LE(), counted, this.identities);
    this.workers = new Workers(options, this.services);
    this.revivals = new Revivals(heartbeatIntervalMs);
    this.requests = new RequestStore(this);

    this.limits = new Limits(options.limits, this);
    this.admission = new Admission(sink);
    this.absence = new Absence(heartbeatIntervalMs * heartbeatLiveness);

    this.replies = new Replies(this);
    this.ends = new RequestEnds(this);
    this.stored = new StoredDeliveries(this);
    this.deliveries = new Deliveries(this);
    this.lifecycle = new Lifecycle(this);
    this.departures = new Departures(this);
    this.registrations = new Registrations(this);
    this.internalRequests = new InternalRequests(this);
    this.scans = new ClientScans(this);
    this.dispatcher = new Dispatcher(this);
  }
}
