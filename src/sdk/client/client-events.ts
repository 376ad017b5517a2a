/** The events of a client. None of them needs an answer: requests report what becomes of them. */
import type { Leaving } from './endpoint-order.js';

export type { Leaving };

/** The event `connected`. */
export interface Connected {
  /** The endpoint of the connection, for example `tcp://127.0.0.1:5555`. */
  readonly endpoint: string;
}

/** The event `switched`. */
export interface Switched {
  /** The endpoint that was left. */
  readonly from: string;
  /** The endpoint to which requests go now. */
  readonly to: string;
  /**
   * Why the endpoint was left. `silent`: it did not answer in time; `quiet`: the node of a pair said
   * nothing for a while, though it was asked; `refused`: it is alive and does not serve; `unreachable`:
   * it has no connection; `returned`: with `strategy: 'freelance'`, an endpoint before it is alive again.
   */
  readonly reason: Leaving;
}

/** The event `refused`. */
export interface Refused {
  /** The endpoint whose broker refused. */
  readonly endpoint: string;
  /** The service that was requested; `null`: the connection itself was refused. */
  readonly service: string | null;
  /** The status, as in `details.status` of ERR_MDP_REFUSED, for instance `503`; `key`: the CURVE key. */
  readonly status: string;
  /** Why, in the broker's words; for people, not for programs. */
  readonly reason: string;
}

/**
 * The events of `Client.on`, and what their listeners get.
 *
 *     client.on('refused', ({ endpoint, status, reason }) => console.error(endpoint, status, reason));
 */
export interface ClientEvents {
  /** A connection is up: the first, and each one after that. */
  readonly connected: Connected;
  /** Requests go to another endpoint from now on. */
  readonly switched: Switched;
  /**
   * A broker refused a request or, with `service: null`, the connection. The client sends the request again
   * after 429 and 503; after others the request fails.
   */
  readonly refused: Refused;
}

export const CLIENT_EVENTS: readonly (keyof ClientEvents)[] = ['connected', 'switched', 'refused'];
