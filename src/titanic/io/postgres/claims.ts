/** Claims requests, and gives claims back, over a connection of its own: commits go on meanwhile. */
import { backoffIn, headersIn } from '../../store/fields.js';
import type { ClaimedRequest, ClaimOrder } from '../../store/store.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { FenceDown } from './failures.js';
import type { Lane } from './lane.js';
import { pendingIn } from './reader.js';
import { ALONE, CLAIM, FREE_UNKNOWN, RELEASE, WAKE } from './statements.js';
import { byteas, claims, int8s, numbers, uuids } from './values.js';

/** How often this broker looks for requests whose time has come, and how many it then wakes. */
const WAKE_MS = 200;
const WOKEN_MAX = 1000;

export class Claims {
  readonly #lane: Lane;
  readonly #timeoutMs: number;
  #session: number;
  #wokenAt = -Infinity;

  constructor(lane: Lane, timeoutMs: number, session: number) {
    this.#lane = lane;
    this.#timeoutMs = timeoutMs;
    this.#session = session;
  }

  begin(session: number): void {
    this.#session = session;
  }

  /** @throws if it is not known what is claimed: then what is unknown is to be given back */
  async claim({ wanted, released, known }: ClaimOrder): Promise<ClaimedRequest[]> {
    const session = this.#session;
    const until = performance.now() + this.#timeoutMs;
    let isAgain = false;
    return await this.#lane.use(until, async (connection) => {
      if (isAgain && wanted.length > 0) throw new Uncertain();
      isAgain = true;
      if (known !== null) {
        // A claim whose connection broke may still be under way.
        await connection.run(ALONE, [session]);
        await connection.run(FREE_UNKNOWN, [session, uuids(known)]);
      }
      if (released.length > 0) {
        await connection.run(RELEASE, [
          session,
          numbers(released.map((_, n) => [n])),
          uuids(released.map(({ uuid }) => uuid)),
          claims(released.map(({ claim }) => claim)),
        ]);
      }
      if (wanted.length === 0) return [];
      await this.#wake(connection);
      const rows = await connection.run(CLAIM, [
        session,
        byteas(wanted.map(({ service }) => service)),
        int8s(wanted.map(({ most }) => most)),
      ]);
      if (rows[0]?.[0] !== true) throw new FenceDown('the session of this broker has ended');
      return rows.flatMap((row) => claimedIn(row));
    });
  }

  async #wake(connection: Connection): Promise<void> {
    const now = performance.now();
    if (now < this.#wokenAt + WAKE_MS) return;
    this.#wokenAt = now;
    await connection.run(WAKE, [WOKEN_MAX]);
  }
}

/** A claim whose answer was lost is not made again: the machine has to say first what it knows. */
class Uncertain extends Error {
  /** Not one of the connection: there is nothing to try again. */
  readonly code = 'ERR_TITANIC_STORE_AWAY';

  constructor() {
    super('the connection broke while requests were claimed');
  }
}

/** A row of `CLAIM`. */
function claimedIn([, ...columns]: Row): ClaimedRequest[] {
  const [uuid, , , , numbers, body, fields] = columns;
  if (uuid === null) return [];
  const extra = fields as Buffer | null;
  return [
    {
      request: pendingIn(columns),
      claim: (numbers as readonly number[]).at(-1) ?? 0,
      content:
        body === null
          ? null
          : { body: body as Buffer, headers: headersIn(extra), backoff: backoffIn(extra) },
    },
  ];
}
