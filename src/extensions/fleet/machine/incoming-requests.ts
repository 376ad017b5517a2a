/**
 * Requests of other brokers at workers that are registered here: this broker as their holder. They are offered to these
 * workers only, and delivered once; while the workers are busy with requests of clients here, a share of them waits
 * in turn with these: see D84.
 */
import type {
  BridgedRequestsApi,
  HeldParts,
  LocalCredit,
  RemoteWorkersApi,
  StoredBody,
  Submitter,
} from '../../../broker/ports.js';
import { GIVEN_BACK } from '../../../core/failure-words.js';
import { Frames } from '../../../core/frames.js';
import { OldestFirst } from '../../../core/oldest-first.js';
import { packedMessages } from '../../../core/packed.js';
import type { Failure } from '../../../wire/failure.js';
import { isPackedProgress } from '../../../wire/progress.js';
import { failEntry, finalEntry, type FleetCredit, partialEntry, returnEntry } from './codec.js';
import type { FleetEntry, FleetReturnReason } from './protocol.js';
import { MMI_PREFIX } from '../../../wire/mdp.js';
import { TITANIC_PREFIX } from '../../../wire/tsp.js';
import type { FleetCounters } from './counters.js';
import {
  HELD_SHARE,
  LATE_MAX,
  LATE_MS,
  PACK_BYTES_PER_TURN,
  PACK_OVERHEAD_BYTES,
  WAITING_PARTS_BYTES_MAX,
} from './options.js';
import type { FleetPeer } from './peer.js';
import { NO_CREDIT, type PeerShares, type Visits } from './peer-shares.js';

type Request = Extract<FleetEntry, { kind: 'request' }>;

interface Arrived {
  readonly peer: FleetPeer;
  readonly request: Request;
}

/** A request of another broker that was given to the broker machine. */
interface Held {
  readonly peer: FleetPeer;
  readonly token: number;
  readonly service: Buffer;
  readonly bytes: number;
  /** The number of the request in the broker machine. */
  readonly id: number;
  readonly visits: Visits;
  /** When the request was lost here in silence: its reply is still used for a while. */
  lostAt: number;
  /** PARTIALs that were sent. */
  parts: number;
}

/** Filled in when the entry is sent. */
const CREDIT_WHEN_SENT = { free: 0, total: 0 };
/** How deliveries end of which the worker may still reply (D8). */
const IN_SILENCE: readonly string[] = ['expired', 'connection'];
const NO_ROOM = 'there is no room for the PARTIALs of its reply';
const BEGINNING = new RegExp(`^${GIVEN_BACK}(: )?`);

/** Requests of other brokers that are here. */
export class IncomingRequests implements Submitter {
  readonly #counters: FleetCounters;
  readonly #memoryBytesMax: () => number;
  readonly #shares: PeerShares;
  /** Requests that are held here, by reference. */
  readonly #held = new Map<number, Held>();
  #arrived: Arrived[] = [];
  /** References whose PARTIALs are to be sent. */
  readonly #progressed = new Set<number>();
  /** Numbers in the broker machine that are to be withdrawn. */
  #withdrawn: number[] = [];
  /** References of those that were lost in silence, oldest first. */
  readonly #lost = new OldestFirst<number, null>();
  #reference = 0;
  #bytes = 0;
  /** The service of the last request, also with one character per byte: most are for the same. */
  #service: Buffer = Buffer.alloc(0);
  #serviceName = '';
  /** False: PARTIALs wait in the broker machine, within its limits and `WAITING_PARTS_BYTES_MAX`. */
  takesParts = true;

  constructor(counters: FleetCounters, memoryBytesMax: () => number, shares: PeerShares) {
    this.#counters = counters;
    this.#memoryBytesMax = memoryBytesMax;
    this.#shares = shares;
  }

  /** Requests of others that are at workers here. */
  get count(): number {
    return this.#held.size;
  }

