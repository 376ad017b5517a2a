/**
 * What the statements of a broker are fenced by: its session, and the era of it. Once a connection is
 * given up, a statement that was sent over it may still arrive, however late: a network that was cut
 * delivers it when it is back. So before anything is sent again, or what was sent is taken for lost, a
 * new era begins. Nothing of an earlier one is under way then, and what arrives of it changes nothing.
 */
import type { Connection } from './connection.js';
import { FenceDown } from './failures.js';
import { SCHEMA } from './schema.js';
import type { Statement } from './statements.js';
import { int8s } from './values.js';

/** Waits for all that hold the lock of the fence. */
export const NEW_ERA: Statement = {
  name: 'new_era',
  text: `WITH alone AS MATERIALIZED (
    SELECT session FROM ${SCHEMA}.broker WHERE session = $1::bigint FOR UPDATE
  )
  UPDATE ${SCHEMA}.broker b SET era = b.era + 1 FROM alone a WHERE b.session = a.session
  RETURNING b.era`,
};

const ERA: Statement = {
  name: 'era',
  text: `SELECT era FROM ${SCHEMA}.broker WHERE session = $1::bigint AND NOT dead`,
};

/** As the statements take it. */
export function fenceValue(session: number, era: number): Buffer {
  return int8s([session, era]);
}

/** Shared by all that writes with the session. */
export class Fence {
  #session: number;
  #era = 0;

  constructor(session: number) {
    this.#session = session;
  }

  get session(): number {
    return this.#session;
  }

  /** Another session was taken. */
  begin(session: number): void {
    this.#session = session;
    this.#era = 0;
  }

  /** Begins another era, when all that was sent in this one and has arrived has ended. */
  async renew(connection: Connection): Promise<void> {
    await this.#learn(connection, NEW_ERA);
  }

  /**
   * Sends something that is fenced; and again, if another era has begun meanwhile. This broker may not
   * know of that yet: the answer was lost, or comes over another connection.
   * @param send with the fence as parameter
   * @param isFenced whether the fence held; if not, nothing was changed
   * @throws FenceDown: the session has ended
   */
  async pass<Result>(
    connection: Connection,
    send: (fence: Buffer) => Promise<Result>,
    isFenced: (result: Result) => boolean,
  ): Promise<Result> {
    for (;;) {
      const [session, era] = [this.#session, this.#era];
      const result = await send(fenceValue(session, era));
      if (isFenced(result)) return result;
      if (era === this.#era) await this.#learn(connection, ERA);
      if (session !== this.#session || era === this.#era) {
        throw new FenceDown('the session of this broker has ended');
      }
    }
  }

  async #learn(connection: Connection, statement: Statement): Promise<void> {
    const session = this.#session;
    const [row] = await connection.run(statement, [session]);
    // Answers over two connections may come in another order.
    if (session === this.#session) this.#era = Math.max(this.#era, (row?.[0] ?? 0) as number);
  }
}
