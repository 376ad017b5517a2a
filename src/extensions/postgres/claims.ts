/** Claims requests, and gives claims back, over a connection of its own: commits go on meanwhile. */
import { storedContent } from '../../store/fields.js';
import {
  type ClaimedRequest,
  type ClaimOrder,
  FIRST_CLAIM,
  type Release,
  type RequestUuid,
} from '../../store/store.js';
import type { Row } from './changes.js';
import type { Clock } from './clock.js';
import type { Connection } from './connection.js';
import { FenceDown } from './failures.js';
import type { PersistentConnection } from './persistent-connection.js';
import { claimIn, pendingIn } from './reader.js';
import type { Fence } from './session.js';
import { CLAIM, FREE_UNKNOWN, RELEASE, type Statement, WAKE } from './statements.js';
import { byteas, claims, int4s, int8s, numbers, uuids } from './values.js';

/** How often this broker looks for requests whose time has come, and how many it then wakes. */
const WAKE_MS = 200;
const WOKEN_MAX = 1000;

export class Claims {
  readonly #connection: PersistentConnection;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #fence: Fence;
  #wokenAt = -Infinity;
  /** Claims to be given back with the next order: another session had their rows locked. */
  #locked: readonly Release[] = [];

  constructor(persistent: PersistentConnection, clock: Clock, timeoutMs: number, fence: Fence) {
    this.#connection = persistent;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#fence = fence;
  }

  /** @throws if it is not known what is claimed: then what is unknown is to be given back */
  async claim({ wanted, released, known }: ClaimOrder): Promise<ClaimedRequest[]> {
    const { session } = this.#fence;
    const run = async (
      connection: Connection,
      statement: Statement,
      values: readonly Buffer[],
    ): Promise<readonly Row[]> => {
      // The broker takes claims only of the session that it had when it ordered them.
      if (session !== this.#fence.session) throw new FenceDown('the session has ended meanwhile');
      return await this.#fence.pass(
        connection,
        (fence) => connection.run(statement, [fence, ...values]),
        ([row]) => row?.[0] === true,
      );
    };
    const until = this.#clock.now() + this.#timeoutMs;
    let isAgain = false;
    const claimed = await this.#connection.use(until, async (connection) => {
      if (isAgain && wanted.length > 0) throw new Uncertain();
      isAgain = true;
      if (known !== null) {
        // A claim whose connection broke may still be under way.
        await this.#fence.renew(connection);
        const rows = await run(connection, FREE_UNKNOWN, [uuids(known)]);
        // What was accepted with a claim is not looked for there.
        const accepted = this.#locked.filter(({ claim }) => claim === FIRST_CLAIM);
        this.#locked = [...accepted, ...rows.flatMap(lockedIn)];
      }
      const returned = [...this.#locked, ...released];
      if (returned.length > 0) {
        const rows = await run(connection, RELEASE, [
          numbers(returned.map((_, n) => [n])),
          uuids(returned.map(({ uuid }) => uuid)),
          claims(returned.map(({ claim }) => claim)),
        ]);
        this.#locked = rows.flatMap(lockedIn);
      }
      if (wanted.length === 0) return [];
      await this.#wake(connection);
      const rows = await run(connection, CLAIM, [
        byteas(wanted.map(({ service }) => service)),
        int8s(wanted.map(({ most }) => most)),
        int4s(wanted.map(({ isSchedules }) => (isSchedules ? 1 : 0))),
      ]);
      return rows.flatMap((row) => claimedIn(row));
    });
    if (session !== this.#fence.session) throw new FenceDown('the session has ended meanwhile');
    return claimed;
  }

  async #wake(connection: Connection): Promise<void> {
    const now = this.#clock.now();
    if (now < this.#wokenAt + WAKE_MS) return;
    this.#wokenAt = now;
    await connection.run(WAKE, [WOKEN_MAX]);
  }
}

/** A claim whose answer was lost is not made again: the machine has to say first what it knows. */
class Uncertain extends Error {
  /** The code is not one of a broken connection: there is nothing to try again. */
  readonly code = 'ERR_TITANIC_STORE_AWAY';

  constructor() {
    super('the connection broke while requests were claimed');
  }
}

/** A row of `FREE_UNKNOWN` or `RELEASE`. */
function lockedIn([, uuid, claim]: Row): Release[] {
  if (uuid === null) return [];
  return [{ uuid: uuid as RequestUuid, claim: claim as number }];
}

/** A row of `CLAIM`. */
function claimedIn([, ...columns]: Row): ClaimedRequest[] {
  const [body, extra] = columns.slice(-2) as [Buffer | null, Buffer | null];
  // The row that tells of the fence has no request: each has a uuid, the first column after its numbers.
  if (columns[1] === null) return [];
  return [
    {
      request: pendingIn(columns),
      claim: claimIn(columns),
      content: body === null ? null : storedContent(body, extra),
    },
  ];
}
