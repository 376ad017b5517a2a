/** What publishers and subscribers tell their listeners. */

/** A connection to a publisher. */
export interface PublisherConnection {
  /** The publisher's endpoint. */
  readonly endpoint: string;
  /** The shard whose connection it is, from 0; `null`: there are no shards. */
  readonly shard: number | null;
}

/**
 * The events of `Subscriber`, and the object that their listeners get.
 *
 *     subscriber.on('disconnected', ({ endpoint }) => console.warn(`${endpoint} is gone`));
 */
export interface SubscriberEvents {
  /** A connection is up, and its subscriptions are sent; also after each reconnect. */
  readonly connected: PublisherConnection;
  /**
   * A connection was lost: messages may be missed from now on. The subscriber connects again by itself, and the first
   * message then has `afterGap`.
   */
  readonly disconnected: PublisherConnection;
}

export const SUBSCRIBER_EVENTS: readonly (keyof SubscriberEvents)[] = ['connected', 'disconnected'];

/** A subscriber that the publisher closed. */
export interface ClosedSubscriber {
  /** The source address of the subscriber. */
  readonly address: string;
  /** The public key of the subscriber in Z85; `null`: without CURVE. */
  readonly key: string | null;
  /** `slow`: it did not read what waited for it; `limit`: it subscribed to too much. */
  readonly reason: 'slow' | 'limit';
}

/** A connection that was no subscriber. */
export interface RejectedConnection {
  /** The source address of the connection; empty if unknown. */
  readonly address: string;
  /** Why, as a stable word: `key`, `mechanism`, `handshake`, `connections` and others. */
  readonly kind: string;
  /** Why, for people. */
  readonly reason: string;
}

/**
 * The events of `Publisher`, and the object that their listeners get.
 *
 *     publisher.on('closed', ({ address, reason }) => console.warn(`${address} was closed: ${reason}`));
 */
export interface PublisherEvents {
  /** The publisher closed a subscriber. If nobody listens: a process warning, `MDP_SUBSCRIBER_CLOSED`. */
  readonly closed: ClosedSubscriber;
  /** A connection was refused or ended because of what it sent. */
  readonly rejected: RejectedConnection;
}

export const PUBLISHER_EVENTS: readonly (keyof PublisherEvents)[] = ['closed', 'rejected'];
