import type { Answer, Stream } from './answer.js';
import type { Query } from './query.js';

/**
 * Who may: anybody; who may read (with a token, or where reading needs none); who has a token,
 * also one that only reads; who may change, and see bodies.
 */
export type Access = 'open' | 'reader' | 'holder' | 'changer';

/** As whom one is let in: who gave no token; who gave the one that reads; who may change. */
export type Standing = 'anyone' | 'reader' | 'changer';

/** A request that was let in. */
export interface HttpRequest {
  /** What stood in the place of `{name}` in the path. */
  readonly parts: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly standing: Standing;
  /** The JSON object of a POST; without a body an empty one. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The header Last-Event-ID: the last event that a reader of server-sent events has. */
  readonly lastEventId: string | null;
}

/** One row of the table. A GET answers HEAD, too. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** Segments are literal, or `{name}` for any one. */
  readonly path: string;
  readonly access: Access;
  /** Names of the parameters that it takes behind `?`. */
  readonly parameters: readonly string[];
  /**
   * Rejecting by an error of `httpError` answers that; by any other one is a bug, answered 500.
   */
  readonly handle: (request: HttpRequest) => Answer | Stream | Promise<Answer>;
}
