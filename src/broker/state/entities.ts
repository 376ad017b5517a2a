/** The data that the broker keeps: peers, clients, workers, services. No behaviour. */
import { ChainLink } from '../../core/chain.js';
import type { CountedService } from '../../core/counted-services.js';
import { escapeName } from '../../core/escape.js';
import type { Inbound } from '../../wire/inbound.js';
import type { Dialect, ServiceDialect } from '../../wire/dialect.js';
import type { ClientHello } from '../../wire/mmi.js';
import { RequestForm } from '../../wire/packed-forms.js';
import { Hellos } from './hellos.js';
import type { LastOptions } from './last-options.js';
import type { SessionOf } from './session.js';
import type { Identity } from './identities.js';
import { type WorkerKind, WORKER_KINDS } from '../dialects.js';
import type { ServiceContracts } from './contracts.js';
import { LoadIndex } from './load-index.js';
import type { Asker, RemoteHolder } from '../ports.js';
import type { KeyRights, ListenerRules } from '../rights.js';
import { RemoteIndex } from './remote-index.js';
import { RequestList, type RequestTable } from './request-table.js';
import type { Waiting } from './waiting.js';

/** What a connection was granted: see `admission/access.ts`. */
export class Grants {
  readonly rules: ListenerRules;
  /** Rights of the key; `null`: it connected without one. */
  readonly rights: KeyRights | null;
  /**
   * The last service it was allowed to request, cached because the next request is usually for the
   * same one.
   */
  lastAllowed: Buffer | null = null;

  constructor(rules: ListenerRules, rights: KeyRights | null) {
    this.rules = rules;
    this.rights = rights;
  }
}

/** The session of a client. */
export type Session = SessionOf<Client>;

/** What a client said about itself with `mmi.hello`. */
export interface KnownHello extends Pick<ClientHello, 'refusesToWait' | 'hearsFailures'> {
  /** The session that it was given; `null`: it has none. */
  readonly session: Session | null;
}

/** A connection to a client or worker, and what is known of it. */
export class Peer {
  readonly id: number;
  readonly listener: number;
  /** Key under which the peer can reconnect, if it chose its routing id itself (D26). */
  readonly name: string | null;
  client: Client | null = null;
  worker: Worker | null = null;
  /** The service that it last requested and may request, and the form of that request. */
  lastService: Service | null = null;
  lastForm: RequestForm | null = null;
  /** What the options of its last request were (D117); made when it sends some. */
  options: LastOptions | null = null;
  /** Envelopes whose owners sent `mmi.hello` on this connection (D11). */
  readonly hellos: Hellos<KnownHello>;
  /** The session that its requests without an envelope of a proxy are of (D116). */
  session: Session | null = null;
  /** Clients behind it besides `client`. */
  others: Set<Client> | null = null;
  /** Sessions of clients behind it: it is a proxy. */
  proxied: Set<Session> | null = null;
  /** The peer as internal services see it; made at the first request to one. */
  asker: Asker | null = null;
  /**
   * Whether it does not read. A worker gets no requests until it reads again, even after a new READY.
   */
  full = false;
  /** Whether the broker ended the connection; what still arrives is ignored. */
  closing = false;
  /**
   * The form of its messages on a listener for one service; `null`: it is a worker that has sent
   * none, or the listener speaks MDP.
   */
  dialect: ServiceDialect | null = null;
  /** The link in the chain of peers that may be taken for waiting workers (D36); `null`: not in it. */
  revival: ChainLink<Peer> | null = null;
  /** When it is taken for one, in monotonic milliseconds, if it has said nothing until then. */
  revivesAt = Infinity;
  /** Whether the connection has ended. */
  isGone = false;
  readonly identity: Identity;
  /** The source address of the connection, for display. */
  readonly address: string;
  readonly grants: Grants;
  /** The key that it authenticated with, in hexadecimal. */
  publicKey: string | null = null;

  constructor(
    id: number,
    listener: number,
    name: string | null,
    identity: Identity,
    address: string,
    grants: Grants,
  ) {
    this.id = id;
    this.listener = listener;
    this.name = name;
    this.identity = identity;
    this.hellos = new Hellos(identity.memory);
    this.address = address;
    this.grants = grants;
  }

  /** The name of the key that it authenticated with. */
  get key(): string | null {
    return this.identity.key;
  }
}

/** A recipient of replies: a connection, or a named peer or a session that may return. */
export class Client {
  readonly id: number;
  /** The client's connection, or `null` while it has none. */
  peer: Peer | null;
  /** Key under which it can reconnect, if it chose its routing id itself (D26). */
  readonly name: string | null;
  readonly identity: Identity;
  readonly requests: RequestList;
  /** The client's last source address, for display. */
  address: string;
  /** The grants of its last connection. */
  grants: Grants;
  /** Whether the broker closed its connection because it did not read. */
  slow = false;
  /** What is kept for it while it has no connection (D116). */
  session: Session | null = null;
  /** Whether it will not return: its waiting requests are being dropped (D26). */
  departed = false;
  /** Whether its waiting requests have been dropped: only those at workers are left. */
  isForgotten = false;

  /** The name of its key. */
  get key(): string | null {
    return this.identity.key;
  }

  constructor(id: number, peer: Peer, name: string | null, table: RequestTable) {
    this.id = id;
    this.peer = peer;
    this.name = name;
    this.identity = peer.identity;
    this.address = peer.address;
    this.grants = peer.grants;
    this.requests = RequestList.ofClient(table);
  }
}

