/** The services of Titanic, as the broker's clients use them (9/TSP; D12, D16). */
import type { Asker, BrokerHost, InternalRequest } from '../../broker/ports.js';
import { escapeName } from '../../core/escape.js';
import type { Holder } from '../../core/holdings.js';
import { increment } from '../../core/labels.js';
import { packedBytes } from '../../core/packed.js';
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
} from '../../wire/tsp.js';
import { status, STATUS_OK } from './answers.js';
import { mayAccess, ownerOf } from './ownership.js';
import { uuidPrefix, type TitanicContext } from './context.js';
import { NO_SLOT } from './open-index.js';
import { type ChangeCallback, DOUBTFUL, type OpenRequests } from './open-requests.js';
import { extraOf } from '../store/fields.js';
import type { Change, ChangeResult, Owner, RequestUuid, StoredRequest } from '../store/store.js';
import type { Uuids } from './uuid.js';
import { type WaitingNumber, type WaitingRequest, WaitingRequests } from './waiting-requests.js';
import type { Intent } from './writer.js';

const STATUS_NO_SUCH_SERVICE = Buffer.from('501');
const NO_RIGHT = 'no right to send requests to this service';
/** D67: the options of `titanic.submit` take headers. */
const HEADERS_APART: TspFault = { fault: 'titanic.submit takes headers in its options' };
/** Memory that a request on its way to the store takes besides its body. */
const WAITING_BYTES = 1024;

export class TitanicServices {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  readonly #waiting = new WaitingRequests();
  /** Requests accepted but not committed: for each owner, and in total. */
  readonly #acceptingOf = new Map<Owner, { stored: number; bytes: number }>();
  #acceptIntent = 0;

