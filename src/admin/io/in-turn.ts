import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that may wait while another one is answered. */
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
 * Answers the requests of a connection one at a time, each when the answer before it has gone out.
 * A client that sends a thousand at once and reads nothing makes us hold one answer.
 */
export class InTurn {
  readonly #lines = new WeakMap<Socket, Line>();

  /** Begins a request now or in its turn. Closes a connection with too many waiting requests. */
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
