/**
 * Ends requests of single clients: if the client will not return, those that wait are dropped (D26); if it has
 * lost the right to send them, they are refused (D73). Those that it does not want any more end wherever they
 * are (D106).
 */
import { PackedCursor, packedFrameBytes, packHead, readPacked } from '../../core/packed.js';
import { allows } from '../admission/access.js';
import { RIGHT_WITHDRAWN } from '../admission/refusal.js';
import type { Client } from '../state/entities.js';
import { NONE, OUT, QUEUED, type RequestId } from '../state/request-table.js';
import type { BrokerState } from './broker-state.js';
import { type Slice, Turns } from './turns.js';

/** Requests of one client that are looked for at once. */
const CANCELLED_MAX = 10_000;

/** Of one client there is one at a time, because each moves its requests. */
interface Scan {
  readonly client: Client;
  /** Requests not yet examined. */
  left: number;
  rightsChanged: boolean;
  /** The envelopes of requests that it does not want any more: packed, one character per byte. */
  readonly cancelled: Set<string>;
}

export class ClientScans {
  readonly #state: BrokerState;
  readonly #scans = new Turns<Scan>();
  readonly #byClient = new Map<Client, Scan>();

  constructor(state: BrokerState) {
    this.#state = state;
  }

  departed(client: Client): void {
    this.#scan(client);
  }

  rightsChanged(client: Client): void {
    this.#scan(client).rightsChanged = true;
  }

  /**
   * @param envelope of a request of this client, packed
   * @param ids the last frames of the envelopes of others, which are otherwise the same
   * @returns false if too many are looked for already
   */
  cancel(client: Client, envelope: Buffer, ids: readonly Buffer[]): boolean {
    const looked = this.#byClient.get(client)?.cancelled.size ?? 0;
    if (looked + ids.length > CANCELLED_MAX) return false;
    const { cancelled } = this.#scan(client);
    for (const id of ids) cancelled.add(withLastFrame(envelope, id));
    return true;
  }

  #scan(client: Client): Scan {
    const { count } = client.requests;
    let scan = this.#byClient.get(client);
    if (scan === undefined) {
      scan = { client, left: count, rightsChanged: false, cancelled: new Set() };
      this.#byClient.set(client, scan);
      this.#scans.add(client.identity, scan);
    }
    scan.left = count;
    return scan;
  }

  /**
   * @param budget maximum number of requests to examine
   * @returns false if there is more to do
   */
  run(budget: number): boolean {
    return this.#scans.run(budget, (scan, most) => this.#continue(scan, most));
  }

  #continue(scan: Scan, most: number): Slice {
    const { client } = scan;
    const { requests } = client;
    let done = 0;
    for (; done < most && scan.left > 0 && requests.head !== NONE; done++) {
      const id = requests.head;
      // Moves it to the back, so that the next turn continues with the requests not yet examined.
      requests.remove(id);
      requests.pushBack(id);
      this.#examine(id, scan);
      scan.left--;
    }
    const isLast = scan.left === 0 || requests.count === 0;
    if (isLast) {
      this.#byClient.delete(client);
      this.#state.clients.forget(client);
    }
    return { done, isLast };
  }

  #examine(id: RequestId, { client, rightsChanged, cancelled }: Scan): void {
    const { ends, requests, table } = this.#state;
    if (!table.is(id, QUEUED | OUT)) return;
    if (cancelled.size > 0 && cancelled.has(requests.envelopeText(id))) {
      ends.cancel(id);
    } else if (!table.is(id, QUEUED)) {
      // Requests at workers continue.
    } else if (client.departed) {
      ends.dropQueued(id);
    } else if (rightsChanged && !allows(client.grants, 'client', requests.serviceOf(id).name)) {
      ends.refuseQueued(id, RIGHT_WITHDRAWN);
    }
  }
}

/** @returns a packed envelope with another last frame, one character per byte */
function withLastFrame(envelope: Buffer, id: Buffer): string {
  const cursor = new PackedCursor();
  let last = 0;
  for (let at = 0; at < envelope.length; at = cursor.end) {
    last = at;
    readPacked(envelope, at, cursor);
  }
  const key = Buffer.alloc(last + packedFrameBytes(id.length));
  envelope.copy(key, 0, 0, last);
  id.copy(key, packHead(key, last, id.length, true));
  return key.toString('latin1');
}