  constructor(context: TitanicContext, requests: OpenRequests, uuids: Uuids) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
  }

  request(request: InternalRequest, host: BrokerHost): void {
    const { id, frames, body, asker } = request;
    switch (request.service.toString('latin1')) {
      case TITANIC_REQUEST:
        this.#accept(request, host, readTspRequest(frames, body), headersOf(request));
        return;
      case TITANIC_SUBMIT: {
        const submit = request.headers < 0 ? readTspSubmit(frames, body) : HEADERS_APART;
        const headers = submit.fault === null ? submit.options.headers : null;
        this.#accept(request, host, submit, headers);
        return;
      }
      case TITANIC_REPLY: {
        const uuid = readTspUuid(frames, body);
        if ('fault' in uuid) this.#refuse(id, uuid);
        else this.#lookUp(id, asker, uuid, 0);
        return;
      }
      case TITANIC_WAIT: {
        const wait = readTspWait(frames, body);
        if (wait.fault === null) this.#lookUp(id, asker, wait.uuid, wait.waitMs);
        else this.#refuse(id, wait);
        return;
      }
      case TITANIC_CLOSE: {
        const uuid = readTspUuid(frames, body);
        if ('fault' in uuid) this.#refuse(id, uuid);
        else this.#close(id, asker, uuid);
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

  #accept(
    { id, frames, asker }: InternalRequest,
    host: BrokerHost,
    read: TspRequest | TspFault,
    headers: Buffer | null,
  ): void {
    if (read.fault !== null) {
      this.#refuse(id, read);
      return;
    }
    // D72
    if (!asker.mayRequest(frames.view(read.service))) {
      host.refuse(id, 'rights', `${NO_RIGHT}: ${escapeName(frames.view(read.service))}`);
      return;
    }
    const bodyBytes = packedBytes(frames, read.body, frames.count);
    const extra = extraOf(headers, read.options.backoff);
    const bytes = bodyBytes + (extra === null ? 0 : extra.length);
    const obstacle = this.#requests.obstacle(asker.identity) ?? this.#limit(asker, bytes);
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const { identity: party, holder } = asker;
    const owner = ownerOf(asker);
    const { requestTtlMs, maxAttempts } = this.#context.options;
    const { wall } = this.#context;
    const { options } = read;
    const facts = {
      id,
      priority: options.priority ?? 0,
      acceptedAt: wall,
      notBefore: wall + (options.delayMs ?? 0),
      expiresAt: wall + (options.ttlMs ?? requestTtlMs),
      maxAttempts: options.maxAttempts ?? maxAttempts,
      isShared: options.shared ?? false,
      key: options.key,
    };
    const sender = { party, owner, holder };
    const { service, body } = read;
    const number = this.#waiting.add(sender, facts, frames, service, body, bodyBytes, extra);
    this.#countAccepting(owner, bytes, holder, 1);
    this.#requests.intendNumber(party, number, bytes);
  }

  /** Makes the intent of a request whose batch is sent to the store, or that is given up. */
  accepting(number: WaitingNumber): Intent {
    const waiting = this.#waiting.take(number);
    const { id, party, owner, holder, body, key, extra } = waiting;
    const request = this.#newRequest(waiting);
    const bytes = body.length + (extra === null ? 0 : extra.length);
    const decided = (): void => {
      this.#countAccepting(owner, bytes, holder, -1);
    };
    const change: Change = { kind: 'accept', request, body, key };
    return {
      change: extra === null ? change : { ...change, extra },
      party,
      bytes,
      begins: () => {
        request.number = this.#context.nextNumber++;
      },
      committed: (result) => {
        decided();
        this.#answer(id, STATUS_OK, this.#accepted(request, party, result));
      },
      doubtful: (result) => {
        decided();
        this.#accepted(request, party, result);
        this.#answer(id, status(500, DOUBTFUL.message));
      },
      failed: (failure) => {
        decided();
        // After a fatal failure it is uncertain what is on disk: there is no answer, and the
        // process ends.
        if (failure.kind !== 'fatal') {
          this.#answer(id, status(500, this.#requests.failureText(failure)));
        }
        return false;
      },
    };
  }

  /** @param change 1: it is being accepted; -1: it is committed or given up */
  #countAccepting(owner: Owner, bodyBytes: number, holder: Holder, change: 1 | -1): void {
    this.#acceptIntent += change;
    holder.add('stored', change * (bodyBytes + WAITING_BYTES));
    const count = this.#acceptingOf.get(owner) ?? { stored: 0, bytes: 0 };
    count.stored += change;
    count.bytes += change * bodyBytes;
    if (count.stored === 0) this.#acceptingOf.delete(owner);
    else this.#acceptingOf.set(owner, count);
  }

  #newRequest(waiting: WaitingRequest): {
    -readonly [Field in keyof StoredRequest]: StoredRequest[Field];
  } {
    const { service, priority, acceptedAt, notBefore, expiresAt, maxAttempts, body } = waiting;
    return {
      uuid: this.#uuids.next(acceptedAt),
      // Its number is assigned when its batch begins.
      number: 0,
      service,
      state: 'pending',
      priority,
      acceptedAt,
      notBefore,
      expiresAt,
      maxAttempts,
      attempts: 0,
      generation: 0,
      bodyBytes: body.length,
      owner: waiting.owner,
      isShared: waiting.isShared,
    };
  }

  /** Returns the uuid for the client. */
  #accepted(request: StoredRequest, party: string, result: ChangeResult): Buffer {
    if (result.kind === 'known') return Buffer.from(uuidText(result.uuid));
    const { counters } = this.#context;
    const slot = this.#requests.openOnce(request, party);
    const { shown } = this.#requests.dispatcher.serviceOf(slot);
    increment(counters.services.accepted, this.#context.labelOf(shown));
    this.#context.trace?.({
      name: 'titanic.accepted',
      uuid: uuidPrefix(request.uuid),
      service: shown,
    });
    return Buffer.from(uuidText(request.uuid));
  }

  /** The limit, or the quota, that one more request would exceed, or `null`. */
  #limit(asker: Asker, bodyBytes: number): string | null {
    const { options, counts, events } = this.#context;
    const { pending, replied, dead, bytes } = counts;
    const text =
      pending + replied + dead + this.#acceptIntent >= options.maxOpen
        ? 'titanic.maxOpen is reached'
        : bytes + this.#requests.writer.bytes >= options.maxBytes
          ? 'titanic.maxBytes is reached'
          : asker.holder.mayHold(bodyBytes + WAITING_BYTES)
            ? this.#quota(asker, bodyBytes)
            : 'limits.memoryBytes is reached';
    if (text !== null) events.emit({ name: 'titanic.refused', reason: 'limit', text });
    return text;
  }

  /** The quota of its owner that one more request would exceed (D75), or `null`. */
  #quota(asker: Asker, bodyBytes: number): string | null {
    const owner = ownerOf(asker);
    const { quotas } = asker;
    const { stored, bytes } = this.#context.storedOf(owner);
    const accepting = this.#acceptingOf.get(owner);
    if (stored + (accepting?.stored ?? 0) >= quotas.stored) return 'the quota `stored` is used up';
    const taken = bytes + (accepting?.bytes ?? 0) + bodyBytes;
    return taken > quotas.storedBytes ? 'the quota `storedBytes` is used up' : null;
  }

  #lookUp(id: number, asker: Asker, uuid: RequestUuid, waitMs: number): void {
    const { answers, dispatcher } = this.#requests;
    const { now } = this.#context;
    const query = { id, asker, uuid, until: now + waitMs };
    const slot = dispatcher.index.find(uuid);
    if (slot === NO_SLOT) answers.lookUp(query);
    else if (!mayAccess(asker, dispatcher.accessFactsOf(slot))) answers.denied(query);
    else if (this.#requests.isWithheld(uuid)) answers.withhold(query);
    else answers.pending(query, now);
  }

  #close(id: number, asker: Asker, uuid: RequestUuid): void {
    const obstacle = this.#requests.obstacle(asker.identity);
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const decided: ChangeCallback = (result) => {
      if (result === 'done' || result === 'passed') this.#answer(id, STATUS_OK);
      else if (result.kind !== 'fatal') this.#answer(id, status(500, result.message));
    };
    this.#requests.closeFor(asker, uuid, decided, () => {
      this.#context.denied(asker, uuid, 'close');
      this.#requests.answers.unknown(id);
    });
  }
}

/** The headers frame of a request for `titanic.request`; `null`: there is none, or it is empty. */
function headersOf({ frames, headers }: InternalRequest): Buffer | null {
  return headers < 0 || frames.size(headers) === 0 ? null : frames.view(headers);
}
