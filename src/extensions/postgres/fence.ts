/** The fence of a session, as its broker knows it: see session.ts. */
import { FenceDown } from './failures.js';
import type { FenceValue } from './session.js';
import type { Tables } from './tables.js';

/** Shared by all that writes with the session. */
export class Fence {
  #value: FenceValue;
  readonly #ended: (session: number) => void;

  /** @param ended told of a session that was found to have ended */
  constructor(session: number, ended: (session: number) => void = () => undefined) {
    this.#value = { session, token: 0 };
    this.#ended = ended;
  }

  get session(): number {
    return this.#value.session;
  }

  /** Another session was taken. */
  begin(session: number): void {
    this.#value = { session, token: 0 };
  }

  /** Raises the fencing token, when all that was sent with this one and has arrived has ended. */
  async renew(tables: Tables): Promise<void> {
    const { session } = this.#value;
    this.#learn(session, await tables.raiseToken(session));
  }

  /**
   * Sends something that is fenced; and again, if the token was raised meanwhile. This broker may not
   * know of that yet: the answer was lost, or comes over another connection.
   * @param send resolves to `null` if the fence did not hold: nothing was changed
   * @throws FenceDown: the session has ended
   */
  async pass<Result>(
    tables: Tables,
    send: (fence: FenceValue) => Promise<Result | null>,
  ): Promise<Result> {
    for (;;) {
      const sent = this.#value;
      const { session, token } = sent;
      const result = await send(sent);
      if (result !== null) return result;
      if (token === this.#value.token) this.#learn(session, await tables.token(session));
      if (session !== this.session || token === this.#value.token) {
        this.#ended(session);
        throw new FenceDown('the session of this broker has ended');
      }
    }
  }

  #learn(session: number, token: number): void {
    // Answers over two connections may come in another order.
    if (session === this.session && token > this.#value.token) this.#value = { session, token };
  }
}
