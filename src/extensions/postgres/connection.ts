/** A connection to the database. */
import type { Socket } from 'node:net';

import type { Client, QueryArrayConfig } from 'pg';

import type { Row } from './changes.js';
import { PROCESS_CLOCK } from './clock.js';
import { within } from './failures.js';
import type { Statement } from './statements.js';
import type { Value } from './values.js';

/**
 * The wait for the standby was cancelled: whether it has the commit is unknown. The name of the
 * function tells it in any language of messages.
 */
const CANCELLED_WAIT = /canceling (the )?wait for synchronous replication/;
const WAITING_FUNCTION = 'SyncRepWaitForLSN';

const CLOSING_MS = 1000;

export class Connection {
  readonly client: Client;
  readonly #socket: Socket;
  #isOpen = true;
  /** A commit on this connection may not be on the standby. */
  #hasDoubt = false;
  /** Called once, when it ended by itself. */
  onEnd: (() => void) | null = null;

  constructor(client: Client, socket: Socket) {
    this.client = client;
    this.#socket = socket;
    client.on('error', () => this.#end());
    client.on('end', () => this.#end());
    client.on('notice', ({ message, routine }) => {
      if (routine === WAITING_FUNCTION || CANCELLED_WAIT.test(message ?? '')) this.#hasDoubt = true;
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The process that serves this connection, as the other end told it at the login. */
  get processId(): number | null {
    return (this.client as { readonly processID?: number | null }).processID ?? null;
  }

  /** False in a transaction, also in one that failed: nothing else can be done there. */
  get isIdle(): boolean {
    return (this.client.getTransactionStatus() ?? 'I') === 'I';
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.onEnd?.();
  }

  /** Sends it without waiting for what was sent before. */
  async run({ name, text }: Statement, values: readonly (Buffer | number)[]): Promise<Row[]> {
    return await this.#query({ name, text, values: [...values], rowMode: 'array' });
  }

  /** Like `run`, for a statement that is not prepared. */
  async ask(text: string, values: readonly (Buffer | number)[] = []): Promise<Row[]> {
    return await this.#query({ text, values: [...values], rowMode: 'array' });
  }

  async #query(query: QueryArrayConfig): Promise<Row[]> {
    const { rows } = await this.client.query<Value[]>(query);
    return rows;
  }

  /** @param heard called with what others send to the channel, and the process of the server that serves the sender */
  async listen(
    channel: string,
    heard: (payload: string, processId: number) => void,
  ): Promise<void> {
    const [row] = await this.ask('SELECT pg_backend_pid()');
    this.client.on('notification', ({ channel: from, payload, processId }) => {
      // What this connection has sent comes back to it.
      if (from === channel && processId !== row?.[0]) heard(payload ?? '', processId);
    });
    await this.ask(`LISTEN ${channel}`);
  }

  /** True if a commit since the last call may not be on the standby. */
  takeDoubt(): boolean {
    const hasDoubt = this.#hasDoubt;
    this.#hasDoubt = false;
    return hasDoubt;
  }

  /** Waits for `work` for that long; then the connection is closed, and what it did is unknown. */
  async within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
    return await within(PROCESS_CLOCK, ms, work, 'no answer', () => this.destroy());
  }

  destroy(): void {
    this.#end();
    this.#socket.destroy();
  }

  /** Says goodbye, which a server that does not answer cannot hold up for long. */
  async close(): Promise<void> {
    this.onEnd = null;
    if (!this.#isOpen) return;
    await this.within(CLOSING_MS, this.client.end()).catch(() => undefined);
    this.destroy();
  }
}
