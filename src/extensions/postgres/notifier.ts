/**
 * Hints between the brokers of a database by LISTEN and NOTIFY, over a connection of its own: a NOTIFY
 * in the transaction that it is about would make commits wait for each other. A database, or a pooler,
 * without them is none the worse for it: brokers ask, too.
 */
import type { Connection } from './connection.js';
import { stateOf } from './failures.js';
import type { PersistentConnection } from './persistent-connection.js';
import type { Statement } from './statements.js';

const CHANNEL = 'majordomo';
/** A database without such commands: it does not support them, or does not even know them. */
const UNSUPPORTED = ['0A000', '42601', '42883'];
const NOTIFY: Statement = { name: 'notify', text: 'SELECT pg_notify($1, $2)' };
const WAITING_MAX = 16;
/** How often it makes sure that it listens. */
const LOOK_MS = 1000;

export class Notifier {
  readonly #persistent: PersistentConnection;
  readonly #timeoutMs: number;
  readonly #heard: (hint: Buffer) => void;
  #connection: Connection | null = null;
  /** What is sent when the hints before have left. */
  #waiting: Buffer[] = [];
  #isSending = false;
  #isClosed = false;
  readonly #timer: NodeJS.Timeout;

  constructor(persistent: PersistentConnection, timeoutMs: number, heard: (hint: Buffer) => void) {
    this.#persistent = persistent;
    this.#timeoutMs = timeoutMs;
    this.#heard = heard;
    this.#timer = setInterval(() => {
      this.#start();
    }, LOOK_MS);
    this.#start();
  }

  /** If the database is slow, the oldest that wait are dropped: brokers ask, too. */
  send(hint: Buffer): void {
    if (this.#waiting.push(hint) > WAITING_MAX) this.#waiting.shift();
    this.#start();
  }

  #start(): void {
    if (this.#isSending || this.#isClosed) return;
    if (this.#waiting.length === 0 && this.#connection?.isOpen === true) return;
    this.#isSending = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      await this.#persistent.use(performance.now() + this.#timeoutMs, async (connection) => {
        await this.#listenOn(connection);
        for (let hint = this.#waiting.shift(); hint !== undefined; hint = this.#waiting.shift()) {
          const payload = Buffer.from(hint.toString('base64'));
          await connection.run(NOTIFY, [Buffer.from(CHANNEL), payload]);
        }
      });
    } catch (error) {
      // If there is no connection, that is reported, and it is tried again.
      if (UNSUPPORTED.includes(stateOf(error))) this.close();
    }
    this.#isSending = false;
  }

  async #listenOn(connection: Connection): Promise<void> {
    if (this.#connection === connection) return;
    await connection.listen(CHANNEL, (payload) => {
      this.#heard(Buffer.from(payload, 'base64'));
    });
    this.#connection = connection;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }
}
