/**
 * The effects of the broker machine, carried out by its shell and recorded by tests. The calls
 * return nothing; their results arrive as inputs. Buffers are only valid during the call.
 */
import type { Words } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import type { Dialect, MdpDialect } from '../wire/dialect.js';
import type { ReturnPath } from '../wire/outbound.js';

export interface BrokerSink {
  /** REQUEST to a worker. `body` holds packed frames at `[bodyStart, bodyEnd)`. */
  request(
    peer: number,
    dialect: Dialect,
    token: Words,
    body: Words,
    bodyStart: number,
    bodyEnd: number,
  ): void;
  /**
   * REQUEST to a worker that asked for headers (D67). `rest` holds the headers frame and the body.
   * @param leftMs what is left of the deadline, in milliseconds; 0: there is none
   */
  requestWithHeaders(
    peer: number,
    dialect: MdpDialect,
    token: Words,
    leftMs: number,
    rest: Words,
    restStart: number,
    restEnd: number,
  ): void;
  /** CANCEL to a worker that asked for it (D106). */
  cancel(peer: number, dialect: Dialect, token: Words): void;
  /** HEARTBEAT to a worker that knows it. */
  heartbeat(peer: number, dialect: Dialect): void;
  /** DISCONNECT to a worker that knows it. The connection stays open. */
  disconnect(peer: number, dialect: Dialect): void;
  /** A reply to a client: its body is the frames of `frames` starting at `from`. */
  reply(
    peer: number,
    path: ReturnPath,
    final: boolean,
    service: Buffer,
    frames: Frames,
    from: number,
  ): void;
  /** Ends the peer's connection. */
  close(peer: number): void;
  /**
   * While voting, a client's request asks this node to serve. It is held until `setAdmission` sets
   * another state, which must be in this turn.
   */
  vote(): void;
}
