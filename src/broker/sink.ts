/**
 * The effects of the broker machine, carried out by its shell and recorded by tests. The calls
 * return nothing; their results arrive as inputs. Buffers are only valid during the call.
 */
import type { BrokerMessages } from '../wire/outbound.js';

/** Sends messages to peers: one function for each kind. */
export type MessageSink = Omit<BrokerMessages, 'attach'>;

export interface BrokerSink {
  readonly messages: MessageSink;
  /** Ends the peer's connection. */
  close(peer: number): void;
  /**
   * While voting, a client's request asks this node to serve. It is held until `setAdmission` sets
   * another state, which must be in this turn.
   */
  vote(): void;
}
