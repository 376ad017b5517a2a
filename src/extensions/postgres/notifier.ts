/**
 * Hints between the brokers of a database by LISTEN and NOTIFY, over a connection of its own: a NOTIFY
 * in the transaction that it is about would make commits wait for each other. A database, or a pooler,
 * without them is none the worse for it: brokers ask, too.
 */
import type { Hint } from '../../store/store.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { stateOf } from './failures.js';
import { HeardHints } from './heard-hints.js';
import type { PersistentConnection } from './persistent-connection.js';
import { SCHEMA } from './schema.js';
import type { Statement } from './statements.js';

const CHANNEL = 'majordomo';
/** A database without such commands: it does not support them, or does not even know them. */
const UNSUPPORTED = ['0A000', '42601', '42883'];
const NOTIFY: Statement = { name: 'notify', text: 'SELECT pg_notify($1, $2)' };
/**
 * Who may send a hint. Anyone who may connect can notify, but the server itself says which of its processes did:
 * those of roles that may write to the store are brokers, whatever their version.
 */
const SENDERS: Statement = {
  name: 'senders',
  text: `SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND has_table_privilege(usesysid, '${SCHEMA}.broker', 'UPDATE')`,
};
const WAITING_MAX = 16;
/** How often it makes sure that it listens. */
const LOOK_MS = 1000;
/** After so many notifications in that time, from whomever, it does not listen for the rest of it. */
const HEARD_MAX = 5000;

export interface NotifierEvents {
  /** Other brokers have sent this. */
  heard(hint: Hint): void;
  /** Too much is sent; told once, until there was less. @param pid the process of the server that has sent it */
  flooded(pid: number): void;
}

export class Notifier {
  readonly #persistent: PersistentConnection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #events: NotifierEvents;
  readonly #hints: HeardHints;
  /** Processes of the server, as they were at the last look. */
  #senders: ReadonlySet<unknown> = new Set();
  /** How many notifications came since. */
  #heard = 0;
  #isFlooded = false;
  /** Another process has sent something since, or there was too much of it. */
  #isDoubtful = false;
  #mustLook = false;
  #connection: Connection | null = null;
  /** What is sent when the hints before have left. */
  #waiting: Buffer[] = [];
  #isSending = false;
  #isClosed = false;
  readonly #timer: NodeJS.Timeout;

  constructor(
    persistent: PersistentConnection,
    clock: Clock,
    timeoutMs: number,
    events: NotifierEvents,
  ) {
    this.#clock = clock;
    this.#persistent = persistent;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    this.#hints = new HeardHints((hint) => events.heard(hint));
    this.#timer = setInterval(() => {
      if (this.#heard < HEARD_MAX) this.#isFlooded = false;
      this.#heard = 0;
      this.#mustLook ||= this.#isDoubtful;
      this.#isDoubtful = false;
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
    const isListening = this.#connection?.isOpen === true && !this.#mustLook;
    if (this.#waiting.length === 0 && isListening) return;
    this.#isSending = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      await this.#persistent.use(this.#clock.now() + this.#timeoutMs, async (connection) => {
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
    if (this.#connection !== connection) {
      await connection.listen(CHANNEL, (payload, processId) => {
        this.#take(connection, payload, processId);
      });
      this.#connection = connection;
    } else if (this.#mustLook) await connection.ask(`LISTEN ${CHANNEL}`);
    else return;
    this.#mustLook = false;
    const rows = await connection.run(SENDERS, []);
    this.#senders = new Set(rows.map(([processId]) => processId));
  }

  #take(connection: Connection, payload: string, processId: number): void {
    if (this.#senders.has(processId)) this.#hints.heard(Buffer.from(payload, 'base64'));
    else this.#isDoubtful = true;
    if (++this.#heard !== HEARD_MAX) return;
    this.#isDoubtful = true;
    if (!this.#isFlooded) this.#events.flooded(processId);
    this.#isFlooded = true;
    // If it fails, so does the connection.
    connection.ask(`UNLISTEN ${CHANNEL}`).catch(() => undefined);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }
}
