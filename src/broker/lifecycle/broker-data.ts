/**
 * What the classes of this folder and of `inputs/` work on: the tables of the broker, what may be admitted to
 * them, and where effects, events and counts go. `Broker` makes the classes, each from this and from the
 * classes that it calls.
 */
import { Holdings } from '../../core/holdings.js';
import type { RandomFill } from '../../core/random.js';
import { Absence } from '../admission/absence.js';
import { Admission } from '../admission/admission.js';
import { HeldMessages } from '../admission/held-messages.js';
import { Limits } from '../admission/limits.js';
import { BrokerCounters } from '../counters.js';
import type { BrokerEvents } from '../broker-events.js';
import type { BrokerOptions, OutputRoom } from '../options.js';
import type { Interconnect, ServiceWatcher } from '../ports.js';
import { NO_QUOTAS } from '../quotas.js';
import { RequestTracer } from '../request-trace.js';
import type { BrokerSink, MessageSink } from '../sink.js';
import { Clients } from '../state/clients.js';
import { EarlierRuns } from '../state/earlier-runs.js';
import { Gates } from '../state/gates.js';
import { Identities } from '../state/identities.js';
import { InternalServices } from '../state/internal-services.js';
import { Peers } from '../state/peers.js';
import { OWN_ACCOUNT, RequestStore, type Tables } from '../state/request-store.js';
import { RequestTable } from '../state/request-table.js';
import { Revivals } from '../state/revivals.js';
import { ServiceTable } from '../state/service-table.js';
import { Sessions } from '../state/sessions.js';
import { Tokens } from '../state/tokens.js';
import { Workers } from '../state/workers.js';

const UNBOUNDED_OUTPUT: OutputRoom = {
  left: () => Infinity,
  max: () => Infinity,
  takesRequest: () => true,
};

export class BrokerData implements Tables {
  readonly options: BrokerOptions;
  readonly sink: BrokerSink;
  readonly messages: MessageSink;
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
  readonly gates: Gates;
  readonly services: ServiceTable;
  readonly workers: Workers;
  readonly revivals: Revivals;
  readonly requests: RequestStore;
  readonly sessions: Sessions;
  readonly earlierRuns: EarlierRuns = new EarlierRuns();

  readonly limits: Limits;
  readonly admission: Admission;
  readonly absence: Absence;
  /** Requests held until it is known whether another broker has a worker (D65). */
  readonly awaitingSearch: HeldMessages = new HeldMessages();

  /** @param random unpredictable bytes, used for tokens and hashing */
  constructor(options: BrokerOptions, sink: BrokerSink, events: BrokerEvents, random: RandomFill) {
    const { heartbeatIntervalMs, heartbeatLiveness } = options;
    this.options = options;
    this.sink = sink;
    this.messages = sink.messages;
    this.events = events;
    this.output = options.output ?? UNBOUNDED_OUTPUT;
    this.holdings = options.holdings ?? new Holdings();

    const { table } = this;
    this.tokens = new Tokens(table, random);
    this.identities = new Identities(this.holdings, options.quotasOf ?? (() => NO_QUOTAS));
    this.clients = new Clients(table);
    const { services: counted } = this.counters.requests;
    this.gates = new Gates(heartbeatIntervalMs * heartbeatLiveness, this.holdings.use(OWN_ACCOUNT));
    this.services = new ServiceTable(table, random, counted, this.identities, this.gates);
    this.workers = new Workers(options, this.services);
    this.revivals = new Revivals(heartbeatIntervalMs);
    this.requests = new RequestStore(this);
    this.sessions = new Sessions(options.resumeMs);

    this.limits = new Limits(options.limits, this);
    this.admission = new Admission(sink);
    this.absence = new Absence(heartbeatIntervalMs * heartbeatLiveness);
  }
}
