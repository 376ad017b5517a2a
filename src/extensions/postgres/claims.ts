/** Claims requests, and gives claims back, over a connection of its own: commits go on meanwhile. */
import {
  type ClaimedRequest,
  type ClaimOrder,
  FIRST_CLAIM,
  type Release,
} from '../../store/store.js';
import type { Clock } from './clock.js';
import { FenceDown } from './failures.js';
import type { Fence } from './fence.js';
import type { PersistentConnection } from './persistent-connection.js';
import type { FenceValue } from './session.js';
import type { Tables } from './tables.js';

/** How often this broker looks for requests whose time has come, and how many it then wakes. */
const WAKE_MS = 200;
const WOKEN_MAX = 1000;

export class Claims {
  readonly #connection: PersistentConnection<Tables>;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #fence: Fence;
  #wokenAt = -Infinity;
  /** Claims to be given back with the next order: another session had their rows locked. */
  #locked: readonly Release[] = [];

  constructor(
    persistent: PersistentConnection<Tables>,
    clock: Clock,
    timeoutMs: number,
    fence: Fence,
  ) {
    this.#connection = persistent;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#fence = fence;
  }

  /** @throws if it is not known what is claimed: then what is unknown is to be given back */
  async claim({ wanted, released, known }: ClaimOrder): Promise<ClaimedRequest[]> {
    const { session } = this.#fence;
    const pass = async <Result>(
      tables: Tables,
      send: (fence: FenceValue) => Promise<Result | null>,
    ): Promise<Result> => {
      // The broker takes claims only of the session that it had when it ordered them.
      if (session !== this.#fence.session) throw new FenceDown('the session has ended meanwhile');
      return await this.#fence.pass(tables, send);
    };
    const until = this.#clock.now() + this.#timeoutMs;
    let isAgain = false;
    const claimed = await this.#connection.use(until, async (tables) => {
      if (isAgain && wanted.length > 0) throw new Uncertain();
      isAgain = true;
      if (known !== null) {
        // A claim whose connection broke may still be under way.
        await this.#fence.renew(tables);
        const locked = await pass(tables, (fence) => tables.freeUnknown(fence, known));
        // What was accepted with a claim is not looked for there.
        const accepted = this.#locked.filter(({ claim }) => claim === FIRST_CLAIM);
        this.#locked = [...accepted, ...locked];
      }
      const returned = [...this.#locked, ...released];
      if (returned.length > 0) {
        this.#locked = await pass(tables, (fence) => tables.release(fence, returned));
      }
      if (wanted.length === 0) return [];
      await this.#wake(tables);
      return await pass(tables, (fence) => tables.claim(fence, wanted));
    });
    if (session !== this.#fence.session) throw new FenceDown('the session has ended meanwhile');
    return claimed;
  }

  async #wake(tables: Tables): Promise<void> {
    const now = this.#clock.now();
    if (now < this.#wokenAt + WAKE_MS) return;
    this.#wokenAt = now;
    await tables.wake(WOKEN_MAX);
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
