import type { RequestTrace } from '../../broker/request-trace.js';
import type { NamedEvent } from '../../core/event-table.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { MetricsPart } from '../../admin/metrics/metrics.js';
import type { Config } from '../../config/config.js';
import { present } from '../../core/assert.js';
import { listenFor } from '../../core/listen-trouble.js';
import type { Attached, Host } from '../../node/extension.js';
import { type PortKeys, secretKeysAt } from '../../node/io/keys.js';
import type { Renewal } from '../../node/reload.js';
import { routerLimits } from '../../node/settings.js';
import { EventStream } from './event-stream.js';

/** The stream of events of one node. Before it is open, nobody has subscribed, and nothing is published. */
export class AttachedEvents implements Attached {
  readonly #host: Host;
  readonly #keys: PortKeys;
  #stream: EventStream | null = null;

  constructor(host: Host) {
    this.#host = host;
    // Subscribers do not follow a failover: each node has its own.
    this.#keys = host.keys.ofPort(host.config.events.listen?.curve, false, (publicKey) => {
      this.#stream?.revoke(publicKey);
    });
  }

  async open(): Promise<void> {
    const { config, keys, holdings, names, loop, events, eventTable } = this.#host;
    this.#stream = await listenFor('events.listen', () =>
      EventStream.open({
        listen: present(config.events.listen, 'it is wanted'),
        keys: this.#keys,
        table: eventTable,
        limits: routerLimits(config, keys),
        holdings,
        names,
        events,
        stepChanged: () => this.#host.traceChanged(),
      }),
    );
    loop.beside.push(this.#stream.socket.listener);
  }

  get listens(): NonNullable<Attached['listens']> {
    return { as: 'events', shown: 'events', endpoint: this.#stream?.endpoint ?? null };
  }

  readonly metrics: MetricsPart = {
    write: (out) => {
      const stream = this.#stream;
      out.metric('stream_published_total');
      out.sample('', stream?.published ?? 0);
      out.metric('stream_subscribers');
      out.sample('', stream?.subscribers ?? 0);
      by(out, 'stream_closed_total', 'reason', stream?.closed ?? {});
    },
  };

  get trace(): RequestTrace | null {
    return this.#stream?.step ?? null;
  }

  readonly keyed: Renewal = {
    section: 'events',
    renew: ({ events }) => {
      const secretKeys = secretKeysAt(events.listen);
      if (secretKeys !== null) this.#stream?.socket.listener.setSecretKeys(secretKeys);
    },
  };

  emit(event: NamedEvent): void {
    this.#stream?.emit(event);
  }

  reconfigure(config: Config): void {
    this.#stream?.socket.listener.setLimits(routerLimits(config, this.#host.keys));
  }

  rightsChanged(key: string): void {
    this.#stream?.rightsChanged(key);
  }

  async close(): Promise<void> {
    await this.#stream?.close();
  }
}
