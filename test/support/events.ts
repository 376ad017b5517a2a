/** Subscribers to the events of a daemon, for tests. Call `closeWatchers` in `afterEach`. */
import { RawPeer } from '../interop/support/raw-peer.js';
import { type StreamMessage, Subscriber, type SubscriberOptions } from '../../src/sdk/stream.js';
import type { Daemon } from './daemon.js';
import { until } from './until.js';

/** The `--set` option that publishes at a free port. */
export const PUBLISHES = 'events.listen=tcp://127.0.0.1:0';

export type Fields = Readonly<Record<string, unknown>>;

const SYNC = 'worker.refused';
const SYNC_MS = 500;
const open = new Set<Watcher>();
let lastSync = 0;

export async function closeWatchers(): Promise<void> {
  await Promise.all([...open].map((watcher) => watcher.close()));
}

/** Where the daemon publishes. */
export function eventsOf(daemon: Daemon): string {
  const { events } = daemon.logged('broker.ready')[0] ?? {};
  if (typeof events === 'string') return events;
  throw new Error('the daemon publishes no events');
}

/** Everything that a subscriber gets, except what `sync` provokes. */
export class Watcher {
  readonly subscriber: Subscriber;
  readonly messages: StreamMessage[] = [];
  /** The number of the latest message, also of those of `sync`. */
  number = 0;
  disconnections = 0;
  error: unknown = null;
  readonly #synced = new Set<string>();
  /** Its subscriptions: it has got something over this connection. */
  #isInForce = false;

  constructor(endpoint: string, topics: readonly string[], options: Partial<SubscriberOptions>) {
    this.subscriber = new Subscriber({
      endpoints: endpoint,
      topics: [...topics, SYNC],
      ...options,
    });
    this.subscriber.on('disconnected', () => {
      this.disconnections++;
      this.#isInForce = false;
    });
    open.add(this);
    void this.#read();
  }

  /** The fields of each event. */
  get events(): readonly Fields[] {
    return this.messages.map((message) => message.json() as Fields);
  }

  named(event: string): readonly Fields[] {
    return this.events.filter((fields) => fields['event'] === event);
  }

  async waitFor(event: string, count = 1): Promise<Fields> {
    await until(() => this.named(event).length >= count, `${count} × ${event} at a subscriber`);
    return this.named(event)[count - 1] ?? {};
  }

  /** Waits until its subscriptions are in force, and it has got what was published until now. */
  async sync({ endpoint }: Pick<Daemon, 'endpoint'>): Promise<this> {
    const peer = new RawPeer(endpoint);
    for (;;) {
      const service = `mmi.sync-${++lastSync}`;
      await peer.send('MDPW02', '\x01', service);
      const late = performance.now() + SYNC_MS;
      // A subscriber that has got one gets them all, however slow the machine is.
      const isLost = (): boolean => !this.#isInForce && performance.now() > late;
      await until(() => this.#synced.has(service) || isLost(), service);
      if (this.#synced.has(service)) return this;
    }
  }

  async close(): Promise<void> {
    open.delete(this);
    await this.subscriber.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.subscriber) {
        this.number = message.number ?? 0;
        const { service } = message.json() as Fields;
        if (typeof service === 'string' && service.startsWith('mmi.sync-')) {
          this.#synced.add(service);
          this.#isInForce = true;
        } else {
          this.messages.push(message);
        }
      }
    } catch (error) {
      this.error = error;
    }
  }
}

/** A subscriber whose subscriptions are in force. */
export async function watch(daemon: Daemon, ...topics: readonly string[]): Promise<Watcher> {
  return await new Watcher(eventsOf(daemon), topics, {}).sync(daemon);
}
