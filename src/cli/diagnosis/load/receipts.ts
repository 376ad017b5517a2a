/** Stored requests as a load: takes a receipt for each, and closes all of them. */
import { MajordomoError } from '../../../core/errors.js';
import type { Client } from '../../../sdk/client.js';
import { CLIENT_DEFAULTS } from '../../../sdk/defaults.js';
import { readAnswer, type TitanicAnswer } from '../../../sdk/jobs/titanic-answer.js';

const TITANIC_REQUEST = 'titanic.request';
const TITANIC_CLOSE = 'titanic.close';
/** The most receipts kept: what is stored and not yet closed takes disk space at the broker. */
const OPEN_MAX = 1_000_000;
const CLOSING_AT_ONCE = 256;
/** For the first question, which need not wait long for a busy broker. */
const { timeoutMs, retries } = CLIENT_DEFAULTS;
const FIRST = { timeoutMs, retries };

export class Receipts {
  readonly #service: string;
  readonly #body: Buffer;
  readonly #uuids: Buffer[] = [];

  constructor(service: string, body: Buffer) {
    this.#service = service;
    this.#body = body;
  }

  /**
   * Rejects with ERR_TITANIC_UNSUPPORTED if the broker stores nothing, or as `Client.request` does.
   */
  async check(client: Client): Promise<void> {
    const reply = await client.request('mmi.service', TITANIC_REQUEST, FIRST);
    if (readAnswer(reply.frames).status === 200) return;
    throw new MajordomoError(
      'ERR_TITANIC_UNSUPPORTED',
      `this broker does not support ${TITANIC_REQUEST}`,
    );
  }

  /**
   * Resolves when the receipt has arrived. Rejects as `Client.request` does, and with
   * ERR_TITANIC_REFUSED.
   */
  async take(client: Client): Promise<void> {
    const reply = await client.request(TITANIC_REQUEST, [this.#service, this.#body]);
    const answer = readAnswer(reply.frames);
    const [uuid] = answer.frames;
    if (answer.status !== 200 || uuid === undefined) throw refused('stored', answer);
    this.#uuids.push(uuid);
    // A long run closes requests while it runs.
    if (this.#uuids.length > OPEN_MAX) await this.#closeOne(client);
  }

  /** Closes all of them. Rejects as `take` does. */
  async close(clients: readonly Client[]): Promise<void> {
    const one = async (at: number): Promise<void> => {
      const client = clients[at % clients.length];
      while (client !== undefined && this.#uuids.length > 0) await this.#closeOne(client);
    };
    await Promise.all(Array.from({ length: CLOSING_AT_ONCE }, (_, at) => one(at)));
  }

  async #closeOne(client: Client): Promise<void> {
    const uuid = this.#uuids.pop();
    if (uuid === undefined) return;
    const answer = readAnswer((await client.request(TITANIC_CLOSE, uuid)).frames);
    if (answer.status !== 200) throw refused('closed', answer);
  }
}

function refused(done: string, { status, text }: TitanicAnswer): MajordomoError {
  const why = `${status === 0 ? '' : `${status} `}${text}`;
  return new MajordomoError('ERR_TITANIC_REFUSED', `a request was not ${done}: ${why}`);
}
