import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that wait while another one is answered. */
const WAITING_MAX = 100;

interface Waiting {
  readonly response: ServerResponse;
  readonly begin: () => void;
}

interface Line {
  readonly waiting: Waiting[];
  isAnswering: boolean;
}

/**
 * The requests of a connection, one after the other, each when the answer before has gone out: who
 * sends a thousand at once and reads nothing makes one answer of ours, not a thousand.
 */
export class InTurn {
  readonly #lines = new WeakMap<Socket, Line>();

  /** Begins with a request now, or in its turn; a connection that has too many waiting is ended. */
  enter(socket: Socket, response: ServerResponse, begin: () => void): void {
    const line = this.#lines.get(socket) ?? { waiting: [], isAnswering: false };
    this.#lines.set(socket, line);
    line.waiting.push({ response, begin });
    if (line.waiting.length > WAITING_MAX) socket.destroy();
    else if (!line.isAnswering) next(socket, line);
  }
}

function next(socket: Socket, line: Line): void {
  const first = socket.destroyed ? undefined : line.waiting.shift();
  line.isAnswering = first !== undefined;
  first?.response.once('close', () => {
    next(socket, line);
  });
  first?.begin();
}
