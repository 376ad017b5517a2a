import type { Reason } from '../../admin/api/node-answers.js';
import type { RefusalFacts } from '../../admin/log/refusals.js';
import type { EventSink } from '../../core/event-table.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { MetricsPart } from '../../admin/metrics/metrics.js';
import type { Config } from '../../config/config.js';
import { isOpenToStrangers } from '../../config/io/exposure.js';
import { quotasOf } from '../../config/quotas.js';
import { present } from '../../core/assert.js';
import type { Attached, Host, ServedPart } from '../../node/extension.js';
import { type PortKeys, secretKeysAt } from '../../node/io/keys.js';
import type { Renewal } from '../../node/reload.js';
import { routerLimits } from '../../node/settings.js';
import type { RouterLimits } from '../../zmtp/port.js';
import { lastMapEpoch, nextMapEpoch } from './epochs.js';
import { MapHost } from './host.js';
import { escapeName } from '../../core/escape.js';
import type { MapEvent, MapEvents } from './machine/map-events.js';
import type { MapStorage } from './machine/replica.js';
import { MAP_PART } from './part.js';
import { mapStorage } from './storage.js';
import { type MapView, mapView } from './view.js';

type Listen = NonNullable<Config['map']['listen']>;

/** The map of one node, on the store of its durable requests. */
export class AttachedMap implements Attached {
  readonly #host: Host;
  readonly #listen: Listen;
  readonly #storage: MapStorage;
  readonly #keys: PortKeys;
  readonly #map: MapHost;
  readonly served: ServedPart;

  /** Begins to load the records. It serves nobody before it is open and active. */
  static async attach(host: Host): Promise<AttachedMap> {
    const listen = present(host.config.map.listen, 'it is wanted');
    // Where readers may know all services, it shows which ones are there (D74).
    return new AttachedMap(host, listen, !(await isOpenToStrangers(listen)));
  }

  private constructor(host: Host, listen: Listen, showsServices: boolean) {
    const { broker, loop, holdings } = host;
    this.#host = host;
    this.#listen = listen;
    const events = eventsOf(host);
    const part = present(host.stored?.part(MAP_PART.number) ?? null, 'a map has a store');
    this.#storage = mapStorage(part, (key) => {
      const record = escapeName(Buffer.from(key, 'latin1'));
      events.emit({ name: 'map.unreadable', record });
    });
    this.#keys = host.keys.ofPort(listen.curve, true, (publicKey) => this.#map.revoke(publicKey));
    const { replica, store } = this.#storage;
    this.#map = new MapHost({
      bytesMax: host.config.limits.mapBytes,
      rightsOf: this.#keys.rightsOf,
      holdings,
      replica,
      store,
      events,
      wake: () => loop.wake(),
    });
    const { machine } = this.#map;
    this.#storage.serve(machine);
    if (showsServices) {
      broker.watchServices((service, isServed) => machine.services.set(service, isServed));
    }
    machine.open();
    loop.beside.push(this.#map);
    this.served = servedPart(this.#map, host.dataDir, this.#storage.epochMax);
  }

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  async open(): Promise<void> {
    const { curve } = this.#keys;
    const sealed = curve === undefined ? {} : { curve };
    const limits = this.#limits(this.#host.config);
    const { names } = this.#host;
    await this.#map.listen({ endpoint: this.#listen.endpoint, ...sealed, limits, names });
  }

  /** The limits of each of its ports. */
  #limits(config: Config): RouterLimits {
    const connectionsPerKeyMax: RouterLimits['connectionsPerKeyMax'] = (_port, key) =>
      quotasOf(config, this.#keys.rightsOf(key).quota).connections;
    return { ...routerLimits(config, this.#host.keys), connectionsPerKeyMax };
  }

  get listens(): NonNullable<Attached['listens']> {
    return { as: 'map', shown: 'the map', endpoint: this.#map.ports?.endpoint ?? null };
  }

  readonly metrics: MetricsPart = {
    write: (out) => {
      const { keys, bytes, counters } = this.#map;
      out.metric('map_keys');
      out.sample('', keys);
      out.metric('map_bytes');
      out.sample('', bytes);
      by(out, 'map_updates_total', 'result', counters.updates);
      out.metric('map_conflicts_total');
      out.sample('', counters.conflicts);
      out.metric('map_marks_dropped_total');
      out.sample('', counters.marksDropped);
      out.metric('map_snapshots_total');
      out.sample('', counters.snapshots);
    },
    malformed: () => ({ map: this.#map.malformed }),
  };

  get degraded(): readonly Reason[] {
    const { trouble } = this.#map.machine;
    if (trouble === null) return [];
    const text = `new values of the map are dropped: ${trouble.message}`;
    return [{ code: `map_${trouble.kind}`, text }];
  }

  /** For HTTP; `not_ready`: it is being loaded. */
  get view(): MapView | 'not_ready' {
    return mapView(this.#map.machine);
  }

  readonly keyed: Renewal = {
    section: 'map',
    renew: ({ map }) => {
      const secretKeys = secretKeysAt(map.listen);
      if (secretKeys !== null) this.#map.ports?.setSecretKeys(secretKeys);
    },
  };

  reconfigure(config: Config): void {
    this.#map.machine.setBytesMax(config.limits.mapBytes);
    this.#map.ports?.setLimits(this.#limits(config));
  }

  rightsChanged(key: string): void {
    this.#map.rightsChanged(key);
  }

  drain(): void {
    this.#map.drain();
  }

  async close(): Promise<void> {
    await this.#map.stop();
  }
}

function servedPart(map: MapHost, dataDir: string, epochMax: number): ServedPart {
  return {
    setTime: (now) => map.setTime(now),
    run: (now) => map.run(now),
    dueInMs: (now) => map.dueInMs(now),
    get isSettled() {
      return map.isSettled;
    },
    activate: (epoch) => map.activate(epoch),
    deactivate: () => map.deactivate(),
    activateAlone: async () => map.activate(await nextMapEpoch(dataDir, epochMax)),
    epochMax: () => lastMapEpoch(dataDir, epochMax),
    joinPair: (pair) => {
      map.isFenced = () => pair.isFenced;
      map.voted = () => pair.voted();
    },
  };
}

/** The node's events, and its list of refusals. */
function eventsOf({ events, refusals }: Host): MapEvents & EventSink<MapEvent> {
  return {
    emit: (event) => {
      events.emit(event);
      const refused = refusalOf(event);
      if (refused !== null) refusals.record(refused);
    },
  };
}

function refusalOf(event: MapEvent): RefusalFacts | null {
  if (event.name === 'map.rejected') {
    const { key, address, reason } = event;
    return { what: 'connection', key, address, service: null, reason };
  }
  if (event.name !== 'map.denied') return null;
  const { key, address, wanted } = event;
  // Without the key of the map: it is the peer's choice, and would make an entry for each.
  const reason =
    wanted === 'write'
      ? 'the key has no right to write that key of the map'
      : 'the key has no right to read all that it asked of the map';
  return { what: 'request', key, address, service: null, reason };
}
