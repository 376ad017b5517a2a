/** The services of Titanic, as the broker's clients use them (9/TSP; D12, D16). */
import type { InternalRequest } from '../broker/ports.js';
import type { Frames } from '../core/frames.js';
import { pack, packedBytes } from '../core/packed.js';
import {
  readTspRequest,
  readTspSubmit,
  readTspUuid,
  readTspWait,
  TITANIC_CLOSE,
  TITANIC_REPLY,
  TITANIC_REQUEST,
  TITANIC_SUBMIT,
  TITANIC_WAIT,
  type TspFault,
  type TspRequest,
  uuidText,
} from '../wire/tsp.js';
import { status, STATUS_OK } from './answers.js';
import { beginning, type TitanicContext } from './context.js';
import { NO_SLOT } from './open-index.js';
import { DOUBTFUL, type OpenRequests } from './open-requests.js';
import type { ChangeResult, RequestUuid, StoredRequest } from './store.js';
import type { Uuids } from './uuid.js';

const STATUS_NO_SUCH_SERVICE = Buffer.from('501');

export class Services {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  /** Accepted, but not committed. */
  #accepting = 0;

  constructor(context: TitanicContext, requests: OpenRequests, uuids: Uuids) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
  }

  request(request: InternalRequest): void {
    const { id, frames, body } = request;
    switch (request.service.toString('latin1')) {
      case TITANIC_REQUEST:
        this.#accept(id, frames, readTspRequest(frames, body));
        return;
      case TITANIC_SUBMIT:
        this.#accept(id, frames, readTspSubmit(frames, body));
        return;
      case TITANIC_REPLY: {
        const uuid = readTspUuid(frames, body);
        if ('fault' in uuid) this.#refuse(id, uuid);
        else this.#lookUp(id, uuid, 0);
        return;
      }
      case TITANIC_WAIT: {
        const wait = readTspWait(frames, body);
        if (wait.fault === null) this.#lookUp(id, wait.uuid, wait.waitMs);
        else this.#refuse(id, wait);
        return;
      }
      case TITANIC_CLOSE: {
        const uuid = readTspUuid(frames, body);
        if ('fault' in uuid) this.#refuse(id, uuid);
        else this.#close(id, uuid);
        return;
      }
      default:
        this.#answer(id, STATUS_NO_SUCH_SERVICE);
    }
  }

  #answer(id: number, ...body: readonly Buffer[]): void {
    this.#requests.answers.answer(id, ...body);
  }

  #refuse(id: number, { fault }: TspFault): void {
    const { counters, events } = this.#context;
    counters.malformed++;
    events.emit({ name: 'titanic.malformed', reason: fault });
    this.#answer(id, status(400, fault));
  }

  #accept(id: number, frames: Frames, read: TspRequest | TspFault): void {
    if (read.fault !== null) {
      this.#refuse(id, read);
      return;
    }
    const obstacle = this.#requests.obstacle() ?? this.#limit();
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const bodyBytes = packedBytes(frames, read.body, frames.count);
    // From the pool: it lives only until it is committed.
    const body = Buffer.allocUnsafe(bodyBytes);
    pack(frames, read.body, frames.count, body, 0, false);
    const request = this.#newRequest(frames, read, bodyBytes);
    this.#accepting++;
    this.#requests.intend({ kind: 'accept', request, body, key: read.options.key }, bodyBytes, {
      committed: (result) => {
        this.#accepting--;
        this.#answer(id, STATUS_OK, this.#accepted(request, result));
      },
      doubtful: (result) => {
        this.#accepting--;
        this.#accepted(request, result);
        this.#answer(id, status(500, DOUBTFUL.message));
      },
      failed: (failure) => {
        this.#accepting--;
        // Of a fatal failure nobody knows what is on the disk: it gets no answer, and the process ends.
        if (failure.kind !== 'fatal') this.#answer(id, status(500, this.#requests.lossOf(failure)));
        return false;
      },
    });
  }

  #newRequest(frames: Frames, { service, options }: TspRequest, bodyBytes: number): StoredRequest {
    const { requestTtlMs, maxAttempts } = this.#context.options;
    const { wall } = this.#context;
    return {
      uuid: this.#uuids.next(wall),
      number: this.#context.nextNumber++,
      service: frames.copy(service),
      state: 'pending',
      priority: options.priority ?? 0,
      acceptedAt: wall,
      notBefore: wall + (options.delayMs ?? 0),
      expiresAt: wall + (options.ttlMs ?? requestTtlMs),
      maxAttempts: options.maxAttempts ?? maxAttempts,
      attempts: 0,
      generation: 0,
      bodyBytes,
    };
  }

  /** Returns the uuid that the client is told. */
  #accepted(request: StoredRequest, result: ChangeResult): Buffer {
    if (result.kind === 'known') return Buffer.from(uuidText(result.uuid));
    this.#context.counters.accepted++;
    const slot = this.#requests.openOnce(request);
    this.#context.trace?.({
      name: 'titanic.accepted',
      uuid: beginning(request.uuid),
      service: this.#requests.dispatcher.serviceOf(slot).shown,
    });
    return Buffer.from(uuidText(request.uuid));
  }

  /** The limit that one more request would break, or `null`. */
  #limit(): string | null {
    const { options, counts, events } = this.#context;
    const { pending, replied, dead, bytes } = counts;
    const text =
      pending + replied + dead + this.#accepting >= options.maxOpen
        ? 'titanic.maxOpen is reached'
        : bytes + this.#requests.writer.bytes >= options.maxBytes
          ? 'titanic.maxBytes is reached'
          : null;
    if (text !== null) events.emit({ name: 'titanic.refused', reason: 'limit', text });
    return text;
  }

  #lookUp(id: number, uuid: RequestUuid, waitMs: number): void {
    const { answers, dispatcher } = this.#requests;
    const { now } = this.#context;
    if (dispatcher.index.find(uuid) === NO_SLOT) answers.lookUp(id, uuid, now + waitMs);
    else if (this.#requests.isWithheld(uuid)) answers.withhold(id, uuid);
    else answers.pending(id, uuid, waitMs, now);
  }

  #close(id: number, uuid: RequestUuid): void {
    const obstacle = this.#requests.obstacle();
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    this.#requests.close(uuid, (result) => {
      if (result === 'done' || result === 'passed') this.#answer(id, STATUS_OK);
      else if (result.kind !== 'fatal') this.#answer(id, status(500, result.message));
    });
  }
}
