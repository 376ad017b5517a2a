/** What an HTTP server is told when it opens its port, and what answers there from the first connection on. */
import type { Holdings } from '../../core/holdings.js';
import type { AdminEvent } from '../operator-events.js';
import type { Admits, ValidSecret } from '../http/guard.js';
import type { Route } from '../http/route.js';
import type { ProgramSlots } from './connection-slots.js';
import type { ListenAddress } from './listening.js';
import type { Names } from '../../zmtp/sockets/names.js';
import type { TlsFiles } from './tls.js';

export interface HttpServerOptions {
  readonly address: ListenAddress;
  readonly admits: Admits;
  /** Reading needs a token on loopback as well. */
  readonly requireToken: boolean;
  /** `null`: plain HTTP. */
  readonly tls: TlsFiles | null;
  /** How long a connection may wait for its next request. */
  readonly idleTimeoutMs: number;
  /** Open connections. */
  readonly connectionsMax: number;
  /** Open connections of programs, which have a place of their own; `null`: there are none. */
  readonly programs: ProgramSlots | null;
  /** Called with the first connection, and again with the next one if that fails. */
  readonly routes: () => Promise<readonly Route[]>;
  /** How a name in the address is found; default: as the system does. */
  readonly names?: Names;
  /** Where the memory counts that connections take. */
  readonly holdings: Holdings;
  /** The identity of an address, or of a token. */
  readonly identityOf: (address: string | undefined, token: string | null) => string;
  /** Told of each request that may change something, with its answer. */
  readonly acted: (event: AdminEvent) => void;
  /** A handler threw an error that is not of `httpError`, or the routes did not load. */
  readonly failed: (error: unknown) => void;
}

/** What answers the requests of a server. */
export interface Answering {
  /** Ends what requests with these secrets wait for, which are no longer valid (D73). */
  withdraw(secrets: ReadonlySet<ValidSecret>): void;
  /** Gives unfinished answers some time. */
  close(): Promise<void>;
}
