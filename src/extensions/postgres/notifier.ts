/**
 * Hints between the brokers of a database by LISTEN and NOTIFY, over a connection of its own: a NOTIFY
 * in the transaction that it is about would make commits wait for each other. A database, or a pooler,
 * without them is none the worse for it: brokers ask, too.
 */
import type { Hint } from '../../store/store.js';
import type { Clock, Timer } from './clock.js';
import { stateOf } from './failures.js';
import { HeardHints } from './heard-hints.js';
import type { PersistentConnection } from './persistent-connection.js';
import type { Tables } from './tables.js';

/** A database without such commands: it does not support them, or does not even know them. */
const UNSUPPORTED = ['0A000', '42601', '42883'];
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
  readonly #persistent: PersistentConnection<Tables>;
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
  #connection: Tables | null = null;
  /** What is sent when the hints before have left. */
  #waiting: Buffer[] = [];
  #isSending = false;
  #isClosed = false;
  #timer: Timer;

  constructor(
    persistent: PersistentConnection<Tables>,
    clock: Clock,
    timeoutMs: number,
    events: NotifierEvents,
  ) {
    this.#clock = clock;
    this.#persistent = persistent;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    this.#hints = new HeardHints(clock, (hint) => events.heard(hint));
    this.#timer = clock.later(LOOK_MS, this.#look);
    this.#start();
  }

  readonly #look = (): void => {
    this.#timer = this.#clock.later(LOOK_MS, this.#look);
    if (this.#heard < HEARD_MAX) this.#isFlooded = false;
    this.#heard = 0;
    this.#mustLook ||= this.#isDoubtful;
    this.#isDoubtful = false;
    this.#start();
  };

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
          await connection.notify(Buffer.from(hint.toString('base64')));
        }
      });
    } catch (error) {
      // If there is no connection, that is reported, and it is tried again.
      if (UNSUPPORTED.includes(stateOf(error))) this.close();
    }
    this.#isSending = false;
  }

  async #listenOn(connection: Tables): Promise<void> {
    if (this.#connection !== connection) {
      await connection.listen((payload, processId) => this.#take(connection, payload, processId));
      this.#connection = connection;
    } else if (this.#mustLook) await connection.listenAgain();
    else return;
    this.#mustLook = false;
    this.#senders = await connection.senders();
  }

  #take(connection: Tables, payload: string, processId: number): void {
    if (this.#senders.has(processId)) this.#hints.heard(Buffer.from(payload, 'base64'));
    else this.#isDoubtful = true;
    if (++this.#heard !== HEARD_MAX) return;
    this.#isDoubtful = true;
    if (!this.#isFlooded) this.#events.flooded(processId);
    this.#isFlooded = true;
    // If it fails, so does the connection.
    connection.unlisten().catch(() => undefined);
  }

  close(): void {
    this.#isClosed = true;
    this.#clock.cancel(this.#timer);
  }
}
