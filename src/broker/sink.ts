/**
 * The effects of the broker machine, carried out by its shell and recorded by tests. The calls
 * return nothing; their results arrive as inputs. Buffers are only valid during the call.
 */
import type { MessageWriter } from '../wire/outbound.js';

/** The messages that the machine sends to peers, a function for each kind. */
export type MessageSink = Omit<MessageWriter, 'attach'>;

/** All effects of the machine. */
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
