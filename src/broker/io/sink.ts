import type { Words } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import type { Transport } from '../../zmtp/port.js';
import type { Dialect, MdpDialect } from '../../wire/dialect.js';
import {
  type ReturnPath,
  writeClientReply,
  writeWorkerCancel,
  writeWorkerDisconnect,
  writeWorkerHeartbeat,
  writeWorkerRequest,
  writeWorkerRequestWithHeaders,
} from '../../wire/outbound.js';
import type { OutputRoom } from '../options.js';
import type { BrokerSink } from '../sink.js';

/** Carries out the broker's effects by writing directly into the peers' output, and knows its room. */
export class TransportSink implements BrokerSink, OutputRoom {
  #transport: Transport | null = null;
  #voted: () => void = () => undefined;

  readonly max: () => number;

  /** @param max of the output of a peer now, in bytes */
  constructor(max: () => number = () => Infinity) {
    this.max = max;
  }

  /** Before this call, and after `detach`, effects are discarded. */
  attach(transport: Transport): void {
    this.#transport = transport;
  }

  /** @param voted called when a client's request asks this node to serve */
  onVote(voted: () => void): void {
    this.#voted = voted;
  }

  left(peer: number): number {
    return this.max() - (this.#transport?.waitingBytes(peer) ?? 0);
  }

  takesRequest(peer: number, bytes: number): boolean {
    return this.#transport?.takesRequest(peer, bytes) ?? true;
  }

  request(
    peer: number,
    dialect: Dialect,
    token: Words,
    body: Words,
    bodyStart: number,
    bodyEnd: number,
  ): void {
    if (this.#transport === null) return;
    writeWorkerRequest(this.#transport, peer, dialect, token, body, bodyStart, bodyEnd);
  }

  requestWithHeaders(
    peer: number,
    dialect: MdpDialect,
    token: Words,
    leftMs: number,
    rest: Words,
    restStart: number,
    restEnd: number,
  ): void {
    const out = this.#transport;
    if (out === null) return;
    writeWorkerRequestWithHeaders(out, peer, dialect, token, leftMs, rest, restStart, restEnd);
  }

  cancel(peer: number, dialect: Dialect, token: Words): void {
    if (this.#transport !== null) writeWorkerCancel(this.#transport, peer, dialect, token);
  }

  heartbeat(peer: number, dialect: Dialect): void {
    if (this.#transport !== null) writeWorkerHeartbeat(this.#transport, peer, dialect);
  }

  disconnect(peer: number, dialect: Dialect): void {
    if (this.#transport !== null) writeWorkerDisconnect(this.#transport, peer, dialect);
  }

  reply(
    peer: number,
    path: ReturnPath,
    final: boolean,
    service: Buffer,
    frames: Frames,
    from: number,
  ): void {
    if (this.#transport === null) return;
    writeClientReply(this.#transport, peer, path, final, service, frames, from);
  }

  close(peer: number): void {
    this.#transport?.disconnect(peer);
  }

  vote(): void {
    this.#voted();
  }
}
