/**
 * Ends waiting requests of single clients: if the client will not return, they are dropped (D26); if
 * it has lost the right to send them, they are refused (D73). Requests at workers continue.
 */
import { allows } from '../admission/access.js';
import { RIGHT_WITHDRAWN } from '../admission/refusal.js';
import type { Client } from '../state/entities.js';
import { NONE, QUEUED, type RequestId } from '../state/request-table.js';
import type { BrokerState } from './broker-state.js';
import { type Slice, Turns } from './turns.js';

export type ScanReason = 'departed' | 'rights_changed';

interface Scan {
  readonly client: Client;
  readonly reason: ScanReason;
  /** Requests not yet examined. */
  left: number;
}

export class ClientScans {
  readonly #state: BrokerState;
  readonly #scans = new Turns<Scan>();

  constructor(state: BrokerState) {
    this.#state = state;
  }

  start(client: Client, reason: ScanReason): void {
    this.#scans.add(client.identity, { client, reason, left: client.requests.count });
  }

  /**
   * @param budget maximum number of requests to examine
   * @returns false if there is more to do
   */
  run(budget: number): boolean {
    return this.#scans.run(budget, (scan, most) => this.#continue(scan, most));
  }

  #continue(scan: Scan, most: number): Slice {
    const { client, reason } = scan;
    const { requests } = client;
    let done = 0;
    for (; done < most && scan.left > 0 && requests.head !== NONE; done++) {
      const id = requests.head;
      // Moves it to the back, so that the next turn continues with the requests not yet examined.
      requests.remove(id);
      requests.pushBack(id);
      if (this.#state.table.is(id, QUEUED)) this.#examine(id, client, reason);
      scan.left--;
    }
    const isLast = scan.left === 0 || requests.count === 0;
    if (isLast) this.#state.clients.forget(client);
    return { done, isLast };
  }

  #examine(id: RequestId, client: Client, reason: ScanReason): void {
    const { ends, requests } = this.#state;
    if (reason === 'departed') {
      ends.dropQueued(id);
    } else if (!allows(client.grants, 'client', requests.serviceOf(id).name)) {
      ends.refuseQueued(id, RIGHT_WITHDRAWN);
    }
  }
}
