/** What the broker and each identity may hold, and what exceeds it (D9, D75, D77). */
import type { Frames } from '../../core/frames.js';
import { type MemoryAccount, QUERY_BYTES } from '../../core/holdings.js';
import { packedBytes } from '../../core/packed.js';
import type { Inbound } from '../../wire/inbound.js';
import type { BrokerLimits } from '../options.js';
import type { Service } from '../state/entities.js';
import type { Identity } from '../state/identities.js';
import type { Tables } from '../state/request-store.js';
import type { RequestId } from '../state/request-table.js';
import { MEMORY_FULL, overLimit, overQuota, type Refusal } from './refusal.js';

/** Whoever reads progress is sent it in one message, which libraries limit, too. */
const PROGRESS_FRAMES_MAX = 16_384;

export class Limits {
  /** Can be replaced while running. What is already held stays. */
  values: BrokerLimits;
  readonly #state: Tables;

  constructor(values: BrokerLimits, state: Tables) {
    this.values = values;
    this.#state = state;
  }

  /**
   * The refusal of one more request of `identity` for `service`, or `null`.
   * @param bytes of its envelope and body, packed
   */
  ofRequest(service: Service | null, bytes: number, identity: Identity): Refusal | null {
    const limits = this.values;
    const { requests } = this.#state;
    if (requests.held >= limits.queuedRequests) {
      return overLimit('limits.queuedRequests is reached');
    }
    if (requests.heldBytes + bytes > limits.queuedBytes) {
      return overLimit('limits.queuedBytes is reached');
    }
    if (!requests.hasRoom) return overLimit("the broker's memory arena is full");
    if (service !== null && service.namedBy !== null) {
      if (service.waiting.plainCount >= limits.queuedRequestsPerService) {
        return overLimit('limits.queuedRequestsPerService is reached');
      }
      return ofIdentity(identity, bytes);
    }
    const { services } = this.#state;
    if (services.count - services.withWorkers >= limits.services) {
      return overLimit('limits.services is reached by services without workers');
    }
    if (identity.services >= identity.quotas.services) return overQuota('services');
    return ofIdentity(identity, bytes);
  }

  /**
   * The refusal of one more request for an internal service; these have their own limits.
   * @param identity `null`: none of its quotas count
   * @param isQuery it only asks
   */
  ofInternal(inbound: Inbound, identity: Identity | null, isQuery: boolean): Refusal | null {
    const { queuedRequests, queuedBytes } = this.values;
    const { internal, internalBytes, hasRoom } = this.#state.requests;
    const bytes = packedBytes(inbound.frames, 0, inbound.envelopeFrames);
    if (internal >= queuedRequests || internalBytes + bytes > queuedBytes || !hasRoom) {
      return overLimit('too many requests are waiting for internal services');
    }
    return identity === null ? null : ofIdentity(identity, isQuery ? bytes + QUERY_BYTES : bytes);
  }

  /** The refusal of one more worker, or `null`. @param service `null`: it is unknown */
  ofWorker(service: Service | null, identity: Identity): Refusal | null {
    const { workers, services } = this.values;
    const { quotas } = identity;
    if (this.#state.workers.count >= workers) return overLimit('limits.workers is reached');
    if (identity.workers >= quotas.workers) return overQuota('workers');
    const isUsed = service !== null && service.namedBy !== null;
    if (!isUsed && identity.services >= quotas.services) return overQuota('services');
    const isNew = service === null || service.workers.size === 0;
    const isOver = isNew && this.#state.services.withWorkers >= services;
    return isOver ? overLimit('limits.services is reached') : null;
  }

  /** True if there is no room to hold one more PARTIAL (D10). @param sender of the PARTIAL */
  isOverByPartial(id: RequestId, frames: Frames, from: number, sender: MemoryAccount): boolean {
    const { requests } = this.#state;
    const bytes = packedBytes(frames, from, frames.count);
    const memory = requests.partials.of(id)?.memory ?? sender;
    return !memory.mayHold(bytes) || requests.heldBytes + bytes > this.values.queuedBytes;
  }

  /** True if there is no room to hold more progress of a stored request. @param sender of the PARTIAL */
  isOverByProgress(id: RequestId, frames: Frames, from: number, sender: MemoryAccount): boolean {
    const held = this.#state.requests.partials.of(id);
    const bytes = (held?.progressBytes ?? 0) + packedBytes(frames, from, frames.count);
    const count = (held?.progressFrames ?? 0) + frames.count - from;
    if (bytes > this.values.messageBytes || count > PROGRESS_FRAMES_MAX) return true;
    return this.isOverByPartial(id, frames, from, sender);
  }

  /**
   * How the PARTIALs held for a request and one more part exceed the maximum size of a message, with
   * both sizes; `null`: they do not (D10).
   */
  faultOfReplyWith(id: RequestId, frames: Frames, from: number): string | null {
    const { messageBytes, frames: framesMax } = this.values;
    const held = this.#state.requests.partials.of(id);
    const heldBytes = held === null ? 0 : held.bytes - held.progressBytes;
    const bytes = heldBytes + packedBytes(frames, from, frames.count);
    const count = (held?.frames ?? 0) + frames.count - from;
    if (bytes > messageBytes) {
      return `a reply of ${bytes} bytes in PARTIALs, at most ${messageBytes} are allowed`;
    }
    if (count <= framesMax) return null;
    return `a reply of ${count} frames in PARTIALs, at most ${framesMax} are allowed`;
  }
}

/** The refusal of one more request with `bytes` by what its identity may use (D75, D77). */
function ofIdentity({ quotas, outstanding, memory }: Identity, bytes: number): Refusal | null {
  if (outstanding >= quotas.outstanding) return overQuota('outstanding');
  if (memory.requests + bytes > quotas.queuedBytes) return overQuota('queuedBytes');
  return memory.mayHold(bytes) ? null : MEMORY_FULL;
}
