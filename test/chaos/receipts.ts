/** Receipts of stored requests, what became of them, and what must be true of each. */
import { createHash } from 'node:crypto';

import { codeOf, messageOf } from '../../src/core/errors.js';
import type { Client } from '../../src/sdk/client.js';
import { settledState } from '../support/pair-load.js';
import type { SimRandom } from '../simulation/world/random.js';

const BODY_BYTES_MAX = 4000;
/** There was no answer yet, or no node to give one. */
const LATE = new Set(['ERR_TITANIC_PENDING', 'ERR_MDP_UNREACHABLE', 'ERR_MDP_REFUSED']);

export interface Receipt {
  readonly uuid: string;
  readonly reply: string;
  /** *closing*: its close was sent, and it may be unknown from now on. */
  state: 'open' | 'closing' | 'closed';
  /** Its reply was seen, so it can never be pending again. */
  isReplied: boolean;
  /** Its index among the open requests; -1 if it is closed. */
  place: number;
}

/** The reply of the service `service` to a body. */
export function replyTo(service: string, frames: readonly Uint8Array[]): string {
  const hash = createHash('sha256').update(service);
  for (const frame of frames) hash.update(`${frame.length}:`).update(frame);
  return hash.digest('hex');
}

export class Receipts {
  readonly #open: Receipt[] = [];
  readonly #uuids = new Set<string>();
  readonly #wrong: string[] = [];
  readonly #isPair: boolean;
  /** Uuids whose close was acknowledged. */
  readonly closed = new Set<string>();
  #number = 0;
  #checked = 0;

  /** @param isPair until they are in sync again, nodes may know of a step later than of another (D21) */
  constructor(isPair = false) {
    this.#isPair = isPair;
  }

  /** Receipts whose reply was fetched and compared. */
  get checked(): number {
    return this.#checked;
  }

  /** All receipts so far. */
  get count(): number {
    return this.#uuids.size;
  }

  get openCount(): number {
    return this.#open.length;
  }

  /** A line for the report. */
  get told(): string {
    return `${this.#uuids.size} receipts, ${this.#open.length} open, ${this.#checked} checked`;
  }

  open(): Receipt[] {
    return [...this.#open];
  }

  /** An open one, if there is any. */
  any(random: SimRandom): Receipt | undefined {
    return this.#open[random.int(0, Math.max(0, this.#open.length - 1))];
  }

  throwIfLost(): void {
    const [first] = this.#wrong;
    if (first !== undefined) throw new Error(`${this.#wrong.length} wrong, the first: ${first}`);
  }

  async submit(client: Client, service: string, random: SimRandom): Promise<Receipt> {
    const body = [
      Buffer.from(`request ${++this.#number}`),
      Buffer.alloc(random.int(0, BODY_BYTES_MAX), this.#number),
    ];
    const options = random.chance(0.2) ? { priority: random.int(-100, 100) } : {};
    const { uuid } = await client.submit(service, body, options);
    if (this.#uuids.has(uuid)) this.#wrong.push(`${uuid} is the receipt of two requests`);
    this.#uuids.add(uuid);
    const reply = replyTo(service, body);
    const place = this.#open.length;
    const receipt: Receipt = { uuid, reply, state: 'open', isReplied: false, place };
    this.#open.push(receipt);
    return receipt;
  }

  /** Waits for the reply and compares it. @returns false if it does not come in time */
  async fetch(client: Client, receipt: Receipt, timeoutMs: number): Promise<boolean> {
    const { uuid } = receipt;
    try {
      const text = (await client.job(uuid).result({ timeoutMs })).text();
      if (text !== receipt.reply) this.#wrong.push(`${uuid}: another's reply, ${text}`);
      if (!receipt.isReplied) this.#checked++;
      receipt.isReplied = true;
      return true;
    } catch (error) {
      const code = codeOf(error);
      // Another lane has closed it meanwhile, and only then may it be unknown.
      if (code === 'ERR_TITANIC_UNKNOWN' && wasClosed(receipt)) return false;
      // A client that waits a minute would have got it.
      if (!LATE.has(code ?? '') || timeoutMs >= 60_000) {
        this.#wrong.push(`${uuid}: ${messageOf(error)}`);
      }
      return false;
    }
  }

  /** Asks once where it stands. */
  async look(client: Client, receipt: Receipt | undefined): Promise<void> {
    if (receipt?.state !== 'open') return;
    const wasReplied = receipt.isReplied;
    const found = await client.job(receipt.uuid).state();
    if (wasClosed(receipt)) return;
    if (found.state === 'unknown' || found.state === 'dead') {
      this.#wrong.push(`${receipt.uuid} is ${found.state}, and was not closed`);
    } else if (wasReplied && found.state === 'pending' && !this.#isPair) {
      this.#wrong.push(`${receipt.uuid} was replied to, and is pending again`);
    } else if (found.state === 'replied' && found.reply.text() !== receipt.reply) {
      this.#wrong.push(`${receipt.uuid}: another's reply, ${found.reply.text()}`);
    }
  }

  /** Closes it, after which it must be unknown. */
  async close(client: Client, receipt: Receipt): Promise<void> {
    if (receipt.state !== 'open') return;
    receipt.state = 'closing';
    this.#takeOut(receipt);
    const job = client.job(receipt.uuid);
    await job.close();
    receipt.state = 'closed';
    this.closed.add(receipt.uuid);
    if (!this.#isPair) await this.lookForClosed(client, receipt.uuid);
  }

  async lookForClosed(client: Client, uuid: string): Promise<void> {
    const state = await settledState(client, uuid);
    if (state !== 'unknown') this.#wrong.push(`${uuid} was closed, and is ${state}`);
  }

  /** Checks that both disks of a pair have the same content. Returns the number of requests without a receipt. */
  compare(stored: ReadonlySet<string>): number {
    for (const { uuid } of this.#open) {
      if (!stored.has(uuid)) this.#wrong.push(`${uuid} is not on the disks`);
    }
    let strangers = 0;
    for (const uuid of stored) {
      if (this.closed.has(uuid)) this.#wrong.push(`${uuid} was closed, and is on the disks`);
      if (!this.#uuids.has(uuid)) strangers++;
    }
    return strangers;
  }

  #takeOut(receipt: Receipt): void {
    const last = this.#open.pop();
    if (last !== undefined && last !== receipt) {
      last.place = receipt.place;
      this.#open[receipt.place] = last;
    }
    receipt.place = -1;
  }
}

function wasClosed(receipt: Receipt): boolean {
  return receipt.state !== 'open';
}
