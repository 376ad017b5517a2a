/**
 * Handles the two messages that make up nearly all of the traffic without taking them apart: a
 * client's request for the service that it requested last, and a worker's final reply to a request
 * that it holds. Only what needs no decision is handled here, and by the same operations as in
 * `ClientRequests` and `WorkerInputs`; everything else is left to them, unchanged. So the effects of
 * both ways are equal (test/support/shadow.ts compares them).
 */
import type { Words } from '../../core/bytes.js';
import { Frames } from '../../core/frames.js';
import { byDialect } from '../../wire/dialect.js';
import { ReplyForm, type RequestForm, SHORT_HEAD_BYTES } from '../../wire/packed-forms.js';
import type { BrokerData } from '../lifecycle/broker-data.js';
import type { Deliveries } from '../lifecycle/deliveries.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import type { Replies } from '../lifecycle/replies.js';
import type { Peer, Worker, Session } from '../state/entities.js';
import {
  ANSWERED,
  FLAGS,
  GIVEN_UP,
  HELD,
  NONE,
  OUT,
  SERVICE,
  STORED,
  WORKER,
} from '../state/request-table.js';
import { TOKEN_BYTES } from '../state/tokens.js';

/** Flags of a request whose reply is more than a reply to a client. */
const SPECIAL = ANSWERED | GIVEN_UP | HELD | STORED;
const REPLY_FORMS = byDialect((dialect) => new ReplyForm(dialect, TOKEN_BYTES));

export class FastPath {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #deliveries: Deliveries;
  readonly #lifecycle: Lifecycle;
  /** The body of a reply. */
  readonly #body = new Frames();

  constructor(data: BrokerData, replies: Replies, deliveries: Deliveries, lifecycle: Lifecycle) {
    this.#data = data;
    this.#replies = replies;
    this.#deliveries = deliveries;
    this.#lifecycle = lifecycle;
  }

  /** See `Broker.packed`. */
  take(peer: Peer, words: Words, from: number, end: number, now: number): number {
    if (peer.closing || !this.#data.admission.isOpen) return 0;
    const { worker } = peer;
    return worker === null
      ? this.#request(peer, words, from, end, now)
      : this.#reply(worker, words, from, end, now);
  }

  #request(peer: Peer, words: Words, from: number, end: number, now: number): number {
    const { limits, requests, table } = this.#data;
    const { lastForm: form, lastService: service, identity } = peer;
    if (form === null || service === null || !form.finds(words, from, end)) return 0;
    // Without a worker, the client may want a refusal (D65).
    if (service.workers.size === 0 || identity.quotas.requestsPerSecond !== Infinity) return 0;
    const bytes = form.envelopeEnd - from + form.end - form.contentStart;
    if (limits.ofRequest(service, bytes, identity) !== null) return 0;
    const { session } = peer;
    if (session !== null && !this.#takesNext(session, words, from, form, now)) return 0;
    identity.received++;
    const id = requests.addPacked(words, from, form, peer, now);
    table.set(id, SERVICE, service.id);
    this.#lifecycle.accept(id, service);
    return form.end;
  }

  /** Whether the request is later than all before it of its session (D116). */
  #takesNext(
    session: Session,
    words: Words,
    from: number,
    form: RequestForm,
    now: number,
  ): boolean {
    const idFrom = from + SHORT_HEAD_BYTES;
    if (idFrom >= form.envelopeEnd) return true;
    session.recent?.heard(now);
    return session.takes(words.bytes, idFrom, form.envelopeEnd);
  }

  #reply(worker: Worker, words: Words, from: number, end: number, now: number): number {
    const { table, tokens, workers, requests } = this.#data;
    // With its last reply, one that is leaving goes.
    if (worker.credit === 0) return 0;
    const form = REPLY_FORMS[worker.dialect];
    if (!form.finds(words, from, end)) return 0;
    const id = tokens.requestAt(words, form.tokenStart);
    if (id === NONE || (table.get(id, FLAGS) & (OUT | SPECIAL)) !== OUT) return 0;
    if (table.get(id, WORKER) !== worker.place) return 0;
    if (!tokens.isLatestAt(words, form.tokenStart, id)) return 0;
    const body = this.#body;
    body.clear();
    body.push(words.bytes, form.end - form.bodyBytes, form.end);
    body.isPacked = true;
    workers.touch(worker, now);
    this.#replies.reply(id, body, 0, now);
    this.#deliveries.takeBack(id, worker);
    requests.release(id, 'answered');
    return form.end;
  }
}