  /** What may be held besides, in bytes. */
  get room(): number {
    return Math.max(0, this.#memoryBytesMax() * HELD_SHARE - this.#bytes);
  }

  // ---------------------------------------------------------------- requests

  /** @returns false: it came before, or is for a service of each broker itself */
  arrived(peer: FleetPeer, request: Request): boolean {
    const { service, token } = request;
    if (peer.held.has(token) || isOwn(service)) return false;
    this.#arrived.push({ peer, request });
    return true;
  }

  /**
   * Gives what has arrived to workers that are available, or lets it wait if its broker's share
   * is not used up. The rest goes back.
   * @param stated is called with the credit that an origin is told for a service
   */
  take(
    bridged: BridgedRequestsApi,
    remote: RemoteWorkersApi,
    now: number,
    stated: (service: Buffer, credit: FleetCredit) => void,
  ): void {
    const arrived = this.#arrived;
    if (arrived.length === 0) return;
    this.#arrived = [];
    let service: Buffer | null = null;
    let local: LocalCredit = NO_CREDIT;
    for (const { peer, request } of arrived) {
      const { token } = request;
      // The request came twice in one turn.
      if (peer.held.has(token)) continue;
      const name = this.#copyOf(request.service);
      // What was taken just before counts there, too.
      if (name !== service) local = remote.localCredit(name);
      service = name;
      if (this.#shares.left(peer, this.#serviceName, local) === 0) {
        peer.post(returnEntry(token, 'busy', CREDIT_WHEN_SENT, ''), null, service);
        continue;
      }
      if (this.#submit(peer, request, service, bridged, now)) {
        local = { ...local, free: Math.max(0, local.free - 1) };
        continue;
      }
      // Memory is lacking, not credit: without credit the origin waits for the next offer.
      const none = { free: 0, total: local.total };
      peer.post(returnEntry(token, 'busy', none, ''));
      stated(service, none);
    }
  }

  #submit(
    peer: FleetPeer,
    request: Request,
    service: Buffer,
    bridged: BridgedRequestsApi,
    now: number,
  ): boolean {
    const { token, body, headers, leftMs } = request;
    const bytes = body.length + (headers?.length ?? 0);
    if (bytes > this.room && this.#bytes > 0) return false;
    const reference = this.#reference + 1;
    const content: StoredBody =
      leftMs === 0 ? { body, headers } : { body, headers, deadlineAt: now + leftMs };
    const id = bridged.bridge(service, reference, content);
    if (id === null) return false;
    this.#reference = reference;
    const visits = this.#shares.arrived(peer, this.#serviceName);
    const { size } = visits.byPeer;
    if (visits.turns !== size) bridged.setTurns(service, size);
    visits.turns = size;
    const held = { peer, token, service, bytes, id, visits, lostAt: Infinity, parts: 0 };
    this.#held.set(reference, held);
    peer.held.set(token, reference);
    this.#bytes += bytes;
    this.#counters.bridged.in++;
    return true;
  }

  /** The name of a service, in bytes that may be kept. */
  #copyOf(service: Buffer): Buffer {
    if (!service.equals(this.#service)) {
      this.#service = Buffer.from(service);
      this.#serviceName = service.toString('latin1');
    }
    return this.#service;
  }

  /** Sends PARTIALs, and withdraws what has ended. */
  run(bridged: BridgedRequestsApi, now: number): void {
    let left = PACK_BYTES_PER_TURN;
    for (const reference of this.#progressed) {
      const held = this.#held.get(reference);
      if (held === undefined) {
        this.#progressed.delete(reference);
      } else if (!this.takesParts) {
        if (isOver(bridged.heldParts(held.id))) this.failed(reference, NO_ROOM, true, null);
      } else if (left > 0) {
        this.#progressed.delete(reference);
        const parts = bridged.takeParts(held.id);
        left -= parts?.length ?? 0;
        sendParts(held, parts);
      } else {
        // The bus may be full after this turn.
        break;
      }
    }
    for (const { key: reference } of this.#lost) {
      const held = this.#held.get(reference);
      const isDue = held === undefined || held.lostAt + LATE_MS <= now;
      if (!isDue && this.#lost.size <= LATE_MAX) break;
      if (held !== undefined) this.#withdraw(reference, held);
      this.#lost.delete(reference);
    }
    const withdrawn = this.#withdrawn;
    this.#withdrawn = [];
    for (const id of withdrawn) bridged.withdraw(id);
  }

  get isSettled(): boolean {
    const hasParts = this.takesParts && this.#progressed.size > 0;
    return this.#withdrawn.length === 0 && this.#arrived.length === 0 && !hasParts;
  }

  /** Nobody wants the answer. @returns false: it is not here, or no longer */
  cancelled(peer: FleetPeer, token: number): boolean {
    const reference = peer.held.get(token);
    const held = reference === undefined ? undefined : this.#held.get(reference);
    let service = held?.service;
    if (reference !== undefined && held !== undefined) {
      this.#withdraw(reference, held);
    } else {
      // The request may have come in this turn.
      const at = this.#arrived.findIndex(
        (each) => each.peer === peer && each.request.token === token,
      );
      const [arrived] = at < 0 ? [] : this.#arrived.splice(at, 1);
      service = arrived?.request.service;
    }
    if (service === undefined) return false;
    peer.post(
      returnEntry(token, 'returned', CREDIT_WHEN_SENT, 'cancelled'),
      null,
      Buffer.from(service),
    );
    return true;
  }

  /** The origin is gone. Its requests run to their end, and nobody hears of it. */
  peerLost(peer: FleetPeer): void {
    for (const reference of peer.held.values()) {
      const held = this.#held.get(reference);
      if (held !== undefined) this.#withdraw(reference, held);
    }
    peer.held.clear();
    this.#arrived = this.#arrived.filter((each) => each.peer !== peer);
  }

  // ---------------------------------------------------------------- calls of the broker machine

  progressed(reference: number): void {
    this.#progressed.add(reference);
  }

  replied(reference: number, frames: Frames, from: number, parts: Buffer | null): void {
    const held = this.#held.get(reference);
    if (held === undefined) return;
    this.#progressed.delete(reference);
    const { peer, token, service } = held;
    // The frames begin with those of the PARTIALs that were not sent yet.
    const first = from + sendParts(held, parts);
    this.#end(reference, held);
    peer.post(finalEntry(token, CREDIT_WHEN_SENT, held.parts, frames, first), null, service);
  }

  failed(reference: number, reason: string, isKnown: boolean, failure: Failure | null): void {
    const held = this.#held.get(reference);
    if (held === undefined) return;
    this.#progressed.delete(reference);
    const { peer, token, service } = held;
    if (failure !== null) {
      if (isKnown) this.#withdraw(reference, held);
      else this.#end(reference, held);
      const detail = Frames.of(...failure.detail);
      peer.post(failEntry(token, CREDIT_WHEN_SENT, failure, detail), null, service);
      return;
    }
    const mayStillReply = isKnown && IN_SILENCE.includes(reason);
    if (mayStillReply) {
      // The origin has it back; a late reply is still passed on.
      held.lostAt = peer.now();
      peer.held.delete(token);
      this.#lost.set(reference, null);
    } else if (isKnown) {
      this.#withdraw(reference, held);
    } else {
      this.#end(reference, held);
    }
    const how: FleetReturnReason = mayStillReply ? 'lost' : 'returned';
    peer.post(
      returnEntry(token, how, CREDIT_WHEN_SENT, reason.replace(BEGINNING, '')),
      null,
      service,
    );
  }

  handedBack(reference: number): void {
    const held = this.#held.get(reference);
    if (held === undefined) return;
    this.#withdraw(reference, held);
    held.peer.post(returnEntry(held.token, 'busy', CREDIT_WHEN_SENT, ''), null, held.service);
  }

  #withdraw(reference: number, held: Held): void {
    this.#withdrawn.push(held.id);
    this.#end(reference, held);
  }

  #end(reference: number, { peer, token, bytes, visits }: Held): void {
    this.#held.delete(reference);
    this.#shares.ended(peer, visits);
    this.#lost.delete(reference);
    if (peer.held.get(token) === reference) peer.held.delete(token);
    this.#bytes -= bytes;
  }
}

/** @returns the number of those of their frames that belong to the reply */
function sendParts(held: Held, parts: Buffer | null): number {
  if (parts === null) return 0;
  let frames = 0;
  for (const part of packedMessages(parts, parts.length)) {
    if (!isPackedProgress(parts, part)) frames += part.frames;
    held.peer.post(partialEntry(held.token, held.parts++, parts.subarray(part.from, part.to)));
  }
  return frames;
}

function isOver({ count, bytes }: HeldParts): boolean {
  return count > 1 && bytes + count * PACK_OVERHEAD_BYTES > WAITING_PARTS_BYTES_MAX;
}

/** Services that each broker has itself never travel. */
export function isOwn(service: Buffer): boolean {
  return starts(service, MMI_PREFIX) || starts(service, TITANIC_PREFIX);
}

function starts(name: Buffer, prefix: Buffer): boolean {
  return name.subarray(0, prefix.length).equals(prefix);
}
