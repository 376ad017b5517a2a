/**
 * The workers of other brokers (D83). A broker that has workers for a service is registered here as
 * one worker of it, a holder, whose credit it states from time to time. It has no connection: what it
 * says comes through the interconnect, which also notices its silence.
 */
import { present } from '../../core/assert.js';
import { Frames } from '../../core/frames.js';
import { Inbound } from '../../wire/inbound.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import type { Departures } from '../lifecycle/departures.js';
import {
  BUSY_ELSEWHERE,
  type DeliveryEnd,
  LOST_WITH_WORKER,
  lostElsewhere,
  returned,
} from '../lifecycle/delivery-end.js';
import type { LocalCredit, RemoteHolder, RemoteReturn, RemoteWorkersApi } from '../ports.js';
import { EVERYTHING } from '../rights.js';
import { Grants, Peer, type Service, Worker, type WorkerFacts } from '../state/entities.js';
import type { Identity } from '../state/identities.js';
import type { ClientRequests } from './client-requests.js';
import type { WorkerInputs } from './worker-inputs.js';

/** The highest number of a peer without a connection: below the numbers that transports give. */
const FIRST_PEER = -2;
const NO_LISTENER = -1;
/** The identity and address of all holders; operators read it. */
const OTHER_BROKERS = 'other brokers';

const FACTS: WorkerFacts = {
  dialect: 2,
  credit: 0,
  declaresCredit: true,
  workerName: null,
  wantsHeaders: true,
  wantsCancel: true,
  wantsGroup: false,
};
const REPLIES = { partial: 'partial', final: 'final', fail: 'fail' } as const;

export class RemoteWorkers implements RemoteWorkersApi {
  readonly #data: BrokerData;
  readonly #departures: Departures;
  readonly #fromWorkers: WorkerInputs;
  readonly #fromClients: ClientRequests;
  readonly #inbound = new Inbound();
  /** Holders by number. */
  readonly #holders = new Map<number, Worker>();
  /** Says what is still said for holders that are gone (D8). */
  #gone: Peer | null = null;
  #identity: Identity | null = null;
  #last = 0;

  constructor(
    data: BrokerData,
    departures: Departures,
    fromWorkers: WorkerInputs,
    fromClients: ClientRequests,
  ) {
    this.#data = data;
    this.#departures = departures;
    this.#fromWorkers = fromWorkers;
    this.#fromClients = fromClients;
  }

  join(name: Buffer, remote: RemoteHolder, now: number): number {
    const { services, workers, table } = this.#data;
    const known = services.find(name, 0, name.length);
    const service = known ?? services.add(name, this.#named());
    if (service.namedBy === null) services.use(service, this.#named());
    const number = ++this.#last;
    const peer = this.#peer(number);
    const holder = new Worker(peer, service, number, FACTS, table, now);
    holder.remote = remote;
    this.#holders.set(number, holder);
    workers.addRemote(holder);
    return number;
  }

  setFree(number: number, free: number): void {
    const holder = this.#holders.get(number);
    if (holder !== undefined) this.#data.workers.setFree(holder, free);
  }

  leave(number: number, now: number): void {
    const { workers, services } = this.#data;
    const holder = this.#holders.get(number);
    if (holder === undefined) return;
    this.#holders.delete(number);
    workers.removeRemote(holder);
    this.#departures.leave(holder, LOST_WITH_WORKER.connection, now);
    services.releaseIfUnused(holder.service);
  }

  reply(number: number, kind: 'partial' | 'final' | 'fail', frames: Frames, now: number): boolean {
    const inbound = this.#read(frames);
    inbound.kind = REPLIES[kind];
    return this.#fromWorkers.replyOfRemote(this.#peerOf(number), inbound, now);
  }

  giveBack(number: number, token: Buffer, how: RemoteReturn, text: string, now: number): boolean {
    const inbound = this.#read(Frames.of(token));
    const end = endOf(how, text);
    return this.#fromWorkers.returnedByRemote(this.#peerOf(number), inbound, end, now);
  }

  seekAnswered(service: Buffer, now: number): void {
    this.#fromClients.seekAnswered(service, now);
  }

  waiting(name: Buffer): number {
    return this.#data.services.find(name, 0, name.length)?.waiting.plainCount ?? 0;
  }

  localCredit(name: Buffer): LocalCredit {
    const service = this.#data.services.find(name, 0, name.length);
    return service === null
      ? { free: 0, total: 0, isQueued: false }
      : localCreditOf(service, this.#data.gates.now);
  }

  #read(frames: Frames): Inbound {
    const inbound = this.#inbound;
    inbound.frames = frames;
    inbound.dialect = 2;
    inbound.token = 0;
    inbound.body = 1;
    return inbound;
  }

  #peerOf(number: number): Peer {
    const holder = this.#holders.get(number);
    return holder?.peer ?? (this.#gone ??= this.#peer(0));
  }

  #peer(number: number): Peer {
    const grants = new Grants(EVERYTHING, null);
    return new Peer(FIRST_PEER - number, NO_LISTENER, null, this.#named(), OTHER_BROKERS, grants);
  }

  #named(): Identity {
    this.#identity ??= this.#data.identities.join(OTHER_BROKERS, null, null);
    return present(this.#identity, 'the identity of other brokers');
  }
}

function endOf(how: RemoteReturn, text: string): DeliveryEnd {
  if (how === 'busy') return BUSY_ELSEWHERE;
  return how === 'lost' ? lostElsewhere(text) : returned(text);
}

function localCreditOf({ workers, waiting, isPaused }: Service, now: number): LocalCredit {
  let free = -waiting.count;
  let total = 0;
  for (const { credit, held, peer } of workers) {
    total += credit;
    if (!peer.full) free += Math.max(0, credit - held.count);
  }
  const { gate } = waiting;
  if (gate !== null) {
    // What its limit keeps waiting here might start elsewhere.
    free = Math.min(free, gate.free(now) - waiting.count);
    total = Math.min(total, gate.limit.running);
  }
  return { free: isPaused ? 0 : Math.max(0, free), total, isQueued: waiting.plainCount > 0 };
}
