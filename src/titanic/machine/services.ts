/** The services of Titanic, as the broker's clients use them (9/TSP; D12, D16). */
import type { Asker, InternalRequest } from '../../broker/ports.js';
import { escapeName } from '../../core/escape.js';
import { OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import { packedBytes } from '../../core/packed.js';
import {
  readTspClose,
  readTspName,
  readTspProgress,
  readTspRequest,
  readTspSchedule,
  readTspSchedules,
  readTspSubmit,
  readTspUuid,
  readTspWait,
  TITANIC_CALL,
  TITANIC_CLOSE,
  TITANIC_PROGRESS,
  TITANIC_REPLY,
  TITANIC_REQUEST,
  TITANIC_SCHEDULE,
  TITANIC_SCHEDULES,
  TITANIC_SUBMIT,
  TITANIC_UNSCHEDULE,
  TITANIC_WAIT,
  type TspClose,
  type TspExisted,
  type TspFault,
  type TspProgress,
  type TspRequest,
  uuidText,
  WAIT_MS_MAX,
} from '../../wire/tsp.js';
import type { Acceptances } from './requests/acceptances.js';
import { status, STATUS_OK } from './requests/answers.js';
import { keyDigest } from './requests/key-digest.js';
import { chosenBy } from './requests/options.js';
import { mayAccess, ownerOf } from './requests/ownership.js';
import type { TitanicContext } from './requests/context.js';
import { NO_SLOT } from './requests/open-index.js';
import type { Schedules } from './schedules/schedules.js';
import { type ChangeCallback, DOUBTFUL, type OpenRequests } from './requests/open-requests.js';
import { newRequest } from '../../store/request.js';
import { extraOf, NO_PARTNER } from '../../store/fields.js';
import { ownOfGroup } from '../../store/own-fields.js';
import {
  type ChangeResult,
  FIRST_CLAIM,
  type NewRequest,
  type RequestUuid,
} from '../../store/store.js';
import { cursorOf } from './requests/parts.js';
import type { Progress } from './requests/progress.js';
import type { AnswerNumber } from './requests/store-waits.js';
import type { Uuids } from './requests/uuid.js';
import { type WaitingNumber, WaitingRequests } from './requests/waiting-requests.js';
import { acceptWebhook, webhookBytes } from './requests/webhooks.js';
import type { Commit } from './requests/commit.js';

/** Services whose requests change nothing. */
export const ONLY_ASK: readonly string[] = [
  TITANIC_REPLY,
  TITANIC_WAIT,
  TITANIC_PROGRESS,
  TITANIC_SCHEDULES,
];

const CALL = Buffer.from(TITANIC_CALL);
const STATUS_NO_SUCH_SERVICE = Buffer.from('501');
/** D112. */
const STATUS_ANOTHER = Buffer.from(
  '409 the key was used for a request with another body or other options',
);
const NO_RIGHT = 'no right to send requests to this service';

/** D67: the options of this service take headers. */
function headersApart(service: string): TspFault {
  return { fault: `${service} takes headers in its options` };
}

export class TitanicServices {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #uuids: Uuids;
  readonly #progress: Progress;
  readonly #waiting = new WaitingRequests();
  /** The URLs of the webhooks of the waiting requests that have one. */
  readonly #webhooks = new Map<WaitingNumber, string>();
  /** Who waits for the replies to the waiting requests that came by `titanic.call`. */
  readonly #callers = new Map<WaitingNumber, Asker>();
  readonly #acceptances: Acceptances;
  readonly #schedules: Schedules;

  constructor(
    context: TitanicContext,
    requests: OpenRequests,
    uuids: Uuids,
    acceptances: Acceptances,
    schedules: Schedules,
    progress: Progress,
  ) {
    this.#context = context;
    this.#requests = requests;
    this.#uuids = uuids;
    this.#acceptances = acceptances;
    this.#schedules = schedules;
    this.#progress = progress;
  }

  request(request: InternalRequest): void {
    const { frames, body, asker } = request;
    const service = request.service.toString('latin1');
    const onlyAsks = ONLY_ASK.includes(service);
    const { waits } = this.#requests.answers;
    const id = waits.begins(request.id, !onlyAsks, onlyAsks ? asker.memory : null);
    switch (service) {
      case TITANIC_REQUEST:
        this.#accept(id, request, readTspRequest(frames, body), headersOf(request));
        return;
      case TITANIC_CALL:
      case TITANIC_SUBMIT: {
        // Who takes no parts of an answer could not tell the receipt from the reply.
        if (service === TITANIC_CALL && !request.takesParts) {
          this.#answer(id, STATUS_NO_SUCH_SERVICE);
          return;
        }
        const hasNone = request.headers < 0;
        const submit = hasNone ? readTspSubmit(frames, body) : headersApart(service);
        const headers = submit.fault === null ? submit.options.headers : null;
        this.#accept(id, request, submit, headers);
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
      case TITANIC_PROGRESS: {
        const progress = readTspProgress(frames, body);
        if (progress.fault === null) this.#follow(id, asker, progress);
        else this.#refuse(id, progress);
        return;
      }
      case TITANIC_CLOSE: {
        const close = readTspClose(frames, body);
        if (close.fault === null) this.#close(id, asker, close);
        else this.#refuse(id, close);
        return;
      }
      case TITANIC_SCHEDULE:
        this.#schedule(id, request);
        return;
      case TITANIC_UNSCHEDULE: {
        const name = readTspName(frames, body);
        if (typeof name === 'string') this.#schedules.unschedule(id, asker, name);
        else this.#refuse(id, name);
        return;
      }
      case TITANIC_SCHEDULES: {
        const list = readTspSchedules(frames, body);
        if (list.fault === null) this.#schedules.list(id, asker, list.after);
        else this.#refuse(id, list);
        return;
      }
      default:
        this.#answer(id, STATUS_NO_SUCH_SERVICE);
    }
  }

  #answer(id: AnswerNumber, ...body: readonly Buffer[]): void {
    this.#requests.answers.answer(id, ...body);
  }

  #refuse(id: AnswerNumber, { fault }: TspFault): void {
    const { counters, events } = this.#context;
    counters.malformed++;
    events.emit({ name: 'titanic.malformed', reason: fault });
    this.#answer(id, status(400, fault));
  }

  #deny(id: AnswerNumber, service: Buffer): void {
    this.#requests.answers.refuse(id, 'rights', `${NO_RIGHT}: ${escapeName(service)}`);
  }

  #accept(
    id: AnswerNumber,
    { service, frames, asker }: InternalRequest,
    read: TspRequest | TspFault,
    headers: Buffer | null,
  ): void {
    if (read.fault !== null) {
      this.#refuse(id, read);
      return;
    }
    // Who stores a request needs the right to its service, as for a plain one (D72).
    if (!asker.mayRequest(frames.view(read.service))) {
      this.#deny(id, frames.view(read.service));
      return;
    }
    const { webhook } = read.options;
    if (this.#refusesWebhook(id, webhook)) return;
    const bodyBytes = packedBytes(frames, read.body, frames.count);
    const extra = extraOf(headers, read.options, keyDigest(frames, read));
    const own = ownOfGroup(read.options.group);
    const bytes = bodyBytes + own.length + (extra === null ? 0 : extra.length);
    const ofWebhook = webhook === null ? 0 : webhookBytes(webhook, frames.view(read.service));
    const owner = ownerOf(asker);
    const { identity: party, memory, quotas } = asker;
    const who = { owner, quotas, memory };
    const obstacle =
      this.#requests.obstacle(party) ??
      this.#acceptances.limit(
        who,
        bytes + ofWebhook,
        frames.view(read.service),
        webhook === null ? 1 : 2,
      );
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const facts = chosenBy(read.options, this.#context);
    const sender = { party, owner, memory };
    const number = this.#waiting.add(id, sender, facts, frames, read, bodyBytes, extra, own);
    if (service.equals(CALL)) this.#callers.set(number, asker);
    if (webhook !== null) {
      this.#webhooks.set(number, webhook);
      this.#acceptances.count(who, ofWebhook, 1, null);
    }
    this.#acceptances.count(who, bytes, 1, frames.view(read.service));
    this.#requests.writer.addNumber(party, number, bytes + ofWebhook, this.#context.now);
  }

  /** @returns true: its URL is not allowed here, which has been answered */
  #refusesWebhook(id: AnswerNumber, webhook: string | null): boolean {
    const fault = webhook === null ? null : this.#context.webhookRule(webhook);
    if (fault !== null) {
      // The message is well-formed: what this broker allows is configured.
      const text = `webhook: ${fault}`;
      this.#context.events.emit({ name: 'titanic.refused', reason: 'webhook', text });
      this.#answer(id, status(400, text));
    }
    return fault !== null;
  }

  #schedule(id: AnswerNumber, { frames, body, headers, asker }: InternalRequest): void {
    const read = headers < 0 ? readTspSchedule(frames, body) : headersApart(TITANIC_SCHEDULE);
    if (read.fault !== null) {
      this.#refuse(id, read);
      return;
    }
    // D72: before the line is read, which takes time.
    if (!asker.mayRequest(frames.view(read.service))) {
      this.#deny(id, frames.view(read.service));
      return;
    }
    if (this.#refusesWebhook(id, read.options.webhook)) return;
    const fault = this.#schedules.schedule(id, asker, frames, read);
    if (fault !== null) this.#refuse(id, fault);
  }

  /** Makes the commit of a request whose batch is sent to the store, or that is given up. */
  commitOf(number: WaitingNumber): Commit {
    const waiting = this.#waiting.take(number);
    const { id, party, owner, memory, body, key, extra, own, saysExisted } = waiting;
    const url = this.#webhooks.get(number);
    this.#webhooks.delete(number);
    const caller = this.#callers.get(number) ?? null;
    this.#callers.delete(number);
    const request = newRequest(this.#uuids.next(waiting.acceptedAt), body.length, {
      ...waiting,
      kind: 'request',
      partner: url === undefined ? NO_PARTNER : this.#uuids.next(waiting.acceptedAt),
    });
    const { replyTtlMs } = this.#context.options;
    const webhook = url === undefined ? null : acceptWebhook(request, url, replyTtlMs);
    const bytes = body.length + own.length + (extra === null ? 0 : extra.length);
    const ofWebhook = webhook?.request.bodyBytes ?? 0;
    const decided = (): void => {
      if (webhook !== null) this.#acceptances.count({ owner, memory }, ofWebhook, -1, null);
      this.#acceptances.count({ owner, memory }, bytes, -1, request.service);
      if (change.claim !== undefined) this.#acceptances.decided(request);
    };
    const change: NewRequest = { kind: 'accept', request, body, key };
    const uuid = Buffer.from(uuidText(request.uuid));
    // D105: whoever is not told whether it is stored can ask.
    const refuse = (text: string): void => {
      const isUnknown = text.startsWith(OUTCOME_UNKNOWN);
      this.#answer(id, status(500, text), ...(isUnknown ? [uuid] : []));
    };
    if (extra !== null) change.extra = extra;
    return {
      ...{ change, party, bytes: bytes + ofWebhook, answer: id },
      before: webhook === null ? [] : [webhook],
      begins: () => {
        this.#requests.answers.waits.handsOver(id, uuid);
        if (this.#context.clock.isHeld) change.keepsKeys = true;
        if (this.#acceptances.claims(request)) change.claim = FIRST_CLAIM;
      },
      ended: (outcome) => {
        decided();
        if (outcome.kind !== 'made') {
          const { failure } = outcome;
          // After a fatal failure it is uncertain what is on disk: there is no answer, and the
          // process ends.
          if (failure.kind !== 'fatal') refuse(this.#requests.failureText(failure));
          return false;
        }
        const { result, isDoubtful } = outcome;
        this.#acceptances.stored(change, webhook, party, result);
        if (isDoubtful) {
          refuse(DOUBTFUL.message);
          return false;
        }
        if (result.kind === 'another') {
          this.#answer(id, STATUS_ANOTHER);
          return false;
        }
        const known = result.kind === 'known' ? result : null;
        const first = known === null ? uuid : Buffer.from(uuidText(known.uuid));
        const receipt = [first, ...(saysExisted ? [existedFrame(known)] : [])];
        if (caller === null) this.#answer(id, STATUS_OK, ...receipt);
        else this.#goOn(id, caller, known?.uuid ?? request.uuid, receipt);
        return false;
      },
    };
  }

  /** The request of a `titanic.call` is stored: its client gets the receipt, and waits for the reply (D122). */
  #goOn(id: AnswerNumber, asker: Asker, uuid: RequestUuid, receipt: readonly Buffer[]): void {
    const query = this.#requests.answers.receipt(id, asker, STATUS_OK, ...receipt);
    if (query !== null) this.#lookUp(query, asker, uuid, WAIT_MS_MAX);
  }

  #lookUp(id: AnswerNumber, asker: Asker, uuid: RequestUuid, waitMs: number): void {
    const { answers, dispatcher } = this.#requests;
    const { now, replica, claims } = this.#context;
    if (replica.silence !== null) {
      this.#answer(id, status(500, replica.silence));
      return;
    }
    const query = { id, asker, uuid, until: now + waitMs, cursor: null };
    // Another broker may have its reply, although this one has claimed it.
    const slot = claims === null ? dispatcher.index.find(uuid) : NO_SLOT;
    if (slot === NO_SLOT) answers.lookUp(query);
    else if (!mayAccess(asker, dispatcher.ownershipOf(slot))) answers.denied(query);
    else if (this.#requests.isWithheld(uuid)) answers.withhold(query);
    else answers.pending(query, now);
  }

  #follow(id: AnswerNumber, asker: Asker, { uuid, place, waitMs }: TspProgress): void {
    const until = this.#context.now + waitMs;
    this.#progress.asked.push({ id, asker, uuid, until, cursor: cursorOf(place) });
  }

  #close(id: AnswerNumber, asker: Asker, { uuid, isStrict }: TspClose): void {
    const { answers } = this.#requests;
    const obstacle = this.#requests.obstacle(asker.identity);
    if (obstacle !== null) {
      this.#answer(id, status(500, obstacle));
      return;
    }
    const decided: ChangeCallback = (result) => {
      if (result === 'done' || result === 'passed') {
        this.#progress.forget(uuid);
        if (result === 'passed' && isStrict) answers.unknown(id);
        else this.#answer(id, STATUS_OK);
      } else if (result.kind !== 'fatal') this.#answer(id, status(500, result.message));
    };
    this.#requests.closeFor(id, asker, uuid, decided, () => {
      this.#context.denied(asker, uuid, 'close');
      // While the peer of a pair may have what is unknown here, the close of an unknown uuid is done, too.
      if (isStrict && this.#context.replica.probe() === null) this.#answer(id, STATUS_OK);
      else answers.unknown(id);
    });
  }
}

/** D112. @param known the request of the key; `null`: it is this one */
function existedFrame(known: Extract<ChangeResult, { readonly kind: 'known' }> | null): Buffer {
  const told: TspExisted = { existed: known !== null, state: known?.state ?? 'pending' };
  return Buffer.from(JSON.stringify(told));
}

/** The headers frame of a request for `titanic.request`; `null`: there is none, or it is empty. */
function headersOf({ frames, headers }: InternalRequest): Buffer | null {
  return headers < 0 || frames.size(headers) === 0 ? null : frames.view(headers);
}