export class Service {
  readonly id: number;
  readonly name: Buffer;
  /** The name in printable form (D3). */
  readonly shown: string;
  readonly counted: CountedService;
  /** The counts of its plain requests: see `RequestCounters`. */
  readonly counts: Float64Array;
  /**
   * Who first requested or offered it: it counts in the quota of that identity. `null`: it is not
   * in use, and only listed.
   */
  namedBy: Identity | null = null;
  /** Titanic stores requests for it. */
  hasStored = false;
  /** Whether an operator paused it: nothing is dispatched, also not to other brokers. */
  isPaused = false;
  /** Whether an operator set its limits. */
  isLimited = false;
  readonly waiting: Waiting;
  /** Whether Titanic has more requests for it. */
  hasBacklog = false;
  /** The credit of all its workers together. */
  credit = 0;
  readonly available: LoadIndex<Worker> = new LoadIndex();
  readonly workers: Set<Worker> = new Set();
  /** What its workers announced (D107); `null`: none of them did. */
  contracts: ServiceContracts | null = null;
  /** Other brokers that have workers for it; these are not among `workers`. */
  readonly remotes: RemoteIndex<Worker>;
  workersBusy = 0;
  /** When it lost its last worker: monotonic milliseconds; `null`: it has one, or never had one. */
  unservedSince: number | null = null;
  /** Lost workers whose requests are not all back yet: until then nothing is dispatched. */
  leaving = 0;
  /** Connections whose workers said what they run that an earlier broker, or registration, gave them. */
  earlierRuns = 0;
  /** Submitted requests that are at its workers. */
  storedOut = 0;
  /** Listed for the next dispatch. */
  due = false;
  /** The forms of requests for it, made when they are first seen. */
  readonly #forms: (RequestForm | undefined)[] = [];

  constructor(id: number, name: Buffer, counted: CountedService, waiting: Waiting) {
    this.id = id;
    this.name = name;
    this.shown = counted.shown;
    this.counted = counted;
    this.counts = counted.plain.now;
    this.remotes = new RemoteIndex(id + 1);
    this.waiting = waiting;
  }

  /** The JSON of `mmi.contract`; `null`: none of its workers announced one. */
  get contractsJson(): Buffer | null {
    return this.contracts?.json(this.shown, this.workers.size) ?? null;
  }

  /** Requests wait, whoever could take them. */
  get isHeld(): boolean {
    return this.isPaused || this.leaving > 0;
  }

  /** @param envelopeFrames 0 or 1 */
  form(dialect: Dialect, enveloped: boolean, envelopeFrames: number): RequestForm {
    const index = dialect * 3 + (enveloped ? 1 + envelopeFrames : 0);
    return (this.#forms[index] ??= new RequestForm(this.name, dialect, enveloped, envelopeFrames));
  }
}

/** What READY says about a worker, besides its service. */
export type WorkerFacts = Pick<
  Inbound,
  | 'dialect'
  | 'credit'
  | 'declaresCredit'
  | 'workerName'
  | 'wantsHeaders'
  | 'wantsCancel'
  | 'wantsGroup'
>;

export class Worker {
  readonly peer: Peer;
  readonly service: Service;
  /** Identifies it in logs and in the history of a stored request. */
  readonly number: number;
  readonly dialect: Dialect;
  /** What is particular to its dialect. */
  readonly kind: WorkerKind;
  /** How many requests it may have at once: a holder's changes; a worker's only to 0, when it leaves. */
  credit: number;
  /** Whether it declared a credit, so that it knows RETURN (D25). */
  readonly declaredCredit: boolean;
  /** The name that it gives itself (D67), in printable form; `null`: none. */
  readonly name: string | null;
  /** Whether it asked for the headers and deadlines of its requests (D67). */
  readonly wantsHeaders: boolean;
  /** Whether it asked for CANCEL (D106). */
  readonly wantsCancel: boolean;
  /** Whether it asked for the groups of its requests (D118). */
  readonly wantsGroup: boolean;
  readonly registeredAt: number;
  /** Requests out at it, in order of dispatch. */
  readonly held: RequestList;
  lastSeenAt: number;
  lastSentAt: number;
  /** Whether it has sent a HEARTBEAT while busy, so that its silence while busy counts too (D5). */
  heartbeatsWhileBusy = false;
  /** The broker that has the workers; `null`: it is a worker, registered here. */
  remote: RemoteHolder | null = null;
  /** The place among the holders with credit left; -1: none. */
  freeAt = -1;
  /** The link in the chain of workers whose silence is timed. */
  readonly silence: ChainLink<Worker> = new ChainLink<Worker>(this);
  /** The link in the chain of all workers, by the time of the last message to each. */
  readonly quiet: ChainLink<Worker> = new ChainLink<Worker>(this);
  /** The link in the index of its service, while it has credit left. */
  readonly load: ChainLink<Worker> = new ChainLink<Worker>(this);

  constructor(
    peer: Peer,
    service: Service,
    number: number,
    facts: WorkerFacts,
    table: RequestTable,
    now: number,
  ) {
    this.peer = peer;
    this.service = service;
    this.number = number;
    const { dialect, credit, declaresCredit, workerName } = facts;
    this.dialect = dialect;
    this.kind = WORKER_KINDS[dialect];
    this.credit = credit;
    this.declaredCredit = declaresCredit;
    this.name = workerName === null ? null : escapeName(Buffer.from(workerName));
    this.wantsHeaders = facts.wantsHeaders;
    this.wantsCancel = facts.wantsCancel;
    this.wantsGroup = facts.wantsGroup;
    this.held = RequestList.queue(table);
    this.registeredAt = now;
    this.lastSeenAt = now;
    this.lastSentAt = now;
  }

  get address(): string {
    return this.peer.address;
  }

  /** Whether it is a worker here that wants no more requests. */
  get isLeaving(): boolean {
    return this.credit === 0 && this.remote === null;
  }

  /** What the field WORKER of its requests holds. */
  get place(): number {
    return this.remote === null ? this.number : this.peer.id;
  }
}
