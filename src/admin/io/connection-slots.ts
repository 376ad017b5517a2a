/**
 * The slots that HTTP connections take: at first those of their address; once a program has shown its token,
 * those of the token.
 */
import type { Socket } from 'node:net';

import { type Answer, failure, LATER } from '../http/answer.js';
import { Connections, type Descriptors, OF_ADDRESS_MAX, type Stage } from './connections.js';

/** The share of the connections of programs that one token may have. */
const TOKEN_SHARE = 7 / 8;

/** The slots of programs that send requests. */
export interface ProgramSlots {
  readonly connectionsMax: number;
  readonly descriptors: Descriptors;
}

export class ConnectionSlots {
  /** The connections by address. */
  readonly #strangers: Connections;
  /** The connections by token. */
  readonly #programs: Connections;

  /** @param programs `null`: there are none */
  constructor(connectionsMax: number, programs: ProgramSlots | null) {
    const most = programs?.connectionsMax ?? 0;
    const ofTokenMax = Math.max(1, Math.floor(most * TOKEN_SHARE));
    const descriptors = programs?.descriptors ?? null;
    // Many programs of one address may connect at once, before the first has shown its token.
    this.#strangers = new Connections({
      max: connectionsMax + most,
      ofGroupMax: OF_ADDRESS_MAX + most,
      own: connectionsMax,
      closesOnlyIdle: false,
      descriptors,
    });
    this.#programs = new Connections({
      max: most,
      ofGroupMax: ofTokenMax,
      own: 0,
      closesOnlyIdle: true,
      descriptors,
    });
  }

  /** @param socket the accepted one, even if TLS runs over it */
  admit(socket: Socket): void {
    socket.on('error', () => undefined);
    this.#strangers.admit(socket, socket.remoteAddress ?? '');
  }

  moved(socket: Socket, stage: Stage): void {
    this.#strangers.moved(socket, stage);
    this.#programs.moved(socket, stage);
  }

  /**
   * A program sends a request. Its connection counts for its token from now on, whatever address it
   * comes from, and is not closed to make room while the request is answered.
   * @returns why the request is not handled; `null`: it is
   */
  enter(socket: Socket, token: string): Answer | null {
    const isNew = this.#programs.nameOf(socket) === null;
    const full = this.#programs.fullFor(token, isNew);
    if (full === 'group') {
      const text = 'the limit of requests of this token that wait for replies is reached';
      return failure('ERR_HTTP_LIMIT', text, LATER);
    }
    if (full === 'all') {
      const text = 'too many requests of programs wait for replies';
      return failure('ERR_HTTP_BUSY', text, LATER);
    }
    if (this.#programs.nameOf(socket) !== token) {
      const accepted = this.#programs.release(socket) ?? this.#strangers.release(socket);
      if (accepted !== null) this.#programs.admit(accepted, token);
    }
    this.#programs.moved(socket, 'answered');
    return null;
  }
}
