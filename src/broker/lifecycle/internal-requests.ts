/** Requests that services of this process answer. */
import { assert, present } from '../../core/assert.js';
import { escapeName } from '../../core/escape.js';
import { Frames } from '../../core/frames.js';
import type { Inbound } from '../../wire/inbound.js';
import { EMPTY } from '../../wire/mdp.js';
import { NOT_ACTIVE, type Refusal } from '../admission/refusal.js';
import type { Peer } from '../state/entities.js';
import { INTERNAL, NONE, type RequestId } from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { Replies } from './replies.js';

/** Record numbers are below this. */
const GENERATION_STEP = 2 ** 31;

export class InternalRequests {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  /** Generation of the numbers by which internal services know requests: see `endAll`. */
  #generation = 0;

  constructor(data: BrokerData, replies: Replies) {
    this.#data = data;
    this.#replies = replies;
  }

  /** @returns the number by which the service answers the request */
  accept(inbound: Inbound, peer: Peer): number {
    return this.#generation * GENERATION_STEP + this.#data.requests.addInternal(inbound, peer);
  }

  /** The request with this number; NONE if it was ended by `endAll`. */
  of(number: number): RequestId {
    const isPresent = Math.floor(number / GENERATION_STEP) === this.#generation;
    return isPresent ? number % GENERATION_STEP : NONE;
  }

  answer(number: number, body: readonly Buffer[]): void {
    const { table, requests } = this.#data;
    const id = this.of(number);
    if (id === NONE) return;
    const isHeld = table.has(id) && table.is(id, INTERNAL);
    assert(isHeld, 'an internal request is answered once');
    const frames = body.length === 0 ? Frames.of(EMPTY) : Frames.of(...body);
    frames.isLasting = true;
    this.#replies.replyInternal(id, frames);
    requests.release(id, 'answered');
  }

  /** The service has not acted on the request. */
  refuse(number: number, refusal: Refusal): void {
    const { requests } = this.#data;
    const id = this.of(number);
    if (id === NONE) return;
    const client = present(requests.clientOf(id), 'a request of a client');
    const shown = escapeName(requests.internalName(id));
    this.#replies.countRefused(refusal, shown, null, client);
    this.#replies.sendRefusal(id, refusal.status, refusal.text);
    requests.release(id, 'too_late');
  }

  /**
   * Ends all that are not answered, and ignores later answers. They get no answer, because it is
   * uncertain whether they took effect.
   * @param onlyAsks by service name: true if the request changes nothing, so that it can be refused
   */
  endAll(onlyAsks: (service: Buffer) => boolean): void {
    const { table, requests } = this.#data;
    this.#generation++;
    for (const id of table.all(INTERNAL)) {
      if (onlyAsks(requests.internalName(id))) {
        this.#replies.sendRefusal(id, NOT_ACTIVE.status, NOT_ACTIVE.text);
      }
      requests.release(id, 'too_late');
    }
  }
}
