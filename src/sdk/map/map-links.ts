/** The connections of a map's client: to each endpoint a subscriber and a writer, and one that asks. */
import type { Frames } from '../../core/frames.js';
import type { Link, LinkEvents } from '../../zmtp/link-port.js';
import { HUGZ, icanhaz, kvset } from '../../wire/chp-client.js';
import { EMPTY } from '../../wire/mdp.js';
import { readSubscription, subscribedTopic } from '../../wire/stream.js';
import { type CurveClientKeys, type MapDials, mapDials } from '../dials.js';
import { endpointError, writeMessage } from '../links.js';
import type { OwnChange } from './own-changes.js';

/** What happens at the connections; an endpoint is its index. See the inputs of `MapClient`. */
export interface MapLinksEvents {
  subscribed(endpoint: number): void;
  unsubscribed(endpoint: number): void;
  keyRefused(endpoint: number): void;
  published(endpoint: number, frames: Frames): void;
  answered(frames: Frames): void;
  askFailed(): void;
  writable(endpoint: number): void;
  unwritable(endpoint: number): void;
}

/** The ports beside P: of updates, of changes. */
export const UPDATES = 1;
const CHANGES = 2;
const PORT = /\d{1,5}$/;

/** The endpoint of one of the ports that a map has beside P. */
export function besides(endpoint: string, offset: number): string {
  return endpoint.replace(PORT, (port) => String(Number(port) + offset));
}

export class MapLinks {
  readonly #endpoints: readonly string[];
  readonly #subtree: Buffer;
  readonly #events: MapLinksEvents;
  readonly #dials: MapDials;
  readonly #subscribers: Link[] = [];
  readonly #writers: Link[] = [];
  #asker: Link | null = null;
  /** The number of the connection that asks: what comes from an earlier one does not count. */
  #ask = 0;
  #isClosed = false;

  /** @param messageBytesMax the largest message that is received */
  constructor(
    endpoints: readonly string[],
    subtree: Buffer,
    messageBytesMax: number,
    curve: CurveClientKeys | null,
    events: MapLinksEvents,
  ) {
    this.#endpoints = endpoints;
    this.#subtree = subtree;
    this.#events = events;
    // HUGZ says that the subscriptions before it are in force.
    const topics = subtree.length === 0 ? [EMPTY] : [subtree, HUGZ];
    this.#dials = mapDials(topics, messageBytesMax, curve);
  }

  /** Connects to the publishers. @throws ERR_MDP_ENDPOINT */
  open(): void {
    for (const [index, endpoint] of this.#endpoints.entries()) {
      try {
        const events = this.#subscriberEvents(index);
        this.#subscribers.push(this.#dials.subscriber(besides(endpoint, UPDATES), events));
      } catch (error) {
        void this.close();
        throw endpointError(endpoint, error);
      }
    }
  }

  /** Connects to where changes go, if it has not. */
  openWriters(): void {
    if (this.#writers.length > 0) return;
    for (const [index, endpoint] of this.#endpoints.entries()) {
      const events = new WriterEvents(index, this.#subtree, this.#events);
      this.#writers.push(this.#dials.writer(besides(endpoint, CHANGES), events));
    }
  }

  send(endpoint: number, { request: { key, properties, value }, uuid }: OwnChange): void {
    const writer = this.#writers[endpoint];
    if (writer !== undefined) writeMessage(writer, kvset(key, uuid, properties, value));
  }

  /** Asks for a snapshot, on a new connection. */
  ask(index: number): void {
    this.stopAsking();
    const endpoint = this.#endpoints[index];
    if (endpoint === undefined || this.#isClosed) return;
    this.#asker = this.#dials.asker(endpoint, this.#askerEvents(this.#ask));
    writeMessage(this.#asker, icanhaz(this.#subtree));
  }

  stopAsking(): void {
    this.#ask++;
    void this.#asker?.close(0);
    this.#asker = null;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.stopAsking();
    const links = [...this.#subscribers, ...this.#writers];
    await Promise.all(links.map((link) => link.close(0)));
  }

  #subscriberEvents(endpoint: number): LinkEvents {
    const events = this.#events;
    return {
      connected: () => events.subscribed(endpoint),
      disconnected: () => events.unsubscribed(endpoint),
      unreachable: (isKeyRefused) => {
        if (isKeyRefused) events.keyRefused(endpoint);
      },
      message: (frames) => events.published(endpoint, frames),
    };
  }

  #askerEvents(ask: number): LinkEvents {
    const failed = (): void => {
      if (ask === this.#ask) this.#events.askFailed();
    };
    return {
      connected: () => undefined,
      disconnected: failed,
      unreachable: failed,
      message: (frames) => {
        if (ask === this.#ask) this.#events.answered(frames);
      },
    };
  }
}

/**
 * A connection to where changes go: it may be used once the peer has subscribed to them. (A publisher
 * drops what nobody has subscribed to.)
 */
class WriterEvents implements LinkEvents {
  readonly #endpoint: number;
  readonly #subtree: Buffer;
  readonly #events: MapLinksEvents;
  /** Subscriptions that cover the subtree. */
  readonly #topics = new Set<string>();

  constructor(endpoint: number, subtree: Buffer, events: MapLinksEvents) {
    this.#endpoint = endpoint;
    this.#subtree = subtree;
    this.#events = events;
  }

  connected(): void {
    // The peer subscribes first.
  }

  /** ZMTP 3.0: subscriptions are messages. */
  message(frames: Frames): void {
    const said = readSubscription(frames);
    if (said !== null) this.subscription(subscribedTopic(frames), said === 'subscribe');
  }

  subscription(topic: Buffer, isOn: boolean): void {
    if (!this.#subtree.subarray(0, topic.length).equals(topic)) return;
    const before = this.#topics.size;
    const name = topic.toString('latin1');
    if (isOn) this.#topics.add(name);
    else this.#topics.delete(name);
    if (before === 0 && isOn) this.#events.writable(this.#endpoint);
    else if (before > 0 && this.#topics.size === 0) this.#events.unwritable(this.#endpoint);
  }

  disconnected(): void {
    this.#topics.clear();
    this.#events.unwritable(this.#endpoint);
  }
}
