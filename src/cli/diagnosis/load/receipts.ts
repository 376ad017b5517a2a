/** Stored requests as a load: takes a receipt for each, and closes all of them. */
import { MajordomoError } from '../../../core/errors.js';
import type { Client } from '../../../sdk/client.js';
import { CLIENT_OPTIONS } from '../../../sdk/option-tables.js';
import { readAnswer, type TitanicAnswer } from '../../../sdk/jobs/titanic-answer.js';
import { bodyOf, type Calls, clientsOf, closed, nth, removed } from './calls.js';
import type { LoadPlan } from './messages.js';

const TITANIC_REQUEST = 'titanic.request';
const TITANIC_CLOSE = 'titanic.close';
/** The most receipts kept: what is stored and not yet closed takes disk space at the broker. */
const OPEN_MAX = 1_000_000;
/** The patience of the first question, which need not wait long for a busy broker. */
const FIRST = { timeoutMs: CLIENT_OPTIONS.timeoutMs.default };

export class Receipts implements Calls {
  readonly #clients: readonly Client[];
  readonly #service: string;
  readonly #body: Buffer;
  readonly #uuids: Buffer[] = [];

  constructor(plan: LoadPlan) {
    this.#clients = clientsOf(plan);
    this.#service = plan.service;
    this.#body = bodyOf(plan);
  }

  /**
   * Rejects with ERR_TITANIC_UNSUPPORTED if the broker stores nothing, or as `Client.request` does.
   */
  async begin(): Promise<void> {
    const reply = await nth(this.#clients, 0).request('mmi.service', TITANIC_REQUEST, FIRST);
    if (readAnswer(reply.frames).status !== 200) {
      throw new MajordomoError(
        'ERR_TITANIC_UNSUPPORTED',
        `this broker does not support ${TITANIC_REQUEST}`,
      );
    }
    await Promise.all(this.#clients.map((_, n) => this.one(n)));
  }

  /**
   * Resolves when the receipt has arrived. Rejects as `Client.request` does, and with
   * ERR_TITANIC_REFUSED.
   */
  async one(n: number): Promise<void> {
    const client = nth(this.#clients, n);
    const reply = await client.request(TITANIC_REQUEST, [this.#service, this.#body]);
    const answer = readAnswer(reply.frames);
    const [uuid] = answer.frames;
    if (answer.status !== 200 || uuid === undefined) throw refused('stored', answer);
    this.#uuids.push(uuid);
    // A long run closes requests while it runs.
    if (this.#uuids.length > OPEN_MAX) await this.#closeOne(client);
  }

  /** Closes all stored requests. Rejects as `one` does. */
  async end(): Promise<void> {
    await removed((n) => this.#closeOne(nth(this.#clients, n)));
    await closed(this.#clients);
  }

  /** @returns whether there was one */
  async #closeOne(client: Client): Promise<boolean> {
    const uuid = this.#uuids.pop();
    if (uuid === undefined) return false;
    const answer = readAnswer((await client.request(TITANIC_CLOSE, uuid)).frames);
    if (answer.status !== 200) throw refused('closed', answer);
    return true;
  }
}

function refused(done: string, { status, text }: TitanicAnswer): MajordomoError {
  const why = `${status === 0 ? '' : `${status} `}${text}`;
  return new MajordomoError('ERR_TITANIC_REFUSED', `a request was not ${done}: ${why}`);
}
